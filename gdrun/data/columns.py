"""Columns of tables, by name, position or range, and ranges of their rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from gdrun.config.section import by_form
from gdrun.errors import ConfigPath, DataError
from gdrun.text import plural, safe_text

from .dataset import unknown_name


def _check_column(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or (isinstance(value, int) and value < 0):
        raise PydanticCustomError("column", "a column is a name or a position counted from 0")
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


def expanded(columns: Any, names: Sequence[str] | None, width: int) -> Columns:
    """Return columns with ranges of positions, "0:16", written out, and those that a WideInput stands for.

    A WideInput X of three columns is X1, X2, X3 or X0, X1, X2; or all columns, where the table has no others.

    Args:
        names: of the columns, in order; None: they have none. width: how many there are.
    """
    if isinstance(columns, WideInput):
        sequences = [[f"{columns.name}{first + k}" for k in range(columns.width)] for first in (1, 0)]
        known = next((names_of for names_of in sequences if set(names_of) <= set(names or ())), None)
        if known is None and width == columns.width:
            return tuple(range(width))
        return tuple(known or sequences[0])
    if is_range(columns) and columns not in (names or ()):
        first, stop = row_range(columns)
        return tuple(range(first, width if stop is None else stop))
    if isinstance(columns, list | tuple):
        parts = [expanded(column, names, width) for column in columns]
        return tuple(column for part in parts for column in listed(part))
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


def find_column(column: Column, names: Sequence[str] | None, width: int, where: str) -> int:
    """Return the position of a column.

    Args:
        names: of the columns, in order; None: they have none.
        width: how many there are.
        where: what the table is called in messages.
    Raises:
        DataError: if there is no such column, or two of that name.
    """
    if isinstance(column, int):
        if not 0 <= column < width:
            raise DataError(
                f"{where} has no column {column}: its {plural(width, 'column')} count from 0 to {width - 1}"
            )
        return column
    if names is None:
        raise DataError(
            f"{where} has no names for its columns, so none is called '{safe_text(column, limit=60)}'",
            hint=f"give positions, 0 to {width - 1}",
        )
    positions = [k for k, name in enumerate(names) if name == column]
    if not positions:
        raise unknown_name(f"column in {where} called", column, names)
    if len(positions) > 1:
        raise DataError(
            f"{where} has {len(positions)} columns '{safe_text(column, limit=60)}'",
            hint=f"rename one in the file, or give the position in the config: {' or '.join(map(str, positions))}",
        )
    return positions[0]


def named_within(
    place: Callable[[Column], int],
    inputs: Sequence[Column] | Mapping[str, Columns],
    target: Columns | None = None,
    weights: Column | None = None,
) -> None:
    """Refuse columns that are not there, with the part of the config that names them.

    Args:
        place: column -> position; raises for one that does not exist.
        inputs, target, weights: as the config has them.
    """
    given = inputs if isinstance(inputs, Mapping) else dict(enumerate(inputs))
    parts: list[tuple[ConfigPath, Columns | None]] = [(("inputs", key), columns) for key, columns in given.items()]
    for within, columns in [*parts, (("target",), target), (("example_weights",), weights)]:
        for column in () if columns is None else listed(columns):
            try:
                place(column)
            except DataError as error:
                error.within = within
                raise


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


def beyond_rows(rows: str | None, name: str, num_rows: int) -> DataError:
    """Return the error for a range that goes beyond the rows that there are."""
    return DataError(f"rows {rows} goes beyond the end of {name}, which has {plural(num_rows, 'data row')}")
