"""The way of a descent in the plane of two recorded numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import UsageError
from gdrun.text import safe_text

from .columns import PARAMETERS, Component, named_components
from .figure import Axis, Figure, Mark, Series, numbers
from .landscape import landscape
from .runs import FEW_POINTS, subtitle, title_of, with_rows

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


def path_figure(run: Run, columns: Sequence[str] = ()) -> Figure:
    """Return the way of two recorded numbers in their plane, from the start to the end.

    Where the loss is a formula of these two parameters and of nothing else, the way lies on its contours.

    Args:
        columns: the two; by default the run's parameters, where they are two numbers.
    Raises:
        UsageError: there are not two.
    """
    (run,) = with_rows(run)
    names = columns or [name for name in run.metrics if name.startswith(PARAMETERS)]
    parts: list[Component] = named_components(run, names)
    if len(parts) != 2:
        listed = ", ".join(part.label for part in parts[:6]) + (", ..." if len(parts) > 6 else "")
        raise UsageError(
            f"a trajectory takes two numbers; {safe_text(run.id)} has {len(parts)} "
            + (f"({safe_text(listed, limit=200)})" if parts else "recorded"),
            hint="--columns a,b chooses two" if parts else "`record: {parameters: true}` in the config records them",
        )
    across, up = parts
    labels, rows = (across.label, up.label), slice(rows_to_show(run))
    figure = way_figure(title_of(run, "trajectory"), run, across.values[rows], up.values[rows], labels)
    if not all(part.column == PARAMETERS + part.label for part in parts):
        return figure
    x, y = figure.series[0].x, figure.series[0].y
    good = np.isfinite(x) & np.isfinite(y)
    return replace(figure, grid=landscape(run, labels, x[good], y[good]))


def rows_to_show(run: Run) -> int:
    """Return how many rows make a way: all, but of a run that diverged those before its loss left the picture."""
    losses = numbers(run.metrics["loss"]) if "loss" in run.metrics else np.zeros(0)
    count = len(run.table)
    if run.problem or not run.info.diverged or not len(losses):
        return count
    with np.errstate(invalid="ignore"):
        beyond = np.flatnonzero(~(np.abs(losses) <= _FAR * max(abs(losses[0]), 1e-300)))
    return max(int(beyond[0]), min(count, _FEWEST)) if len(beyond) else count


_FAR = 100.0
"""A loss so many times the first one is out of the picture."""
_FEWEST = 3


def way_figure(title: str, run: Run, x: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> Figure:
    """Return a way through a plane, its start and end marked; x and y are (rows,), those of `rows_to_show`."""
    good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    away = not run.problem and bool(run.info.diverged)
    notes = (f"the first {len(x):,} of {len(run.table):,} rows",) if len(x) < len(run.table) else ()
    line = Series(x, y, style="both" if len(good) <= FEW_POINTS else "line", slot=0)
    return Figure(
        title, Axis(labels[0]), Axis(labels[1]), subtitle(run), (line,), marks=_ends(x[good], y[good], away),
        notes=notes, name="trajectory",
    )  # fmt: skip


def _ends(x: np.ndarray, y: np.ndarray, diverged: bool) -> tuple[Mark, ...]:
    if not len(x):
        return ()
    if x[0] == x[-1] and y[0] == y[-1]:
        return (Mark(float(x[0]), float(y[0]), "start", "start and end"),)
    if diverged:
        return (Mark(float(x[0]), float(y[0]), "start", "start"), Mark(float(x[-1]), float(y[-1]), "end", "diverges"))
    return (Mark(float(x[0]), float(y[0]), "start", "start"), Mark(float(x[-1]), float(y[-1]), "end", "end"))
