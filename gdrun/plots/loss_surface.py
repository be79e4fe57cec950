"""The loss around a trajectory, on a grid: by NumPy where it is a formula of two numbers, else by TensorFlow.

TensorFlow is imported by the functions that need it. Shape letters: P real numbers of all trained parameters, R rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import GdrunError, UsageError
from gdrun.experiment.experiment import RepeatedDefinition
from gdrun.experiment.loading import load_config
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate, evaluate_constants
from gdrun.formula.parse import parse
from gdrun.rundir.run import Run
from gdrun.text import safe_text

from .columns import PARAMETERS, Component
from .figure import Grid

if TYPE_CHECKING:
    from gdrun.analysis.evaluation_point import EvaluationPoint
    from gdrun.training.prepare import Prepared

POINTS = 121
"""On each side of a grid that NumPy computes."""
_ROOM = 0.3
"""Room on each side of the trajectory, as a share of its extent."""
_PROBES = 7
_MOST_ROWS = 400
"""Rows used for the principal components."""
_FLATTEST = 1.7
"""A plane is shown at most so many times as wide as high."""


def finite(values: np.ndarray) -> np.ndarray:
    """Return the finite ones of `values`; 0 where there are none."""
    kept = values[np.isfinite(values)]
    return kept if len(kept) else np.zeros(1)


def _around(values: np.ndarray, points: int) -> np.ndarray:
    """Return a grid of so many points from a little before the lowest to a little after the highest value."""
    low, high = float(values.min()), float(values.max())
    room = _ROOM * (high - low) or 1.0
    return np.linspace(low - room, high + room, points)


def _contours(x: np.ndarray, y: np.ndarray, losses: np.ndarray) -> Grid | None:
    """Return the grid of contours, None where there are none."""
    return Grid(x, y, losses, "contours", "loss") if np.ptp(finite(losses)) > 0 else None


# --- by NumPy ---------------------------------------------------------------------------------------------------------


def formula_grid(run: Run, names: Sequence[str], x: np.ndarray, y: np.ndarray) -> Grid | None:
    """Return the objective on a grid around the points (x, y); None where it is not a formula of two numbers.

    Args:
        names: of the two parameters.
        x, y: finite, (N,).
    """
    try:
        objective = _formula(run, names)
        if objective is None or not len(x):
            return None
        grid_x, grid_y = _around(x, POINTS), _around(y, POINTS)
        with np.errstate(all="ignore"):
            values = objective(*np.meshgrid(grid_x, grid_y))
            if np.shape(values) != (POINTS, POINTS) or np.iscomplexobj(values):
                return None
            # A formula may take its arguments as wholes (sum, @): at single points it must give the same.
            for row, column in zip(*np.random.default_rng(0).integers(POINTS, size=(2, _PROBES)), strict=True):
                single = np.asarray(objective(grid_x[column], grid_y[row]))
                if single.shape != () or not np.isclose(single, values[row, column], rtol=1e-9, equal_nan=True):
                    return None
    except (GdrunError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, RecursionError):
        # Without TensorFlow contours are an extra: the trajectory is drawn without them.
        return None
    return _contours(grid_x, grid_y, values)


def _formula(run: Run, names: Sequence[str]) -> Callable[[Any, Any], Any] | None:
    """Return (x, y) -> loss by NumPy, None where the config holds anything but a formula of the two."""
    experiment = load_config(run.directory).experiment
    model, loss, define = experiment.model, experiment.objective_loss, experiment.define
    is_output = loss.is_the_models_output and loss.penalty is None
    outputs = model.output_formulas()
    if experiment.data is not None or not is_output or len(outputs) != 1 or model.network_names():
        return None
    if set(model.parameter_names() or ()) != set(names):
        return None
    constants = evaluate_constants({name: parse(value) for name, value in experiment.constants.items()})
    definitions = {}
    for name, value in define.items():
        if isinstance(value, RepeatedDefinition):
            return None
        definitions[name] = parse(value)
    (expression,) = map(parse, outputs.values())
    if expression.draws or any(definition.draws for definition in definitions.values()):
        return None
    ops = numpy_ops.table()

    def objective(x: Any, y: Any) -> Any:
        values = constants | dict(zip(names, (x, y), strict=True))
        output = numpy_ops.number(evaluate(expression, Scope(values, definitions=definitions, ops=ops), owner="model"))
        return loss.of_output(output)

    return objective


# --- by TensorFlow ----------------------------------------------------------------------------------------------------


def slice_grid(
    prepared: Prepared, run: Run, parts: Sequence[Component], x: np.ndarray, y: np.ndarray
) -> tuple[Grid | None, tuple[str, ...]]:
    """Return the loss over two of the trained numbers, all others as they ended, and a note where there are others.

    Args:
        parts: the two numbers.
        x, y: their values along the trajectory, (R,).
    """
    from gdrun.analysis.evaluation_point import at_step
    from gdrun.analysis.plane import Plane, number_names, real_vector, side_of

    names = number_names(prepared.built)
    # A complex parameter whose recorded values are all real has a column of real numbers.
    labels = [next((name for name in (part.label, f"{part.label}.re") if name in names), None) for part in parts]
    if None in labels:
        return None, ()
    end = at_step(prepared, run, None)
    side = side_of(prepared.built)
    grid_x, grid_y = _around(finite(x), side), _around(finite(y), side)
    origin, directions = real_vector(end.parameters), np.zeros((2, len(names)))
    for row, label in enumerate(labels):
        index = names.index(label or "")
        origin[index], directions[row, index] = 0.0, 1.0
    raw_x, raw_y = (
        _raw_values(values, prepared.built.objective.transforms.get(part.column.removeprefix(PARAMETERS)))
        for values, part in zip((grid_x, grid_y), parts, strict=True)
    )
    grid = _contours(grid_x, grid_y, _losses(end, Plane(origin, directions), raw_x, raw_y))
    others = len(names) - 2
    note = f"the loss where the other {'number' if others == 1 else f'{others:,} numbers'} ended"
    return grid, (note,) if others > 0 else ()


@dataclass(frozen=True, eq=False)
class PrincipalPlane:
    """The plane of the first two principal components of points.

    `origin` (P,), `directions` (2, P), orthonormal; `coordinates` (R, 2) are the points in it; `shares`: the part of
    their variance along each direction.
    """

    origin: np.ndarray
    directions: np.ndarray
    coordinates: np.ndarray
    shares: tuple[float, float]


def principal_plane(points: np.ndarray) -> PrincipalPlane:
    """Return the plane through the last point along the first two principal components of all.

    Args:
        points: finite, float64 (R, P), two different ones at least; of more than a few hundred, some are used.
    Source: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 7.
    """
    chosen = points[np.unique(np.linspace(0, len(points) - 1, _MOST_ROWS).round().astype(int))]
    centred = chosen - chosen.mean(axis=0)
    scale = float(np.abs(centred).max()) or 1.0
    _, singular, directions = np.linalg.svd(centred / scale, full_matrices=False)
    directions = directions[:2]
    coordinates = (points - points[-1]) @ directions.T
    # The sign of a component is arbitrary: the trajectory comes from the left and from below.
    signs = np.where(coordinates[0] > 0, -1.0, 1.0)
    total = float((singular**2).sum()) or 1.0
    first, second = (float(value**2) / total for value in singular[:2])
    return PrincipalPlane(points[-1], directions * signs[:, None], coordinates * signs, (first, second))


def plane_grid(at: EvaluationPoint, plane: PrincipalPlane) -> Grid | None:
    """Return the loss on a plane, around the trajectory in it."""
    from gdrun.analysis.plane import Plane, side_of

    side = side_of(at.prepared.built)
    x, y = (_around(axis, side) for axis in plane.coordinates.T)
    x, y = _at_least(x, np.ptp(y) / _FLATTEST), _at_least(y, np.ptp(x) / _FLATTEST)
    return _contours(x, y, _losses(at, Plane(plane.origin, plane.directions), x, y))


def _losses(at: EvaluationPoint, plane: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the loss at each point of a grid on a plane, float64 (len(y), len(x))."""
    from gdrun.analysis.plane import plane_losses

    coordinates = np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1)
    return plane_losses(at, plane, coordinates).reshape(len(y), len(x))


