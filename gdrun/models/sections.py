"""`model:` what turns inputs into predictions, and its parameters."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic_core import PydanticCustomError

from gdrun.config.base import Bounds, Formula, Identifier, Nested, NetworkName, PositiveInteger, Section, default, kinds
from gdrun.config.unions import ByForm, from_elsewhere

if TYPE_CHECKING:
    from gdrun.config.custom import CustomModel

    from .network_sections import (
        LayersModel,
        LayersNetwork,
        LinearModel,
        LinearNetwork,
        MlpModel,
        MlpNetwork,
        PolynomialModel,
    )

    Network: TypeAlias = LinearNetwork | MlpNetwork | LayersNetwork
else:
    Network = kinds(
        {
            "linear": "gdrun.models.network_sections:LinearNetwork",
            "mlp": "gdrun.models.network_sections:MlpNetwork",
            "layers": "gdrun.models.network_sections:LayersNetwork",
        }
    )


class Parameter(Section):
    """A parameter: where it starts, whether it moves, and in which domain it lives."""

    exclusive = (("value", "raw", "init"),)

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

    def together(self) -> None:
        given = [name for name in ("value", "raw", "init") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("parameter", "give exactly one of value, raw, init")
        if self.raw is not None and self.transform is None:
            raise PydanticCustomError("parameter", "raw goes with a transform; without one write value")
        if self.init is not None and self.shape is None:
            raise PydanticCustomError("parameter", "init needs a shape, for example shape: [3, 1]")


class FormulaModel(Section):
    """A prediction by formula."""

    kind: Literal["formula"]
    formula: Annotated[
        Any, ByForm({"scalar": Formula, "mapping": Annotated[dict[Identifier, Formula], Bounds(min_length=1)]})
    ]
    """The prediction, of inputs, parameters, constants and defined values; or several named outputs. Without data it
    is the objective."""
    parameters: dict[Identifier, Annotated[Parameter, Nested(short="value")]] = default(dict)
    """Each parameter: a number, an array, or `{value|raw|init: ..., shape: ..., transform: ..., trainable: ...}`."""
    networks: dict[NetworkName, Network] = default(dict)
    """Networks that the formulas call by name, `net(x)`."""


_ELSEWHERE = dict.fromkeys(
    ("LinearNetwork", "MlpNetwork", "LayersNetwork", "LinearModel", "PolynomialModel", "MlpModel", "LayersModel"),
    "gdrun.models.network_sections",
)


def __getattr__(name: str) -> object:
    return from_elsewhere(__name__, _ELSEWHERE, name)


if TYPE_CHECKING:
    Model: TypeAlias = FormulaModel | LinearModel | PolynomialModel | MlpModel | LayersModel | CustomModel
else:
    Model = kinds(
        {
            "formula": "gdrun.models.sections:FormulaModel",
            "linear": "gdrun.models.network_sections:LinearModel",
            "polynomial": "gdrun.models.network_sections:PolynomialModel",
            "mlp": "gdrun.models.network_sections:MlpModel",
            "layers": "gdrun.models.network_sections:LayersModel",
            "custom": "gdrun.config.custom:CustomModel",
        },
    )
