"""Transforms that keep a parameter in its domain: the optimizer moves the raw value, all else uses this one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gdrun.errors import ComponentError


class Transform(NamedTuple):
    """A monotone map from the real line onto a domain."""

    domain: str
    """The range in words."""
    inverse: Callable[[np.ndarray], np.ndarray]
    """float64 value in the domain -> raw value."""


def _inverse_softplus(value: np.ndarray) -> np.ndarray:
    # log(exp(v) - 1), written so that large values do not overflow and small ones keep their digits.
    return value + np.log(-np.expm1(-value))


TRANSFORMS: dict[str, Transform] = {
    "exp": Transform("above 0", np.log),
    "softplus": Transform("above 0", _inverse_softplus),
    "sigmoid": Transform("between 0 and 1", lambda value: np.log(value) - np.log1p(-value)),
}


def raw_value(value: np.ndarray, transform: str | None) -> np.ndarray:
    """Return the raw value that `transform` maps to `value`.

    Args:
        value: float64, any shape.
        transform: a key of TRANSFORMS, or None for the identity.
    Raises:
        ComponentError: if an entry lies outside the transform's domain.
    """
    if transform is None:
        return value
    upper = 1.0 if transform == "sigmoid" else math.inf
    outside = value[~((value > 0) & (value < upper))] if value.ndim else value[None][~((value > 0) & (value < upper))]
    if outside.size:
        raise ComponentError(
            f"{outside.flat[0]} is outside the range of {transform}, which is {TRANSFORMS[transform].domain}",
            hint="give a value in that range, or the value before the transform as raw",
        )
    return TRANSFORMS[transform].inverse(value)


def transformed(raw: Any, transform: str | None) -> Any:
    """Return the value of a raw parameter tensor in the transform's domain."""
    if transform is None:
        return raw
    import tensorflow as tf

    return {"exp": tf.exp, "softplus": tf.nn.softplus, "sigmoid": tf.sigmoid}[transform](raw)
