"""`model:` what turns inputs into predictions, and its parameters."""

from typing import Annotated, Literal, Self

from pydantic import Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from gdrun.config.custom import CustomSection
from gdrun.config.section import Formula, Identifier, NetworkName, PositiveInteger, ShortSection, by_form

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


class CustomModel(CustomSection, ModelSection):
    """A model that a plugin makes."""

    needs_data = False

    kind: Literal["custom"]
