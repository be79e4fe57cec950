"""Arrays of the initial weights that a config gives, many by Keras's initializers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

from gdrun.errors import ShapeError

from .initial import INITIALIZERS, InitialContext, InitializerSection

_BY_FORMULA = InitialContext()


def initial_weights(
    value: Any,
    shape: Sequence[int],
    *,
    seed: int = 0,
    dtype: str = "float64",
    fan_in: int | None = None,
    context: InitialContext = _BY_FORMULA,
) -> np.ndarray:
    """Return initial weights of a shape.

    Args:
        value: a number that fills it, an array that is it, the name of an initializer, a section of one, or a formula.
        seed: draws, where the initializer does.
        fan_in: number of inputs of a unit, for torch_linear; None: that of the shape, as of a kernel.
        context: of formulas.
    Raises:
        ComponentError: if an array or a formula's value has another shape.
    """
    shape = tuple(shape)
    if value == "torch_linear" and isinstance(value, str):
        if fan_in is None and len(shape) < 2:
            raise ShapeError(f"torch_linear draws a kernel (inputs, outputs), not {shape_text(shape)}")
        limit = 1 / np.sqrt(max(1, int(np.prod(shape[:-1])) if fan_in is None else fan_in))
        return np.asarray(keras.initializers.RandomUniform(-limit, limit, seed=seed)(shape, dtype=dtype))
    if isinstance(value, InitializerSection):
        return np.asarray(value.build(seed)(shape, dtype=dtype))
    if isinstance(value, str) and value in INITIALIZERS:
        initializer = keras.initializers.get(value)
        initializer = type(initializer)(seed=seed) if hasattr(initializer, "seed") else initializer
        return np.asarray(initializer(shape, dtype=dtype))
    array = context.value(value, seed, 0, shape) if isinstance(value, str) else np.asarray(value, np.float64)
    if array.ndim and array.shape != shape:
        raise ShapeError(f"the values have shape {shape_text(array.shape)}, but {shape_text(shape)} is needed")
    if array.dtype.kind == "c":
        raise ShapeError("the values are complex; weights of layers are real")
    return np.broadcast_to(array, shape).astype(dtype)


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape in the form of messages: (n, 3)."""
    sizes = ["n" if size is None else str(size) for size in shape]
    return "(" + ", ".join(sizes) + ("," if len(sizes) == 1 else "") + ")"
