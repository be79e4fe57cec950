"""`optimizer: {kind: formula}`: an update rule of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from gdrun.config.section import Formula, Identifier, NonNegative, Number, read_formula
from gdrun.errors import ConfigPath

from .base import NO_LANES, OptimizerSection, Parameters, PointUpdate

if TYPE_CHECKING:
    import tensorflow as tf

RULE_NAMES = ("parameter", "gradient", "loss", "curvature", "hessian", "third", "learning_rate", "step")
"""Names with a meaning of their own in the lines of a rule."""


class UpdateRule(OptimizerSection):
    """An update rule: its lines run in order, for each parameter by itself, and see new values."""

    kind: Literal["formula"]
    learning_rate: NonNegative = 1.0
    """What the lines know as learning_rate, times the schedule's factor."""
    settings: dict[Identifier, Number] = Field(default_factory=dict)
    """Named numbers that the lines use."""
    state: dict[Identifier, Formula] = Field(default_factory=dict)
    """What is kept from update to update: each variable's initial value, a number or a formula of parameter, settings
    and constants. A value that broadcasts to the parameter's shape takes it, any other keeps its own."""
    update: Annotated[dict[Identifier, Formula], Field(min_length=1)]
    """Lines in order: the new value of `parameter`, of a state variable, or an intermediate value for the lines below.
    They use parameter, gradient, loss, curvature (the Hessian's diagonal), hessian (over the flattened parameter),
    third (the third derivative by each entry alone), learning_rate, step (updates done), settings, state, constants."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "parameter" not in self.update:
            raise PydanticCustomError(
                "update_rule",
                "no line of update gives the parameter its new value",
                {"hint": "parameter: parameter - learning_rate * gradient"},
            )
        return self

    def build(self, parameters: Parameters, per_lane: Mapping[str, tf.Tensor] = NO_LANES) -> PointUpdate:
        import tensorflow as tf

        from .formula_update import FormulaUpdate

        varying = {name: tf.cast(value, parameters.dtype) for name, value in per_lane.items()}
        return FormulaUpdate(
            {name: read_formula(text) for name, text in self.update.items()},
            state={name: read_formula(text) for name, text in self.state.items()},
            settings={**self.settings, **varying},
            constants=parameters.constants,
            ops=parameters.ops,
            parameter_names=parameters.names,
        )

    def formulas(self) -> tuple[Any, ...]:
        return tuple(self.update.values())

    def start_formulas(self) -> tuple[Any, ...]:
        return tuple(self.state.values())

    def is_lane_setting(self, path: ConfigPath) -> bool:
        """Settings, but for those that state variables start from: the state begins outside the program of a lane."""
        if len(path) != 2 or path[0] != "settings":
            return False
        return not any(path[1] in read_formula(text).names for text in self.start_formulas())
