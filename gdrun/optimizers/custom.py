"""`optimizer: {kind: custom}`: an optimizer that a plugin brings."""

from __future__ import annotations

from typing import Literal

from gdrun.config.custom import CustomSection
from gdrun.config.plugin_calls import bound_function
from gdrun.config.section import NonNegative

from .base import OptimizerSection, Parameters, Update


class CustomOptimizer(CustomSection, OptimizerSection):
    """An optimizer that a plugin brings: a Keras optimizer, or an update rule."""

    part = "optimizer"

    kind: Literal["custom"]
    learning_rate: NonNegative = 0.01
    """Step size; the schedule's factor multiplies it."""

    def build(self, parameters: Parameters) -> Update:
        """Return what the plugin makes, tried once on the parameters' shapes."""
        from .custom_update import custom_update

        make, caller = bound_function(self)
        return custom_update(make, caller, parameters.specs)
