"""Columns of tables, by name, position or range, and ranges of their rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field, Tag, WithJsonSchema

from gdrun.config.section import by_form
from gdrun.errors import ConfigPath, DataError
from gdrun.text import plural, safe_text

from .dataset import Dataset, dataset, unknown_name
from .labels import encode_labels
from .memory import side_by_side


def _check_column(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or (isinstance(value, int) and value < 0):
        raise ValueError("a column is a name or a position counted from 0")
    return value


Column = Annotated[
    Any,
    AfterValidator(_check_column),
    WithJsonSchema(
        {"title": "a column's name or position", "anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}
    ),
]
"""A column by name, or by position counted from 0."""
ColumnList = Annotated[tuple[Column, ...], Field(min_length=1)]
Columns = Annotated[
    Annotated[Column, Tag("<scalar>")] | Annotated[ColumnList, Tag("<sequence>")], by_form("scalar", "sequence")
]
"""One column, which is a vector, or several side by side; "0:16" is sixteen columns by their positions."""
Rows = Annotated[str, Field(pattern=r"^\d*:\d*$")]
"""A half-open range of rows: "0:1500", "100:", ":20"."""


class WideInput(NamedTuple):
    """An input of several columns in a file that no config names them for."""

    name: str
    width: int


_RANGE = re.compile(r"\d*:\d*")
Positions = int | tuple[int, ...]
"""One column, which is a vector, or several side by side."""


class ChosenColumns(NamedTuple):
    """Positions of the columns that a data set is read from."""

    inputs: dict[str, Positions]
    target: Positions | None = None
    weights: int | None = None

    def positions(self) -> list[int]:
        """Return every position once, in the order of the table."""
        groups = [*self.inputs.values(), self.target, self.weights]
        return sorted({position for group in groups if group is not None for position in listed(group)})

    def dataset(
        self,
        numbers: Callable[[int], np.ndarray],
        texts: Callable[[int], Sequence[str] | None],
        *,
        labels: tuple[str, ...],
        files: Mapping[str, str],
        mapped: bool = False,
    ) -> Dataset:
        """Return the data set.

        Args:
            numbers: position -> the column, float64 (N,).
            texts: position -> a column of text; None where it is one of numbers. A target of text holds labels.
            labels: the target's classes, where they are known already.
            files: path -> SHA-256.
            mapped: whether columns side by side are to be kept in a file.
        """

        def array(positions: Positions) -> np.ndarray:
            if isinstance(positions, int):
                return numbers(positions)
            parts = [numbers(position) for position in positions]
            return side_by_side(parts) if mapped else np.stack(parts, axis=1)

        inputs = {name: array(positions) for name, positions in self.inputs.items()}
        weights = None if self.weights is None else array(self.weights)
        labelled = texts(self.target) if isinstance(self.target, int) else None
        target: np.ndarray | None
        if labelled is not None:
            target, labels = encode_labels(labelled, labels)
        else:
            target, labels = None if self.target is None else array(self.target), ()
        return dataset(inputs, target, labels=labels, files=files, weights=weights, mapped=mapped)


class TableColumns:
    """The columns that a table has, among which those of a config are found.

    Args:
        where: what the table is called in messages.
        width: how many columns it has.
        names: of the columns, in order; None: they have none.
    """

    def __init__(self, where: str, width: int, names: Sequence[str] | None = None) -> None:
        self.where = where
        self.width = width
        self.names = names

    def choose(
        self,
        inputs: Sequence[Column] | Mapping[str, Columns],
        target: Columns | None = None,
        weights: Column | None = None,
    ) -> ChosenColumns:
        """Return the positions of the columns that a config names.

        Args:
            inputs: a sequence: each column is an input of its own name ("column3" where it has none); a mapping:
                input name -> a column, or several.
            target: a column, or several.
            weights: the column of the examples' weights.
        Raises:
            DataError: there is no such column, or two of that name, with the part of the config that says so; or one
                is listed twice.
        """
        if isinstance(inputs, Mapping):
            chosen = {name: self._positions(columns, ("inputs", name)) for name, columns in inputs.items()}
        else:
            chosen = {}
            for key, column in enumerate(listed(self._expanded(inputs))):
                position = self._positions(column, ("inputs", key))
                name = f"column{position}" if self.names is None else self.names[position]
                if name in chosen:
                    raise DataError(f"{self.where}: {self.called(position)} is listed twice")
                chosen[name] = position
        return ChosenColumns(
            chosen,
            None if target is None else self._positions(target, ("target",)),
            None if weights is None else self._positions(weights, ("example_weights",)),
        )

    def called(self, position: int) -> str:
        """Return what messages call a column: column 'a', or column 3."""
        return f"column {position}" if self.names is None else f"column '{safe_text(self.names[position], limit=60)}'"

    def position(self, column: Column) -> int:
        """Return the position of a column.

        Raises:
            DataError: if there is no such column, or two of that name.
        """
        if isinstance(column, int):
            if not 0 <= column < self.width:
                raise DataError(
                    f"{self.where} has no column {column}: its {plural(self.width, 'column')} count from 0 "
                    f"to {self.width - 1}"
                )
            return column
        if self.names is None:
            raise DataError(
                f"{self.where} has no names for its columns, so none is called '{safe_text(column, limit=60)}'",
                hint=f"give positions, 0 to {self.width - 1}",
            )
        positions = [k for k, name in enumerate(self.names) if name == column]
        if not positions:
            raise unknown_name(f"column in {self.where} called", column, self.names)
        if len(positions) > 1:
            raise DataError(
                f"{self.where} has {len(positions)} columns '{safe_text(column, limit=60)}'",
                hint=f"rename one in the file, or give the position in the config: {' or '.join(map(str, positions))}",
            )
        return positions[0]

    def _positions(self, columns: Any, within: ConfigPath) -> Any:
        columns = self._expanded(columns)
        try:
            positions = tuple(map(self.position, listed(columns)))
        except DataError as error:
            error.within = within
            raise
        return positions[0] if isinstance(columns, (str, int)) else positions

    def _expanded(self, columns: Any) -> Columns:
        """Return columns with ranges of positions, "0:16", written out, and those that a WideInput stands for.

        A WideInput X of three columns is X1, X2, X3 or X0, X1, X2; or all columns, where the table has no others.
        """
        names = self.names or ()
        if isinstance(columns, WideInput):
            sequences = [[f"{columns.name}{first + k}" for k in range(columns.width)] for first in (1, 0)]
            known = next((names_of for names_of in sequences if set(names_of) <= set(names)), None)
            if known is None and self.width == columns.width:
                return tuple(range(self.width))
            return tuple(known or sequences[0])
        if is_range(columns) and columns not in names:
            first, stop = row_range(columns)
            return tuple(range(first, self.width if stop is None else stop))
        if isinstance(columns, list | tuple):
            return tuple(column for part in map(self._expanded, columns) for column in listed(part))
        return columns


def is_range(column: Any) -> bool:
    """Return whether a column's name is a range of positions."""
    return isinstance(column, str) and column != ":" and _RANGE.fullmatch(column) is not None


