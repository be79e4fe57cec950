"""What is said of a run when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from gdrun.errors import ExitCode, RunDirectoryError
from gdrun.text import human_number, human_seconds, plural

from . import terminal
from .tables import table

if TYPE_CHECKING:
    import numpy as np

    from gdrun.rundir.run import Run

FEW_NUMBERS = 20
"""Parameters are printed up to so many numbers."""

_DETAILS = ("gradient_norm", "learning_rate")

_COLOURS = {"completed": "green", "stopped": "green", "diverged": "red", "failed": "red"}


def exit_code(run: Run) -> int:
    """Return what a command ends with after `run`."""
    status = str(run.status)
    if status == "interrupted":
        return interrupted_code(run)
    return {"diverged": ExitCode.DIVERGED, "failed": ExitCode.BUG}.get(status, ExitCode.DONE)


def interrupted_code(run: Run) -> int:
    """Return 143 after SIGTERM or SIGHUP, 130 after any other signal."""
    signal_name = f"{run.info.stopped_by} {run.info.why} {run.info.extra.get('signal')}".upper()
    asked = any(name in signal_name for name in ("SIGTERM", "SIGHUP"))
    return ExitCode.TERMINATED if asked else ExitCode.INTERRUPTED


def describe(run: Run) -> dict[str, Any]:
    """Return what `--json` says of a run: its record in short, and its parameters while they are few."""
    record = run.info
    values: dict[str, Any] = {"id": run.id, "name": record.name, "directory": str(run.directory.absolute())}
    values["status"] = str(run.status)
    for key in ("stopped_by", "why", "steps", "epochs", "seconds", "device", "precision", "compile"):
        values[key] = getattr(record, key)
    for key in ("final", "best", "diverged", "warnings"):
        values[key] = getattr(record, key)
    parameters = parameters_of(run)
    values["num_parameters"] = sum(array.size for array in parameters.values())
    values["parameters"] = parameters if values["num_parameters"] <= FEW_NUMBERS else None
    return values


def parameters_of(run: Run) -> dict[str, np.ndarray]:
    """Return the final parameters, {} where the run has none to show."""

    try:
        return run.parameters
    except RunDirectoryError:
        return {}


def show(run: Run, *, verbose: bool = False) -> None:
    """Print the short table of a finished run on stderr."""
    record = run.info
    status = str(run.status)
    why = f": {record.why}" if record.why else ""
    terminal.say(Text.assemble((record.name, "bold"), " ", (status, f"bold {_COLOURS.get(status, 'yellow')}"), why))
    for line in table(rows(run, verbose=verbose), indent=2):
        terminal.say(line)
    if str(run.status) == "diverged":
        advice = "a smaller learning rate may hold (`gdrun lr` finds one); data far from 1 wants `scale: standardize`"
        terminal.say(Text(f"  {advice}", "dim"))


def rows(run: Run, *, verbose: bool = False) -> list[tuple[str, str]]:
    """Return (what, value) for each line of the table: steps, time, final and best values, parameters.

    Args:
        verbose: with the gradient norm, the learning rate and where the run ran.
    """
    record = run.info
    lines = []
    if record.steps is not None:
        epochs = "" if record.epochs in (None, record.steps) else f" ({plural_number(record.epochs, 'epoch')})"
        lines.append(("steps", f"{record.steps:,}{epochs}"))
    if isinstance(record.seconds, int | float):  # "nan" is a text
        lines.append(("time", human_seconds(record.seconds)))
    final = {name: value for name, value in record.final.items() if verbose or name not in _DETAILS}
    lines += [(str(name), _value(value)) for name, value in final.items()]
    if record.best:
        words = ", ".join(f"{name} {_value(value)}" for name, value in record.best.items())
        lines.append(("best", words))
    parameters = parameters_of(run)
    size = sum(array.size for array in parameters.values())
    if 0 < size <= FEW_NUMBERS:
        lines += [(str(name), exact_array(array)) for name, array in parameters.items()]
    elif size:
        lines.append(("parameters", f"{size:,} numbers, in parameters.npz"))
    if verbose:
        lines.append(("ran as", f"{record.compile}, {record.precision}, {record.device}"))
    return lines


def plural_number(count: float, one: str) -> str:
    """Return "2.5 epochs", "1 epoch"."""
    if float(count).is_integer():
        return plural(int(count), one)
    return f"{human_number(count, digits=4)} {one}s"


def exact_array(value: Any) -> str:
    """Return an array's numbers in one line, each with all the digits of its precision."""
    if getattr(value, "ndim", 0) == 0:
        return human_number(value[()] if hasattr(value, "shape") else value)
    return "[" + ", ".join(exact_array(item) for item in value) + "]"


def _value(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return human_number(value)
    if isinstance(value, dict) and "value" in value and value["value"] is None:
        return f"none ({value.get('reason', '')})"
    return str(value)
