"""The trajectory of a run's parameters on the contours of its loss: in the plane of two parameters, or of the first
two principal components.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gdrun.errors import GdrunError, UsageError
from gdrun.rundir.run import Run
from gdrun.suggest import listed
from gdrun.text import plural, safe_text

from .columns import PARAMETERS, Component, components, named_components
from .figure import Figure, FigureAxis, Grid, Mark, Series, numbers
from .loss_surface import finite, formula_grid, plane_grid, principal_plane, recorded_points, slice_grid
from .names import title_of
from .picture import picture
from .run_pictures import FEW_POINTS, subtitle, with_rows
from .scales import number_text

if TYPE_CHECKING:
    from gdrun.training.prepare import Prepared

Load = Callable[[], "Prepared"]
"""Builds the run's experiment."""

_FAR = 100.0
"""Rows whose loss is so many times the first one are not drawn of a run that diverged."""
_FEWEST = 3


@picture("trajectory", of="run", computes=True)
def trajectory(run: Run, *, columns: Sequence[str] = (), load: Load) -> Figure:
    """Return the trajectory of one run's parameters on the contours of its loss over all training data.

    Args:
        run: its rows hold the parameters.
        columns: two recorded numbers. By default the parameters; where more than two of their numbers change, the plane
            of the first two principal components of their trajectory, through its end.
        load: called only where TensorFlow is needed. Where the experiment cannot be built the trajectory is drawn
            without contours, and a note says why.
    Raises:
        UsageError: no two numbers are recorded.
    """
    (run,) = with_rows(run)
    if columns:
        parts = named_components(run, columns)
    else:
        parts = [part for name in run.metrics if name.startswith(PARAMETERS) for part in components(run, name)]
        if len(parts) > 2:
            moving = [part for part in parts if np.ptp(finite(part.values)) > 0]
            parts = moving if len(moving) > 1 else parts
        if len(parts) > 2:
            return _in_principal_plane(run, parts, load)
    if len(parts) != 2:
        names = listed([part.label for part in parts], 6)
        raise UsageError(
            f"a trajectory takes two numbers; {safe_text(run.id)} has {len(parts)} "
            + (f"({safe_text(names, limit=200)})" if parts else "recorded"),
            hint="--columns a,b chooses two" if parts else "`record: {parameters: true}` in the config records them",
        )
    labels = [part.label for part in parts]
    x, y = (part.values[: num_rows_to_draw(run)] for part in parts)
    figure = _trajectory(run, x, y, labels)
    if not all(part.column.startswith(PARAMETERS) for part in parts):
        return figure
    grid: Grid | None = None
    if all(part.column == PARAMETERS + part.label for part in parts):
        good = np.isfinite(x) & np.isfinite(y)
        grid = formula_grid(run, labels, x[good], y[good])
    if grid is None:
        try:
            grid, note = slice_grid(load(), run, parts, x, y)
        except GdrunError as error:
            return _without_contours(figure, error)
        figure = replace(figure, notes=(*figure.notes, *note))
    return _with_contours(figure, grid)


def _in_principal_plane(run: Run, parts: Sequence[Component], load: Load) -> Figure:
    from gdrun.analysis.evaluation_point import at_step

    problem = end = None
    try:
        end = at_step(load(), run, None)
        points = recorded_points(end, run)
    except GdrunError as error:
        problem = error
        points = np.stack([part.values for part in parts], axis=1)
    points = points[: num_rows_to_draw(run)]
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 3 or np.ptp(points, axis=0).max() == 0:
        raise UsageError(
            f"{safe_text(run.id)} recorded its parameters at {plural(len(points), 'step')}, too few for a plane of "
            "their trajectory",
            hint="`record: {every: ...}` in the config records more rows; --columns a,b draws two numbers",
        )
    plane = principal_plane(points)
    labels = [
        f"{name} component ({_percent(share)})" for name, share in zip(("first", "second"), plane.shares, strict=True)
    ]
    figure = _trajectory(run, plane.coordinates[:, 0], plane.coordinates[:, 1], labels)
    note = f"the trajectory of {len(parts):,} numbers in its first two principal components"
    figure = replace(figure, square=True, notes=(note, *figure.notes))
    if end is None or problem is not None:
        return _without_contours(figure, problem)
    try:
        return _with_contours(figure, plane_grid(end, plane))
    except GdrunError as error:
        return _without_contours(figure, error)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %" if share >= 1e-4 else "under 0.01 %"


