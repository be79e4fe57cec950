"""`optimizer: {kind: custom}`: an optimizer that a plugin brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from gdrun.config.custom import CustomSection
from gdrun.config.plugins import describe_failure
from gdrun.config.section import NonNegative

from .base import NO_LANES, OptimizerSection, Parameters, Update, located_within

if TYPE_CHECKING:
    import tensorflow as tf


class CustomOptimizer(CustomSection, OptimizerSection):
    """An optimizer that a plugin brings: a Keras optimizer, or an update rule."""

    kind: Literal["custom"]
    learning_rate: NonNegative = 0.01
    """Step size; the schedule's factor multiplies it."""

    def build(self, parameters: Parameters, per_lane: Mapping[str, tf.Tensor] = NO_LANES) -> Update:
        """Return what the plugin makes, tried once on the parameters' shapes."""
        from gdrun.data.custom import Caller

        from .custom_update import custom_update

        entry = self.entry
        options, file = entry.options(self.options), entry.registration.file
        caller = Caller(str(entry), lambda error: describe_failure(error, file))
        with located_within("name"):
            return custom_update(lambda: entry.call(options=options), caller, parameters.specs)
