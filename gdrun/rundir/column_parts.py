"""The real numbers within a recorded column, by the names that plots, tables and trackers give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

_FEW_NUMBERS = 10
"""A parameter of so many numbers, or fewer, has a column for each of them where runs or trials are compared."""


def column_parts(name: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, column) of each real number in a numeric column (rows, ...): "a", "W[0,1]", "c.re", "c.im"."""
    flat = values.reshape(len(values), -1)
    for index, element in enumerate(np.ndindex(values.shape[1:])):
        label = f"{name}[{','.join(map(str, element))}]" if element else name
        if values.dtype.kind == "c":
            yield f"{label}.re", flat[:, index].real
            yield f"{label}.im", flat[:, index].imag
        else:
            yield label, flat[:, index]


def parameter_parts(parameters: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, column) of each number of small parameters, each (n, ...) of n runs: "parameters.W[0,1]"."""
    for name, values in parameters.items():
        if values[:1].size <= _FEW_NUMBERS and values.dtype.kind in "biufc":
            yield from column_parts(f"parameters.{name}", values)
