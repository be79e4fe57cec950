"""Data. One class in this package and one line here add a kind, for training as for `gdrun predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gdrun.config.base import kinds
from gdrun.errors import UsageError

if TYPE_CHECKING:
    from .files import FileData
    from .section import DataSection

    Data: TypeAlias = DataSection
else:
    Data = kinds(
        {
            "formula": "gdrun.data.formula:FormulaData",
            "values": "gdrun.data.values:ValuesData",
            "csv": "gdrun.data.csv:CsvData",
            "tsv": "gdrun.data.csv:TsvData",
            "npz": "gdrun.data.npz:NpzData",
            "parquet": "gdrun.data.parquet:ParquetData",
            "linear": "gdrun.data.generators:LinearData",
            "polynomial": "gdrun.data.generators:PolynomialData",
            "sine": "gdrun.data.generators:SineData",
            "blobs": "gdrun.data.generators:BlobsData",
            "moons": "gdrun.data.generators:MoonsData",
            "circles": "gdrun.data.generators:CirclesData",
            "spirals": "gdrun.data.generators:SpiralsData",
            "xor": "gdrun.data.generators:XorData",
            "ring": "gdrun.data.generators:RingData",
            "sklearn": "gdrun.data.sklearn_sets:SklearnData",
            "keras": "gdrun.data.keras_sets:KerasData",
            "custom": "gdrun.data.custom:CustomData",
        },
    )


def file_reader(path: Path, *, like: DataSection | None, names: Sequence[str], target: bool) -> FileData:
    """Return the section that reads examples from a file which the config does not name.

    Args:
        path: its suffix tells the kind.
        like: the config's data. Where it is of a kind that reads such files, the file has the same columns; else
            columns or arrays are called like the inputs, and `target`.
        names: the inputs.
        target: whether the target and the weights are read.
    Raises:
        UsageError: no kind reads files of this suffix.
    """
    from .files import FileData

    suffix = path.suffix.lower()
    if isinstance(like, FileData) and suffix in like.suffixes:
        return like.for_examples(target=target)
    (union,) = Data.__metadata__
    kinds_of_file = [kind for kind in map(union.variant, union.variants) if issubclass(kind, FileData)]
    for kind in kinds_of_file:
        if suffix == kind.suffixes[0]:
            return kind.by_names(path, names, target=target)
    *others, last = [kind.suffixes[0] for kind in kinds_of_file]
    hint = f"give a {', '.join(others)} or {last} file"
    raise UsageError(f"cannot read examples from {path}", hint=hint)
