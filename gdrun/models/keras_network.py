"""Networks of Keras layers in sequence, as pure functions of their weights.

Shape letters: B batch, F features, K outputs.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from gdrun.errors import ComponentError, ShapeError

from .initial import Initial
from .keras_initializers import shape_text
from .layers import Layer


class KerasNetwork:
    """Keras layers as `call(parameters, state, x) -> (y, state)`.

    Parameters are named by kind and number, `dense1.kernel`; the state holds moving averages and the seeds of random
    layers, named alike.

    Args:
        layers: in order.
        input_shape: shape of one batch, (None, F) or longer.
        seed: draws initial weights and seeds random layers.
        dtype: "float32" or "float64".
        flat_names: call the parameters of a single layer "kernel" and "bias".
    Raises:
        ShapeError: if a layer cannot take the output of the one before; the message names the layer.
        ComponentError: if Keras refuses a setting.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        input_shape: Sequence[int | None],
        seed: int = 0,
        dtype: str = "float32",
        flat_names: bool = False,
    ) -> None:
        self.dtype = dtype
        self.input_shape = tuple(input_shape)
        self._flat_names = flat_names
        self.convolutional = any(layer.convolves for layer in layers)
        self.parameters: dict[str, np.ndarray] = {}
        self.frozen: set[str] = set()
        self.state: dict[str, np.ndarray] = {}
        self._layers: list[tuple[keras.Layer, list[str], list[str]]] = []
        counts: Counter[str] = Counter()
        shape = tuple(input_shape)
        for position, layer in enumerate(layers):
            counts[layer.kind] += 1
            try:
                shape = self._add(layer, f"{layer.kind}{counts[layer.kind]}", shape, seed * 1000 + position)
            except ComponentError as error:
                if not flat_names:
                    error.within = ("layers", position, *error.within)
                raise
        self.output_shape = shape

    def _add(self, section: Layer, name: str, shape: tuple[int | None, ...], seed: int) -> tuple[int | None, ...]:
        layer = section.build(seed=seed, dtype=self.dtype)
        try:
            layer.build(shape)
            shape = tuple(layer.compute_output_shape(shape))
        except (ValueError, TypeError) as error:
            raise ShapeError(
                f"layer {name} cannot take an input of shape {shape_text(shape)}: {_first_line(error)}",
                hint="flatten and reshape layers change the shape",
            ) from None
        prefix = "" if self._flat_names else f"{name}."
        parameters = [prefix + variable.name for variable in layer.trainable_variables]
        state = [f"{name}.{variable.path.rpartition('/')[2]}" for variable in layer.non_trainable_variables]
        for key, variable in zip(parameters, layer.trainable_variables, strict=True):
            value = np.asarray(variable)
            self.parameters[key] = value
            if section.is_frozen:
                self.frozen.add(key)
        for key, variable in zip(state, layer.non_trainable_variables, strict=True):
            self.state[key] = np.asarray(variable)
        self._layers.append((layer, parameters, state))
        return shape

    def _keeps_averages(self, layer: keras.Layer, parameters: Sequence[str]) -> bool:
        """Return whether a layer normalises by moving averages even while training: a frozen one, as in Keras."""
        frozen = bool(parameters) and self.frozen.issuperset(parameters)
        return frozen and isinstance(layer, keras.layers.BatchNormalization)

    def call(
        self,
        parameters: Mapping[str, tf.Tensor],
        state: Mapping[str, tf.Tensor],
        x: tf.Tensor,
        *,
        training: bool,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return the output and the new state of the layers that keep one.

        Args:
            parameters: by name, as in `parameters`.
            state: by name, as in `state`.
            x: (B, ...) of the shape that the network was built for, or its rows, (B, F).
            training: whether dropout drops and batch normalization normalises by the batch.
        Raises:
            ShapeError: if x has another shape.
        """
        x = self._shaped(x)
        updates: dict[str, tf.Tensor] = {}
        for layer, parameter_names, state_names in self._layers:
            layer_training = training and not self._keeps_averages(layer, parameter_names)
            arguments = {"training": layer_training} if layer._call_has_training_arg else {}
            x, new = layer.stateless_call(
                [parameters[name] for name in parameter_names],
                [state[name] for name in state_names],
                x,
                **arguments,
            )
            updates.update(zip(state_names, new, strict=True))
        return x, updates

    def _shaped(self, x: tf.Tensor) -> tf.Tensor:
        given, expected = tuple(x.shape[1:]), self.input_shape[1:]
        if given == expected:
            return x
        if len(given) != 1 or given[0] != math.prod(expected):  # type: ignore[type-var, arg-type]
            shapes = f"{shape_text(self.input_shape)} was given one of shape {shape_text((None, *given))}"
            raise ShapeError(f"a network for inputs of shape {shapes}")
        return tf.reshape(x, [x.shape[0], *expected])

    def initial(self, prefix: str = "") -> dict[str, Initial]:
        """Return every parameter before training, its name after `prefix`."""
        return {
            prefix + name: Initial(value, trainable=name not in self.frozen) for name, value in self.parameters.items()
        }

    def to_keras(self, parameters: Mapping[str, np.ndarray]) -> keras.Sequential:
        """Return a Keras model of these layers with weights from `parameters`, by name; the state's are among them."""
        model = keras.Sequential([keras.Input(self.input_shape[1:], dtype=self.dtype)])
        for layer, parameter_names, state_names in self._layers:
            model.add(layer)
            named = [*zip(parameter_names, layer.trainable_variables, strict=True)]
            named += [*zip(state_names, layer.non_trainable_variables, strict=True)]
            for name, variable in named:
                if name in parameters:
                    variable.assign(parameters[name])
        return model


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def joined(inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return inputs of shapes (B,) and (B, F_i) side by side, (B, F)."""
    columns = [value[:, None] if value.shape.rank == 1 else value for value in inputs]
    if len(columns) == 1:
        return columns[0]
    flat = [tf.reshape(value, [-1, math.prod(value.shape[1:])]) for value in columns]
    return tf.concat(flat, axis=1)


def call_with(
    arguments: Sequence[Any], network: Callable[[tf.Tensor], tuple[tf.Tensor, Any]], *, dtype: str
) -> tuple[tf.Tensor, Any]:
    """Call a network as formulas do: vectors in, a vector out; numbers in, a number out.

    Args:
        arguments: tensors or host values of shapes (), (B,) and (B, ...), joined to rows; numbers are repeated.
        network: (B, ...) -> ((B, K), anything).
        dtype: of the network.
    Returns:
        The output, (B, K), and what came with it. Where all arguments are vectors and K is 1, (B,); where all are
        numbers, (), or (K,) for K other than 1.
    Raises:
        ShapeError: if the arguments have different lengths, or there is none.
    """
    if not arguments:
        raise ShapeError("a network needs something to work on", hint="call it with inputs: net(x)")
    tensors = [tf.cast(argument, dtype) for argument in arguments]
    rank = max(tensor.shape.rank for tensor in tensors)
    batches = [tensor for tensor in tensors if tensor.shape.rank]
    lengths = sorted({tensor.shape[0] for tensor in batches if tensor.shape[0] is not None})
    if len(lengths) > 1:
        listed = " and ".join(map(str, lengths))
        raise ShapeError(f"the arguments have different numbers of examples: {listed}")
    like = batches[0] if batches else tf.zeros([1], dtype)
    ones = tf.ones_like(tf.reshape(like, [-1, math.prod(like.shape[1:])])[:, 0])
    rows = [tensor if tensor.shape.rank else tensor * ones for tensor in tensors]
    output, more = network(joined(rows))
    if rank < 2 and output.shape.rank == 2 and output.shape[1] == 1:
        output = output[:, 0]
    return (output if rank else output[0]), more
