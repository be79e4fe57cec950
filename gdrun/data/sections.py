"""`data:` where the examples come from."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic_core import PydanticCustomError

from gdrun.config.base import (
    Array,
    Bounds,
    Count,
    Formula,
    Identifier,
    Nested,
    NonNegative,
    PositiveInteger,
    PositiveNumber,
    Section,
    Share,
    kinds,
)
from gdrun.config.unions import ByForm, Lazy, from_elsewhere

if TYPE_CHECKING:
    from gdrun.config.custom import CustomData

    from .file_sections import CsvData, NpzData, ParquetData, TsvData
    from .file_sections import FileData as FileData
    from .file_sections import SeparatedData as SeparatedData
    from .generator_sections import (
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
    from .library_sections import KerasData, SklearnData
else:
    Data = kinds(
        {
            "formula": "gdrun.data.sections:FormulaData",
            "values": "gdrun.data.sections:ValuesData",
            "csv": "gdrun.data.file_sections:CsvData",
            "tsv": "gdrun.data.file_sections:TsvData",
            "npz": "gdrun.data.file_sections:NpzData",
            "parquet": "gdrun.data.file_sections:ParquetData",
            "linear": "gdrun.data.generator_sections:LinearData",
            "polynomial": "gdrun.data.generator_sections:PolynomialData",
            "sine": "gdrun.data.generator_sections:SineData",
            "blobs": "gdrun.data.generator_sections:BlobsData",
            "moons": "gdrun.data.generator_sections:MoonsData",
            "circles": "gdrun.data.generator_sections:CirclesData",
            "spirals": "gdrun.data.generator_sections:SpiralsData",
            "xor": "gdrun.data.generator_sections:XorData",
            "ring": "gdrun.data.generator_sections:RingData",
            "sklearn": "gdrun.data.library_sections:SklearnData",
            "keras": "gdrun.data.library_sections:KerasData",
            "custom": "gdrun.config.custom:CustomData",
        },
    )


class ValidationSplit(Section):
    """A part of the examples, held out."""

    exclusive = (("share", "count", "last", "index"),)

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

    def together(self) -> None:
        given = [name for name in ("share", "count", "last", "index") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("validation", "give exactly one of share, count, last, index")
        if self.shuffle and given[0] in ("last", "index"):
            raise PydanticCustomError("validation", "shuffle goes with share or count")


Method = Annotated[
    Any,
    ByForm(
        {"word": Literal["none", "standardize", "minmax"], "number": PositiveNumber},
        choose=lambda value: "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else "word",
    ),
]


class Scale(Section):
    """Bring columns to a common scale before training. Deviations are population deviations (divided by n)."""

    inputs: Method = "none"
    """standardize: subtract the mean, divide by the deviation; minmax: to [0, 1]; a number: divide by it, as images by
    255."""
    target: Method = "none"
    """The same for the target."""
    fit: Literal["train", "all", "each"] = "train"
    """Which examples give the mean and deviation: the training part, all, or each part its own."""


_SPLIT_KEYS = {"share", "count", "last", "index", "shuffle"}


def _validation_kind(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "share"
    if isinstance(value, ValidationSplit) or (isinstance(value, dict) and _SPLIT_KEYS & value.keys()):
        return "split"
    return "data"


if TYPE_CHECKING:
    Validation: TypeAlias = float | ValidationSplit | "Data"
else:
    Validation = Annotated[
        Any, ByForm({"share": Share, "split": Lazy[ValidationSplit], "data": Data}, choose=_validation_kind)
    ]


ClassWeights = Annotated[
    Any,
    ByForm(
        {
            "scalar": Literal["balanced"],
            "sequence": Annotated[tuple[NonNegative, ...], Bounds(min_length=1)],
            "mapping": Annotated[dict[str, NonNegative], Bounds(min_length=1)],
        }
    ),
]


class DataSection(Section):
    """What every kind of data has."""

    validation: Validation | None = None
    """Examples held out for validation: a share (the last ones), `{share|count|last|index: ..., shuffle: true}`, or a
    data block that inherits what it omits."""
    scale: Annotated[Scale, Nested(short="inputs")] | None = None
    """Bring inputs and target to a common scale; a bare word is short for `{inputs: ...}`."""
    classes: Annotated[PositiveInteger, Bounds(ge=2)] | None = None
    """Number of classes; the target's labels (0, 1, ...) become one-hot rows of this length."""
    class_weights: ClassWeights | None = None
    """How much the examples of each class count in the training loss: a list, one weight a class; by label, others
    counting 1, as Keras's class_weight; or `balanced`, examples / (classes * examples of the class)."""
    example_weights: Formula | None = None
    """How much each example counts in the loss, as Keras's sample_weight: a formula of inputs, target and constants,
    or a list; in files, a column or array. The mean stays a division by the number of examples. A part held out for
    validation keeps its weights; metrics have none. Formulas see the weights as `example_weights`."""

    @classmethod
    def rewrite(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        value = dict(value)
        block = value.get("validation")
        if not isinstance(block, dict) or _SPLIT_KEYS & block.keys():
            return value
        if block.get("kind", value.get("kind")) == value.get("kind"):
            value["validation"] = {**{name: item for name, item in value.items() if name != "validation"}, **block}
        return value


class FormulaData(DataSection):
    """Inputs and target by formula."""

    kind: Literal["formula"]
    inputs: Annotated[dict[Identifier, Formula], Bounds(min_length=1)]
    """Each input by name; later ones may use earlier ones. The leading axis counts the examples."""
    target: Formula | None = None
    """The target, of inputs and constants."""
    noise: Formula | None = None
    """Added to the target, for example normal(0, 0.1); its shape is the target's."""


class ValuesData(DataSection):
    """Inline values."""

    kind: Literal["values"]
    inputs: Annotated[dict[Identifier, Array], Bounds(min_length=1)]
    """Each input by name; the leading axis counts the examples."""
    target: Array | None = None
    """The target, one row an example."""


_ELSEWHERE = {
    **dict.fromkeys(
        ("FileData", "SeparatedData", "CsvData", "TsvData", "NpzData", "ParquetData", "Column", "Columns"),
        "gdrun.data.file_sections",
    ),
    **dict.fromkeys(("SklearnData", "KerasData"), "gdrun.data.library_sections"),
    **dict.fromkeys(
        (
            "GeneratedData",
            "LinearData",
            "PolynomialData",
            "SineData",
            "BlobsData",
            "MoonsData",
            "CirclesData",
            "SpiralsData",
            "XorData",
            "RingData",
        ),
        "gdrun.data.generator_sections",
    ),
}


def __getattr__(name: str) -> object:
    return from_elsewhere(__name__, _ELSEWHERE, name)


if TYPE_CHECKING:
    Data: TypeAlias = (
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
        | CustomData
    )
