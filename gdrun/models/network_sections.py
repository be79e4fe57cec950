"""Models and networks with weights of their own: dense, polynomial, multilayer perceptron, Keras layers."""

from typing import Annotated, Literal

from gdrun.config.base import Array, Bounds, Count, PositiveInteger, Section

from .layers import Activation, Initializer, InitialWeights, Layer


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
    layers: Annotated[tuple[Layer, ...], Bounds(min_length=1, max_length=256)]
    """The layers in order. Parameters are called by kind and number: dense1.kernel, dense1.bias."""


class LinearNetwork(Section):
    """inputs @ kernel + bias, as Keras's Dense without activation."""

    kind: Literal["linear"]
    outputs: PositiveInteger = 1
    """Number of outputs."""
    use_bias: bool = True
    """Whether there is a bias."""
    kernel: InitialWeights = "glorot_uniform"
    """Initial kernel, (features, outputs): a number fills it, an array is it, a name draws it."""
    bias: InitialWeights = 0.0
    """Initial bias, (outputs,)."""


class LinearModel(LinearNetwork):
    """prediction = inputs @ kernel + bias, as Keras's Dense without activation."""


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
