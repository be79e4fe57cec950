"""Special functions in float64 numpy, without SciPy."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

Array = Any

erf = np.vectorize(math.erf, otypes=[np.float64])
erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _erfinv_at(value: float) -> float:
    if not -1 < value < 1:
        return math.copysign(math.inf, value) if abs(value) == 1 else math.nan
    x = NormalDist().inv_cdf((1 + value) / 2) / math.sqrt(2)
    # (1 + value) / 2 has lost digits near 0; one Newton step brings them back.
    return x - (math.erf(x) - value) * math.sqrt(math.pi) / 2 * math.exp(x * x)


erfinv = np.vectorize(_erfinv_at, otypes=[np.float64])

# B_{2k} / 2k for k = 1, 2, ...: the asymptotic series of digamma.
_DIGAMMA_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 5 / 660, -691 / 32760, 1 / 12, -3617 / 8160)


def _lgamma_at(value: float) -> float:
    if math.isnan(value):
        return math.nan
    if math.isinf(value) or (value <= 0 and value == math.floor(value)):
        return math.inf
    return math.lgamma(value) if abs(value) < 1e305 else math.inf


lgamma = np.vectorize(_lgamma_at, otypes=[np.float64])


def digamma(x: Array) -> Array:
    """The derivative of lgamma, float64 of any shape; nan at 0, -1, -2, ...

    Reflection to the right half, recurrence up to 8, then the asymptotic series: about 1e-15 relative to max(1, |psi|)
    (Abramowitz and Stegun 6.3.5, 6.3.7, 6.3.18).
    """
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        pole = (x <= 0) & (x == np.floor(x))
        left = x < 0.5
        z = np.where(left, 1 - x, x)
        shift = np.zeros_like(z)
        for _ in range(8):
            low = z < 8
            shift = np.where(low, shift - 1 / z, shift)
            z = np.where(low, z + 1, z)
        inverse_square = 1 / (z * z)
        series = np.zeros_like(z)
        for coefficient in reversed(_DIGAMMA_SERIES):
            series = inverse_square * (coefficient + series)
        value = shift + np.log(z) - 0.5 / z - series
        reflected = value - np.pi / np.tan(np.pi * np.where(pole, 0.25, x))
        return np.where(pole, np.nan, np.where(left, reflected, value))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    return np.logaddexp(x, 0.0)


def gelu(x: Array, approximate: bool) -> Array:
    """x * Phi(x), or its tanh approximation (Hendrycks and Gimpel 2016)."""
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * erfc(-x / math.sqrt(2))


def logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) without overflow."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis) if axis is not None else total.reshape(())


SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
