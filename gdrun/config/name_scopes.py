"""Names that a config gives to things, and the formulas that use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gdrun.errors import ConfigPath
from gdrun.formula.nodes import FunctionDefinition

MOMENT = ("step", "epoch")
Phase = Literal["start", "schedule", "loop", "check"]
"""When a formula is evaluated: once, before the first update; by the host, for the factor of each step; in the compiled
loop; or by `gdrun check-grad` alone."""


@dataclass(frozen=True)
class ConfigNames:
    """The names that a config gives to things.

    Args:
        inputs: None: only known once the data is loaded.
        definitions: values of `define`. functions: those of `define`, by the names they are called by.
        parameters: those of the model, networks' included; None: only known once the model is built.
        parameters_in_formulas: those that formulas see; None: not known.
        outputs: of a model with several.
    """

    constants: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = ()
    has_target: bool = False
    has_weights: bool = False
    definitions: tuple[str, ...] = ()
    parameters: tuple[str, ...] | None = None
    parameters_in_formulas: tuple[str, ...] | None = None
    networks: tuple[str, ...] = ()
    functions: Mapping[str, FunctionDefinition] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()

    @property
    def prediction(self) -> tuple[str, ...]:
        """The names of the model's output."""
        return (*self.outputs, "prediction") if len(self.outputs) <= 1 else self.outputs

    @property
    def callables(self) -> tuple[str, ...]:
        """The names of networks and functions."""
        return (*self.networks, *self.functions)

    @property
    def in_formulas(self) -> tuple[str, ...] | None:
        """The names that formulas on examples see, without definitions and predictions; None: not all are known."""
        if self.inputs is None or self.parameters_in_formulas is None:
            return None
        target = (("target",) if self.has_target else ()) + (("example_weights",) if self.has_weights else ())
        return (*self.constants, *self.inputs, *self.parameters_in_formulas, *self.networks, *MOMENT, *target)


@dataclass(frozen=True)
class Use:
    """A formula in a config and the names it may use.

    Args:
        names: None: they are not all known.
        callables: names of networks and functions.
        later: names that are given only below this formula.
    """

    path: ConfigPath
    formula: Any
    names: tuple[str, ...] | None
    callables: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    phase: Phase = "loop"
    key: bool = False
    """True where the formula is a part of the key."""

    @classmethod
    def of_examples(cls, path: ConfigPath, formula: Any, names: ConfigNames, *more: str) -> Use:
        """Return the use of a formula that is evaluated on examples, with `more` names beside the usual ones."""
        usual = names.in_formulas
        return cls(path, formula, None if usual is None else (*usual, *names.definitions, *more), names.callables)


def in_order(path: ConfigPath, formulas: Mapping[str, Any], before: tuple[str, ...]) -> Iterator[Use]:
    """Yield formulas that are evaluated once, of which each may use the names above it, and `before`."""
    names = tuple(formulas)
    for position, (name, formula) in enumerate(formulas.items()):
        yield Use((*path, name), formula, (*before, *names[:position]), later=names[position:], phase="start")
