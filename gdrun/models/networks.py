"""Keras layers, one after the other, as a pure function of their weights."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from gdrun.errors import ComponentError, ConfigPath, ShapeError

LAYERS: Mapping[str, str] = {
    "dense": "Dense",
    "conv1d": "Conv1D",
    "conv2d": "Conv2D",
    "conv2d_transpose": "Conv2DTranspose",
    "max_pooling1d": "MaxPooling1D",
    "max_pooling2d": "MaxPooling2D",
    "average_pooling1d": "AveragePooling1D",
    "average_pooling2d": "AveragePooling2D",
    "global_average_pooling1d": "GlobalAveragePooling1D",
    "global_average_pooling2d": "GlobalAveragePooling2D",
    "global_max_pooling1d": "GlobalMaxPooling1D",
    "global_max_pooling2d": "GlobalMaxPooling2D",
    "up_sampling2d": "UpSampling2D",
    "zero_padding2d": "ZeroPadding2D",
    "simple_rnn": "SimpleRNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "flatten": "Flatten",
    "reshape": "Reshape",
    "activation": "Activation",
    "dropout": "Dropout",
    "gaussian_noise": "GaussianNoise",
    "batch_normalization": "BatchNormalization",
    "layer_normalization": "LayerNormalization",
    "embedding": "Embedding",
    "rescaling": "Rescaling",
}
"""Kinds in a config -> classes in keras.layers."""

CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv2d_transpose"})
_INITIAL = {
    "kernel": "kernel_initializer",
    "recurrent_kernel": "recurrent_initializer",
    "bias": "bias_initializer",
    "embeddings": "embeddings_initializer",
}
_SEEDED = frozenset({"dropout", "gaussian_noise", "simple_rnn", "gru", "lstm"})


_OFFSETS = {"bias": 500, "recurrent_kernel": 250}
"""Added to a layer's seed, so that its weights are drawn apart."""


