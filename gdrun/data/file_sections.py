"""Data in files."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from gdrun.config.section import Count, Identifier, by_form

from .sections import DataSection


def _column(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or (isinstance(value, int) and value < 0):
        raise PydanticCustomError("column", "a column is a name or a position counted from 0")
    return value


Column = Annotated[
    Any,
    AfterValidator(_column),
    WithJsonSchema(
        {"title": "a column's name or position", "anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}
    ),
]
Rows = Annotated[str, Field(pattern=r"^\d*:\d*$")]
Memory = Literal["auto", "all", "mapped"]
Several = Annotated[tuple[Column, ...], Field(min_length=1)]
Columns = Annotated[
    Annotated[Column, Tag("<scalar>")] | Annotated[Several, Tag("<sequence>")], by_form("scalar", "sequence")
]


def _all_texts(columns: tuple[str | int, ...]) -> tuple[str, ...] | None:
    names = tuple(column for column in columns if isinstance(column, str))
    return names if len(names) == len(columns) else None


class FileData(DataSection):
    """What every kind of file has; each has inputs and a target, which it names in its own way."""

    path: Annotated[str, Field(min_length=1)]
    """The file, relative to the config's folder."""


class TableData(FileData):
    """What every file of named columns has."""

    inputs: Annotated[
        Annotated[Several, Tag("<sequence>")] | Annotated[dict[Identifier, Columns], Tag("<mapping>")],
        by_form("sequence", "mapping"),
    ]
    """Columns by name or position (from 0): a list, each column an input of its own name, or `{name: column}`; a list
    of columns under one name gives an (n, k) input."""
    target: Columns | None = None
    """The target's column, or columns. Text in a single column is class labels, numbered in sorted order."""
    example_weights: Column | None = None
    """The column that says how much each example counts in the loss, as Keras's sample_weight."""
    rows: Rows | None = None
    """A half-open range of data rows, "0:1500"."""

    def input_names(self) -> tuple[str, ...] | None:
        return _all_texts(tuple(self.inputs))

    @property
    def has_target(self) -> bool:
        return self.target is not None


class SeparatedData(TableData):
    """A text file of separated values."""

    memory: Memory = "auto"
    """all: keep the numbers in memory; mapped: keep them in a temporary file and read them a window of batches at a
    time, which changes no result; auto: mapped where they would fill a third of the memory that is free."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """One character; a tab is "\\t"."""
    header: bool = True
    """Whether the first row names the columns."""
    skip: Count = 0
    """Lines to pass over before the header."""


class CsvData(SeparatedData):
    """A file of values separated by commas, or by another character."""

    kind: Literal["csv"]


class TsvData(SeparatedData):
    """A file of values separated by tabs."""

    kind: Literal["tsv"]
    separator: Annotated[str, Field(min_length=1, max_length=1)] = "\t"
    """One character."""


class ParquetData(TableData):
    """A Parquet file; wants the extra `parquet`."""

    kind: Literal["parquet"]


class NpzData(FileData):
    """Arrays of a NumPy archive."""

    kind: Literal["npz"]
    inputs: Annotated[
        Annotated[tuple[str, ...], Field(min_length=1), Tag("<sequence>")]
        | Annotated[dict[Identifier, str], Tag("<mapping>")],
        by_form("sequence", "mapping"),
    ]
    """Names of arrays in the file, or `{name: array}`."""
    target: str | None = None
    """Name of the target's array; one of text holds class labels, numbered in sorted order."""
    example_weights: str | None = None
    """Name of the array that says how much each example counts in the loss, as Keras's sample_weight."""
    memory: Memory = "auto"
    """all: keep the arrays in memory; mapped: read them from the file a window of batches at a time, which changes no
    result; auto: mapped where they would fill a third of the memory that is free."""

    def input_names(self) -> tuple[str, ...]:
        return tuple(self.inputs)

    @property
    def has_target(self) -> bool:
        return self.target is not None
