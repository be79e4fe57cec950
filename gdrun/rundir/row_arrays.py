"""Large arrays of rows, in a binary file beside metrics.jsonl.

The file holds arrays in NumPy's .npy form one after the other, as repeated `numpy.save` into one file leaves them. In a
row, {"npy": 640, "end": 2240} stands for the array in these bytes. The arrays of a row are written before the row, so
that after a kill the file may have more than the rows speak of, which the next writer cuts off, and never less.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

MOST_NUMBERS = 500
"""Arrays of more numbers are written here: as text, 40,000 numbers took 6 s to write and read a row."""

_REFERENCE = re.compile(rb'\{"npy":\d+,"end":(\d+)\}')


def is_large(value: Any) -> bool:
    """Return whether a value of a row is written here."""
    return isinstance(value, np.ndarray) and value.size > MOST_NUMBERS and value.dtype.kind in "biufc"


def split_columns(
    columns: Mapping[str, Any], present: Mapping[str, np.ndarray], offset: int
) -> tuple[dict[str, Any], bytes]:
    """Return columns with references in place of large arrays, and the bytes of these arrays for a file of `offset`.

    `present` says which rows have a value, as for `encode_columns`; in the others there is no reference.
    """
    large = [name for name, values in columns.items() if len(values) and is_large(values[0])]
    if not large:
        return dict(columns), b""
    file, split = io.BytesIO(), {**columns, **{name: [] for name in large}}
    for index in range(len(columns[large[0]])):
        for name in large:
            there = name not in present or present[name][index]
            split[name].append(_append(file, columns[name][index], offset) if there else None)
    return split, file.getvalue()


def _append(file: io.BytesIO, array: np.ndarray, offset: int) -> dict[str, int]:
    begin = offset + file.tell()
    np.save(file, array, allow_pickle=False)
    return {"npy": begin, "end": offset + file.tell()}


def has_references(data: bytes) -> bool:
    """Return whether rows in the bytes of a metrics.jsonl speak of large arrays."""
    return b'{"npy":' in data


def fill_in(row: dict[str, Any], arrays: bytes) -> bool:
    """Put the arrays that `row` refers to into it; return False where one of them is not there."""
    for name, value in row.items():
        if type(value) is dict and value.keys() == {"npy", "end"}:
            try:
                row[name] = np.load(io.BytesIO(arrays[value["npy"] : value["end"]]), allow_pickle=False)
            except (ValueError, EOFError, TypeError):
                return False
    return True


def end_of_arrays(lines: Iterable[bytes]) -> int:
    """Return how many bytes of the file of arrays the lines of a metrics.jsonl speak of."""
    return max((int(end) for line in lines for end in _REFERENCE.findall(line)), default=0)
