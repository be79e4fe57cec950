"""Data files: their settings, and opening them with the hash of what is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar, Self

from pydantic import Field, Tag

from gdrun.config.name_scopes import ConfigNames, Use
from gdrun.config.section import Identifier, by_form
from gdrun.errors import ConfigPath, DataError
from gdrun.text import safe_text

from .columns import Column, ColumnList, Columns, Rows, WideInput, column_names
from .dataset import Dataset
from .memory import Memory
from .section import DataSection, LoadContext, named_inputs


class FileData(DataSection):
    """Data in a file."""

    suffixes: ClassVar[tuple[str, ...]]
    """Endings of the files that a section of this kind reads, in `gdrun predict` too; the first one is its own."""

    path: Annotated[str, Field(min_length=1)]
    """The file, relative to the config's folder."""

    @classmethod
    def by_names(cls, path: Path, widths: Mapping[str, int], *, target: bool) -> Self:
        """Return the section of a file whose columns or arrays are called like the inputs, and `target`.

        Args:
            widths: input -> the number of its columns in a table.
        """
        return cls.model_construct(
            path=str(path),
            inputs={name: cls.of_width(name, width) for name, width in widths.items()},
            target="target" if target else None,
        )

    @classmethod
    def of_width(cls, name: str, width: int) -> Any:
        """Return the setting of an input called `name` that has so many columns."""
        return name

    def for_examples(self, *, target: bool) -> Self:
        """Return the section that reads another file of this form: all of its rows; its target only where asked for."""
        settings = {"rows"} if target else {"rows", "target", "example_weights"}
        return self.model_copy(update=dict.fromkeys(settings & type(self).model_fields.keys()))

    def load(self, context: LoadContext) -> Dataset:
        # Weights are a column of the file here, not a formula: `read` takes them along.
        return self.read(context.directory / self.path, labels=context.labels, memory=context.memory)

    def read(self, path: Path, *, labels: tuple[str, ...] = (), memory: Memory | None = None) -> Dataset:
        """Return the examples in a file.

        Args:
            path: the file, instead of the section's own.
            labels: the classes that text in the target stands for; (): those that occur, sorted.
            memory: where the examples are kept; None: as the section says.
        Raises:
            DataError: the file is missing or malformed; the message gives the place in it.
        """
        raise NotImplementedError

    def uses(self, path: ConfigPath, names: ConfigNames) -> Iterator[Use]:
        """Yield nothing: weights are a column or an array of the file."""
        yield from ()


class TableData(FileData):
    """Data in a file of named columns."""

    inputs: Annotated[
        Annotated[ColumnList, Tag("<sequence>")] | Annotated[dict[Identifier, Columns], Tag("<mapping>")],
        by_form("sequence", "mapping"),
    ]
    """Columns by name or position (from 0): a list, each column an input of its own name, or `{name: column}`; a list
    of columns under one name, or a range of positions, "0:16", gives an (n, k) input."""
    target: Columns | None = None
    """The target's column, or columns. Text in a single column is class labels, numbered in sorted order."""
    example_weights: Column | None = None
    """The column that says how much each example counts in the loss, as Keras's sample_weight."""
    rows: Rows | None = None
    """A half-open range of data rows, "0:1500"."""

    @classmethod
    def of_width(cls, name: str, width: int) -> Any:
        return name if width == 1 else WideInput(name, width)

    @property
    def has_target(self) -> bool:
        return self.target is not None

    def input_names(self) -> tuple[str, ...] | None:
        return named_inputs(self.inputs)

    @property
    def target_name(self) -> str:
        return self.target if isinstance(self.target, str) else "target"

    def column_names(self, name: str) -> tuple[str, ...]:
        return column_names(self.inputs, name)


@contextmanager
def open_data(path: str | Path) -> Iterator[tuple[BinaryIO, str]]:
    """Open a data file and yield (file, SHA-256 in hex of its bytes).

    Raises:
        DataError: if it is missing, not readable or not a regular file; the message gives the path.
    """
    # Opening a named pipe would wait for a writer, so the kind of file is looked at first.
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path_text(path)} is not a regular file")
    try:
        file = open(path, "rb")  # noqa: SIM115  # closed below
    except FileNotFoundError:
        raise DataError(f"there is no file {path_text(path)}", within=("path",)) from None
    except (OSError, ValueError) as error:
        # ValueError: a path with a null byte.
        raise DataError(f"{path_text(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    with file:
        try:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            yield file, digest
        except OSError as error:
            raise DataError(f"{path_text(path)} cannot be read: {error.strerror or error}") from None


def path_text(path: str | Path) -> str:
    """Return the path as messages show it."""
    return safe_text(os.fspath(path), limit=300)
