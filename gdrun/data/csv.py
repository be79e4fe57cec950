"""Files of separated values."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, TextIO

import numpy as np
from pydantic import Field

from gdrun.config.scalars import reads_as_number
from gdrun.config.section import Count
from gdrun.errors import DataError
from gdrun.text import plural, safe_text

from .columns import ChosenColumns, Column, TableColumns, check_rows, row_range
from .dataset import Dataset
from .files import TableData, open_data, path_text
from .memory import Growing, Memory, is_mapped

_BLOCK_ROWS = 4096
"""Rows that are held as text at one time: a cell as text takes ten times the memory of a number."""


class SeparatedData(TableData):
    """A text file of separated values."""

    memory: Memory = "auto"
    """all: keep the numbers in memory; mapped: keep them in a temporary file and read them a window of batches at a
    time, which changes no result; auto: mapped where they would fill a third of the memory that is free."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """One character; a tab is "\\t"."""
    header: bool = True
    """True where the first row names the columns."""
    skip: Count = 0
    """Lines to pass over before the header."""

    def read(self, path: Path, *, labels: tuple[str, ...] = (), memory: Memory | None = None) -> Dataset:
        """Return the examples in a file: UTF-8 with or without a byte order mark, cells quoted or not.

        Blank lines do not count. Labels are kept in memory in any case.
        """
        name, memory = path_text(path), memory or self.memory
        with open_data(path) as (file, digest):
            try:
                mapped = memory != "all" and is_mapped(memory, _guessed_bytes(file, self.separator))
                table = _Table(name, file, self.separator, self.header, self.skip, mapped)
                chosen = table.choose(self.inputs, self.target, self.example_weights)
                readers = table.read(chosen, self.rows, labelled=bool(labels))
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{name} is not UTF-8 text: byte 0x{error.object[error.start]:02x} cannot be read",
                    hint="save it as UTF-8",
                ) from None
            except csv.Error as error:
                raise DataError(f"{name} cannot be read as separated values: {error}") from None

        def texts(position: int) -> list[str] | None:
            reader = readers[position]
            return reader.texts if isinstance(reader, _Labels) else None

        return chosen.dataset(
            lambda position: readers[position].values(), texts, labels=labels, files={str(path): digest}, mapped=mapped
        )


class CsvData(SeparatedData):
    """A file of values separated by commas, or by another character."""

    suffixes = (".csv", ".tsv")
    kind: Literal["csv"]


class TsvData(SeparatedData):
    """A file of values separated by tabs."""

    suffixes = (".tsv", ".csv")
    kind: Literal["tsv"]
    separator: Annotated[str, Field(min_length=1, max_length=1)] = "\t"
    """One character."""


def _guessed_bytes(file: BinaryIO, separator: str) -> int:
    """About how much memory the numbers of a file would take, by its beginning."""
    beginning = file.read(1 << 20)
    num_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    num_cells = beginning.count(separator.encode()) + beginning.count(b"\n")
    return 8 * num_cells * num_bytes // max(1, len(beginning))


class _Numbers:
    """A column that is read as numbers."""

    def __init__(self, table: _Table, position: int) -> None:
        self._table = table
        self._position = position
        self._parts: list[np.ndarray] = []
        self._on_disk = Growing() if table.mapped else None

    def add(self, lines: list[int], cells: list[str]) -> None:
        try:
            values = np.array([float(cell) for cell in cells])
            # Python reads 1_000 as a number; in a file it is more likely a slip.
            good = bool(np.isfinite(values).all()) and "_" not in "".join(cells)
        except ValueError:
            good = False
        if not good:
            line, cell = next((line, cell) for line, cell in zip(lines, cells, strict=True) if not _is_finite(cell))
            problem = f"is '{safe_text(cell.strip(), limit=40)}', not a finite number" if cell.strip() else "is empty"
            raise self._table.cell_error(line, self._position, problem)
        if self._on_disk is not None:
            self._on_disk.add(values)
        else:
            self._parts.append(values)

    def values(self) -> np.ndarray:
        """float64 (N,)."""
        return np.concatenate(self._parts) if self._on_disk is None else self._on_disk.array()


class _Labels:
    """A column that is read as text."""

    def __init__(self, table: _Table, position: int, *, numbers_allowed: bool) -> None:
        self._table = table
        self._position = position
        self._numbers_allowed = numbers_allowed
        self.texts: list[str] = []

    def add(self, lines: list[int], cells: list[str]) -> None:
        for line, cell in zip(lines, cells, strict=True):
            label = cell.strip()
            if not label:
                raise self._table.cell_error(line, self._position, "is empty")
            if not self._numbers_allowed and _is_number(label):
                first = safe_text(self.texts[0], limit=40)
                raise self._table.cell_error(
                    line, self._position, f"is the number {label}, but the column began with the text '{first}'"
                )
            # One object for equal labels: a text takes seven times the memory of a number.
            self.texts.append(sys.intern(label))

    def values(self) -> np.ndarray:
        raise self._table.column_error(self._position, "holds text; only a target may be text")


class _Table(TableColumns):
    """The header and the rows of a file; finds columns and says where a cell is wrong."""

    def __init__(self, file_name: str, file: BinaryIO, separator: str, header: bool, skip: int, mapped: bool) -> None:
        self.mapped = mapped
        # newline="": the csv module finds the ends of lines itself, those within quotes too.
        self._rows = _numbered_rows(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), separator, skip)
        first = next(self._rows, None)
        if first is None:
            raise DataError(f"{file_name} is empty" if not skip else f"{file_name} has nothing after line {skip}")
        self._first = [] if header else [first]
        super().__init__(file_name, len(first[1]), [cell.strip() for cell in first[1]] if header else None)

    def position(self, column: Column) -> int:
        if self.names is None and isinstance(column, str):
            raise DataError(
                f"{self.where} is read without a header, so no column is called '{safe_text(column, limit=60)}'",
                hint=f"give positions, 0 to {self.width - 1}, or header: true",
            )
        return super().position(column)

    def read(self, chosen: ChosenColumns, rows: str | None, *, labelled: bool) -> dict[int, _Numbers | _Labels]:
        """Read the columns, by position. A single target is text if its first cell is, or if `labelled`."""
        positions = chosen.positions()
        first_row, stop_row = row_range(rows)
        readers: dict[int, _Numbers | _Labels] = {}
        remaining = self._data_rows()
        skipped = sum(1 for _ in islice(remaining, first_row))
        num_rows = skipped
        limited = islice(remaining, None if stop_row is None else stop_row - first_row)
        while block := list(islice(limited, _BLOCK_ROWS)):
            num_rows += len(block)
            lines = [line for line, _ in block]
            for position in positions:
                cells = [row[position] for _, row in block]
                if position not in readers:
                    as_text = position == chosen.target and (
                        labelled or (cells[0].strip() and not _is_number(cells[0]))
                    )
                    readers[position] = (
                        _Labels(self, position, numbers_allowed=labelled) if as_text else _Numbers(self, position)
                    )
                readers[position].add(lines, cells)
        check_rows(rows, self.where, num_rows)
        return readers

    def _data_rows(self) -> Iterator[tuple[int, list[str]]]:
        yield from self._first
        for line, row in self._rows:
            if len(row) != self.width:
                first = "first row" if self.names is None else "header"
                raise DataError(
                    f"{self.where}:{line} has {plural(len(row), 'cell')}, the {first} has {self.width}",
                    hint="check the separator" if 1 in (len(row), self.width) else None,
                )
            yield line, row

    def cell_error(self, line: int, position: int, what: str) -> DataError:
        """Return the error about a cell."""
        return DataError(f"{self.where}:{line}: {self.called(position)} {what}")

    def column_error(self, position: int, what: str) -> DataError:
        """Return the error about a column."""
        return DataError(f"{self.where}: {self.called(position)} {what}")


def _numbered_rows(text: TextIO, separator: str, skip: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (line of the row's start, its cells) for each row that is not blank."""
    for _ in range(skip):
        text.readline()
    reader = csv.reader(text, delimiter=separator, strict=True)
    line = skip + 1
    for row in reader:
        if len(row) > 1 or (row and row[0].strip()):
            yield line, row
        line = skip + reader.line_num + 1


def _is_number(cell: str) -> bool:
    return "_" not in cell and reads_as_number(cell)


def _is_finite(cell: str) -> bool:
    return _is_number(cell) and bool(np.isfinite(float(cell)))
