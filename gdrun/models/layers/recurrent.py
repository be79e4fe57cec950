"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from gdrun.config.located import located_within
from gdrun.config.section import BareKind, Number, PositiveInteger
from gdrun.errors import ConfigPath
from gdrun.models.initial import InitialContext, InitialWeights
from gdrun.random_streams import integer_seed

from .base import Activation, KerasLayer, KernelLayer

if TYPE_CHECKING:
    import keras


class Recurrent(KernelLayer):
    """A layer that runs through a sequence: (steps, features) in, the last output or all of them out."""

    takes_seed = True

    units: PositiveInteger
    """Number of outputs."""
    activation: Activation = "tanh"
    """Activation of the output."""
    recurrent_kernel: InitialWeights = "orthogonal"
    """Initial weights of the step from one output to the next: a number fills them, an array is it, a name draws it."""
    return_sequences: bool = False
    """true: every output, (steps, units); false: the last one, (units)."""
    go_backwards: bool = False
    """true: process the sequence from its end."""
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Share of the inputs set to zero while training."""


class SimpleRnn(Recurrent):
    """h = activation(x @ kernel + h @ recurrent_kernel + bias)."""

    keras_name = "SimpleRNN"

    kind: Literal["simple_rnn"]


class Gru(Recurrent):
    """Gated recurrent unit."""

    keras_name = "GRU"

    kind: Literal["gru"]
    recurrent_activation: Activation = "sigmoid"
    """Activation of the gates."""
    reset_after: bool = True
    """true: apply the reset gate after the matrix product; false: before."""


class Lstm(Recurrent):
    """Long short-term memory."""

    keras_name = "LSTM"

    kind: Literal["lstm"]
    recurrent_activation: Activation = "sigmoid"
    """Activation of the gates."""
    unit_forget_bias: bool = True
    """Start the forget gate's bias at 1."""

    def initial(
        self, weight: str, shape: Sequence[int], *, seed: int, dtype: str, fan_in: int | None, context: InitialContext
    ) -> np.ndarray | None:
        value = super().initial(weight, shape, seed=seed, dtype=dtype, fan_in=fan_in, context=context)
        if weight == "bias" and value is not None and self.unit_forget_bias and not isinstance(self.bias, tuple):
            # An array is the whole bias, the forget gate's part included.
            value[self.units : 2 * self.units] = 1
        return value


RecurrentLayer = Annotated[SimpleRnn | Gru | Lstm, Field(discriminator="kind"), BareKind]


class Bidirectional(KerasLayer):
    """A recurrent layer, and another of its form that runs through the sequence from the other end."""

    kind: Literal["bidirectional"]
    layer: RecurrentLayer
    """The recurrent layer."""
    merge_mode: Literal["concat", "sum", "mul", "ave"] = "concat"
    """Way of joining the outputs of the two."""

    def build(self, *, seed: int, dtype: str) -> keras.layers.Layer:
        import keras

        forward = self.layer.build(seed=seed, dtype=dtype)
        other = self.layer.model_copy(update={"go_backwards": not self.layer.go_backwards})
        backward = other.build(seed=integer_seed(seed, "backward"), dtype=dtype)
        both = keras.layers.Bidirectional(forward, merge_mode=self.merge_mode, backward_layer=backward, dtype=dtype)
        # Parameters are called by these names, where Keras's own count the layers of the process.
        both.forward_layer.name, both.backward_layer.name = "forward", "backward"
        return both

    def initial(
        self, weight: str, shape: Sequence[int], *, seed: int, dtype: str, fan_in: int | None, context: InitialContext
    ) -> np.ndarray | None:
        with located_within("layer"):
            return self.layer.initial(weight, shape, seed=seed, dtype=dtype, fan_in=fan_in, context=context)

    def parts(self, path: ConfigPath) -> Iterator[tuple[KerasLayer, ConfigPath]]:
        yield self.layer, (*path, "layer")

    @property
    def is_frozen(self) -> bool:
        return self.layer.is_frozen
