"""Keras initializers of the weights that a config gives, and their arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from gdrun.errors import ConfigPath, ShapeError


class GivenWeights(keras.initializers.Initializer):
    """Keras initializer that returns an array of the config, and refuses another shape."""

    def __init__(self, value: np.ndarray, within: ConfigPath = ()) -> None:
        self.value = value
        self.within = within

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
        if self.value.shape != tuple(shape):
            raise ShapeError(
                f"the values have shape {shape_text(self.value.shape)}, but {shape_text(shape)} is needed",
                within=self.within,
            )
        return tf.constant(self.value, tf.as_dtype(dtype or "float32"))


class TorchLinear(keras.initializers.Initializer):
    """Uniform in +-1 / sqrt(inputs), as PyTorch begins its linear and convolutional layers, kernel and bias alike.

    Source: torch.nn.Linear, kaiming_uniform_ with a = sqrt(5). A bias has the bound of `kernel`, created before it.
    """

    def __init__(self, seed: int, kernel: RememberedShape | None = None) -> None:
        self.seed = seed
        self.kernel = kernel

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
        kernel = shape if self.kernel is None else self.kernel.shape
        if len(kernel) < 2:
            raise ShapeError(f"torch_linear draws a kernel (inputs, outputs), not {shape_text(shape)}")
        bound = 1 / np.sqrt(np.prod(kernel[:-1]))
        return keras.initializers.RandomUniform(-bound, bound, seed=self.seed)(tuple(shape), dtype=dtype)


class RememberedShape(keras.initializers.Initializer):
    """The initializer of a kernel, with the shape that it was asked for."""

    def __init__(self, initializer: Any) -> None:
        self.initializer = initializer
        self.shape: Sequence[int] = ()

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        self.shape = shape
        return self.initializer(shape, dtype=dtype)


def initial_weights(value: Any, shape: Sequence[int], *, seed: int = 0) -> np.ndarray:
    """Return initial weights of a shape, float64.

    Args:
        value: a number that fills it, an array that is it, or the name of a Keras initializer.
        seed: draws, where the initializer does.
    Raises:
        ComponentError: if an array has another shape.
    """
    return np.asarray(keras_initializer(value, seed)(tuple(shape), dtype="float64"))


def keras_initializer(value: Any, seed: int, within: ConfigPath = ()) -> Any:
    """Return Keras's initializer for a number, an array or a name; an array of another shape is refused `within`."""
    if value == "torch_linear":
        return TorchLinear(seed)
    if isinstance(value, str):
        initializer = keras.initializers.get(value)
        if hasattr(initializer, "seed"):
            return type(initializer)(seed=seed)
        return initializer
    array = np.asarray(value, np.float64)
    return keras.initializers.Constant(float(array)) if array.ndim == 0 else GivenWeights(array, within)


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape in the form of messages: (n, 3)."""
    sizes = ["n" if size is None else str(size) for size in shape]
    return "(" + ", ".join(sizes) + ("," if len(sizes) == 1 else "") + ")"