class KerasNetwork:
    """Keras layers as `call(parameters, state, x) -> (y, state)`.

    Parameters are called by kind and number, `dense1.kernel`; the state holds moving averages and the seeds of random
    layers under the same kind of name.

    Args:
        layers: for each layer its kind (a key of LAYERS) and its settings in Keras's spelling; `kernel`, `bias` and
            `embeddings` may be a number, an array or the name of a Keras initializer; `trainable` may be false.
        input_shape: shape of one batch, (None, F) or longer.
        seed: draws initial weights and seeds random layers.
        dtype: "float32" or "float64".
        flat_names: call the parameters of a single layer "kernel" and "bias".
    Raises:
        ShapeError: if a layer cannot take what the one before gives; the message names the layer.
        ComponentError: if Keras refuses a setting.
    """

    def __init__(
        self,
        layers: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        input_shape: Sequence[int | None],
        seed: int = 0,
        dtype: str = "float32",
        flat_names: bool = False,
    ) -> None:
        self.dtype = dtype
        self.input_shape = tuple(input_shape)
        self._flat_names = flat_names
        self.convolutional = any(kind in CONVOLUTIONS for kind, _ in layers)
        self.parameters: dict[str, np.ndarray] = {}
        self.frozen: set[str] = set()
        self.state: dict[str, np.ndarray] = {}
        self._layers: list[tuple[keras.Layer, list[str], list[str]]] = []
        counts: Counter[str] = Counter()
        shape = tuple(input_shape)
        for position, (kind, settings) in enumerate(layers):
            counts[kind] += 1
            name = f"{kind}{counts[kind]}"
            try:
                shape = self._add(kind, name, dict(settings), shape, seed * 1000 + position)
            except ComponentError as error:
                if not flat_names:
                    error.within = ("layers", position, *error.within)
                raise
        self.output_shape = shape

    def _add(
        self, kind: str, name: str, settings: dict[str, Any], shape: tuple[int | None, ...], seed: int
    ) -> tuple[int | None, ...]:
        trainable = settings.pop("trainable", True)
        given = {key: settings.pop(key) for key in _INITIAL if key in settings}
        for key, value in given.items():
            if key == "bias" and not settings.get("use_bias", True):
                continue
            settings[_INITIAL[key]] = _initializer(value, seed + _OFFSETS.get(key, 0), within=(key,))
        if kind == "lstm" and np.ndim(given.get("bias", 0.0)):
            settings["unit_forget_bias"] = False  # Keras would ask for the bias in parts
        if kind in _SEEDED:
            settings["seed"] = seed
        layer = getattr(keras.layers, LAYERS[kind])(dtype=self.dtype, **settings)
        try:
            layer.build(shape)
            shape = tuple(layer.compute_output_shape(shape))
        except (ValueError, TypeError) as error:
            raise ShapeError(
                f"layer {name} cannot take an input of shape {_shown(shape)}: {_first_line(error)}",
                hint="flatten and reshape layers change the shape",
            ) from None
        prefix = "" if self._flat_names else f"{name}."
        parameters = [prefix + variable.name for variable in layer.trainable_variables]
        state = [f"{name}.{variable.path.rpartition('/')[2]}" for variable in layer.non_trainable_variables]
        for key, variable in zip(parameters, layer.trainable_variables, strict=True):
            value = np.asarray(variable)
            self.parameters[key] = value
            if not trainable:
                self.frozen.add(key)
        for key, variable in zip(state, layer.non_trainable_variables, strict=True):
            self.state[key] = np.asarray(variable)
        self._layers.append((layer, parameters, state))
        return shape

    def _rests(self, layer: keras.Layer, parameters: Sequence[str]) -> bool:
        """Whether a layer normalises by what it has learnt even while training: frozen, as in Keras."""
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
            here = training and not self._rests(layer, parameter_names)
            arguments = {"training": here} if layer._call_has_training_arg else {}
            x, new = layer.stateless_call(
                [parameters[name] for name in parameter_names],
                [state[name] for name in state_names],
                x,
                **arguments,
            )
            updates.update(zip(state_names, new, strict=True))
        return x, updates

    def _shaped(self, x: tf.Tensor) -> tf.Tensor:
        given, wanted = tuple(x.shape[1:]), self.input_shape[1:]
        if given == wanted:
            return x
        if len(given) != 1 or given[0] != math.prod(wanted):  # type: ignore[type-var, arg-type]
            shapes = f"{_shown(self.input_shape)} was given one of shape {_shown((None, *given))}"
            raise ShapeError(f"a network for inputs of shape {shapes}")
        return tf.reshape(x, [x.shape[0], *wanted])

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


class _Given(keras.initializers.Initializer):
    """Initial weights that the config gives."""

    def __init__(self, value: np.ndarray, within: ConfigPath = ()) -> None:
        self.value = value
        self.within = within

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
        if self.value.shape != tuple(shape):
            raise ShapeError(
                f"the values have shape {_shown(self.value.shape)}, but {_shown(shape)} is needed", within=self.within
            )
        return tf.constant(self.value, tf.as_dtype(dtype or "float32"))


def initial_weights(value: Any, shape: Sequence[int], *, seed: int = 0) -> np.ndarray:
    """Return initial weights of a shape, float64.

    Args:
        value: a number that fills it, an array that is it, or the name of a Keras initializer.
        seed: draws, where the initializer does.
    Raises:
        ComponentError: if an array has another shape.
    """
    return np.asarray(_initializer(value, seed)(tuple(shape), dtype="float64"))


def _initializer(value: Any, seed: int, within: ConfigPath = ()) -> Any:
    if isinstance(value, str):
        initializer = keras.initializers.get(value)
        if hasattr(initializer, "seed"):
            return type(initializer)(seed=seed)
        return initializer
    array = np.asarray(value, np.float64)
    return keras.initializers.Constant(float(array)) if array.ndim == 0 else _Given(array, within)


def _shown(shape: Sequence[int | None]) -> str:
    sizes = ["n" if size is None else str(size) for size in shape]
    return "(" + ", ".join(sizes) + ("," if len(sizes) == 1 else "") + ")"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
