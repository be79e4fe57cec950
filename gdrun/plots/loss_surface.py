"""The loss around a trajectory, on a grid: by NumPy where it is a formula of two numbers, else by TensorFlow.

TensorFlow is imported by the functions that need it. Shape letters: P real numbers of all trained parameters, R rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.config.section import Section
from gdrun.errors import GdrunError, UsageError
from gdrun.experiment.experiment import is_function
from gdrun.experiment.loading import load_config
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate, evaluate_constants
from gdrun.formula.parse import parse
from gdrun.rundir.run import Run

from .columns import PARAMETERS, Component, RecordedColumns
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


def around(values: np.ndarray, points: int) -> np.ndarray:
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
        grid_x, grid_y = around(x, POINTS), around(y, POINTS)
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
    experiment = load_config(run.directory).last.experiment
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
        if isinstance(value, Section) or is_function(name):
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
    from gdrun.analysis.plane import number_names, real_vector, side_of

    names = number_names(prepared.built)
    # A complex parameter whose recorded values are all real has a column of real numbers.
    labels = [next((name for name in (part.label, f"{part.label}.re") if name in names), None) for part in parts]
    if None in labels:
        return None, ()
    end = at_step(prepared, run, None)
    side = side_of(prepared.built)
    grid_x, grid_y = around(finite(x), side), around(finite(y), side)
    origin, directions = real_vector(end.parameters), np.zeros((2, len(names)))
    for row, label in enumerate(labels):
        index = names.index(label or "")
        origin[index], directions[row, index] = 0.0, 1.0
    raw_x, raw_y = (
        _raw_values(values, prepared.built.objective.transforms.get(part.column.removeprefix(PARAMETERS)))
        for values, part in zip((grid_x, grid_y), parts, strict=True)
    )
    grid = _contours(grid_x, grid_y, _losses(end, origin, directions, raw_x, raw_y))
    others = len(names) - 2
    note = f"the loss where the other {'number' if others == 1 else f'{others:,} numbers'} ended"
    return grid, (note,) if others > 0 else ()


@dataclass(frozen=True, eq=False)
class TrajectoryPlane:
    """A plane through the space of parameters: `origin` (P,), `directions` (2, P), orthonormal.

    `labels` are those of its axes, `words` say which plane it is.
    """

    origin: np.ndarray
    directions: np.ndarray
    labels: tuple[str, str]
    words: str

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Return points, (R, P), in the plane, (R, 2)."""
        return (points - self.origin) @ self.directions.T

    def share(self, points: np.ndarray) -> float:
        """Return how much of the length of the way through finite points, (R, P), lies in the plane."""
        moves = np.diff(points, axis=0)
        whole = float(np.linalg.norm(moves, axis=1).sum())
        return float(np.linalg.norm(moves @ self.directions.T, axis=1).sum()) / whole if whole else 1.0


def plane_of(ways: Sequence[np.ndarray], labels: Sequence[str]) -> TrajectoryPlane:
    """Return the plane in which trajectories are shown.

    Two with a common start have the plane through it and their ends. Else it is that of the first two principal
    components of all points, through the end of one trajectory or the middle of the ends of several.

    Args:
        ways: finite, float64 (R, P) each, two different points at least; of more than a few hundred some are used.
        labels: of the trajectories.
    Source: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 7.
    """
    if len(ways) == 2 and np.array_equal(ways[0][0], ways[1][0]):
        start = ways[0][0]
        directions, sizes = np.linalg.qr((np.stack([way[-1] for way in ways]) - start).T)
        if abs(sizes[1, 1]) > 1e-6 * abs(sizes).max():
            signs = np.sign(np.diag(sizes))[:, None]
            axes = f"towards the end of {labels[0]}", "at a right angle to it"
            return TrajectoryPlane(start, directions.T * signs, axes, "the plane of their start and both ends")
    chosen = [way[np.unique(np.linspace(0, len(way) - 1, _MOST_ROWS).round().astype(int))] for way in ways]
    centred = np.concatenate(chosen)
    centred = centred - centred.mean(axis=0)
    scale = float(np.abs(centred).max()) or 1.0
    _, singular, directions = np.linalg.svd(centred / scale, full_matrices=False)
    origin = ways[0][-1] if len(ways) == 1 else np.mean([way[-1] for way in ways], axis=0)
    # The sign of a component is arbitrary: the trajectory comes from the left and from below.
    signs = np.where((ways[0][0] - origin) @ directions[:2].T > 0, -1.0, 1.0)
    total = float((singular**2).sum()) or 1.0
    first, second = (
        f"{name} component ({share_text(float(value**2) / total)})"
        for name, value in zip(("first", "second"), singular, strict=False)
    )
    words = f"{'its' if len(ways) == 1 else 'their'} first two principal components"
    return TrajectoryPlane(origin, directions[:2] * signs[:, None], (first, second), words)


def share_text(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.3g} %" if share >= 1e-4 else "under 0.01 %"


def plane_grid(at: EvaluationPoint, plane: TrajectoryPlane, points: np.ndarray) -> Grid | None:
    """Return the loss on a plane, around points in it, (N, 2)."""
    from gdrun.analysis.plane import side_of

    side = side_of(at.prepared.built)
    x, y = (around(axis, side) for axis in points.T)
    x, y = _at_least(x, np.ptp(y) / _FLATTEST), _at_least(y, np.ptp(x) / _FLATTEST)
    return _contours(x, y, _losses(at, plane.origin, plane.directions, x, y))


def _losses(
    at: EvaluationPoint, origin: np.ndarray, directions: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Return the loss at each point of a grid on a plane, float64 (len(y), len(x))."""
    from gdrun.analysis.plane import plane_losses

    coordinates = np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1)
    return plane_losses(at, origin, directions, coordinates).reshape(len(y), len(x))


def _at_least(axis: np.ndarray, span: float) -> np.ndarray:
    """Return the axis, extended at both ends where it is shorter than `span`."""
    more = max(span - float(np.ptp(axis)), 0.0) / 2
    return np.linspace(axis[0] - more, axis[-1] + more, len(axis))


def recorded_points(at: EvaluationPoint, run: RecordedColumns) -> np.ndarray:
    """Return the trained parameters in each row of a run or trial, before transforms, float64 (R, P)."""
    from gdrun.analysis.plane import real_vector

    objective, columns = at.prepared.built.objective, run.metrics
    blocks = []
    for name, like in zip(objective.trainable_names, at.parameters, strict=True):
        if PARAMETERS + name not in columns:
            raise UsageError(f"{run.id} did not record '{name}'", hint="`record: {parameters: true}` does")
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
