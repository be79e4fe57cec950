"""`model:` what turns inputs into predictions, and its parameters."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from gdrun.config.custom import CustomSection
from gdrun.config.names import ConfigNames, Use
from gdrun.config.section import Formula, Identifier, NetworkName, PositiveInteger, ShortSection, by_form
from gdrun.errors import ConfigPath, Problem

from .layers import INITIALIZERS
from .network_sections import ModelSection, Network


class Parameter(ShortSection):
    """A parameter: where it starts, whether it moves, and in which domain it lives."""

    exclusive = (("value", "raw", "init"),)
    short = "value"

    value: Formula | None = None
    """Initial value in the parameter's own domain: a number, an array, or a formula of constants."""
    raw: Formula | None = None
    """Initial value before `transform`."""
    init: Formula | None = None
    """A draw of the given shape, `normal(0, 0.1)`, or the name of a Keras initializer, `glorot_uniform`."""
    shape: tuple[PositiveInteger, ...] | None = None
    """Shape; () is a scalar. A value of fewer dimensions fills it."""
    transform: Literal["exp", "softplus", "sigmoid"] | None = None
    """Keeps the parameter in the transform's range: the optimizer moves the raw value, everything else sees and
    reports the transformed one."""
    trainable: bool = True
    """false: the optimizer leaves it alone."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in ("value", "raw", "init") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("parameter", "give exactly one of value, raw, init")
        if self.raw is not None and self.transform is None:
            raise PydanticCustomError("parameter", "raw goes with a transform; without one write value")
        if self.init is not None and self.shape is None:
            raise PydanticCustomError("parameter", "init needs a shape, for example shape: [3, 1]")
        return self


class FormulaModel(ModelSection):
    """A prediction by formula."""

    needs_data = False

    kind: Literal["formula"]
    formula: Annotated[
        Annotated[Formula, Tag("<scalar>")]
        | Annotated[dict[Identifier, Formula], Field(min_length=1), Tag("<mapping>")],
        by_form("scalar", "mapping"),
    ]
    """The prediction, of inputs, parameters, constants and defined values; or several named outputs. Without data it
    is the objective."""
    parameters: dict[Identifier, Parameter] = Field(default_factory=dict)
    """Each parameter: a number, an array, or `{value|raw|init: ..., shape: ..., transform: ..., trainable: ...}`."""
    networks: dict[NetworkName, Network] = Field(default_factory=dict)
    """Networks that the formulas call by name, `net(x)`."""

    def parameter_names(self) -> tuple[str, ...] | None:
        return None if self.networks else tuple(self.parameters)

    def output_names(self) -> tuple[str, ...]:
        return tuple(self.formula) if isinstance(self.formula, dict) else ()

    def parameters_in_formulas(self) -> tuple[str, ...]:
        return tuple(self.parameters)

    def network_names(self) -> tuple[str, ...]:
        return tuple(self.networks)

    def uses(self, names: ConfigNames) -> Iterator[Use]:
        for name, parameter in self.parameters.items():
            path = ("model", "parameters", name)
            for key in ("value", "raw", "init"):
                text = getattr(parameter, key)
                if not (key == "init" and text in INITIALIZERS):
                    yield Use((*path, key), text, names.constants)
        if isinstance(self.formula, dict):
            for name, text in self.formula.items():
                yield Use.of_examples(("model", "formula", name), text, names)
        else:
            yield Use.of_examples(("model", "formula"), self.formula, names)

    def problems(self, used: frozenset[str], reached: frozenset[str] | None) -> Iterator[Problem]:
        """Yield parameters that the loss cannot depend on, networks that are never called, nothing to train."""
        trained = [name for name, parameter in self.parameters.items() if parameter.trainable]
        if not trained and not self.networks:
            path: ConfigPath = ("model", "parameters") if "parameters" in self.model_fields_set else ("model",)
            yield Problem("the model has no parameter to train", path, "model.parameters: {a: 1.0}", key=True)
        for name in self.networks:
            if name not in used:
                path = ("model", "networks", name)
                yield Problem(f"network '{name}' is never called", path, f"call it: {name}(x)", key=True)
        for name in trained:
            if reached is not None and name not in reached:
                message = f"parameter '{name}' gets no gradient: the loss does not depend on it"
                hint = "use it in a formula, or set trainable: false"
                yield Problem(message, ("model", "parameters", name), hint, key=True)

    def given_names(self) -> list[tuple[ConfigPath, tuple[str, ...]]]:
        return [
            (("model", "parameters"), tuple(self.parameters)),
            (("model", "networks"), tuple(self.networks)),
            (("model", "formula"), self.output_names()),
        ]


class CustomModel(CustomSection, ModelSection):
    """A model that a plugin makes."""

    needs_data = False

    kind: Literal["custom"]
