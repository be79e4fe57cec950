"""Boxes that stand for Keras's variables while one of its optimizers runs as a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE


class Live:
    """What a slot's `value` is: whatever the slot holds when it is used, not when it was taken.

    Keras's variables on TensorFlow do the same. ScheduleFreeAdamW depends on it: it keeps `momentum.value` as the old
    momentum and updates the momentum before using it, so that on TensorFlow its "old" momentum is the new one.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    @property
    def dtype(self) -> tf.DType:
        return self._slot.tensor.dtype

    @property
    def shape(self) -> tf.TensorShape:
        return self._slot.tensor.shape

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self._slot.tensor, dtype=dtype, name=name)


class Slot(backend.Variable):
    """A box with Keras's variable interface that holds a tensor, eager or symbolic."""

    def _initialize(self, value: tf.Tensor) -> None:
        self._value = tf.convert_to_tensor(value)

    def _initialize_with_initializer(self, initializer: Callable[..., tf.Tensor]) -> None:
        self._value = initializer(self._shape, dtype=self._dtype)

    @property
    def value(self) -> Live:
        return Live(self)

    @property
    def tensor(self) -> tf.Tensor:
        """What is in the box."""
        assert self._value is not None, f"the optimizer reads {self.path}, which is not in its state"
        return self._value

    def put(self, tensor: tf.Tensor | None) -> None:
        """Put a tensor of the slot's shape and dtype into the box, or empty it."""
        self._value = tensor

    def assign(self, value: Any) -> Slot:
        self._value = self._as_own(value)
        return self

    def assign_add(self, value: Any) -> Slot:
        self._value = tf.add(self.tensor, self._as_own(value))
        return self

    def assign_sub(self, value: Any) -> Slot:
        self._value = tf.subtract(self.tensor, self._as_own(value))
        return self

    def _as_own(self, value: Any) -> tf.Tensor:
        """Return the value as a tensor of the slot's dtype; its shape has to be the slot's."""
        value = tf.cast(tf.convert_to_tensor(value), self._dtype)
        assert value.shape.is_compatible_with(self.shape), f"{self.path}: {value.shape} into {self.shape}"
        return value

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.tensor, dtype=dtype, name=name)


def parameter_slot(parameter: tf.Tensor, name: str) -> Slot:
    """Return a slot that stands for a model parameter.

    Args:
        parameter: the tensor it holds, of static shape.
        name: of the parameter; Keras excludes variables from weight decay, and from Muon, by name.
    """
    slot = Slot(parameter, dtype=parameter.dtype.name, name=name.replace("/", "_"))
    slot._path = name
    return slot


@contextmanager
def no_variables() -> Iterator[None]:
    """Inside, `tf.Variable(...)` gives its initial value, a tensor, so that optimizers can be made in any trace."""

    def creator(_: Any, **kwargs: Any) -> tf.Tensor:
        value = kwargs["initial_value"]
        return tf.convert_to_tensor(value() if callable(value) else value, dtype=kwargs.get("dtype"))

    with tf.variable_creator_scope(creator):
        yield


@contextmanager
def floatx_of(parameters: Sequence[tf.Tensor]) -> Iterator[None]:
    """Inside, Keras's default float is the parameters' precision, as it is for who trains in that precision by Keras.

    Muon, for one, makes floats of integers in the default precision and multiplies them with gradients. Keras also
    computes with complex128 in complex64, as JAX does; here it keeps the digits.
    """
    before, narrowed = keras.config.floatx(), BIT64_TO_BIT32_DTYPE["complex128"]
    dtype = parameters[0].dtype.real_dtype if len(parameters) else tf.as_dtype(before)
    keras.config.set_floatx(dtype.name)
    BIT64_TO_BIT32_DTYPE["complex128"] = "complex128"
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        BIT64_TO_BIT32_DTYPE["complex128"] = narrowed
