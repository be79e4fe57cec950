"""Examples written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gdrun.errors import DataError

from .dataset import Dataset, dataset


def values_data(inputs: Mapping[str, Any], target: Any = None) -> Dataset:
    """Return inline values as a data set, float64.

    Args:
        inputs: by name, numbers nested to a rectangle; the leading axis counts the examples.
        target: the same, or None.
    Raises:
        DataError: if the rows of an array differ in length, or a check of `dataset` fails.
    """
    arrays = {name: _array(value, f"inputs.{name}") for name, value in inputs.items()}
    return dataset(arrays, None if target is None else _array(target, "target"))


def _array(value: Any, where: str) -> np.ndarray:
    try:
        return np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        reason = "a number is too large" if isinstance(error, OverflowError) else "its rows have different lengths"
        raise DataError(f"{where} is not a rectangle of numbers: {reason}", within=tuple(where.split("."))) from None
