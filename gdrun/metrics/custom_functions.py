"""Metrics of plugins, checked for their form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gdrun.config.plugin_calls import Caller
from gdrun.losses.custom_functions import plugin_value


def custom_metric(function: Callable[[Any, Any], Any], caller: Caller) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, dtype) -> scalar, of a plugin's (target, prediction) -> scalar."""

    def metric(prediction: Any, target: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor:
        value = plugin_value(function, target, prediction, caller, dtype)
        if value.shape.num_elements() != 1:
            raise caller.error(f"must give one number, it gives shape {tuple(value.shape)}")
        return tf.reshape(value, [])

    return metric
