"""Keras layers that a config may name. Settings keep Keras's spelling and defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gdrun.config.section import (
    Integer,
    NonNegative,
    Number,
    PositiveInteger,
    PositiveNumber,
    Section,
    ShortSection,
    UnitInterval,
    check_array,
)

Activation = Literal[
    "linear",
    "relu",
    "relu6",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "softmax",
    "softplus",
    "softsign",
    "elu",
    "selu",
    "gelu",
    "silu",
    "swish",
    "mish",
    "exponential",
    "leaky_relu",
    "log_softmax",
]
Initializer = Literal[
    "zeros",
    "ones",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "orthogonal",
    "identity",
]
INITIALIZERS: tuple[str, ...] = Initializer.__args__  # type: ignore[attr-defined]


def _initial_weights(value: Any) -> Any:
    if isinstance(value, str):
        if value not in INITIALIZERS:
            raise PydanticCustomError(
                "initializer", "unknown initializer '{name}'", {"name": value, "allowed": list(INITIALIZERS)}
            )
        return value
    return check_array(value)


InitialWeights = Annotated[
    Any,
    AfterValidator(_initial_weights),
    WithJsonSchema(
        {
            "title": "a number, nested lists of numbers, or the name of an initializer",
            "anyOf": [{"type": ["number", "array"]}, {"enum": list(INITIALIZERS)}],
        }
    ),
]
"""A number that fills the weight, an array that is it, or the name of a Keras initializer."""


class WeightedLayer(Section):
    """What layers with a kernel have."""

    use_bias: bool = True
    """Whether the layer has a bias."""
    kernel: InitialWeights = "glorot_uniform"
    """Initial kernel: a number fills it, an array is it, a name draws it."""
    bias: InitialWeights = 0.0
    """Initial bias, likewise."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone."""


class Dense(WeightedLayer):
    """activation(inputs @ kernel + bias)."""

    kind: Literal["dense"]
    units: PositiveInteger
    """Number of outputs."""
    activation: Activation = "linear"
    """Applied to the output."""


class Flatten(Section):
    """One row of numbers an example."""

    kind: Literal["flatten"]


class Reshape(Section):
    """Another shape for each example."""

    kind: Literal["reshape"]
    target_shape: tuple[Integer, ...]
    """Shape of one example; one entry may be -1."""


class ActivationLayer(ShortSection):
    """An activation on its own."""

    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {"activation": name} for name in ("relu", "sigmoid", "tanh", "softmax", "gelu")
    }

    kind: Literal["activation", "relu", "sigmoid", "tanh", "softmax", "gelu"]
    activation: Activation
    """Its name."""


class Dropout(Section):
    """Sets a random share of the inputs to zero while training, and scales the rest by 1 / (1 - rate)."""

    kind: Literal["dropout"]
    rate: Annotated[Number, Field(ge=0, lt=1)]
    """Share set to zero."""


class GaussianNoise(Section):
    """Adds noise while training."""

    kind: Literal["gaussian_noise"]
    stddev: NonNegative
    """Standard deviation."""


class BatchNormalization(Section):
    """Normalises each feature over the batch while training, by moving averages otherwise."""

    kind: Literal["batch_normalization"]
    momentum: UnitInterval = 0.99
    """Of the moving averages."""
    epsilon: PositiveNumber = 0.001
    """Added to the variance."""
    center: bool = True
    """Whether beta is learnt."""
    scale: bool = True
    """Whether gamma is learnt."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone; it then always normalises by the moving averages, as in Keras."""


class LayerNormalization(Section):
    """Normalises each example over its features."""

    kind: Literal["layer_normalization"]
    epsilon: PositiveNumber = 0.001
    """Added to the variance."""
    center: bool = True
    """Whether beta is learnt."""
    scale: bool = True
    """Whether gamma is learnt."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone."""


class Embedding(Section):
    """A learnt vector for each integer."""

    kind: Literal["embedding"]
    input_dim: PositiveInteger
    """Number of integers, 0 to input_dim - 1."""
    output_dim: PositiveInteger
    """Length of the vectors."""
    embeddings: InitialWeights = "random_uniform"
    """Initial vectors, (input_dim, output_dim)."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone."""


class Rescaling(Section):
    """inputs * scale + offset."""

    kind: Literal["rescaling"]
    scale: Number
    """Factor."""
    offset: Number = 0.0
    """Added after."""
