"""Columns of Parquet files, read by pyarrow: the extra `parquet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from gdrun.errors import DataError
from gdrun.extras import require
from gdrun.text import plural, safe_text

from .columns import TableColumns, check_rows
from .dataset import Dataset
from .files import TableData, open_data, path_text
from .memory import Memory


class ParquetData(TableData):
    """A Parquet file; wants the extra `parquet`."""

    suffixes = (".parquet",)
    kind: Literal["parquet"]

    def read(self, path: Path, *, labels: tuple[str, ...] = (), memory: Memory | None = None) -> Dataset:
        """Return the examples in a file, of which only the columns asked for are read.

        Raises:
            DataError: it is unreadable, a value is missing, or a column holds no numbers.
            ResourceError: pyarrow is not installed.
        """
        pyarrow = require("pyarrow", extra="parquet", what="reading Parquet files")
        from pyarrow import parquet

        name = path_text(path)
        with open_data(path) as (file, digest):
            try:
                source = parquet.ParquetFile(file)
                names = source.schema_arrow.names
                rows = check_rows(self.rows, name, source.metadata.num_rows)
                columns = TableColumns(name, len(names), names)
                chosen = columns.choose(self.inputs, self.target, self.example_weights)
                positions = chosen.positions()
                table = source.read(columns=[names[k] for k in positions])
                table = table.slice(rows.start, rows.stop - rows.start)
            except (pyarrow.ArrowException, OSError) as error:
                raise DataError(f"{name} cannot be read as Parquet: {safe_text(error, limit=200)}") from None
        read = dict(zip(positions, table.columns, strict=True))

        def numbers(position: int) -> np.ndarray:
            return _numbers(read[position], columns.called(position), rows.start, name)

        def texts(position: int) -> list[str] | None:
            return _texts(pyarrow, read[position], columns.called(position), rows.start, name)

        return chosen.dataset(numbers, texts, labels=labels, files={str(path): digest})


def _numbers(column: Any, called: str, first: int, where: str) -> np.ndarray:
    """Return a column as float64 (N,)."""
    _refuse_missing(column, called, first, where)
    try:
        values = column.to_numpy()
    except (ValueError, NotImplementedError):
        values = np.array([], object)
    if values.dtype.kind not in "biuf":
        raise DataError(f"{where}: {called} holds {column.type}, not numbers")
    return values.astype(np.float64)


def _texts(pyarrow: Any, column: Any, called: str, first: int, where: str) -> list[str] | None:
    """Return a column of text, plain or by a dictionary; None where it holds something else."""
    kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        return None
    _refuse_missing(column, called, first, where)
    return [str(text) for text in column.to_pylist()]


def _refuse_missing(column: Any, called: str, first: int, where: str) -> None:
    if column.null_count:
        row = first + int(np.argmax(np.asarray(column.is_null().to_numpy())))
        missing = plural(column.null_count, "value is", "values are")
        raise DataError(f"{where}: {missing} missing in {called}, the first in row {row} (from 0)")
