"""A point at which targets can be differentiated, whatever they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.derivatives import Evaluate

from .nonfinite import WatchingOps

SUM = "sum of targets"
"""What the sum of several targets is called; no formula reads so."""


@dataclass(frozen=True)
class Point:
    """Where targets are differentiated."""

    at: Mapping[str, np.ndarray]
    """Values by name."""
    constants: Mapping[str, str]
    """Names that are not differentiated by, and why."""
    names: tuple[str, ...]
    """What to report derivatives by; constants are reported too."""
    evaluate: Evaluate
    watching: Callable[[], tuple[Evaluate, WatchingOps]]
    """Returns the same evaluation with a table that remembers its operations."""
    explain: Callable[[str, str], str]
    """(target, name) -> why there is no derivative."""


def total(values: Sequence[Any], dtype: tf.DType) -> tf.Tensor:
    """Return the sum of all elements of all values: what a tape differentiates when it is given a list."""
    parts = []
    for value in values:
        tensor = tf.convert_to_tensor(value)
        parts.append(tf.reduce_sum(tf.cast(tf.math.real(tensor) if tensor.dtype.is_complex else tensor, dtype)))
    return tf.add_n(parts)
