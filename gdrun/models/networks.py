"""Networks of Keras layers, as models and as functions that formulas call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from gdrun.config.name_scopes import ConfigNames, Use
from gdrun.config.section import BareKind, PositiveInteger, Section
from gdrun.errors import ConfigPath, Problem, ShapeError
from gdrun.formula.evaluate import Scope

from .base import BoundModel, ModelContext, ModelFunction, ModelSection, StartPath
from .initial import InitialContext, InitialWeights, initial_uses
from .layers import Layer
from .layers.base import Activation, graph_problems
from .layers.core import Dense

if TYPE_CHECKING:
    import tensorflow as tf

    from .keras_network import KerasNetwork


MAX_COUNT = 256
"""Most networks in a list."""


class NetworkSection(Section):
    """A network of Keras layers."""

    flat_names: ClassVar[bool] = False
    """True where parameters are named without their layer: kernel, and not dense1.kernel."""

    def keras_layers(self) -> Sequence[Layer]:
        """Return the layers in order."""
        raise NotImplementedError

    def build_network(
        self, input_shape: tuple[int | None, ...], *, seed: int, precision: str, context: InitialContext
    ) -> KerasNetwork:
        """Return the network for inputs of a shape, (None, F) or longer. Raises: ComponentError, where none can be."""
        from .keras_network import KerasNetwork

        return KerasNetwork(
            self.keras_layers(),
            input_shape=input_shape,
            seed=seed,
            dtype=precision,
            flat_names=self.flat_names,
            context=context,
        )

    def initial_uses(self, path: ConfigPath, constants: tuple[str, ...]) -> Iterator[Use]:
        """Yield the formulas among the initial weights of the network at `path`."""
        return initial_uses(self, path, constants)

    def network_problems(self, path: ConfigPath) -> Iterator[Problem]:
        """Yield what does not go together within the network at `path`."""
        yield from ()

    @property
    def last_activation(self) -> str | None:
        """The activation of the output, "linear" for none; None where the last layer has no such setting."""
        return getattr(self.keras_layers()[-1], "activation", None)

    @property
    def convolves(self) -> bool:
        """True where a layer convolves."""
        return any(layer.convolves for layer in self.keras_layers())


class CalledNetwork(NetworkSection):
    """A network, or a list of networks, that formulas call."""

    count: Annotated[PositiveInteger, Field(le=MAX_COUNT)] | None = None
    """Length of a list of networks of this form, `blocks[0](x)`, `blocks[i](x)`; null: one network, no list."""
    from_: StartPath | None = Field(default=None, alias="from")
    """A run directory or an .npz file whose parameters the network starts with: those called after it, `net.kernel`,
    else those of a model of this form, `kernel`; null: its initial values."""
    trainable: bool = True
    """false: the optimizer leaves its parameters alone."""

    def call_hint(self, name: str) -> str:
        """Return how the network is called."""
        return f"call it: {name}(x)" if self.count is None else f"call it: {name}[0](x), or {name}[i](x) in a loop"


def entries(name: str, network: CalledNetwork) -> list[str]:
    """Return the names of the networks that `name` stands for, its own or `name.0`, `name.1`, ..."""
    return [name] if network.count is None else [f"{name}.{k}" for k in range(network.count)]


class LinearLayers(NetworkSection):
    """inputs @ kernel + bias, as Keras's Dense without activation."""

    flat_names = True

    kind: Literal["linear"]
    outputs: PositiveInteger = 1
    """Number of outputs."""
    use_bias: bool = True
    """false: there is no bias."""
    kernel: InitialWeights = "glorot_uniform"
    """Initial kernel, (features, outputs): a number fills it, an array is it, a name draws it."""
    bias: InitialWeights = 0.0
    """Initial bias, (outputs,)."""

    def keras_layers(self) -> Sequence[Dense]:
        common: dict[str, Any] = {"use_bias": self.use_bias, "kernel": self.kernel, "bias": self.bias}
        return [Dense(kind="dense", units=self.outputs, **common)]


class LinearNetwork(CalledNetwork, LinearLayers):
    """inputs @ kernel + bias, as Keras's Dense without activation."""


class MlpLayers(NetworkSection):
    """A multilayer perceptron: dense layers, each followed by the activation, and a last one without."""

    kind: Literal["mlp"]
    hidden: tuple[PositiveInteger, ...] = (32,)
    """Units of each hidden layer."""
    activation: Activation = "relu"
    """Activation of the hidden layers."""
    outputs: PositiveInteger = 1
    """Units of the last layer."""
    output_activation: Activation = "linear"
    """Activation of the last layer."""
    kernel_initializer: InitialWeights = "glorot_uniform"
    """Initial value of every kernel: a name or formula draws it."""
    bias_initializer: InitialWeights = "zeros"
    """Initial value of every bias: likewise."""
    use_bias: bool = True
    """false: the layers have no bias."""

    def keras_layers(self) -> Sequence[Dense]:
        common: dict[str, Any] = {
            "use_bias": self.use_bias,
            "kernel": self.kernel_initializer,
            "bias": self.bias_initializer,
        }
        hidden = [Dense(kind="dense", units=units, activation=self.activation, **common) for units in self.hidden]
        return [*hidden, Dense(kind="dense", units=self.outputs, activation=self.output_activation, **common)]