def _at_least(axis: np.ndarray, span: float) -> np.ndarray:
    """Return the axis, extended at both ends where it is shorter than `span`."""
    more = max(span - float(np.ptp(axis)), 0.0) / 2
    return np.linspace(axis[0] - more, axis[-1] + more, len(axis))


def recorded_points(at: EvaluationPoint, run: Run) -> np.ndarray:
    """Return the trained parameters in each row, before transforms, float64 (R, P)."""
    from gdrun.analysis.plane import real_vector

    objective, columns = at.prepared.built.objective, run.metrics
    blocks = []
    for name, like in zip(objective.trainable_names, at.parameters, strict=True):
        if PARAMETERS + name not in columns:
            raise UsageError(
                f"{safe_text(run.id)} did not record '{safe_text(name)}'", hint="`record: {parameters: true}` does"
            )
        values = columns[PARAMETERS + name].astype(np.complex128 if like.dtype.is_complex else np.float64)
        raw = _raw_values(values, objective.transforms.get(name))
        blocks.append(real_vector([raw]).reshape(len(values), -1))
    return np.concatenate(blocks, axis=1)


def _raw_values(values: np.ndarray, transform: str | None) -> np.ndarray:
    """Return the values before a transform, those that the optimizer changes; nan outside the transform's range."""
    if transform is None:
        return values
    from gdrun.models.transforms import raw_value

    inside = (values > 0) & (values < (1 if transform == "sigmoid" else np.inf))
    raw = np.full(values.shape, np.nan)
    raw[inside] = raw_value(values[inside], transform)
    return raw
