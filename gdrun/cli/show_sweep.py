"""The sections of `gdrun show` that only sweeps have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gdrun.rundir.run import Run
from gdrun.rundir.settings import labels
from gdrun.text import human_number

from .show_run import Facts, Lines, wrapped
from .tables import Cell, status_cell, table, text_of, value_text

BEST_ROWS = 10

_LEFT_OUT = frozenset({"why", "diverged", "stopped_by", "best_step"})


def trials(run: Run, facts: Facts, width: int) -> Lines:
    """How many of each status, the predicted limit, and the best rows of the table."""
    from gdrun.sweeping.summary import summarize

    from .sweep_summary import edge_lines

    counts = facts["trials"] if isinstance(facts["trials"], Mapping) else {}
    words = [f"{value_text(number)} {name}" for name, number in counts.items() if number]
    lines: Lines = [f"  {', '.join(words)}"] if words else []
    for line in edge_lines(summarize(run)):
        lines += wrapped(line.strip(), width)
    rows = [trial for trial in run.trials if isinstance(trial, dict)]
    metric = facts.get("metric") if isinstance(facts.get("metric"), str) else "loss"
    ranked = best_first(rows, str(metric), descending=facts.get("direction") == "maximize")
    if ranked:
        lines += ["", f"  the best of {len(rows):,} by {metric}"]
        lines += _table(run, ranked[:BEST_ROWS], str(metric), width - 2)
    return lines


def best_first(rows: list[dict[str, Any]], metric: str, *, descending: bool = False) -> list[dict[str, Any]]:
    """Return the trials whose `metric` is a finite number, the best first; diverged ones after the others."""
    fitting = [row for row in rows if _is_finite(row.get(metric))]
    sign = -1 if descending else 1
    return sorted(fitting, key=lambda row: (row.get("status") == "diverged", sign * row[metric]))


def _is_finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) != float("inf") and value == value


def _table(sweep: Run, rows: list[dict[str, Any]], metric: str, width: int) -> Lines:
    axes = sweep.axes
    short = labels(axes, axes)
    rest = [name for name in rows[0] if name not in ("trial", metric, "status", "steps", *axes, *_LEFT_OUT)]
    names = ["trial", *axes, metric, "status", "steps", *rest]
    titles: list[str] = []
    right: list[int] = []
    cells: list[list[Cell]] = [[] for _ in rows]
    taken = 0
    for name in names:
        shown = [_cell(name, row.get(name)) for row in rows]
        title = short.get(name, name)
        wide = max(len(title), *(len(text_of(cell)) for cell in shown)) + 2
        if taken + wide > width and len(titles) >= len(axes) + 2:
            break
        taken += wide
        if name != "status":
            right.append(len(titles))
        titles.append(title)
        for row, cell in zip(cells, shown, strict=True):
            row.append(cell)
    return table(cells, titles, right=right, indent=2)


def _cell(name: str, value: Any) -> Cell:
    if name == "status":
        return status_cell(str(value))
    return human_number(value, digits=6) if isinstance(value, float) else value_text(value)