class MlpNetwork(CalledNetwork, MlpLayers):
    """A multilayer perceptron: dense layers, each followed by the activation, and a last one without."""


class LayersInOrder(NetworkSection):
    """Keras layers, one after the other, or as their `inputs` say."""

    kind: Literal["layers"]
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=256)]
    """The layers in order. Parameters are named by kind and number: dense1.kernel, dense1.bias."""

    def keras_layers(self) -> Sequence[Layer]:
        return self.layers

    def initial_uses(self, path: ConfigPath, constants: tuple[str, ...]) -> Iterator[Use]:
        for position, layer in enumerate(self.layers):
            for part, place in layer.parts((*path, "layers", position)):
                yield from initial_uses(part, place, constants)

    def network_problems(self, path: ConfigPath) -> Iterator[Problem]:
        return graph_problems(self.layers, (*path, "layers"))


class LayersNetwork(CalledNetwork, LayersInOrder):
    """Keras layers, one after the other, or as their `inputs` say."""


Network = Annotated[LinearNetwork | MlpNetwork | LayersNetwork, Field(discriminator="kind"), BareKind]
"""A network that the formulas of a model can call by name."""


class NetworkModel(NetworkSection, ModelSection):
    """A model that is a network of Keras layers."""

    def build(self, context: ModelContext) -> NetworkFunction:
        shape, join = self._input(context)
        network = self.build_network(shape, seed=context.seed, precision=context.precision, context=context.initial)
        return NetworkFunction(network.initial(), network, join)

    def _input(self, context: ModelContext) -> tuple[tuple[int | None, ...], bool]:
        """Return the shape of one batch, and whether the inputs are joined to rows."""
        return (None, context.num_features), True

    def parameters_in_formulas(self) -> tuple[str, ...]:
        return self.parameter_names() or ()

    def uses(self, names: ConfigNames) -> Iterator[Use]:
        return self.initial_uses(("model",), names.constants)

    def problems(self, used: frozenset[str], reached: frozenset[str] | None, *, trains: bool) -> Iterator[Problem]:
        return self.network_problems(("model",))


class LinearModel(NetworkModel, LinearLayers):
    """prediction = inputs @ kernel + bias, as Keras's Dense without activation."""

    def parameter_names(self) -> tuple[str, ...]:
        return ("kernel", "bias") if self.use_bias else ("kernel",)


class MlpModel(NetworkModel, MlpLayers):
    """A multilayer perceptron on the inputs, joined to (n, features)."""


class LayersModel(NetworkModel, LayersInOrder):
    """Keras layers on the inputs, joined to (n, features)."""

    input_shape: tuple[PositiveInteger, ...] | None = None
    """Shape of one example; null: the data's own."""

    def _input(self, context: ModelContext) -> tuple[tuple[int | None, ...], bool]:
        features = context.num_features
        if self.input_shape is not None:
            if int(np.prod(self.input_shape)) != features:
                raise ShapeError(
                    f"input_shape {self.input_shape} has {int(np.prod(self.input_shape))} numbers an example, "
                    f"the data has {features}"
                )
            return (None, *self.input_shape), True
        shapes = [shape[1:] for shape in context.inputs.values()]
        if len(shapes) == 1 and len(shapes[0]) > 1:
            # A single input of several axes, such as images, keeps them.
            return (None, *shapes[0]), False
        return (None, features), True


@dataclass(frozen=True)
class NetworkFunction(ModelFunction):
    """Keras layers on the inputs, joined to (B, F)."""

    network: KerasNetwork
    join: bool = True
    """false: the single input goes in as it is."""

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        return self.network.state

    @property
    def convolutional(self) -> bool:
        return self.network.convolutional

    @property
    def joins_inputs(self) -> bool:
        return self.join

    @property
    def keras_network(self) -> KerasNetwork:
        return self.network

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> BoundModel:
        from .keras_network import joined

        updates: dict[str, tf.Tensor] = {}

        def predict(scope: Scope) -> tf.Tensor:
            values = {name: scope[name] for name in self.network.parameters}
            given = tuple(scope[name] for name in inputs)
            output, new = self.network.call(values, state, joined(given) if self.join else given[0], training=training)
            if not scope.varied:
                updates.update(new)
            return output

        return BoundModel({"prediction": predict}, {}, updates)
