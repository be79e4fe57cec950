"""What is said of a sweep when it is over: the best trials, where training begins to diverge, the picture."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gdrun.errors import ExitCode, GdrunError
from gdrun.text import human_number, human_seconds

from . import summary, terminal
from .progress import plural_count
from .sweep_table import cell
from .tables import table

if TYPE_CHECKING:
    from gdrun.rundir.run import Run
    from gdrun.sweeping.summary import Edge, SweepSummary

MOST_EDGES = 8
MOST_COLUMNS, PICTURE_ROWS = 100, 20
_COLOURS = {"completed": "green", "interrupted": "yellow", "failed": "red", "lost": "yellow"}


def exit_code(run: Run, told: SweepSummary) -> int:
    """Return what a command ends with after a sweep."""
    if str(run.status) == "interrupted":
        return summary.interrupted_code(run)
    counts = told.counts
    if counts["failed"] or counts["missing"]:
        return ExitCode.INCOMPLETE
    return ExitCode.DIVERGED if counts["diverged"] == counts["total"] else ExitCode.DONE


def describe(run: Run, told: SweepSummary) -> dict[str, Any]:
    """Return what `--json` says of a sweep."""
    record = run.info
    values: dict[str, Any] = {"id": run.id, "name": record.name, "directory": str(run.directory.absolute())}
    values |= {"status": str(run.status), "trials": told.counts, "seconds": record.seconds, "steps": record.steps}
    values |= {"metric": told.metric, "direction": "maximize" if told.maximize else "minimize"}
    values["axes"] = list(told.axes)
    values["best"] = [
        {
            "trial": one.trial, "values": one.values, "value": one.value, "low": one.low, "high": one.high,
            "count": one.count, "diverged": one.diverged,
        }
        for one in told.ranked
    ]  # fmt: skip
    values["edges"] = [
        {"axis": edge.axis, "values": edge.values, "largest": edge.largest, "smallest": edge.smallest}
        for edge in told.edges
    ]
    values |= {"prediction": told.prediction, "warnings": list(record.warnings)}
    return values


def show(run: Run, told: SweepSummary, *, picture: bool = True) -> None:
    """Print the short tables of a finished sweep on stderr.

    Args:
        picture: with the learning-rate sensitivity picture in characters.
    """
    status = str(run.status)
    seconds = f" in {human_seconds(run.info.seconds)}" if run.info.seconds is not None else ""
    colour = _COLOURS.get(status, "yellow")
    terminal.say(Text.assemble((run.info.name, "bold"), " ", (status, f"bold {colour}"), f": {_counts(told)}{seconds}"))
    if told.ranked:
        titles, *rows = ranked_rows(told)
        terminal.say(*table(rows, titles, indent=2))
    for line in edge_lines(told):
        terminal.say(line)
    if picture and told.ranked:
        _show_picture(run)
    why = next((row.get("why") for row in run.trials if row.get("status") == "failed"), None)
    if why:
        terminal.warn(f"a trial failed: {why}")
    if told.counts["failed"] or told.counts["missing"]:
        terminal.say(f"gdrun resume {run.id} runs the trials that have no result")


def _counts(told: SweepSummary) -> str:
    counts = told.counts
    parts = [f"{counts[name]:,} {name}" for name in ("stopped", "diverged", "failed", "missing") if counts[name]]
    return plural_count(counts["total"]) + (f" ({', '.join(parts)})" if parts else "")


def short_keys(axes: tuple[str, ...]) -> dict[str, str]:
    """Return the shortest ending of each key that no other one has: "learning_rate", "groups.0.learning_rate"."""
    short = {}
    for axis in axes:
        steps = axis.split(".")
        for size in range(1, len(steps) + 1):
            ending = ".".join(steps[-size:])
            if size == len(steps) or not any(other != axis and f".{other}".endswith(f".{ending}") for other in axes):
                short[axis] = str(ending)
                break
    return short


def ranked_rows(told: SweepSummary) -> list[tuple[str, ...]]:
    """Return the table of the best settings, with its head; nothing where no trial has a finite value."""
    if not told.ranked:
        return []
    names = short_keys(told.axes)
    keys = list(told.ranked[0].values)
    metric = told.metric
    head = ("best", *(names[key] for key in keys), metric)
    if not told.seeds:
        return [head, *((_trial(one.trial), *(cell(one.values[key]) for key in keys), _number(one.value))
                        for one in told.ranked)]  # fmt: skip
    rows: list[tuple[str, ...]] = [(*head[:-1], f"{metric}, median", "middle half", "seeds")]
    for one in told.ranked:
        ends = f"{_number(one.low)} to {_number(one.high)}" if one.count > 1 else ""
        gone = f", {one.diverged} diverged" if one.diverged else ""
        values = (cell(one.values[key]) for key in keys)
        rows.append((_trial(one.trial), *values, _number(one.value), ends, f"{one.count}{gone}"))
    return rows


def edge_lines(told: SweepSummary) -> list[str]:
    """Return what is said of where training diverges, and of the limit that was predicted."""
    names = short_keys(told.axes)
    lines = []
    for edge in told.edges[:MOST_EDGES]:
        where = ", ".join(f"{names[key]} {cell(value)}" for key, value in edge.values.items())
        lines.append(f"  {names[edge.axis]}{f' ({where})' if where else ''}: {_edge(edge)}")
    if len(told.edges) > MOST_EDGES:
        lines.append(f"  ... and {len(told.edges) - MOST_EDGES} more settings")
    limit = (told.prediction or {}).get("limit")
    if isinstance(limit, int | float):
        why = (told.prediction or {}).get("why")
        lines.append(f"  predicted limit {_number(limit)}" + (f": {why}" if why else ""))
    return lines


def _edge(edge: Edge) -> str:
    if edge.smallest is None:
        return f"none diverged, up to {_number(edge.largest)}"
    if edge.largest is None:
        return f"all diverged, from {_number(edge.smallest)}"
    if edge.largest < edge.smallest:
        return f"{_number(edge.largest)} is stable, {_number(edge.smallest)} diverged"
    return f"diverged from {_number(edge.smallest)}, though {_number(edge.largest)} did not"


def _show_picture(run: Run) -> None:
    """The sensitivity picture, where there is an axis of numbers to draw it over."""
    with suppress(ImportError, GdrunError):
        from gdrun.plots import as_text, can_show, sensitivity_figure

        width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
        plain = not can_show(terminal.stream("stderr").encoding)
        text = as_text(sensitivity_figure(run), width, PICTURE_ROWS, terminal.has_colour(), ascii_only=plain)
        terminal.say(*Text.from_ansi(text.rstrip("\n")).split())


def _trial(number: int) -> str:
    return f"trial {number}"


def _number(value: float | None) -> str:
    return "none" if value is None else human_number(value, digits=6)
