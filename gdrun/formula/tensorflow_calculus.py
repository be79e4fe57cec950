"""Derivatives inside formulas by nested tapes, and long loops as tf.while_loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gdrun.errors import FormulaError

from .failures import Unconnected
from .tensorflow_functions import Promotion, is_tensor


def derive(function: str, value: tf.Tensor, compute: Callable[[tf.Tensor], Any]) -> tf.Tensor:
    """Return a derivative of `compute` at `value`.

        grad      d(sum of y) / dx                  shape of x
        jacobian  dy_i / dx_j                       shape of y + shape of x
        hessian   d2(sum of y) / dx_i dx_j          shape of x + shape of x

    Args:
        function: "grad", "jacobian" or "hessian". value: x, float or complex.
        compute: called once with a watched copy of x; may open tapes of its own.
    Raises:
        Unconnected: if y, or for a Hessian its gradient, does not depend on x.
    """
    if function == "hessian":
        with tf.GradientTape() as tape:
            watched = tf.identity(value)
            tape.watch(watched)
            slope = derive("grad", watched, compute)
        return _connected(tape.jacobian(slope, watched), "its gradient is constant")
    with tf.GradientTape() as tape:
        watched = tf.identity(value)
        tape.watch(watched)
        result = compute(watched)
    if not is_tensor(result) or not (result.dtype.is_floating or result.dtype.is_complex):
        raise Unconnected("it is the same whatever the value")
    derivative = tape.jacobian if function == "jacobian" else tape.gradient
    return _connected(derivative(result, watched), "stop_gradient, floor, comparisons and the like end the way back")


def _connected(derivative: Any, reason: str) -> tf.Tensor:
    if derivative is None:
        raise Unconnected(reason)
    return tf.convert_to_tensor(derivative)  # a gather's gradient comes as IndexedSlices


def run_compiled_loop(
    promotion: Promotion,
    state: tf.Tensor,
    following: tf.Tensor,
    rounds: range,
    repeat: Callable[[Any, Any], Any],
    goes_on: Callable[[Any, Any], Any] | None,
    *,
    keep_all: bool,
) -> tf.Tensor:
    """Return the state after `rounds`, each round `state = repeat(state, i)` while `goes_on(state, i)` holds.

    With `keep_all` it is the states after every round, along a new first axis.

    All rounds are run; where the condition has failed, the state is selected instead of replaced. `repeat` is then
    fed the loop's first state, so that no overflow beyond the end puts a nan into the gradient.
    """
    try:
        begin = tf.broadcast_to(state, following.shape) if state.shape != following.shape else state
    except (ValueError, tf.errors.InvalidArgumentError):
        raise FormulaError(f"the loop changes its shape from {state.shape} to {following.shape}") from None

    def body(round_: tf.Tensor, still: tf.Tensor, current: tf.Tensor, states: Any) -> tuple[Any, ...]:
        if goes_on is None:
            new = repeat(current, round_)
        else:
            still = tf.logical_and(still, tf.reshape(promotion.truth(goes_on(current, round_)), ()))
            new = repeat(tf.where(still, current, begin), round_)
        new = tf.cast(promotion.number(new), begin.dtype)
        if new.shape != begin.shape:
            if begin.shape.rank is None or len(new.shape) > len(begin.shape):
                raise FormulaError(f"the loop changes its shape from {begin.shape} to {new.shape}")
            new = tf.broadcast_to(new, begin.shape)
        new = new if goes_on is None else tf.where(still, new, current)
        return round_ + 1, still, new, states.write(round_ - rounds.start, new) if keep_all else states

    kept = tf.TensorArray(begin.dtype, len(rounds), element_shape=begin.shape) if keep_all else ()
    _, _, last, states = tf.while_loop(
        lambda round_, *_: round_ < rounds.stop,
        body,
        (tf.constant(rounds.start, tf.int32), tf.constant(True), begin, kept),
        maximum_iterations=len(rounds),
    )
    return states.stack() if keep_all else last
