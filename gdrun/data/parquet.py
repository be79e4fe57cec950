"""Columns of Parquet files, read by pyarrow: the extra `parquet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gdrun.errors import DataError
from gdrun.extras import require
from gdrun.text import plural, safe_text

from .columns import Column, Columns, beyond_rows, expanded, find_column, listed, named_within, row_range
from .dataset import Dataset, dataset
from .files import TableData, open_data, path_text
from .labels import encode_labels
from .memory import Memory


class ParquetData(TableData):
    """A Parquet file; wants the extra `parquet`."""

    suffixes = (".parquet",)
    kind: Literal["parquet"]

    def read(self, path: Path, *, labels: tuple[str, ...] = (), memory: Memory | None = None) -> Dataset:
        return parquet_data(
            path,
            inputs=self.inputs,
            target=self.target,
            rows=self.rows,
            labels=labels,
            weights=self.example_weights,
        )


def parquet_data(
    path: str | Path,
    *,
    inputs: Sequence[Column] | Mapping[str, Columns],
    target: Columns | None = None,
    rows: str | None = None,
    labels: tuple[str, ...] = (),
    weights: Column | None = None,
) -> Dataset:
    """Read columns of a Parquet file; only these are read.

    Args:
        path: the file.
        inputs: a sequence: each column is an input of its own name, (N,); a mapping: input name -> a column, (N,), or
            several, (N, k).
        target: a column, (N,), or several, (N, k). A single column of text holds labels: they become 0, 1, ... in
            sorted order.
        rows: half-open range of rows, "0:1500", "100:", ":20".
        labels: the target's classes, where they are known already (those of the training data).
        weights: the column of the examples' weights.
    Returns:
        the data set, float64, with the file's hash.
    Raises:
        DataError: for an unreadable file, an unknown column, a missing value, a column that holds no numbers.
        ResourceError: pyarrow is not installed.
    """
    pyarrow = require("pyarrow", extra="parquet", what="reading Parquet files")
    from pyarrow import parquet

    name = path_text(path)
    with open_data(path) as (file, digest):
        try:
            source = parquet.ParquetFile(file)
            names = source.schema_arrow.names
            first, stop = row_range(rows)
            num_rows = source.metadata.num_rows
            if num_rows < (stop or 0) or num_rows <= first:
                raise beyond_rows(rows, name, num_rows) if rows else DataError(f"{name} has no data rows")

            def position(column: Column) -> int:
                return find_column(column, names, len(names), name)

            if isinstance(inputs, Mapping):
                inputs = {key: expanded(columns, names, len(names)) for key, columns in inputs.items()}
            else:
                inputs = listed(expanded(inputs, names, len(names)))
            target = None if target is None else expanded(target, names, len(names))
            named_within(position, inputs, target, weights)
            if not isinstance(inputs, Mapping):
                inputs = _by_own_name([names[position(column)] for column in inputs], name)
            groups = [*inputs.values(), *([] if target is None else [target]), *([] if weights is None else [weights])]
            positions = sorted({position(column) for columns in groups for column in listed(columns)})
            table = source.read(columns=[names[k] for k in positions])
            table = table.slice(first, None if stop is None else stop - first)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{name} cannot be read as Parquet: {safe_text(error, limit=200)}") from None
    read = dict(zip(positions, table.columns, strict=True))

    def array(columns: Columns) -> np.ndarray:
        parts = [_numbers(read[position(column)], names[position(column)], first, name) for column in listed(columns)]
        return parts[0] if isinstance(columns, (str, int)) else np.stack(parts, axis=1)

    arrays = {key: array(columns) for key, columns in inputs.items()}
    files = {str(path): digest}
    counts = None if weights is None else array(weights)
    if isinstance(target, (str, int)):
        texts = _texts(pyarrow, read[position(target)], names[position(target)], first, name)
        if texts is not None:
            values, labels = encode_labels(texts, labels)
            return dataset(arrays, values, labels=labels, files=files, weights=counts)
    return dataset(arrays, None if target is None else array(target), files=files, weights=counts)


def _by_own_name(names: list[str], where: str) -> dict[str, Columns]:
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{where}: column '{safe_text(name, limit=60)}' is listed twice")
    return {name: name for name in names}


def _numbers(column: Any, name: str, first: int, where: str) -> np.ndarray:
    """Return a column as float64 (N,)."""
    _refuse_missing(column, name, first, where)
    try:
        values = column.to_numpy()
    except (ValueError, NotImplementedError):
        values = np.array([], object)
    if values.dtype.kind not in "biuf":
        raise DataError(f"{where}: column '{safe_text(name, limit=60)}' holds {column.type}, not numbers")
    return values.astype(np.float64)


def _texts(pyarrow: Any, column: Any, name: str, first: int, where: str) -> list[str] | None:
    """Return a column of text, plain or by a dictionary; None where it holds something else."""
    kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        return None
    _refuse_missing(column, name, first, where)
    return [str(text) for text in column.to_pylist()]


def _refuse_missing(column: Any, name: str, first: int, where: str) -> None:
    if column.null_count:
        row = first + int(np.argmax(np.asarray(column.is_null().to_numpy())))
        missing = plural(column.null_count, "value is", "values are")
        raise DataError(
            f"{where}: {missing} missing in column '{safe_text(name, limit=60)}', the first in row {row} (from 0)"
        )
