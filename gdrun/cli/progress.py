"""What is seen while a run trains: a moving line on a terminal, a plain line now and then in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gdrun.text import human_number, human_seconds, plural, safe_text
from gdrun.training.train import Listener

from . import terminal

if TYPE_CHECKING:
    from gdrun.rundir.run import Run
    from gdrun.training.train import Plan, Progress

FIRST_LINE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
"""Plain lines come after 1, 2, 4, 8, 16 seconds, then every 30: few for a short run, regular for a long one."""

MANY_FIRST_LINE_SECONDS = 8.0
"""The first line's time where many runs are made for another purpose, as by `gdrun check`."""


def listener(
    *, quiet: bool = False, verbose: bool = False, label: str = "", first_line_seconds: float = FIRST_LINE_SECONDS
) -> QuietProgress:
    """Return the listener that suits stderr: silent, live or plain.

    Args:
        verbose: also say beforehand what is going to run.
        label: what to call the run; default its name.
        first_line_seconds: how long a plain one keeps quiet.
    """
    if quiet or terminal.is_live():
        return (QuietProgress if quiet else LiveProgress)(label, verbose=verbose)
    return PlainProgress(label, verbose=verbose, first_line_seconds=first_line_seconds)


class QuietProgress(Listener):
    """Warnings only; the ground of the others."""

    def __init__(self, label: str = "", *, verbose: bool = False) -> None:
        self.label = label
        self.verbose = verbose
        self.plan: Plan | None = None

    def planned(self, plan: Plan) -> None:
        """Keep the plan for the reports."""
        self.plan = plan
        if self.verbose:
            steps, numbers = plural(plan.total_steps, "step"), plural(plan.num_parameters, "parameter")
            how = f"{plan.compile}, {plan.precision}, {safe_text(plan.device)}"
            terminal.say(f"{self.name}: {steps}, {numbers}, {how}, into {safe_text(plan.directory)}")

    def warned(self, message: str) -> None:
        """Show a warning."""
        terminal.warn(safe_text(message, limit=1000))

    def close(self) -> None:
        """Leave the terminal as it was, however the run ended."""

    def finished(self, run: Run) -> None:
        """Leave the terminal as it was."""
        self.close()

    @property
    def name(self) -> str:
        """What the run is called on the screen."""
        return safe_text(self.label or (self.plan.name if self.plan else ""), limit=40)


class PlainProgress(QuietProgress):
    """A line at growing distances, without any escape code."""

    def __init__(
        self, label: str = "", *, verbose: bool = False, first_line_seconds: float = FIRST_LINE_SECONDS
    ) -> None:
        super().__init__(label, verbose=verbose)
        self._next_at = first_line_seconds

    def progress(self, progress: Progress) -> None:
        """Say where the run is, if it is time to."""
        if progress.seconds < self._next_at:
            return
        while self._next_at <= progress.seconds:
            self._next_at += min(self._next_at, LONGEST_PAUSE_SECONDS)
        total = self.plan.total_steps if self.plan else None
        steps = f"step {progress.step:,}" + (f" of {total:,}" if total else "")
        words = [f"{self.name}: {steps}", *_facts(progress), human_seconds(progress.seconds)]
        terminal.say(", ".join(words))


class LiveProgress(QuietProgress):
    """A bar with the step, the loss and, while they are few, the parameters; gone when the run is done."""

    def __init__(self, label: str = "", *, verbose: bool = False) -> None:
        super().__init__(label, verbose=verbose)
        self._bar: Any = None
        self._task: Any = None

    def planned(self, plan: Plan) -> None:
        """Begin to draw."""
        super().planned(plan)
        import rich.progress
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        def one_line() -> Column:
            return Column(no_wrap=True, overflow="ellipsis")

        columns = (
            TextColumn("{task.description}", markup=False, style="bold", table_column=one_line()),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[steps]}", markup=False, table_column=one_line()),
            TimeElapsedColumn(table_column=one_line()),
            TextColumn("{task.fields[facts]}", markup=False, table_column=one_line()),
        )
        self._bar = rich.progress.Progress(*columns, console=terminal.console(), transient=True, expand=False)
        self._task = self._bar.add_task(self.name, total=plan.total_steps or None, steps="compiling", facts="")
        self._bar.start()

    def progress(self, progress: Progress) -> None:
        """Move the bar."""
        if self._bar is not None:
            total = self.plan.total_steps if self.plan else None
            steps = f"{progress.step:,}" + (f"/{total:,}" if total else "")
            self._bar.update(self._task, completed=progress.step, steps=steps, facts="  ".join(_facts(progress)))

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


def _facts(progress: Progress) -> list[str]:
    """The loss, the few parameters, the speed."""
    words = [f"loss {human_number(progress.loss, digits=6)}"]
    words += [f"{safe_text(name, limit=24)} {short_array(value)}" for name, value in progress.parameters.items()]
    if progress.steps_per_second:
        words.append(speed(progress.steps_per_second))
    return words


def speed(steps_per_second: float) -> str:
    """Return a speed in the unit that people compare: "12 us a step" or "3.1 steps a second"."""
    if steps_per_second < 1000:
        return f"{human_number(steps_per_second, digits=3)} steps/s"
    return f"{human_number(1e6 / steps_per_second, digits=3)} us a step"


def short_array(value: Any) -> str:
    """Return the numbers of a small array in one line, six digits each."""
    if getattr(value, "ndim", 0) == 0:
        return human_number(value.item() if hasattr(value, "item") else value, digits=6)
    return "[" + ", ".join(short_array(item) for item in value) + "]"
