"""Networks of Keras layers as pure functions of their weights.

Shape letters: B batch, F features, K outputs.
"""

from __future__ import annotations

import inspect
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from gdrun.errors import ComponentError, ShapeError
from gdrun.random_streams import integer_seed

from .initial import Initial, InitialContext
from .keras_initializers import shape_text
from .layers import Layer
from .layers.base import layer_names, layer_sources


@dataclass(frozen=True)
class _PlacedLayer:
    """A layer in its network.

    Args:
        sources: positions of its inputs among the values of a call: 0 is the network's input, k layer k's output.
        parameters, state: names of its weights and of its further variables.
        takes: the arguments of its call.
    """

    section: Layer
    layer: keras.Layer
    sources: tuple[int, ...]
    parameters: list[str]
    state: list[str]
    takes: frozenset[str]


class KerasNetwork:
    """Keras layers as `call(parameters, state, x) -> (y, state)`.

    Parameters are named by the layer's name, or kind and number, `dense1.kernel`; the state holds moving averages and
    the seeds of random layers, named alike.

    Args:
        layers: in order, each after those that it takes the outputs of.
        input_shape: shape of one batch, (None, F) or longer.
        seed: draws initial weights and seeds random layers.
        dtype: "float32" or "float64".
        flat_names: call the parameters of a single layer "kernel" and "bias".
        context: of initial weights by formula.
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
        context: InitialContext | None = None,
    ) -> None:
        self.dtype = dtype
        self.input_shape = tuple(input_shape)
        self._flat_names = flat_names
        self._context = context or InitialContext()
        self.convolutional = any(layer.convolves for layer in layers)
        self.parameters: dict[str, np.ndarray] = {}
        self.frozen: set[str] = set()
        self.state: dict[str, np.ndarray] = {}
        self._layers: list[_PlacedLayer] = []
        shapes = [self.input_shape]
        names = layer_names(layers)
        for position, (layer, sources) in enumerate(zip(layers, layer_sources(layers), strict=True)):
            try:
                shape = self._add(layer, names[position], sources, [shapes[k] for k in sources], seed * 1000 + position)
            except ComponentError as error:
                if not flat_names:
                    error.within = ("layers", position, *error.within)
                raise
            shapes.append(shape)
        self.output_shape = shapes[-1]

    def _add(
        self, section: Layer, name: str, sources: tuple[int, ...], shapes: list[tuple[int | None, ...]], seed: int
    ) -> tuple[int | None, ...]:
        layer = section.build(seed=seed, dtype=self.dtype)
        try:
            layer.build(*section.arguments(shapes))
            shape = tuple(layer.compute_output_shape(*section.arguments(shapes)))
        except (ValueError, TypeError) as error:
            inputs = f"an input of shape {shape_text(shapes[0])}"
            if len(shapes) > 1:
                inputs = f"inputs of shapes {' and '.join(map(shape_text, shapes))}"
            raise ShapeError(
                f"layer {name} cannot take {inputs}: {_first_line(error)}",
                hint="flatten and reshape layers change the shape",
            ) from None
        prefix = "" if self._flat_names else f"{name}."
        parameters = [prefix + key for key in _variable_names(layer.trainable_variables)]
        state = [f"{name}.{key}" for key in _variable_names(layer.non_trainable_variables)]
        num_uses: Counter[str] = Counter()
        fan_in = None
        for key, variable in zip(parameters, layer.trainable_variables, strict=True):
            weight, size = variable.name, tuple(variable.shape)
            fan_in = fan_in if weight == "bias" else math.prod(size[:-1])
            # Weights of one name, such as the kernels of attention, are drawn independently too.
            own_seed = seed if not num_uses[weight] else integer_seed(seed, "initial", num_uses[weight])
            num_uses[weight] += 1
            value = section.initial(weight, size, seed=own_seed, dtype=self.dtype, fan_in=fan_in, context=self._context)
            self.parameters[key] = np.asarray(variable) if value is None else value
            if section.is_frozen:
                self.frozen.add(key)
        for key, variable in zip(state, layer.non_trainable_variables, strict=True):
            self.state[key] = np.asarray(variable)
        takes = frozenset(inspect.signature(layer.call).parameters)
        self._layers.append(_PlacedLayer(section, layer, sources, parameters, state, takes))
        return shape

    def _keeps_averages(self, placed: _PlacedLayer) -> bool:
        """Return whether a layer normalises by moving averages even while training: a frozen one, as in Keras."""
        frozen = bool(placed.parameters) and self.frozen.issuperset(placed.parameters)
        return frozen and isinstance(placed.layer, keras.layers.BatchNormalization)

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
        values, masks = [self._shaped(x)], [None]  # type: ignore[var-annotated]
        updates: dict[str, tf.Tensor] = {}
        for placed in self._layers:
            layer, inputs = placed.layer, [values[k] for k in placed.sources]
            # stateless_call leaves out what Keras does with masks around a call.
            given = [masks[k] for k in placed.sources]
            options = placed.section.call_settings() | placed.section.mask_arguments(inputs, given)
            if "mask" in placed.takes:
                options["mask"] = given[0]
            if "training" in placed.takes:
                options["training"] = training and not self._keeps_averages(placed)
            y, new = layer.stateless_call(
                [parameters[name] for name in placed.parameters],
                [state[name] for name in placed.state],
                *placed.section.arguments(inputs),
                **options,
            )
            (first, *_), (mask, *_) = placed.section.arguments(inputs), placed.section.arguments(given)
            values.append(y)
            masks.append(layer.compute_mask(first, mask) if layer.supports_masking else None)
            updates.update(zip(placed.state, new, strict=True))
        return values[-1], updates

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

    def to_keras(self, parameters: Mapping[str, np.ndarray]) -> keras.Model:
        """Return a Keras model of these layers with weights from `parameters`, by name; the state's are among them."""
        values = [keras.Input(self.input_shape[1:], dtype=self.dtype)]
        for placed in self._layers:
            inputs = [values[k] for k in placed.sources]
            values.append(placed.layer(*placed.section.arguments(inputs), **placed.section.call_settings()))
            named = [*zip(placed.parameters, placed.layer.trainable_variables, strict=True)]
            named += [*zip(placed.state, placed.layer.non_trainable_variables, strict=True)]
            for name, variable in named:
                if name in parameters:
                    variable.assign(parameters[name])
        return keras.Model(values[0], values[-1])


def _variable_names(variables: Sequence[keras.Variable]) -> list[str]:
    """Return a name for each variable of a layer: its own; of several alike, with that of its part of the layer."""
    counts = Counter(variable.name for variable in variables)
    seen: Counter[str] = Counter()
    names = []
    for variable in variables:
        _, *parts, _ = variable.path.split("/")
        seen[variable.name] += 1
        alike = f"{parts[0]}.{variable.name}" if parts else f"{variable.name}{seen[variable.name]}"
        names.append(variable.name if counts[variable.name] == 1 else alike)
    return names


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
