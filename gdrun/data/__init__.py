"""Where examples come from, and how they are split and encoded. numpy only."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypeAliasType

from gdrun.config.section import BareKind

from .file_sections import CsvData, FileData, NpzData, ParquetData, SeparatedData, TableData, TsvData
from .generator_sections import (
    BlobsData,
    CirclesData,
    GeneratedData,
    LinearData,
    MoonsData,
    PolynomialData,
    RingData,
    SineData,
    SpiralsData,
    XorData,
)
from .library_sections import KerasData, SklearnData
from .sections import CustomData, DataSection, FormulaData, ValidationSplit, ValuesData

Data = TypeAliasType(
    "Data",
    Annotated[
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
    ],
)

# The alias has a definition of its own in schemas, at which their recursion through `validation` ends.
DataSection.union = Data

__all__ = [
    "BlobsData",
    "CirclesData",
    "CsvData",
    "CustomData",
    "Data",
    "DataSection",
    "FileData",
    "FormulaData",
    "GeneratedData",
    "KerasData",
    "LinearData",
    "MoonsData",
    "NpzData",
    "ParquetData",
    "PolynomialData",
    "RingData",
    "SeparatedData",
    "SineData",
    "SklearnData",
    "SpiralsData",
    "TableData",
    "TsvData",
    "ValidationSplit",
    "ValuesData",
    "XorData",
]
