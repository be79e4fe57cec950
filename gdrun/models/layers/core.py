"""Dense layers, and layers of any shape: activations, normalization, noise, embeddings."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gdrun.config.section import (
    Integer,
    NonNegative,
    Number,
    PositiveInteger,
    PositiveNumber,
    ShortSection,
    UnitInterval,
)
from gdrun.models.initial import InitialWeights

from .base import Activation, KerasLayer, KernelLayer


class Dense(KernelLayer):
    """activation(inputs @ kernel + bias)."""

    kind: Literal["dense"]
    units: PositiveInteger
    """Number of outputs."""
    activation: Activation = "linear"
    """Activation of the output."""


class Flatten(KerasLayer):
    """Flattens each example to one row of numbers."""

    kind: Literal["flatten"]


class Reshape(KerasLayer):
    """Gives each example another shape."""

    kind: Literal["reshape"]
    target_shape: tuple[Integer, ...]
    """Shape of one example; one entry may be -1."""


class ActivationLayer(ShortSection, KerasLayer):
    """An activation on its own."""

    keras_name = "Activation"
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {"activation": name} for name in ("relu", "sigmoid", "tanh", "softmax", "gelu")
    }

    kind: Literal["activation", "relu", "sigmoid", "tanh", "softmax", "gelu"]
    activation: Activation
    """Name of the activation."""


class LeakyRelu(KerasLayer):
    """The input where it is positive, else the input times a slope."""

    keras_name = "LeakyReLU"

    kind: Literal["leaky_relu"]
    negative_slope: NonNegative = 0.3
    """Slope where the input is negative. `activation: leaky_relu` has 0.2."""


class Dropout(KerasLayer):
    """Sets a random share of the inputs to zero while training, and scales the rest by 1 / (1 - rate)."""

    takes_seed = True

    kind: Literal["dropout"]
    rate: Annotated[Number, Field(ge=0, lt=1)]
    """Share of the inputs that is set to zero."""


class GaussianNoise(KerasLayer):
    """Adds noise while training."""

    takes_seed = True

    kind: Literal["gaussian_noise"]
    stddev: NonNegative
    """Standard deviation of the noise."""


class BatchNormalization(KerasLayer):
    """Normalises each feature over the batch while training, by moving averages otherwise."""

    kind: Literal["batch_normalization"]
    momentum: UnitInterval = 0.99
    """Momentum of the moving averages."""
    epsilon: PositiveNumber = 0.001
    """Small number added to the variance."""
    center: bool = True
    """Learn an offset, beta."""
    scale: bool = True
    """Learn a factor, gamma."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone; it then always normalises by the moving averages, as in Keras."""


class LayerNormalization(KerasLayer):
    """Normalises each example over its features."""

    kind: Literal["layer_normalization"]
    epsilon: PositiveNumber = 0.001
    """Small number added to the variance."""
    center: bool = True
    """Learn an offset, beta."""
    scale: bool = True
    """Learn a factor, gamma."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone."""


class Embedding(KerasLayer):
    """A learnt vector for each integer."""

    kind: Literal["embedding"]
    input_dim: PositiveInteger
    """Number of integers, 0 to input_dim - 1."""
    output_dim: PositiveInteger
    """Length of the vectors."""
    embeddings: InitialWeights = "random_uniform"
    """Initial vectors, (input_dim, output_dim)."""
    mask_zero: bool = False
    """true: 0 stands for no input; recurrent layers and attention below leave such steps out."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone."""


class Rescaling(KerasLayer):
    """inputs * scale + offset."""

    kind: Literal["rescaling"]
    scale: Number
    """Factor of the inputs."""
    offset: Number = 0.0
    """Number added to the product."""


class Masking(KerasLayer):
    """Marks the steps of a sequence whose features all have one value; recurrent layers and attention below leave them
    out."""

    kind: Literal["masking"]
    mask_value: Number = 0.0
    """The value."""
