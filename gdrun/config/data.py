"""`data:` where the examples come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PlainValidator, Tag, model_validator
from pydantic_core import PydanticCustomError

from .base import (
    Array,
    Count,
    Formula,
    Identifier,
    Integer,
    NonNegative,
    Number,
    PositiveInteger,
    Section,
    Share,
    by_form,
    kinds,
)


class ValidationSplit(Section):
    """A part of the examples, held out."""

    share: Share | None = None
    """Share of the examples, in (0, 1), rounded to the nearest example."""
    count: PositiveInteger | None = None
    """Number of examples."""
    last: PositiveInteger | None = None
    """Number of examples at the end; the same as `count` without `shuffle`."""
    index: tuple[Count, ...] | None = None
    """Positions of the examples, counted from 0."""
    shuffle: bool = False
    """Draw the held-out examples by the seed, instead of taking the last."""

    @model_validator(mode="after")
    def _one_way(self) -> ValidationSplit:
        given = [name for name in ("share", "count", "last", "index") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("validation", "give exactly one of share, count, last, index")
        if self.shuffle and given[0] in ("last", "index"):
            raise PydanticCustomError("validation", "shuffle goes with share or count")
        return self


class Scale(Section):
    """Bring columns to a common scale before training. Deviations are population deviations (divided by n)."""

    inputs: Literal["none", "standardize", "minmax"] = "none"
    """standardize: subtract the mean, divide by the deviation; minmax: to [0, 1]."""
    target: Literal["none", "standardize", "minmax"] = "none"
    """The same for the target."""
    fit: Literal["train", "all", "each"] = "train"
    """Which examples give the mean and deviation: the training part, all, or each part its own."""


def _scale(value: Any) -> Any:
    return {"inputs": value} if isinstance(value, str) else value


def _validation_kind(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "<share>"
    if isinstance(value, ValidationSplit) or (isinstance(value, dict) and _SPLIT_KEYS & value.keys()):
        return "<split>"
    return "<data>"


_SPLIT_KEYS = {"share", "count", "last", "index", "shuffle"}


class DataSection(Section):
    """What every kind of data has."""

    validation: (
        Annotated[
            Annotated[Share, Tag("<share>")]
            | Annotated[ValidationSplit, Tag("<split>")]
            | Annotated[Data, Tag("<data>")],
            Discriminator(_validation_kind),
        ]
        | None
    ) = None
    """Examples held out for validation: a share (the last ones), `{share|count|last|index: ..., shuffle: true}`, or a
    data block that inherits what it omits."""
    scale: Annotated[Scale | None, Field()] = None
    """Bring inputs and target to a common scale; a bare word is short for `{inputs: ...}`."""
    classes: Annotated[PositiveInteger, Field(ge=2)] | None = None
    """Number of classes; the target's labels (0, 1, ...) become one-hot rows of this length."""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        value = dict(value)
        if "scale" in value:
            value["scale"] = _scale(value["scale"])
        block = value.get("validation")
        if isinstance(block, dict) and not _SPLIT_KEYS & block.keys() and block.get("kind", value.get("kind")) == value.get("kind"):
            value["validation"] = {**{k: v for k, v in value.items() if k != "validation"}, **block}
        return value


class FormulaData(DataSection):
    """Inputs and target by formula."""

    kind: Literal["formula"]
    inputs: dict[Identifier, Formula] = Field(min_length=1)
    """Each input by name; later ones may use earlier ones. The leading axis counts the examples."""
    target: Formula | None = None
    """The target, of inputs and constants."""
    noise: Formula | None = None
    """Added to the target, for example normal(0, 0.1); its shape is the target's."""


class ValuesData(DataSection):
    """Inline values."""

    kind: Literal["values"]
    inputs: dict[Identifier, Array] = Field(min_length=1)
    """Each input by name; the leading axis counts the examples."""
    target: Array | None = None
    """The target, one row an example."""


