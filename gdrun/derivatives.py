"""Derivatives by nested tapes: of a function of one tensor, and of named targets by named variables.

A function of one tensor is differentiated inside programs: eagerly, in graphs, in lanes and under XLA. Named targets
are differentiated eagerly, where a target that does not depend on a variable has no derivative (None); a compiled
program would not tell it from 0.

Shape letters: P entries of a tensor or of all parameters, N residuals, T shape of a target, X and Y shapes of
variables, B examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.errors import UsageError

MOST_ENTRIES = 16_000_000
"""A matrix of derivatives of named targets with more entries is not computed."""

_LOOPED_ROWS = 64
"""Up to so many rows a Jacobian of a named target is computed row by row: tracing tf.vectorized_map takes longer."""

Scalar = Callable[[tf.Tensor], tf.Tensor]
"""A tensor of any shape -> real scalar."""


# --- a function of one tensor -----------------------------------------------------------------------------------------


def value_and_gradient(function: Callable[[tf.Tensor], Any], point: tf.Tensor) -> tuple[Any, tf.Tensor | None]:
    """Return (y, d(sum of y) / dx of the shape of x); None where y does not depend on x."""
    with tf.GradientTape() as tape:
        watched = tf.identity(point)
        tape.watch(watched)
        value = function(watched)
    return value, _gradient(tape, value, watched)


def value_and_jacobian(function: Callable[[tf.Tensor], Any], point: tf.Tensor) -> tuple[Any, tf.Tensor | None]:
    """Return (y, dy_i / dx_j of the shape of y + the shape of x); None where y does not depend on x."""
    with tf.GradientTape() as tape:
        watched = tf.identity(point)
        tape.watch(watched)
        value = function(watched)
    return value, tape.jacobian(value, watched) if is_differentiable(value) else None


def gradient(function: Scalar, point: tf.Tensor) -> tf.Tensor:
    """Return df / dx_i, of the shape of `point`; zeros where f does not depend on x."""
    slope = value_and_gradient(function, point)[1]
    return tf.zeros_like(point) if slope is None else slope


def hessian_product(function: Scalar, point: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """Return the Hessian times `vector`, of the shape of `point`, without the Hessian."""
    return gradient(lambda x: tf.reduce_sum(gradient(function, x) * vector), point)


def hessian(function: Scalar, point: tf.Tensor) -> tf.Tensor:
    """Return d2 f / dx_i dx_j over the flattened `point`, (P, P); zeros where the gradient does not depend on x."""
    size = _static_size(point)
    flat = tf.reshape(point, [size])
    matrix = value_and_jacobian(lambda x: gradient(lambda y: function(tf.reshape(y, point.shape)), x), flat)[1]
    return tf.zeros([size, size], point.dtype) if matrix is None else matrix


def curvature(function: Scalar, point: tf.Tensor) -> tf.Tensor:
    """Return d2 f / dx_i**2 for each entry of `point`, of its shape."""
    return _diagonal(lambda x: gradient(function, x), point)


def third(function: Scalar, point: tf.Tensor) -> tf.Tensor:
    """Return d3 f / dx_i**3 for each entry of `point`, of its shape."""
    return _diagonal(lambda x: curvature(function, x), point)


def _diagonal(function: Callable[[tf.Tensor], tf.Tensor], point: tf.Tensor) -> tf.Tensor:
    """Return dy_i / dx_i of a function whose value has the shape of `point`; zeros where it does not depend on x."""
    size = _static_size(point)
    if size == 1:
        return gradient(lambda x: tf.reduce_sum(function(x)), point)
    flat = tf.reshape(point, [size])
    matrix = value_and_jacobian(lambda x: tf.reshape(function(tf.reshape(x, point.shape)), [size]), flat)[1]
    return tf.zeros_like(point) if matrix is None else tf.reshape(tf.linalg.diag_part(matrix), point.shape)


def jacobian(function: Callable[[tf.Tensor], tf.Tensor], point: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (r, dr_i / dx_j), (N,) and (N, P), of a vector function of a vector `point`, (P,)."""
    with tf.GradientTape() as by_weights:
        with tf.GradientTape() as tape:
            tape.watch(point)
            residuals = function(point)
        if _static_size(residuals) <= _static_size(point):
            return residuals, tape.jacobian(residuals, point, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        # A tape goes back from each of N results. J'u is linear in u, so going back from its P entries to u gives the
        # same numbers in P passes.
        weights = tf.zeros_like(residuals)
        by_weights.watch(weights)
        slopes = tape.gradient(
            residuals, point, output_gradients=weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    rows = by_weights.jacobian(
        tf.convert_to_tensor(slopes), weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return residuals, tf.transpose(rows)


def second_along(function: Callable[[tf.Tensor], tf.Tensor], point: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
    """Return d2 f(point + t * direction) / dt**2 at t = 0, (N,), of a vector function of a vector `point`, (P,)."""
    t = tf.zeros([], point.dtype)
    with tf.GradientTape() as by_weights:
        with tf.GradientTape() as outer:
            outer.watch(t)
            with tf.GradientTape() as inner:
                inner.watch(t)
                values = function(point + t * direction)
                # Linear in the weights, so its gradient by them is the vector itself: three passes, whatever N and P.
                weights = tf.ones_like(values)
                by_weights.watch(weights)
                total = tf.reduce_sum(weights * values)
            slope = inner.gradient(total, t, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        second = outer.gradient(slope, t, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return by_weights.gradient(second, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def flattened(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the entries of all tensors, one after the other, (P,)."""
    return tf.concat([tf.reshape(tensor, [_static_size(tensor)]) for tensor in tensors], axis=0)


def unflattened(flat: tf.Tensor, like: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """Return tensors of the shapes of `like` with the entries of `flat`, (P,)."""
    parts = tf.split(flat, [_static_size(tensor) for tensor in like])
    return tuple(tf.reshape(part, tensor.shape) for part, tensor in zip(parts, like, strict=True))


def is_differentiable(value: Any) -> bool:
    """Return whether a tape can have gone through `value`: a tensor of floats or complex numbers."""
    return bool(tf.is_tensor(value) and (value.dtype.is_floating or value.dtype.is_complex))


def _gradient(tape: tf.GradientTape, target: Any, sources: Any, **options: Any) -> Any:
    """Return the gradient by a tensor or a list of them; None where there is none."""
    if not is_differentiable(target):
        return [None] * len(sources) if isinstance(sources, list) else None
    slopes = tape.gradient(target, sources, **options)
    if isinstance(sources, list):
        return [None if slope is None else tf.convert_to_tensor(slope) for slope in slopes]
    return None if slopes is None else tf.convert_to_tensor(slopes)  # a gather's gradient comes as IndexedSlices


def _static_size(tensor: tf.Tensor) -> int:
    size = tensor.shape.num_elements()
    assert size is not None, "shapes are static"
    return size


# --- named targets by named variables ---------------------------------------------------------------------------------


Watch = Callable[[Any], None]
ByName = dict[str, Any]
"""Name -> tensor, or None where the target does not depend on the name."""


@dataclass(frozen=True)
class TargetValues:
    """One evaluation: tensors, or host values where nothing was a tensor."""

    targets: Mapping[Any, Any]
    """By name; derivatives of targets that are targets again by (name, name of the variable)."""
    variables: Mapping[str, tf.Tensor]
    """What the targets are differentiated by."""


Evaluate = Callable[[Watch], TargetValues]
"""Computes the targets; calls its argument with each variable before anything is computed of it. Each derivative
evaluates anew, with as many tapes around as it needs."""

Slopes = dict[Any, ByName]
"""Target -> its gradient by each name."""


def gradients(evaluate: Evaluate, watch: Watch = lambda _: None) -> tuple[TargetValues, Slopes]:
    """Return the evaluation, and for each target the gradient of its sum by each name, (X).

    Args:
        watch: of a tape around this one, which differentiates what is returned.
    """
    with _tape() as tape:

        def watch_both(tensor: Any) -> None:
            tape.watch(tensor)
            watch(tensor)

        values = evaluate(watch_both)
    return values, {name: _by_each(tape, value, values) for name, value in values.targets.items()}


def _of_gradients(evaluate: Evaluate, targets: Callable[[TargetValues, Slopes], dict[Any, Any]]) -> Evaluate:
    """Return the evaluation whose targets `targets` makes of another one's values and gradients."""

    def run(watch: Watch) -> TargetValues:
        values, slopes = gradients(evaluate, watch)
        return TargetValues(targets(values, slopes), values.variables)

    return run


def _by_pair(_: TargetValues, slopes: Slopes) -> dict[tuple[str, str], Any]:
    return {(name, x): slope for name, by_name in slopes.items() for x, slope in by_name.items()}


def _nested(by_pair: Mapping[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    """Return result[target][x] of what pairs of them have."""
    nested: dict[str, dict[str, Any]] = {}
    for (name, x), value in by_pair.items():
        nested.setdefault(name, {})[x] = value
    return nested


def second_gradients(evaluate: Evaluate) -> dict[str, dict[str, ByName]]:
    """Return result[target][x][y]: the gradient by y of the sum of the gradient by x, (Y)."""
    return _nested(gradients(_of_gradients(evaluate, _by_pair))[1])


def nth_gradients(evaluate: Evaluate, order: int) -> dict[str, ByName]:
    """Return for each target the derivative of `order` by each name alone, each gradient summed before the next.

    Args:
        order: 2 or more.
    """
    evaluate = _of_gradients(evaluate, _by_pair)
    for _ in range(order - 2):
        evaluate = _of_gradients(evaluate, lambda _, slopes: {(name, x): by[x] for (name, x), by in slopes.items()})
    return _nested({(name, x): by[x] for (name, x), by in gradients(evaluate)[1].items()})


def jacobians(evaluate: Evaluate) -> dict[Any, ByName]:
    """Return for each target the derivative of each of its elements by each name, (T, X).

    Raises:
        UsageError: a Jacobian too large to hold.
    """
    with _tape() as tape:
        values = evaluate(tape.watch)
    for name, value in values.targets.items():
        for x, variable in values.variables.items():
            _check_entries(_size(value) * _size(variable), f"the Jacobian of {name} by {x}", "--jvp")
    return {
        name: {x: _jacobian(tape, value, variable) for x, variable in values.variables.items()}
        for name, value in values.targets.items()
    }


def batch_jacobian(jacobian: np.ndarray, target_rank: int) -> np.ndarray:
    """Return the Jacobian of each example, (B, rest of T, rest of X), of a whole one.

    Args:
        jacobian: (B, rest of T, B, rest of X), or (B, rest of T, X) where x has no axis of examples: as it is then,
            each example's derivative by all of x.
        target_rank: axes of the target.
    Raises:
        UsageError: the target has no axis of examples.
    """
    if target_rank == 0:
        raise UsageError("a batch Jacobian is of a target with an axis of examples; this one is a single number")
    if jacobian.ndim <= target_rank or jacobian.shape[target_rank] != jacobian.shape[0]:
        return jacobian
    moved = np.moveaxis(jacobian, target_rank, 1)
    count = len(moved)
    own = (np.arange(count), np.arange(count))
    others = moved.copy()
    others[own] = 0
    # Where an example's target depends on further entries, this axis is none of examples: a weight that is as long.
    return jacobian if np.any(others != 0) else moved[own]


def hessians(evaluate: Evaluate) -> dict[str, dict[str, ByName]]:
    """Return result[target][x][y], the second derivatives of the target's sum, (X, Y).

    Raises:
        UsageError: a Hessian too large to hold.
    """

    def checked(values: TargetValues, slopes: Slopes) -> dict[tuple[str, str], Any]:
        size = sum(_size(value) for value in values.variables.values())
        _check_entries(size**2, f"the Hessian of {size:,} numbers", "--hvp")
        return _by_pair(values, slopes)

    return _nested(jacobians(_of_gradients(evaluate, checked)))


def hessian_products(evaluate: Evaluate, direction: Mapping[str, np.ndarray]) -> dict[str, ByName]:
    """Return for each target the Hessian of its sum times `direction` (0 where a name is not given), (X)."""

    def products(values: TargetValues, slopes: Slopes) -> dict[str, Any]:
        return {name: _inner_product(by_name, _tensors(direction, values)) for name, by_name in slopes.items()}

    return gradients(_of_gradients(evaluate, products))[1]


def jacobian_products(evaluate: Evaluate, direction: Mapping[str, np.ndarray]) -> ByName:
    """Return for each target its derivative along `direction`, the Jacobian times it, (T)."""
    weights, products = {}, {}
    with _tape() as outer:
        with _tape() as inner:
            values = evaluate(inner.watch)
        for name, value in values.targets.items():
            if is_differentiable(value):
                # J'u is linear in u, so the gradient of (J'u)v by u is Jv.
                weights[name] = tf.ones_like(value)
                outer.watch(weights[name])
                slopes = _by_each(inner, value, values, output_gradients=weights[name])
                products[name] = _inner_product(slopes, _tensors(direction, values))
    return {
        name: None if products.get(name) is None else _gradient(outer, products[name], weights[name])
        for name in values.targets
    }


def _tape() -> tf.GradientTape:
    return tf.GradientTape(persistent=True, watch_accessed_variables=False)


def _by_each(tape: tf.GradientTape, target: Any, values: TargetValues, **options: Any) -> ByName:
    slopes = _gradient(tape, target, list(values.variables.values()), **options)
    return dict(zip(values.variables, slopes, strict=True))


def _jacobian(tape: tf.GradientTape, value: Any, variable: tf.Tensor) -> Any:
    if not is_differentiable(value) or value.shape.rank == 0:
        return _gradient(tape, value, variable)
    return tape.jacobian(value, variable, experimental_use_pfor=_size(value) > _LOOPED_ROWS)


def _tensors(direction: Mapping[str, np.ndarray], values: TargetValues) -> dict[str, tf.Tensor]:
    """Return the direction in the shapes and dtypes of the variables."""
    tensors = {}
    for name, value in direction.items():
        like = values.variables[name]
        array, shape = np.asarray(value), tuple(like.shape)
        if array.size == _size(like):
            array = array.reshape(shape)
        if array.shape != shape:
            raise UsageError(f"the direction of {name} has shape {array.shape}, but {name} has {shape}")
        tensors[name] = tf.constant(array, like.dtype)
    return tensors


def _inner_product(slopes: ByName, direction: Mapping[str, tf.Tensor]) -> Any:
    parts = [tf.reduce_sum(slopes[name] * v) for name, v in direction.items() if slopes[name] is not None]
    return tf.add_n(parts) if parts else None


def _check_entries(entries: int, what: str, instead: str) -> None:
    if entries > MOST_ENTRIES:
        size = entries * 8 / 1e9
        raise UsageError(f"{what} has {entries:,} entries ({size:.3g} GB)", hint=f"use products with it: {instead}")


def _size(value: Any) -> int:
    return int(np.prod(np.shape(value), dtype=np.int64))
