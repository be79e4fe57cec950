"""The loss around the way of a descent, where it is a formula of two numbers alone, so that numpy can compute it.

What needs data or a network is computed by TensorFlow: ways.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import GdrunError

from .figure import Grid

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

POINTS = 121
"""On each side of the grid."""
_ROOM = 0.3
"""How much further than the way the grid goes on each side, as a share of the way's extent."""
_PROBES = 7


def landscape(run: Run, names: tuple[str, str], x: np.ndarray, y: np.ndarray) -> Grid | None:
    """Return the objective on a grid around the points (x, y); None where it is not a formula of two numbers.

    Args:
        names: of the two parameters.
        x, y: finite, (N,).
    """
    try:
        objective = _objective(run, names)
        if objective is None or not len(x):
            return None
        grid_x, grid_y = around(x), around(y)
        with np.errstate(all="ignore"):
            values = objective(*np.meshgrid(grid_x, grid_y))
            if np.shape(values) != (POINTS, POINTS) or np.iscomplexobj(values):
                return None
            # A formula may look at its arguments as wholes (sum, @): at single points it must say the same.
            for row, column in zip(*np.random.default_rng(0).integers(POINTS, size=(2, _PROBES)), strict=True):
                single = np.asarray(objective(grid_x[column], grid_y[row]))
                if single.shape != () or not np.isclose(single, values[row, column], rtol=1e-9, equal_nan=True):
                    return None
    except (GdrunError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, RecursionError):
        # Contours are an extra: whatever cannot be computed without TensorFlow leaves the way alone in the picture.
        return None
    finite = np.isfinite(values)
    return Grid(grid_x, grid_y, values, "contours", "loss") if finite.any() and np.ptp(values[finite]) > 0 else None


def around(values: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Return a grid of so many points from a little before the lowest to a little after the highest value."""
    low, high = float(values.min()), float(values.max())
    room = _ROOM * (high - low) or 1.0
    return np.linspace(low - room, high + room, points)


def _objective(run: Run, names: tuple[str, str]) -> Any:
    """(x, y) -> loss by numpy, None where the config says anything but a formula of the two."""
    from gdrun.config.document import read_document
    from gdrun.formula import numpy_ops
    from gdrun.formula.evaluate import Scope, evaluate, evaluate_constants
    from gdrun.formula.parse import parse

    config: Any = read_document(run.config.encode(), "config.yaml").plain()
    model, loss = config.get("model"), config.get("loss", "output")
    if not isinstance(model, Mapping) or model.get("kind") != "formula" or "data" in config or "networks" in model:
        return None
    if not isinstance(loss, Mapping):
        loss = {"kind": loss}
    if loss.get("kind") != "output" or loss.get("factor", 1) != 1 or loss.get("penalty"):
        return None
    formula, define = model.get("formula"), config.get("define") or {}
    if not isinstance(formula, str) or not all(isinstance(value, str | int | float) for value in define.values()):
        return None
    if set(model.get("parameters") or {}) != set(names):
        return None
    constants = evaluate_constants({name: parse(value) for name, value in (config.get("constants") or {}).items()})
    expression = parse(formula)
    definitions = {name: parse(value) for name, value in define.items()}
    if expression.draws or any(definition.draws for definition in definitions.values()):
        return None
    ops = numpy_ops.table()

    def objective(x: Any, y: Any) -> Any:
        values = constants | dict(zip(names, (x, y), strict=True))
        return numpy_ops.number(evaluate(expression, Scope(values, definitions=definitions, ops=ops), owner="model"))

    return objective
