"""Losses of plugins, `loss: {kind: custom}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from gdrun.config.custom import CustomSection
from gdrun.config.plugin_calls import bound_function
from gdrun.formula.evaluate import Scope

from .base import LossFunction, LossSection, example_weights, one_or_named

if TYPE_CHECKING:
    import tensorflow as tf


class CustomLoss(CustomSection, LossSection):
    """A loss that a plugin computes of target and prediction."""

    part = "loss"

    kind: Literal["custom"]
    reduction: Literal["mean", "sum"] = "mean"
    """Reduction over the examples, where the plugin returns a number an example."""

    @property
    def adds_up(self) -> bool:
        return self.reduction == "sum"

    def build(self, dtype: tf.DType) -> LossFunction:
        from .custom_functions import custom_loss

        function, caller = bound_function(self)
        custom = custom_loss(function, caller, reduction=self.reduction)

        def loss(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
            return custom(one_or_named(prediction, dtype), target, example_weights(scope), dtype)

        return loss
