"""`model:` what turns inputs into predictions, and its parameters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from .base import Array, Count, Formula, Identifier, PositiveInteger, Section, by_form, kinds
from .layers import Activation, Initializer, InitialWeights, Layer


class Parameter(Section):
    """A parameter: where it starts, whether it moves, and in which domain it lives."""

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
    def _one_start(self) -> Parameter:
        given = [name for name in ("value", "raw", "init") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("parameter", "give exactly one of value, raw, init")
        if self.raw is not None and self.transform is None:
            raise PydanticCustomError("parameter", "raw goes with a transform; without one write value")
        if self.init is not None and self.shape is None:
            raise PydanticCustomError("parameter", "init needs a shape, for example shape: [3, 1]")
        return self


def _parameter(value: Any) -> Any:
    return value if isinstance(value, dict) else {"value": value}


def _parameters(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _parameter(item) for name, item in value.items()}
    return value


class MlpNetwork(Section):
    """A multilayer perceptron: dense layers, each followed by the activation, and a last one without."""

    kind: Literal["mlp"]
    hidden: tuple[PositiveInteger, ...] = (32,)
    """Units of each hidden layer."""
    activation: Activation = "relu"
    """Of the hidden layers."""
    outputs: PositiveInteger = 1
    """Units of the last layer."""
    output_activation: Activation = "linear"
    """Of the last layer."""
    kernel_initializer: Initializer = "glorot_uniform"
    """Of every kernel; biases start at zero."""
    use_bias: bool = True
    """Whether the layers have a bias."""


class LayersNetwork(Section):
    """Keras layers, one after the other."""

    kind: Literal["layers"]
    layers: Annotated[tuple[Layer, ...], Field(min_length=1)]
    """The layers in order. Parameters are called by kind and number: dense1.kernel, dense1.bias."""


Network = kinds(MlpNetwork, LayersNetwork)


class FormulaModel(Section):
    """A prediction by formula."""

    kind: Literal["formula"]
    formula: by_form(  # type: ignore[valid-type]
        scalar=Formula,
        mapping=Annotated[dict[Identifier, Formula], Field(min_length=1)],
    )
    """The prediction, of inputs, parameters, constants and defined values; or several named outputs. Without data it
    is the objective."""
    parameters: Annotated[dict[Identifier, Parameter], Field()] = Field(default_factory=dict)
    """Each parameter: a number, an array, or `{value|raw|init: ..., shape: ..., transform: ..., trainable: ...}`."""
    networks: dict[Identifier, Network] = Field(default_factory=dict)
    """Networks that the formulas call by name, `net(x)`."""

    @model_validator(mode="before")
    @classmethod
    def _short_parameters(cls, value: Any) -> Any:
        if isinstance(value, dict) and "parameters" in value:
            return {**value, "parameters": _parameters(value["parameters"])}
        return value


class LinearModel(Section):
    """prediction = inputs @ kernel + bias, as Keras's Dense without activation."""

    kind: Literal["linear"]
    outputs: PositiveInteger = 1
    """Number of outputs."""
    use_bias: bool = True
    """Whether there is a bias."""
    kernel: InitialWeights = "glorot_uniform"
    """Initial kernel, (features, outputs): a number fills it, an array is it, a name draws it."""
    bias: InitialWeights = 0.0
    """Initial bias, (outputs,)."""


class PolynomialModel(Section):
    """prediction = sum of coefficients[k] * x**k, by Horner's rule, for one input x."""

    kind: Literal["polynomial"]
    degree: Count
    """Highest power."""
    coefficients: Array = 0.0
    """Initial coefficients from the constant upwards, (degree + 1,); a number fills them."""


class MlpModel(MlpNetwork):
    """A multilayer perceptron on the inputs, joined to (n, features)."""


class LayersModel(LayersNetwork):
    """Keras layers on the inputs, joined to (n, features)."""

    input_shape: tuple[PositiveInteger, ...] | None = None
    """Shape of one example; null: the data's own."""


Model = kinds(FormulaModel, LinearModel, PolynomialModel, MlpModel, LayersModel)
