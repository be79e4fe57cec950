"""Keras layers that a config may name. Settings keep Keras's spelling and defaults."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic_core import PydanticCustomError

from gdrun.config.base import (
    Bounds,
    Check,
    Integer,
    NonNegative,
    Number,
    PositiveInteger,
    PositiveNumber,
    Section,
    UnitInterval,
    check_array,
    kinds,
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
    Check(
        _initial_weights,
        "a number, nested lists of numbers, or the name of an initializer",
        {"anyOf": [{"type": ["number", "array"]}, {"enum": list(INITIALIZERS)}]},
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


class ActivationLayer(Section):
    """An activation on its own."""

    kind: Literal["activation"]
    activation: Activation
    """Its name."""


class Dropout(Section):
    """Sets a random share of the inputs to zero while training, and scales the rest by 1 / (1 - rate)."""

    kind: Literal["dropout"]
    rate: Annotated[Number, Bounds(ge=0, lt=1)]
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


if TYPE_CHECKING:
    from .convolutions import (
        AveragePooling1D,
        AveragePooling2D,
        Conv1D,
        Conv2D,
        Conv2DTranspose,
        GlobalAveragePooling1D,
        GlobalAveragePooling2D,
        GlobalMaxPooling1D,
        GlobalMaxPooling2D,
        MaxPooling1D,
        MaxPooling2D,
        UpSampling2D,
        ZeroPadding2D,
    )
    from .recurrent import Gru, Lstm, SimpleRnn

    Layer: TypeAlias = (
        Dense
        | Conv1D
        | Conv2D
        | Conv2DTranspose
        | MaxPooling1D
        | MaxPooling2D
        | AveragePooling1D
        | AveragePooling2D
        | GlobalAveragePooling1D
        | GlobalAveragePooling2D
        | GlobalMaxPooling1D
        | GlobalMaxPooling2D
        | UpSampling2D
        | ZeroPadding2D
        | SimpleRnn
        | Gru
        | Lstm
        | Flatten
        | Reshape
        | ActivationLayer
        | Dropout
        | GaussianNoise
        | BatchNormalization
        | LayerNormalization
        | Embedding
        | Rescaling
    )
else:
    Layer = kinds(
        {
            "dense": "gdrun.models.layers:Dense",
            "conv1d": "gdrun.models.convolutions:Conv1D",
            "conv2d": "gdrun.models.convolutions:Conv2D",
            "conv2d_transpose": "gdrun.models.convolutions:Conv2DTranspose",
            "max_pooling1d": "gdrun.models.convolutions:MaxPooling1D",
            "max_pooling2d": "gdrun.models.convolutions:MaxPooling2D",
            "average_pooling1d": "gdrun.models.convolutions:AveragePooling1D",
            "average_pooling2d": "gdrun.models.convolutions:AveragePooling2D",
            "global_average_pooling1d": "gdrun.models.convolutions:GlobalAveragePooling1D",
            "global_average_pooling2d": "gdrun.models.convolutions:GlobalAveragePooling2D",
            "global_max_pooling1d": "gdrun.models.convolutions:GlobalMaxPooling1D",
            "global_max_pooling2d": "gdrun.models.convolutions:GlobalMaxPooling2D",
            "up_sampling2d": "gdrun.models.convolutions:UpSampling2D",
            "zero_padding2d": "gdrun.models.convolutions:ZeroPadding2D",
            "simple_rnn": "gdrun.models.recurrent:SimpleRnn",
            "gru": "gdrun.models.recurrent:Gru",
            "lstm": "gdrun.models.recurrent:Lstm",
            "flatten": "gdrun.models.layers:Flatten",
            "reshape": "gdrun.models.layers:Reshape",
            "activation": "gdrun.models.layers:ActivationLayer",
            "dropout": "gdrun.models.layers:Dropout",
            "gaussian_noise": "gdrun.models.layers:GaussianNoise",
            "batch_normalization": "gdrun.models.layers:BatchNormalization",
            "layer_normalization": "gdrun.models.layers:LayerNormalization",
            "embedding": "gdrun.models.layers:Embedding",
            "rescaling": "gdrun.models.layers:Rescaling",
        },
        short={
            name: {"kind": "activation", "activation": name} for name in ("relu", "sigmoid", "tanh", "softmax", "gelu")
        },
    )
