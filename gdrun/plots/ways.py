"""The way of a descent on the loss, whatever the loss is: in the plane of two parameters, or in that in which it moved.

What numpy cannot compute is computed by TensorFlow, which is imported when it is needed.
Shape letters: P real numbers of all trained parameters, R rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import GdrunError, UsageError
from gdrun.text import plural, safe_text

from .columns import PARAMETERS, Component, components, named_components
from .figure import Figure, Grid
from .landscape import around
from .paths import path_figure, rows_to_show, way_figure
from .runs import title_of, with_rows
from .scales import number_text

if TYPE_CHECKING:
    from gdrun.analysis.evaluation_point import EvaluationPoint
    from gdrun.rundir.run import Run
    from gdrun.training.train import Prepared

Load = Callable[[], "Prepared"]
"""Builds the run's experiment."""

_MOST_ROWS = 400
"""So many rows decide in which directions a way mostly goes."""
_FLATTEST = 1.7
"""A plane is shown at most so many times as wide as high."""


def trajectory(run: Run, columns: Sequence[str] = (), *, load: Load) -> Figure:
    """Return the way of a run on the contours of its loss over all training data.

    Args:
        run: its rows hold the parameters.
        columns: two recorded numbers. By default the parameters; where more than two of their numbers change, the plane
            of the first two principal components of their way, through its end.
        load: builds the run's experiment; called only where TensorFlow is needed. Where that cannot be done the way
            stands alone, and a note says why.
    Raises:
        UsageError: no two numbers are recorded.
    """
    (run,) = with_rows(run)
    if columns:
        parts = named_components(run, columns)
    else:
        parts = [part for name in run.metrics if name.startswith(PARAMETERS) for part in components(run, name)]
        if len(parts) > 2:
            moving = [part for part in parts if np.ptp(_finite(part.values)) > 0]
            parts = moving if len(moving) > 1 else parts
    if not columns and len(parts) > 2:
        return _principal(run, parts, load)
    figure = path_figure(run, columns or [PARAMETERS + part.label for part in parts])
    if figure.grid is not None or not all(part.column.startswith(PARAMETERS) for part in parts):
        return _with_contours(figure, figure.grid)
    try:
        grid, note = _slice(load(), run, parts, figure)
    except GdrunError as error:
        return _without(figure, error)
    return _with_contours(replace(figure, notes=(*figure.notes, *note)), grid)


def _finite(values: np.ndarray) -> np.ndarray:
    found = values[np.isfinite(values)]
    return found if len(found) else np.zeros(1)


def _with_contours(figure: Figure, grid: Grid | None) -> Figure:
    """The figure on the contours of the loss, with a note of where they lie."""
    if grid is None:
        return figure
    finite = grid.values[np.isfinite(grid.values)]
    low, high = number_text(float(finite.min()), 3), number_text(float(finite.max()), 3)
    return replace(figure, grid=grid, notes=(*figure.notes, f"contours of the loss, from {low} to {high}"))


def _without(figure: Figure, error: GdrunError) -> Figure:
    return replace(figure, notes=(*figure.notes, f"no contours: {safe_text(error.message, limit=200)}"))


# --- two numbers ------------------------------------------------------------------------------------------------------


def _slice(
    prepared: Prepared, run: Run, parts: Sequence[Component], figure: Figure
) -> tuple[Grid | None, tuple[str, ...]]:
    """The loss over two of the trained numbers, all others as they ended; a note where there are others."""
    from gdrun.analysis.evaluation_point import at_step
    from gdrun.analysis.plane import Plane, number_names, plane_losses, real_vector, side_of

    names = number_names(prepared.built)
    # A complex parameter whose recorded values are all real has a column of real numbers.
    places = [_place(names, part.label) for part in parts]
    if None in places:
        return None, ()
    at = at_step(prepared, run, None)
    side = side_of(prepared.built)
    grid_x, grid_y = (around(_finite(axis), side) for axis in (figure.series[0].x, figure.series[0].y))
    origin, directions = real_vector(at.parameters), np.zeros((2, len(names)))
    for row, place in enumerate(places):
        assert place is not None
        origin[place], directions[row, place] = 0.0, 1.0
    raw_x, raw_y = (
        _raw(values, prepared.built.objective.transforms.get(part.column.removeprefix(PARAMETERS)))
        for values, part in zip((grid_x, grid_y), parts, strict=True)
    )
    coordinates = np.stack([one.ravel() for one in np.meshgrid(raw_x, raw_y)], axis=1)
    losses = plane_losses(at, Plane(origin, directions), coordinates).reshape(side, side)
    others = len(names) - 2
    rest = "number" if others == 1 else f"{others:,} numbers"
    note = (f"the loss where the other {rest} ended",) if others > 0 else ()
    return _grid(grid_x, grid_y, losses), note


def _place(names: list[str], label: str) -> int | None:
    return next((names.index(name) for name in (label, f"{label}.re") if name in names), None)


def _raw(values: np.ndarray, transform: str | None) -> np.ndarray:
    """What the optimizer sees of `values`; nan outside the transform's range."""
    if transform is None:
        return values
    from gdrun.models.transforms import raw_value

    inside = (values > 0) & (values < (1 if transform == "sigmoid" else np.inf))
    raw = np.full(values.shape, np.nan)
    raw[inside] = raw_value(values[inside], transform)
    return raw


