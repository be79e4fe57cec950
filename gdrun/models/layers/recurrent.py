"""Recurrent layers."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from gdrun.config.section import Number, PositiveInteger
from gdrun.models.initial import InitialWeights

from .base import Activation, WeightedLayer


class Recurrent(WeightedLayer):
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

    def keras_settings(self) -> dict[str, Any]:
        settings = super().keras_settings()
        if np.ndim(self.bias):
            # An array is the whole bias, the forget gate's part included; Keras would ask for it in parts.
            settings["unit_forget_bias"] = False
        return settings
