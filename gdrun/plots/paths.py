"""The way of a descent in the plane of two recorded numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import UsageError
from gdrun.plots.columns import PARAMETERS, Component, named_components
from gdrun.plots.figure import Axis, Figure, Mark, Series
from gdrun.plots.landscape import landscape
from gdrun.plots.runs import FEW_POINTS, subtitle, title_of, with_rows
from gdrun.text import safe_text

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
    figure = way_figure(title_of(run, "trajectory"), run, across.values, up.values, (across.label, up.label))
    if not all(part.column == PARAMETERS + part.label for part in parts):
        return figure
    good = np.isfinite(across.values) & np.isfinite(up.values)
    return replace(figure, grid=landscape(run, (across.label, up.label), across.values[good], up.values[good]))


def way_figure(title: str, run: Run, x: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> Figure:
    """Return a way through a plane, its start and end marked; x and y are (rows,)."""
    good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    line = Series(x, y, style="both" if len(good) <= FEW_POINTS else "line", slot=0)
    return Figure(
        title, Axis(labels[0]), Axis(labels[1]), subtitle(run), (line,), marks=_ends(x[good], y[good]),
        name="trajectory",
    )  # fmt: skip


def _ends(x: np.ndarray, y: np.ndarray) -> tuple[Mark, ...]:
    if not len(x):
        return ()
    return (Mark(float(x[0]), float(y[0]), "start", "start"), Mark(float(x[-1]), float(y[-1]), "end", "end"))
