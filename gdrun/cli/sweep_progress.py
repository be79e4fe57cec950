"""What is seen while a sweep runs: a moving line on a terminal, a plain line now and then in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gdrun.sweeping.listener import SweepListener
from gdrun.text import human_number, human_seconds, plural, safe_text

from . import terminal
from .progress import FIRST_LINE_SECONDS, LONGEST_PAUSE_SECONDS

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


def listener(label: str, *, quiet: bool = False, verbose: bool = False) -> QuietSweep:
    """Return the listener that suits stderr: silent, live or plain.

    Args:
        label: what to call the sweep.
        verbose: also say what runs together.
    """
    chosen = QuietSweep if quiet else LiveSweep if terminal.is_live() else PlainSweep
    return chosen(label, verbose=verbose and not quiet)


class QuietSweep(SweepListener):
    """Warnings only; the ground of the others."""

    def __init__(self, label: str, *, verbose: bool = False) -> None:
        self.label = safe_text(label, limit=40)
        self.verbose = verbose

    def planned(self, total: int, groups: Sequence[Any]) -> None:
        """Say what is going to run, where that is wanted."""
        if self.verbose:
            together = f" in {plural(len(groups), 'group')}" if groups else ""
            terminal.say(f"{self.label}: {plural(total, 'trial')}{together}")

    def warned(self, message: str) -> None:
        """Show a warning."""
        terminal.warn(safe_text(message, limit=1000))

    def finished(self, run: Run) -> None:
        """Leave the terminal as it was."""
        self.close()


class PlainSweep(QuietSweep):
    """A line at growing distances, without any escape code."""

    def __init__(self, label: str, *, verbose: bool = False) -> None:
        super().__init__(label, verbose=verbose)
        self._next_at = FIRST_LINE_SECONDS

    def progress(
        self,
        done: int,
        diverged: int,
        best_value: float | None,
        best_trial: int | None,
        total: int,
        seconds: float,
        steps_per_second: float | None = None,
    ) -> None:
        """Say where the sweep is, if it is time to."""
        if seconds < self._next_at:
            return
        while self._next_at <= seconds:
            self._next_at += min(self._next_at, LONGEST_PAUSE_SECONDS)
        words = [f"{self.label}: {done:,} of {plural_count(total)}"]
        words += facts(diverged, best_value, best_trial, steps_per_second)
        terminal.say(", ".join([*words, human_seconds(seconds)]))


class LiveSweep(QuietSweep):
    """A bar with the trials that are done, those that diverged and the best so far; gone when the sweep is done."""

    def __init__(self, label: str, *, verbose: bool = False) -> None:
        super().__init__(label, verbose=verbose)
        self._bar: Any = None
        self._task: Any = None

    def planned(self, total: int, groups: Sequence[Any]) -> None:
        """Begin to draw."""
        super().planned(total, groups)
        import rich.progress
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        def one_line() -> Column:
            return Column(no_wrap=True, overflow="ellipsis")

        columns = (
            TextColumn("{task.description}", markup=False, style="bold", table_column=one_line()),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[trials]}", markup=False, table_column=one_line()),
            TimeElapsedColumn(table_column=one_line()),
            TextColumn("{task.fields[facts]}", markup=False, table_column=one_line()),
        )
        self.close()
        self._bar = rich.progress.Progress(*columns, console=terminal.console(), transient=True, expand=False)
        self._task = self._bar.add_task(self.label, total=total or None, trials=plural_count(total), facts="compiling")
        self._bar.start()

    def progress(
        self,
        done: int,
        diverged: int,
        best_value: float | None,
        best_trial: int | None,
        total: int,
        seconds: float,
        steps_per_second: float | None = None,
    ) -> None:
        """Move the bar."""
        if self._bar is not None:
            told = "  ".join(facts(diverged, best_value, best_trial, steps_per_second))
            self._bar.update(self._task, completed=done, total=total, trials=f"{done:,}/{total:,}", facts=told)

    def warned(self, message: str) -> None:
        """Show a warning above the bar."""
        if self._bar is None:
            super().warned(message)
        else:
            self._bar.console.print(f"warning: {safe_text(message, limit=1000)}", style="yellow", soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def facts(diverged: int, best_value: float | None, best_trial: int | None, steps_per_second: float | None) -> list[str]:
    """Return the words about a sweep that goes on: how many diverged, the best so far, the speed of all lanes."""
    words = [f"{diverged:,} diverged"] if diverged else []
    if best_value is not None:
        whose = "" if best_trial is None else f" (trial {best_trial})"
        words.append(f"best {human_number(best_value, digits=4)}{whose}")
    if steps_per_second:
        words.append(f"{per_second(steps_per_second)} steps/s")
    return words


def per_second(speed: float) -> str:
    """Return a number of steps a second in three digits: "940", "12.5 k", "7.1 M"."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if speed >= size:
            return f"{human_number(speed / (1e3 if unit == ' k' else size), digits=3)}{unit}"
    return human_number(speed, digits=3)


def plural_count(total: int) -> str:
    """Return "1 trial", "1,000 trials"."""
    return "1 trial" if total == 1 else f"{total:,} trials"