def _grid(x: np.ndarray, y: np.ndarray, losses: np.ndarray) -> Grid | None:
    finite = losses[np.isfinite(losses)]
    return Grid(x, y, losses, "contours", "loss") if len(finite) and np.ptp(finite) > 0 else None


# --- more -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Principal:
    """The plane in which points mostly move: `origin` (P,), `directions` (2, P), orthonormal.

    `coordinates` (R, 2) are the points in it; `shares`: what part of their variance lies along each direction.
    """

    origin: np.ndarray
    directions: np.ndarray
    coordinates: np.ndarray
    shares: tuple[float, float]


def principal_plane(points: np.ndarray) -> Principal:
    """Return the plane through the last point along the first two principal components of all.

    Args:
        points: finite, float64 (R, P), two different ones at least; of more than a few hundred, some decide.
    Source: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 7.
    """
    chosen = points[np.unique(np.linspace(0, len(points) - 1, _MOST_ROWS).round().astype(int))]
    centred = chosen - chosen.mean(axis=0)
    scale = float(np.abs(centred).max()) or 1.0
    _, singular, directions = np.linalg.svd(centred / scale, full_matrices=False)
    directions = directions[:2]
    coordinates = (points - points[-1]) @ directions.T
    # A direction's sign means nothing: the way comes from the left and from below.
    signs = np.where(coordinates[0] > 0, -1.0, 1.0)
    total = float((singular**2).sum()) or 1.0
    first, second = (float(value**2) / total for value in singular[:2])
    return Principal(points[-1], directions * signs[:, None], coordinates * signs, (first, second))


def _principal(run: Run, parts: Sequence[Component], load: Load) -> Figure:
    problem: GdrunError | None = None
    at: EvaluationPoint | None = None
    try:
        at = _end(load(), run)
        points = _rows(at, run)
    except GdrunError as error:
        problem = error
        points = np.stack([part.values for part in parts], axis=1)
    points = points[: rows_to_show(run)]
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 3 or np.ptp(points, axis=0).max() == 0:
        raise UsageError(
            f"{safe_text(run.id)} recorded its parameters at {plural(len(points), 'step')}, too few for a plane of "
            "their way",
            hint="`record: {every: ...}` in the config records more rows; --columns a,b draws two numbers",
        )
    plane = principal_plane(points)
    labels = [f"{name} component ({_percent(share)})" for name, share in zip(_ORDER, plane.shares, strict=True)]
    figure = way_figure(title_of(run, "trajectory"), run, plane.coordinates[:, 0], plane.coordinates[:, 1], labels)
    note = f"the way of {len(parts):,} numbers in its first two principal components"
    figure = replace(figure, square=True, notes=(note, *figure.notes))
    if at is None:
        assert problem is not None
        return _without(figure, problem)
    try:
        return _with_contours(figure, _plane_grid(at, plane))
    except GdrunError as error:
        return _without(figure, error)


_ORDER = ("first", "second")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %" if share >= 1e-4 else "under 0.01 %"


def _end(prepared: Prepared, run: Run) -> EvaluationPoint:
    from gdrun.analysis.evaluation_point import at_step

    return at_step(prepared, run, None)


def _rows(at: EvaluationPoint, run: Run) -> np.ndarray:
    """The trained parameters in each row, before transforms, float64 (R, P)."""
    from gdrun.analysis.plane import real_vector

    prepared = at.prepared
    transforms, columns = prepared.built.objective.transforms, run.metrics
    blocks = []
    for name, like in zip(prepared.built.objective.trainable_names, at.parameters, strict=True):
        if PARAMETERS + name not in columns:
            raise UsageError(
                f"{safe_text(run.id)} did not record '{safe_text(name)}'", hint="`record: {parameters: true}` does"
            )
        values = columns[PARAMETERS + name]
        values = values.astype(np.complex128 if like.dtype.is_complex else np.float64)
        raw = values if name not in transforms else _raw(values, transforms[name])
        blocks.append(real_vector([raw]).reshape(len(values), -1))
    return np.concatenate(blocks, axis=1)


def _plane_grid(at: EvaluationPoint, plane: Principal) -> Grid | None:
    from gdrun.analysis.plane import Plane, plane_losses, side_of

    side = side_of(at.prepared.built)
    x, y = (around(axis, side) for axis in plane.coordinates.T)
    x, y = _at_least(x, np.ptp(y) / _FLATTEST), _at_least(y, np.ptp(x) / _FLATTEST)
    coordinates = np.stack([one.ravel() for one in np.meshgrid(x, y)], axis=1)
    losses = plane_losses(at, Plane(plane.origin, plane.directions), coordinates)
    return _grid(x, y, losses.reshape(side, side))


def _at_least(axis: np.ndarray, span: float) -> np.ndarray:
    """The axis, longer to both sides where it is shorter than `span`."""
    more = max(span - float(np.ptp(axis)), 0.0) / 2
    return np.linspace(axis[0] - more, axis[-1] + more, len(axis))
