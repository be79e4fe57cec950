"""`optimizer: {kind: formula}`: an update rule of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gdrun.config.name_scopes import Use
from gdrun.config.section import Formula, Identifier, NonNegative, Number, refusal
from gdrun.errors import ConfigPath, Problem
from gdrun.formula.parse import parse

from .base import GivenNames, OptimizerSection, OtherSections, Parameters, PointUpdate

RULE_NAMES = (
    "parameter",
    "gradient",
    "global_gradient_norm",
    "loss",
    "curvature",
    "hessian",
    "third",
    "learning_rate",
    "step",
)
"""Names with a meaning of their own in the lines of a rule."""


class UpdateRule(OptimizerSection):
    """An update rule: its lines run in order, for each parameter by itself, and see new values."""

    kind: Literal["formula"]
    learning_rate: NonNegative = 1.0
    """The number that the lines know as learning_rate, times the schedule's factor."""
    settings: dict[Identifier, Number] = Field(default_factory=dict)
    """Named numbers that the lines use."""
    state: dict[Identifier, Formula] = Field(default_factory=dict)
    """Variables that are kept from update to update: their initial values, numbers or formulas of parameter, settings
    and constants. A value that broadcasts to the parameter's shape takes it, any other keeps its own."""
    update: Annotated[dict[Identifier, Formula], Field(min_length=1)]
    """Lines in order: the new value of `parameter`, of a state variable, or an intermediate value for the lines below.
    They use parameter, gradient, global_gradient_norm (over the gradients of all parameters), loss, curvature (the
    Hessian's diagonal), hessian (over the flattened parameter), third (the third derivative by each entry alone),
    learning_rate, step (updates done), settings, state, constants."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "parameter" not in self.update:
            hint = "parameter: parameter - learning_rate * gradient"
            raise refusal(Problem("no line of update gives the parameter its new value", hint=hint))
        return self

    def build(self, parameters: Parameters) -> PointUpdate:
        import tensorflow as tf

        from .formula_update import FormulaUpdate

        varying = {name: tf.cast(value, parameters.dtype) for name, value in parameters.per_lane.items()}
        return FormulaUpdate(
            {name: parse(text) for name, text in self.update.items()},
            state={name: parse(text) for name, text in self.state.items()},
            settings={**self.settings, **varying},
            constants=parameters.constants,
            ops=parameters.ops,
            parameter_names=parameters.names,
        )

    def problems(self, experiment: OtherSections, names: GivenNames) -> Iterator[Problem]:
        yield from self._taken_names(experiment.constants)
        yield from self._unused_lines()
        with_rate = [name for name, text in self.update.items() if "learning_rate" in parse(text).names]
        if not with_rate and experiment.schedule.learning_rate_factor is not None:
            message = "the learning rate has a factor, but no line of update uses learning_rate"
            yield Problem(message, ("schedule", "learning_rate_factor"), key=True)

    def _taken_names(self, constants: Mapping[str, Any]) -> Iterator[Problem]:
        owners = dict.fromkeys(constants, "is a constant of this config")
        owners |= dict.fromkeys(RULE_NAMES, "has a meaning of its own in update rules")
        for section in ("settings", "state", "update"):
            for name in getattr(self, section):
                assigns = section == "update" and (name == "parameter" or name in self.state)
                if name in owners and not assigns:
                    path = ("optimizer", section, name)
                    yield Problem(f"'{name}' {owners[name]}", path, "give it another name", key=True)
                owners.setdefault(name, f"is one of {section}")

    def _unused_lines(self) -> Iterator[Problem]:
        """Yield state that never changes, and lines that nothing uses."""
        for name in self.state:
            if name not in self.update:
                message = f"no line of update gives '{name}' a new value"
                hint = f"add a line: {name}: ...; a number that stays the same belongs to settings"
                yield Problem(message, ("optimizer", "state", name), hint, key=True)
        used_below: set[str] = {"parameter", *self.state, *RULE_NAMES}
        unused = []
        for name, text in reversed(self.update.items()):
            if name not in used_below:
                unused.append(name)
            used_below |= parse(text).names
        for name in reversed(unused):
            hint = f"state: {{{name}: 0}} keeps it for the next update"
            yield Problem(f"no line below uses '{name}'", ("optimizer", "update", name), hint, key=True)

    def start_formulas(self) -> tuple[Any, ...]:
        return tuple(self.state.values())

    def is_lane_setting(self, path: ConfigPath) -> bool:
        """Settings, but for those that state variables start from: the state begins outside the program of a lane."""
        if len(path) != 2 or path[0] != "settings":
            return False
        return not any(path[1] in parse(text).names for text in self.start_formulas())

    def uses(self, constants: tuple[str, ...]) -> Iterator[Use]:
        known = (*constants, *self.settings)
        for name, text in self.state.items():
            yield Use(("optimizer", "state", name), text, (*known, "parameter"), phase="start")
        lines = tuple(self.update)
        for position, (name, text) in enumerate(self.update.items()):
            later = tuple(line for line in lines[position:] if line not in (*self.state, "parameter"))
            names = (*known, *self.state, *lines[:position], *RULE_NAMES)
            yield Use(("optimizer", "update", name), text, names, later=later)