def _with_contours(figure: Figure, grid: Grid | None) -> Figure:
    """Return the figure on the contours of the loss, with a note of their range."""
    if grid is None:
        return figure
    values = finite(grid.values)
    low, high = number_text(float(values.min()), 3), number_text(float(values.max()), 3)
    return replace(figure, grid=grid, notes=(*figure.notes, f"contours of the loss, from {low} to {high}"))


def _without_contours(figure: Figure, error: GdrunError | None) -> Figure:
    reason = safe_text(error.message if error else "", limit=200)
    return replace(figure, notes=(*figure.notes, f"no contours: {reason}"))


def num_rows_to_draw(run: Run) -> int:
    """Return the number of rows that are drawn: all, but of a run that diverged those before its loss became large."""
    losses = numbers(run.metrics["loss"]) if "loss" in run.metrics else np.zeros(0)
    count = len(run.table)
    if run.problem or not run.info.diverged or not len(losses):
        return count
    with np.errstate(invalid="ignore"):
        beyond = np.flatnonzero(~(np.abs(losses) <= _FAR * max(abs(losses[0]), 1e-300)))
    return max(int(beyond[0]), min(count, _FEWEST)) if len(beyond) else count


def _trajectory(run: Run, x: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> Figure:
    """Return a trajectory through a plane, its start and end marked; x and y are (rows,)."""
    good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    notes = (f"the first {len(x):,} of {len(run.table):,} rows",) if len(x) < len(run.table) else ()
    marks: tuple[Mark, ...] = ()
    if len(good):
        start, end = ((float(x[row]), float(y[row])) for row in (good[0], good[-1]))
        diverged = not run.problem and bool(run.info.diverged)
        marks = (Mark(*start, "start", "start"), Mark(*end, "end", "diverges" if diverged else "end"))
        if start == end:
            marks = (Mark(*start, "start", "start and end"),)
    return Figure(
        title_of(run, "trajectory"),
        FigureAxis(labels[0]),
        FigureAxis(labels[1]),
        subtitle(run),
        (Series(x, y, style="both" if len(good) <= FEW_POINTS else "line", slot=0),),
        marks,
        notes=notes,
        name="trajectory",
    )


# --- from arrays ------------------------------------------------------------------------------------------------------


def trajectory_figure(
    grid_x: ArrayLike,
    grid_y: ArrayLike,
    losses: ArrayLike,
    path: ArrayLike | None = None,
    *,
    x_label: str = "",
    y_label: str = "",
    title: str = "trajectory",
    subtitle: str = "",
    best: tuple[float, float] | None = None,
    paths: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Return the trajectory of a descent over the contours of the loss.

    Args:
        grid_x, grid_y: coordinates of the grid, increasing, (X,) and (Y,).
        losses: at its points, (Y, X): a row for each y. What is not finite is left blank.
        path: the points passed, (N, 2); it may leave the grid, which stays the picture's frame.
        best: where the minimum is known to be.
        paths: label -> path, for several.
    """
    grid = Grid(np.asarray(grid_x), np.asarray(grid_y), np.asarray(losses), "contours", "loss")
    given = dict(paths or {}) | ({"": path} if path is not None else {})
    series, marks = [], []
    for slot, (label, points) in enumerate(given.items()):
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        series.append(Series(x, y, label, "both" if len(x) <= 8 * FEW_POINTS else "line", slot=slot))
        good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        alone = len(given) == 1
        if len(good):
            first, last = good[0], good[-1]
            marks.append(Mark(float(x[first]), float(y[first]), "start", "start" if alone else "", slot))
            there = best is not None and _near(grid, (x[last], y[last]), best)
            marks.append(Mark(float(x[last]), float(y[last]), "end", "end" if alone and not there else "", slot))
    if best is not None:
        marks.append(Mark(float(best[0]), float(best[1]), "best", "minimum"))
    return Figure(
        title,
        FigureAxis(x_label),
        FigureAxis(y_label),
        subtitle,
        tuple(series),
        tuple(marks),
        grid=grid,
        name="trajectory",
    )


def _near(grid: Grid, point: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether the labels of two points would overlap."""
    spans = (np.ptp(grid.x) or 1.0, np.ptp(grid.y) or 1.0)
    return all(abs(a - b) < 0.08 * span for a, b, span in zip(point, other, spans, strict=True))
