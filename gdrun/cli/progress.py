"""Progress of a run or a sweep on stderr: a moving line on a terminal, a plain line now and then in a pipe."""

from __future__ import annotations

import threading
from typing import Any

from gdrun.rundir.run import Run
from gdrun.rundir.tail import Tail
from gdrun.text import human_number, human_seconds, plural, plural_count, safe_text, short
from gdrun.training.listener import Listener, Plan, Progress

from . import terminal

FIRST_LINE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
"""Plain lines come after 1, 2, 4, 8, 16 seconds, then every 30: few for a short run, regular for a long one."""

SILENT_SECONDS = 2.0
"""What takes longer before the first steps are done says what it is."""

_CELL, _LONGEST_CELL = 13, 60
"""Columns of a number in a table of rows, and of an array at most."""

MANY_FIRST_LINE_SECONDS = 8.0
"""The first line's time where many runs are made for another purpose, as by `gdrun check`."""


def listener(
    label: str = "", *, quiet: bool = False, verbose: bool = False, first_line_seconds: float | None = None
) -> QuietProgress:
    """Return the listener that suits stderr: silent, live or plain.

    Args:
        label: what to call the run or the sweep; default its name.
        verbose: also say beforehand what is going to run.
        first_line_seconds: when the first plain line comes; default FIRST_LINE_SECONDS.
    """
    if quiet:
        return QuietProgress(label)
    if terminal.is_live():
        return LiveProgress(label, verbose=verbose)
    first = FIRST_LINE_SECONDS if first_line_seconds is None else first_line_seconds
    return PlainProgress(label, verbose=verbose, first_line_seconds=first)


class DelayedMessage:
    """A line on stderr that is written if what it names takes longer than SILENT_SECONDS."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def begin(self, text: str) -> None:
        """Wait with `text`, in place of what was waited with before."""
        self.end()
        self._timer = threading.Timer(SILENT_SECONDS, terminal.message, [text])
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Do not write it any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class QuietProgress(Listener):
    """Warnings only; the base of the others."""

    def __init__(self, label: str = "", *, verbose: bool = False) -> None:
        self.label = label
        self.verbose = verbose
        self.plan: Plan | None = None

    def wait(self, text: str) -> None:
        """Show on a terminal what takes its time before there is a plan."""

    def planned(self, plan: Plan) -> None:
        """Keep the plan, and say it where that is wanted."""
        self.plan = plan
        if not self.verbose:
            return
        if plan.num_trials is not None:
            groups = f" in {plural(len(plan.group_sizes), 'group')}" if plan.group_sizes else ""
            terminal.message(f"{self.name}: {plural(plan.num_trials, 'trial')}{groups}")
        else:
            steps, numbers = plural(plan.total_steps, "step"), plural(plan.num_parameters, "parameter")
            runs_as = f"{plan.compile}, {plan.precision}, {plan.device}"
            terminal.message(f"{self.name}: {steps}, {numbers}, {runs_as}, into {plan.directory}")

    def warned(self, message: str) -> None:
        """Show a warning."""
        terminal.warn(message)

    def finished(self, run: Run) -> None:
        """Leave the terminal as it was."""
        self.close()

    @property
    def name(self) -> str:
        """The name of the run or the sweep on the screen."""
        return safe_text(self.label or (self.plan.name if self.plan else ""), limit=40)

    def position(self, progress: Progress) -> tuple[int, int]:
        """Return (done, total): trials of a sweep, steps of a run; 0 where the total is not known."""
        if progress.num_trials is not None:
            return progress.trials_done, progress.num_trials
        return progress.step, self.plan.total_steps if self.plan else 0


class PlainProgress(QuietProgress):
    """A line at growing distances, without any escape code."""

    def __init__(
        self, label: str = "", *, verbose: bool = False, first_line_seconds: float = FIRST_LINE_SECONDS
    ) -> None:
        super().__init__(label, verbose=verbose)
        self._next_at = first_line_seconds
        self._starting = DelayedMessage()

    def planned(self, plan: Plan) -> None:
        """Say what comes first, if that takes long."""
        super().planned(plan)
        what = "compiling" if plan.compile != "eager" else "training the first steps"
        self._starting.begin(f"{self.name}: {what if plan.num_trials is None else 'training the first trials'}")

    def close(self) -> None:
        """Say nothing more."""
        self._starting.end()

    def progress(self, progress: Progress) -> None:
        """Say how far the run is, if it is time to."""
        self._starting.end()
        if progress.seconds < self._next_at:
            return
        while self._next_at <= progress.seconds:
            self._next_at += min(self._next_at, LONGEST_PAUSE_SECONDS)
        done, total = self.position(progress)
        if progress.num_trials is not None:
            position = f"{done:,} of {plural_count(total, 'trial')} done"
        else:
            position = f"step {done:,}" + (f" of {total:,}" if total else "")
        terminal.message(", ".join([f"{self.name}: {position}", *facts(progress), human_seconds(progress.seconds)]))


class TableProgress(QuietProgress):
    """The recorded rows of a run, as they come."""

    def planned(self, plan: Plan) -> None:
        """Follow the run's rows from now on."""
        super().planned(plan)
        self._columns: tuple[str, ...] = ()
        self._waiting: list[dict[str, Any]] = []
        self._tail = None if plan.directory is None else Tail(plan.directory)
        if self._tail is not None and plan.first_step:
            self._tail.new_rows()  # shown when they were recorded

    def progress(self, progress: Progress) -> None:
        """Print the rows that are new."""
        self._print(is_end=False)

    def finished(self, run: Run) -> None:
        """Print the rows that are left."""
        self._print(is_end=True)

    def _print(self, *, is_end: bool) -> None:
        self._waiting += [] if self._tail is None else self._tail.new_rows()
        # Row 0 has not all columns.
        if not self._columns and len(self._waiting) < 2 and not is_end:
            return
        rows, self._waiting = self._waiting, []
        columns = tuple(dict.fromkeys([*self._columns, *(name for row in rows for name in row)]))
        if columns != self._columns:
            self._columns = columns
            terminal.message("  ".join(name.rjust(_CELL) for name in columns))
        for row in rows:
            cells = (_cell(row.get(name)).rjust(max(_CELL, len(name))) for name in columns)
            terminal.message("  ".join(cells).rstrip())


