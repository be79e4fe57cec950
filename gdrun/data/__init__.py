"""Data. One class in this package and one line here add a kind, for training as for `gdrun predict`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field

from gdrun.config.section import BareKind
from gdrun.errors import UsageError

from .csv import CsvData, TsvData
from .custom import CustomData
from .files import FileData
from .formula import FormulaData
from .generators import (
    BlobsData,
    CirclesData,
    LinearData,
    MoonsData,
    PolynomialData,
    RingData,
    SineData,
    SpiralsData,
    XorData,
)
from .keras_sets import KerasData
from .npz import NpzData
from .parquet import ParquetData
from .section import DataSection
from .sklearn_sets import SklearnData
from .values import ValuesData

Data = Annotated[
    FormulaData
    | ValuesData
    | CsvData
    | TsvData
    | NpzData
    | ParquetData
    | LinearData
    | PolynomialData
    | SineData
    | BlobsData
    | MoonsData
    | CirclesData
    | SpiralsData
    | XorData
    | RingData
    | SklearnData
    | KerasData
    | CustomData,
    Field(discriminator="kind"),
    BareKind,
]
# A section may hold one of its own kind, as validation data, which is complete only here.
DataSection.union = Data

_FILE_KINDS = {kind.suffixes[0]: kind for kind in get_args(get_args(Data)[0]) if issubclass(kind, FileData)}
"""Suffix -> the kind of data that reads such a file."""


def file_reader(path: Path, *, like: DataSection | None, widths: Mapping[str, int], target: bool) -> FileData:
    """Return the section that reads examples from a file which the config does not name.

    Args:
        path: its suffix tells the kind.
        like: the config's data. Where it is of a kind that reads such files, the file has the same columns; else
            columns or arrays are called like the inputs, and `target`.
        widths: input -> the number of its columns.
        target: whether the target and the weights are read.
    Raises:
        UsageError: no kind reads files of this suffix.
    """
    suffix = path.suffix.lower()
    if isinstance(like, FileData) and suffix in like.suffixes:
        return like.for_examples(target=target)
    if suffix in _FILE_KINDS:
        return _FILE_KINDS[suffix].by_names(path, widths, target=target)
    raise UsageError(f"cannot read examples from {path}", hint=f"give a {file_suffixes()} file")


def file_suffixes() -> str:
    """Return the endings of the files that `file_reader` takes, for messages: ".csv, .npz or .parquet"."""
    *others, last = _FILE_KINDS
    return f"{', '.join(others)} or {last}"
