"""Models and networks with weights of their own: dense, polynomial, multilayer perceptron, Keras layers."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gdrun.config.section import Array, BareKind, Count, PositiveInteger, Section

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
from .layers import (
    Activation,
    ActivationLayer,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Initializer,
    InitialWeights,
    LayerNormalization,
    Rescaling,
    Reshape,
)
from .recurrent import Gru, Lstm, SimpleRnn

Layer = Annotated[
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
    | Rescaling,
    Field(discriminator="kind"),
    BareKind,
]


class ModelSection(Section):
    """What every model has."""

    needs_data: ClassVar[bool] = True

    def parameter_names(self) -> tuple[str, ...] | None:
        """Return the names of the parameters; None where only building tells them."""
        return None

    def output_names(self) -> tuple[str, ...]:
        """Return the names of the outputs of a model that has several."""
        return ()


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
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=256)]
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


Network = Annotated[LinearNetwork | MlpNetwork | LayersNetwork, Field(discriminator="kind"), BareKind]
"""What the formulas of a model can call by name."""


class LinearModel(LinearNetwork, ModelSection):
    """prediction = inputs @ kernel + bias, as Keras's Dense without activation."""

    def parameter_names(self) -> tuple[str, ...]:
        return ("kernel", "bias") if self.use_bias else ("kernel",)


class PolynomialModel(ModelSection):
    """prediction = sum of coefficients[k] * x**k, by Horner's rule, for one input x."""

    kind: Literal["polynomial"]
    degree: Count
    """Highest power."""
    coefficients: Array = 0.0
    """Initial coefficients from the constant upwards, (degree + 1,); a number fills them."""

    def parameter_names(self) -> tuple[str, ...]:
        return ("coefficients",)


class MlpModel(MlpNetwork, ModelSection):
    """A multilayer perceptron on the inputs, joined to (n, features)."""


class LayersModel(LayersNetwork, ModelSection):
    """Keras layers on the inputs, joined to (n, features)."""

    input_shape: tuple[PositiveInteger, ...] | None = None
    """Shape of one example; null: the data's own."""
