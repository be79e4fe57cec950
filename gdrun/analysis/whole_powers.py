"""Powers with whole exponents, whose higher derivatives end where they should.

TensorFlow differentiates x**2 to 2*x, 2*x**0, and then 2*0*x**-1, which is nan at 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.formula.tensorflow_functions import is_tensor
from gdrun.formula.tensorflow_ops import TensorFlowOps

_MOST = 64


class DeepOps(TensorFlowOps):
    """TensorFlow's function table for derivatives of any order; the first ones have the same digits."""

    def call(self, function: str, arguments: dict[str, Any]) -> Any:
        if function == "pow" and len(arguments) == 2:
            return self.operate("pow", *arguments.values())
        return super().call(function, arguments)

    def operate(self, function: str, *operands: Any) -> Any:
        if function == "pow":
            base, exponent = operands
            if is_tensor(base) and base.dtype.is_floating and not is_tensor(exponent) and _whole(exponent):
                return whole_power(base, int(np.asarray(exponent)))
        return super().operate(function, *operands)


def whole_power(base: tf.Tensor, exponent: int) -> tf.Tensor:
    """Return base ** exponent; its derivative is exponent * whole_power(base, exponent - 1)."""
    if exponent == 0:
        return tf.ones_like(base)
    if exponent == 1:
        return tf.identity(base)

    @tf.custom_gradient
    def power(x: tf.Tensor) -> Any:
        return tf.pow(x, tf.cast(exponent, x.dtype)), lambda up: up * exponent * whole_power(x, exponent - 1)

    return power(base)


def _whole(exponent: Any) -> bool:
    value = np.asarray(exponent)
    return not value.ndim and value.dtype.kind in "fiu" and float(value) in range(_MOST + 1)
