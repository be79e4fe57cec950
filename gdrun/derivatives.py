"""Exact second and third derivatives by nested tapes.

Shape letters: P entries of a parameter or of all of them, N residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

Scalar = Callable[[tf.Tensor], tf.Tensor]
"""A tensor of any shape -> real scalar."""


def hessian(function: Scalar, at: tf.Tensor) -> tf.Tensor:
    """Return d2 f / dx_i dx_j over the flattened `at`, (P, P); zeros where the gradient does not depend on x."""
    size = _size(at)
    flat = tf.reshape(at, [size])
    with tf.GradientTape() as tape:
        tape.watch(flat)
        slope = _gradient(lambda x: function(tf.reshape(x, at.shape)), flat)
    return _jacobian(tape, slope, flat)


def curvature(function: Scalar, at: tf.Tensor) -> tf.Tensor:
    """Return d2 f / dx_i**2 for each entry of `at`, of its shape."""
    if _size(at) == 1:
        return _gradient(lambda x: tf.reduce_sum(_gradient(function, x)), at)
    return tf.reshape(tf.linalg.diag_part(hessian(function, at)), at.shape)


def third(function: Scalar, at: tf.Tensor) -> tf.Tensor:
    """Return d3 f / dx_i**3 for each entry of `at`, of its shape."""
    if _size(at) == 1:
        return _gradient(lambda x: tf.reduce_sum(curvature(function, x)), at)
    flat = tf.reshape(at, [_size(at)])
    with tf.GradientTape() as tape:
        tape.watch(flat)
        diagonal = tf.reshape(curvature(function, tf.reshape(flat, at.shape)), [-1])
    return tf.reshape(tf.linalg.diag_part(_jacobian(tape, diagonal, flat)), at.shape)


def jacobian(function: Callable[[tf.Tensor], tf.Tensor], at: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (r, dr_i / dx_j), (N,) and (N, P), of a vector function of a vector `at`, (P,)."""
    with tf.GradientTape() as by_weights:
        with tf.GradientTape() as tape:
            tape.watch(at)
            residuals = function(at)
        if _size(residuals) <= _size(at):
            return residuals, _jacobian(tape, residuals, at)
        # A tape goes back from each of N results. J'u is linear in u, so going back from its P entries to u gives the
        # same numbers in P passes.
        weights = tf.zeros_like(residuals)
        by_weights.watch(weights)
        slopes = tape.gradient(
            residuals, at, output_gradients=weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    return residuals, tf.transpose(_jacobian(by_weights, tf.convert_to_tensor(slopes), weights))


def second_along(function: Callable[[tf.Tensor], tf.Tensor], at: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
    """Return d2 f(at + t * direction) / dt**2 at t = 0, (N,), of a vector function of a vector `at`, (P,)."""
    t = tf.zeros([], at.dtype)
    with tf.GradientTape() as by_weights:
        with tf.GradientTape() as outer:
            outer.watch(t)
            with tf.GradientTape() as inner:
                inner.watch(t)
                values = function(at + t * direction)
                # Linear in the weights, so its gradient by them is the vector itself: three passes, whatever N and P.
                weights = tf.ones_like(values)
                by_weights.watch(weights)
                total = tf.reduce_sum(weights * values)
            slope = inner.gradient(total, t, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        second = outer.gradient(slope, t, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return by_weights.gradient(second, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _gradient(function: Scalar, at: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = function(at)
    slope = tape.gradient(value, at, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tf.convert_to_tensor(slope)


def _jacobian(tape: tf.GradientTape, results: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    return tape.jacobian(results, at, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _size(tensor: tf.Tensor) -> int:
    size = tensor.shape.num_elements()
    assert size is not None, "shapes are static"
    return size


def flattened(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the entries of all tensors, one after the other, (P,)."""
    return tf.concat([tf.reshape(tensor, [_size(tensor)]) for tensor in tensors], axis=0)


def unflattened(flat: tf.Tensor, like: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """Return tensors of the shapes of `like` with the entries of `flat`, (P,)."""
    parts = tf.split(flat, [_size(tensor) for tensor in like])
    return tuple(tf.reshape(part, tensor.shape) for part, tensor in zip(parts, like, strict=True))