def _cell(value: Any) -> str:
    text = short(value, 8)
    return text if len(text) <= _LONGEST_CELL else "..."


class LiveProgress(QuietProgress):
    """A bar with the steps or trials that are done and what came of them; gone when the run is done."""

    def __init__(self, label: str = "", *, verbose: bool = False) -> None:
        super().__init__(label, verbose=verbose)
        self._bar: Any = None
        self._task: Any = None

    def wait(self, text: str) -> None:
        """Draw a spinner until `planned`."""
        self._bar = terminal.console().status(text, spinner="dots")
        self._bar.start()

    def planned(self, plan: Plan) -> None:
        """Begin to draw."""
        self.close()
        super().planned(plan)
        import rich.progress
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        def one_line() -> Column:
            return Column(no_wrap=True, overflow="ellipsis")

        columns = (
            TextColumn("{task.description}", markup=False, style="bold", table_column=one_line()),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[position]}", markup=False, table_column=one_line()),
            TimeElapsedColumn(table_column=one_line()),
            TextColumn("{task.fields[facts]}", markup=False, table_column=one_line()),
        )
        self._bar = rich.progress.Progress(*columns, console=terminal.console(), transient=True, expand=False)
        total = plan.total_steps if plan.num_trials is None else plan.num_trials
        self._task = self._bar.add_task(self.name, total=total or None, position="compiling", facts="")
        self._bar.start()

    def progress(self, progress: Progress) -> None:
        """Move the bar."""
        if self._bar is not None:
            done, total = self.position(progress)
            position = f"{done:,}" + (f"/{total:,}" if total else "")
            self._bar.update(self._task, completed=done, position=position, facts="  ".join(facts(progress)))

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


def facts(progress: Progress) -> list[str]:
    """Return what is known of a run (loss, few parameters) or a sweep (diverged, best so far), and the speed."""
    speed = progress.steps_per_second
    if progress.num_trials is None:
        words = [f"loss {human_number(progress.loss, digits=6)}"]
        words += [f"{safe_text(name, limit=24)} {short(value)}" for name, value in progress.parameters.items()]
        return words + ([speed_text(speed)] if speed else [])
    words = [f"{progress.diverged:,} diverged"] if progress.diverged else []
    if progress.best_value is not None:
        trial = "" if progress.best_trial is None else f" (trial {progress.best_trial})"
        words.append(f"best so far {human_number(progress.best_value, digits=4)}{trial}")
    return words + ([f"{per_second(speed)} steps/s"] if speed else [])


def speed_text(steps_per_second: float) -> str:
    """Return the speed of a run in the unit that people compare: "12 us a step" or "310 steps/s"."""
    if steps_per_second < 1000:
        return f"{human_number(steps_per_second, digits=3)} steps/s"
    return f"{human_number(1e6 / steps_per_second, digits=3)} us a step"


def per_second(speed: float) -> str:
    """Return a number of steps a second in three digits: "940", "12.5 k", "7.1 M"."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if speed >= size:
            return f"{human_number(speed / (1e3 if unit == ' k' else size), digits=3)}{unit}"
    return human_number(speed, digits=3)
