"""A setting of a Keras optimizer that is a tensor and yet passes for the Python float that Keras expects.

Keras keeps momentum, beta_2, epsilon and the like as Python floats: it asks `if momentum > 0`, computes `1 - beta_2` in
float64 and converts the result to the parameters' dtype. A tensor in their place fails at the `if`, or loses digits
(1 - beta_2 after beta_2 was rounded to float32). `Hyperparameter` does what a float does, with a value that differs
from lane to lane.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class Hyperparameter(float):
    """A float64 scalar tensor that behaves as a Python float inside Keras.

    - Arithmetic with Python numbers and other hyperparameters stays in float64; with a tensor, the value is first cast
      to the tensor's dtype. That is where a Python float is rounded, too.
    - Comparisons answer as any setting that is switched on: greater than the number it is compared with, and true.
      Whoever makes one has decided that the setting is on in every lane; a Keras `if` cannot differ between lanes.
    - Converted to a tensor without a dtype in mind it becomes float32, as TensorFlow does with a Python float.

    It subclasses float since Keras and TensorFlow treat numbers by `isinstance(x, float)`. The float that it is
    underneath is NaN: code that looks past the tensor (eager TensorFlow's fast path does, so use it in a traced
    function only) gives NaN and not a wrong number.

    Args:
        tensor: scalar tensor, any real dtype; kept as float64.
    """

    tensor: tf.Tensor

    def __new__(cls, tensor: tf.Tensor) -> Hyperparameter:
        self = super().__new__(cls, float("nan"))
        self.tensor = tf.cast(tensor, tf.float64)
        return self

    # Keras promotes dtypes by `getattr(x, "dtype", type(x))`: `float` says "a Python number, adapt to the tensor".
    dtype = float

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.cast(self.tensor, dtype or tf.float32, name=name)

    def __repr__(self) -> str:
        return f"Hyperparameter({self.tensor!r})"

    def __bool__(self) -> bool:
        return True

    def __hash__(self) -> int:
        return id(self)

    def _is_on(self, other: object) -> bool:
        return True

    def _is_off(self, other: object) -> bool:
        return False

    __gt__ = __ge__ = __ne__ = _is_on
    __lt__ = __le__ = __eq__ = _is_off

    def __neg__(self) -> Hyperparameter:
        return Hyperparameter(-self.tensor)

    def __pos__(self) -> Hyperparameter:
        return self

    def __abs__(self) -> Hyperparameter:
        return Hyperparameter(tf.abs(self.tensor))


def _combine(operation: Callable[[Any, Any], tf.Tensor], left: Any, right: Any) -> Any:
    """Apply a binary operation as Python would to a float and whatever the other side is."""
    other = right if isinstance(left, Hyperparameter) else left
    if isinstance(other, (int, float)):
        return Hyperparameter(operation(_float64(left), _float64(right)))
    if not tf.is_tensor(other):
        return NotImplemented
    dtype = tf.as_dtype(other.dtype)
    return operation(_cast(left, dtype), _cast(right, dtype))


def _add_operator(name: str, operation: Callable[[Any, Any], tf.Tensor]) -> None:
    """Give Hyperparameter an arithmetic operator, from the left and from the right."""
    setattr(Hyperparameter, f"__{name}__", lambda self, other: _combine(operation, self, other))
    setattr(Hyperparameter, f"__r{name}__", lambda self, other: _combine(operation, other, self))


for _name, _operation in (
    ("add", tf.add), ("sub", tf.subtract), ("mul", tf.multiply), ("truediv", tf.divide), ("pow", tf.pow),
):  # fmt: skip
    _add_operator(_name, _operation)


def _float64(number: float) -> tf.Tensor:
    """Return the number's tensor in float64."""
    return number.tensor if isinstance(number, Hyperparameter) else tf.constant(number, tf.float64)


def _cast(value: Any, dtype: tf.DType) -> Any:
    """Return a hyperparameter as a tensor of the dtype, and anything else as it is."""
    return tf.cast(value.tensor, dtype) if isinstance(value, Hyperparameter) else value