def listed(columns: Columns) -> list[Column]:
    """Return the columns as a list, one or several."""
    return [columns] if isinstance(columns, (str, int)) else list(columns)


def column_names(inputs: Any, name: str) -> tuple[str, ...]:
    """Return the names of the columns side by side in an input, by the setting `inputs`; () where they have none."""
    columns = inputs.get(name) if isinstance(inputs, Mapping) else None
    if isinstance(columns, list | tuple) and all(isinstance(column, str) for column in columns):
        return tuple(columns)
    return ()


def row_range(rows: str | None) -> tuple[int, int | None]:
    """Return (first, stop) of a half-open range "0:1500", "100:", ":20"; stop None: to the end.

    Raises:
        DataError: if it is empty or absurdly large.
    """
    first, _, stop = (rows or ":").partition(":")
    if max(len(first), len(stop)) > 15:
        raise DataError(f"rows {safe_text(rows, limit=60)} goes beyond what any file holds")
    if stop and int(stop) <= int(first or 0):
        raise DataError(f"rows {rows} is empty", hint="the end comes after the start and is not a part of the range")
    return int(first or 0), int(stop) if stop else None


def check_rows(rows: str | None, name: str, num_rows: int) -> slice:
    """Return the rows of a table of `num_rows` that a range means; None: all.

    Raises:
        DataError: the table has none, or the range goes beyond its end.
    """
    first, stop = row_range(rows)
    if num_rows == 0:
        raise DataError(f"{name} has no data rows")
    if num_rows < (stop or 0) or num_rows <= first:
        raise DataError(f"rows {rows} goes beyond the end of {name}, which has {plural(num_rows, 'data row')}")
    return slice(first, num_rows if stop is None else stop)