def _column(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or (isinstance(value, int) and value < 0):
        raise PydanticCustomError("column", "a column is a name or a position counted from 0")
    return value


Column = Annotated[Any, PlainValidator(_column, json_schema_input_type=str | int)]
Columns = by_form(scalar=Column, sequence=Annotated[tuple[Column, ...], Field(min_length=1)])


class CsvData(DataSection):
    """A file of separated values."""

    kind: Literal["csv"]
    path: str = Field(min_length=1)
    """The file, relative to the config's folder."""
    inputs: by_form(  # type: ignore[valid-type]
        sequence=Annotated[tuple[Column, ...], Field(min_length=1)],
        mapping=dict[Identifier, Columns],
    )
    """Columns by name or position (from 0): a list, each column an input of its own name, or `{name: column}`; a list
    of columns under one name gives an (n, k) input."""
    target: Columns | None = None  # type: ignore[valid-type]
    """The target's column, or columns."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """One character; a tab is "\\t"."""
    header: bool = True
    """Whether the first row names the columns."""
    skip: Count = 0
    """Lines to pass over before the header."""
    rows: Annotated[str, Field(pattern=r"^\d*:\d*$")] | None = None
    """A half-open range of data rows, "0:1500"."""


class NpzData(DataSection):
    """Arrays of a NumPy archive."""

    kind: Literal["npz"]
    path: str = Field(min_length=1)
    """The file, relative to the config's folder."""
    inputs: by_form(  # type: ignore[valid-type]
        sequence=Annotated[tuple[str, ...], Field(min_length=1)],
        mapping=dict[Identifier, str],
    )
    """Names of arrays in the file, or `{name: array}`."""
    target: str | None = None
    """Name of the target's array."""


class GeneratedData(DataSection):
    """A data set drawn from a known truth."""

    size: PositiveInteger = 100
    """Number of examples."""
    noise: NonNegative = 0.0
    """Standard deviation of the Gaussian noise."""
    seed: Count | None = None
    """Draws this data set; null: the config's seed."""


class LinearData(GeneratedData):
    """y = x . weights + bias + noise, x uniform on [low, high]."""

    kind: Literal["linear"]
    weights: tuple[Number, ...] = Field(default=(1.0,), min_length=1)
    """One weight a feature."""
    bias: Number = 0.0
    """The intercept."""
    low: Number = -1.0
    """Smallest x."""
    high: Number = 1.0
    """Largest x."""


class PolynomialData(GeneratedData):
    """y = sum of coefficients[k] * x**k + noise, x evenly spaced on [low, high]."""

    kind: Literal["polynomial"]
    coefficients: tuple[Number, ...] = Field(min_length=1)
    """From the constant upwards."""
    low: Number = -1.0
    """Smallest x."""
    high: Number = 1.0
    """Largest x."""


class SineData(GeneratedData):
    """y = amplitude * sin(frequency * x + phase) + noise, x evenly spaced on [low, high]."""

    kind: Literal["sine"]
    amplitude: Number = 1.0
    """Height of the wave."""
    frequency: Number = 1.0
    """Radians per unit of x."""
    phase: Number = 0.0
    """Radians at x = 0."""
    low: Number = 0.0
    """Smallest x."""
    high: Number = 6.283185307179586
    """Largest x."""


class BlobsData(GeneratedData):
    """Gaussian clouds, one a class; the target is the class label."""

    kind: Literal["blobs"]
    centers: Annotated[tuple[tuple[Number, ...], ...], Field(min_length=2)] = ((-2.0, 0.0), (2.0, 0.0))
    """The middle of each cloud."""
    noise: NonNegative = 1.0
    """Standard deviation of each cloud."""


class MoonsData(GeneratedData):
    """Two interleaving half circles in the plane; labels 0 and 1."""

    kind: Literal["moons"]


class CirclesData(GeneratedData):
    """A circle of radius `factor` (label 1) within the unit circle (label 0)."""

    kind: Literal["circles"]
    factor: Share = 0.5
    """Radius of the inner circle."""


class SpiralsData(GeneratedData):
    """Interleaved spiral arms from the origin; one label an arm."""

    kind: Literal["spirals"]
    arms: Annotated[Integer, Field(ge=2)] = 2
    """Number of arms."""
    turns: Number = 1.0
    """How often an arm winds round the origin."""


class XorData(GeneratedData):
    """Points uniform on [-1, 1] squared; label 1 where the signs of the coordinates differ."""

    kind: Literal["xor"]


class RingData(GeneratedData):
    """A disc of radius 1 (label 0) and a ring of radii [inner, outer] round it (label 1)."""

    kind: Literal["ring"]
    inner: Number = 1.5
    """Inner radius of the ring."""
    outer: Number = 2.5
    """Outer radius of the ring."""


Data = kinds(
    FormulaData,
    ValuesData,
    CsvData,
    NpzData,
    LinearData,
    PolynomialData,
    SineData,
    BlobsData,
    MoonsData,
    CirclesData,
    SpiralsData,
    XorData,
    RingData,
)
