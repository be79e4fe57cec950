"""Losses and metrics of plugins, checked for their form.

Shape letters: B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gdrun.config.plugin_calls import Caller

from .functions import Reduction, reduce


def custom_loss(
    function: Callable[[Any, Any], Any], caller: Caller, *, reduction: Reduction
) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, weights) -> scalar, of a plugin's (target, prediction) -> scalar or (B, ...).

    Raises, when it is called:
        PluginError: the function failed, or its result has another form.
    """

    def loss(prediction: Any, target: tf.Tensor | None, weights: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor:
        value = _plugin_value(function, target, prediction, caller, dtype)
        if value.shape.rank == 0:
            if weights is not None:
                raise caller.error(
                    "gives one number for all examples, so the weights of data do not reach it",
                    "return a number an example: gdrun weighs and averages them",
                )
            return value
        size = None if target is None else target.shape[0]
        if size is not None and value.shape[0] != size:
            raise caller.error(
                f"gives shape {tuple(value.shape)} for {size} examples", "a scalar, or a first axis of examples"
            )
        return reduce(value, reduction, weights)

    return loss


def custom_metric(function: Callable[[Any, Any], Any], caller: Caller) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, dtype) -> scalar, of a plugin's (target, prediction) -> scalar."""

    def metric(prediction: Any, target: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor:
        value = _plugin_value(function, target, prediction, caller, dtype)
        if value.shape.num_elements() != 1:
            raise caller.error(f"must give one number, it gives shape {tuple(value.shape)}")
        return tf.reshape(value, [])

    return metric


def _plugin_value(function: Any, target: Any, prediction: Any, caller: Caller, dtype: tf.DType) -> tf.Tensor:
    """Return the result of a plugin's function as a tensor of `dtype`. Raises: PluginError."""
    with caller.calling():
        value = function(target, prediction)
        if value is None:
            raise caller.error("returned nothing", "return the value")
        value = tf.convert_to_tensor(value, dtype) if isinstance(value, int | float) else tf.convert_to_tensor(value)
        if value.dtype.is_bool or value.dtype.is_integer:
            value = tf.cast(value, dtype)
    if value.dtype != dtype:
        hint = "make constants of the prediction's dtype: tf.constant(2.0, prediction.dtype)"
        raise caller.error(f"gives {value.dtype.name}, but the run's precision is {dtype.name}", hint)
    return value
