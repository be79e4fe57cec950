"""The loss over all training data at points of a plane through the space of the trained parameters.

Parameters are those before transforms, as real numbers: a complex one is two, its parts one after the other.
Shape letters: P real numbers, N points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gdrun.assembly.assemble import lanes_obstacle
from gdrun.errors import UsageError
from gdrun.rundir.column_parts import column_parts

if TYPE_CHECKING:
    from gdrun.assembly import Built

    from .evaluation_point import EvaluationPoint

_SIDES = ((2e5, 81), (5e6, 41), (1e8, 25))
"""Examples times parameters -> points on each side of a grid: the larger the problem, the fewer."""
_FEWEST = 15
_NUMBERS = 1 << 22
"""What the points that are looked at together may hold, roughly."""
_MOST_TOGETHER = 4096


def real_vector(values: Sequence[Any]) -> np.ndarray:
    """Return the entries of arrays or tensors one after the other, float64 (P,)."""
    parts = []
    for value in values:
        array = np.asarray(value)
        wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64).reshape(-1)
        parts.append(wide.view(np.float64))
    return np.concatenate(parts)


def number_names(built: Built) -> list[str]:
    """Return what each of the P numbers is called: "a", "W[0,1]", "c.re"."""
    parameters = zip(built.objective.trainable_names, built.state.parameters, strict=True)
    return [label for name, value in parameters for label, _ in column_parts(name, value.numpy()[None])]


def side_of(built: Built) -> int:
    """Return how many points a grid over this problem has on each side, by what one of them costs."""
    cost = (built.num_examples or 1) * max(built.num_parameters, 1)
    side = next((side for most, side in _SIDES if cost <= most), _FEWEST)
    return min(side, 41) if lanes_obstacle(built) else side


def plane_losses(
    at: EvaluationPoint, origin: np.ndarray, directions: np.ndarray, coordinates: np.ndarray
) -> np.ndarray:
    """Return the loss at points of a plane; the model is in training mode, draws are those of one step.

    Args:
        at: where everything else is taken from: fixed parameters, the model's state, the step that formulas see.
        origin, directions: of the plane, float64 (P,) and (2, P).
        coordinates: (N, 2), of the two directions.
    Returns:
        float64 (N,); nan where coordinates are, and where the loss cannot be computed.
    Raises:
        UsageError: the data is not in memory.
    """
    built = at.prepared.built
    if built.windows.stream is not None:
        raise UsageError("the loss is over all training examples, which are not in memory", hint="memory: all")
    values = np.full(len(coordinates), np.nan)
    good = np.flatnonzero(np.isfinite(coordinates).all(axis=1))
    loss, dtype = _loss_function(at, origin, directions), built.objective.dtype
    with tf.device(at.prepared.device.name):
        if lanes_obstacle(built) is None:
            try:
                values[good] = _in_batches(loss, tf.constant(coordinates[good], dtype), _chunk(built))
                return values
            except (tf.errors.OpError, NotImplementedError, ValueError, TypeError):
                # What cannot be mapped shows when it is traced; what has no value at one point (a matrix that is not
                # positive definite there) fails for all that are looked at together.
                pass
        values[good] = _one_by_one(loss, tf.constant(coordinates[good], dtype), traced=built.compile != "eager")
    return values


def _loss_function(at: EvaluationPoint, origin: np.ndarray, directions: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function (2,) coordinates -> scalar loss, to be traced."""
    built, like = at.prepared.built, at.parameters
    start, axes = (tf.constant(part, built.objective.dtype) for part in (origin, directions))

    def loss(where: tf.Tensor) -> tf.Tensor:
        flat = start + tf.linalg.matvec(axes, where, transpose_a=True)
        parameters = _tensors(flat, like)
        return built.objective.evaluate(
            parameters, at.model_state, at.setting, built.data, at.moment, training=True
        ).loss

    return loss


def _tensors(flat: tf.Tensor, like: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """Return the parameters that `flat`, (P,), holds."""
    sizes = [int(np.prod(value.shape)) * (2 if value.dtype.is_complex else 1) for value in like]
    tensors = []
    for part, value in zip(tf.split(flat, sizes), like, strict=True):
        if value.dtype.is_complex:
            pairs = tf.reshape(part, [-1, 2])
            part = tf.complex(pairs[:, 0], pairs[:, 1])
        tensors.append(tf.cast(tf.reshape(part, value.shape), value.dtype))
    return tuple(tensors)


def _chunk(built: Built) -> int:
    """Return the number of points that are looked at together."""
    widths = sum(int(value.shape[-1]) if value.shape.rank else 1 for value in built.state.parameters)
    inputs = sum(int(np.prod(value.shape[1:])) for value in built.data.inputs.values())
    numbers = (built.num_examples or 1) * (widths + inputs + 1) + built.num_parameters
    return int(np.clip(_NUMBERS // numbers, 1, _MOST_TOGETHER))


def _in_batches(loss: Callable[[tf.Tensor], tf.Tensor], points: tf.Tensor, size: int) -> np.ndarray:
    """Return the losses, `size` points at a time."""
    # vectorized_map would rewrite what it calls, and wrap our errors in its own.
    single_loss = tf.autograph.experimental.do_not_convert(loss)
    mapped = tf.function(
        lambda part: tf.vectorized_map(single_loss, part, fallback_to_while_loop=False), autograph=False
    )
    count = int(points.shape[0])
    size = min(size, max(count, 1))
    values = [np.zeros(0)]
    for begin in range(0, count, size):
        part = points[begin : begin + size]
        # Of one size, so that one program does for all.
        padded = tf.concat([part, tf.repeat(part[-1:], size - part.shape[0], axis=0)], axis=0)
        values.append(np.asarray(mapped(padded), np.float64)[: part.shape[0]])
    return np.concatenate(values)


def _one_by_one(loss: Callable[[tf.Tensor], tf.Tensor], points: tf.Tensor, *, traced: bool) -> np.ndarray:
    """Return the losses one by one; nan where one fails."""
    function: Any = tf.function(loss, autograph=False) if traced else loss
    values = np.full(int(points.shape[0]), np.nan)
    for index, point in enumerate(tf.unstack(points)):
        try:
            values[index] = float(function(point))
        except tf.errors.OpError:
            continue
    return values
