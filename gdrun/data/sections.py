"""`data:` where the examples come from."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from gdrun.config.custom import CustomSection
from gdrun.config.section import (
    Array,
    Count,
    Formula,
    Identifier,
    LaterUnion,
    NonNegative,
    PositiveInteger,
    PositiveNumber,
    Section,
    Share,
    ShortSection,
    Whole,
    by_form,
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

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in ("share", "count", "last", "index") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("validation", "give exactly one of share, count, last, index")
        if self.shuffle and given[0] in ("last", "index"):
            raise PydanticCustomError("validation", "shuffle goes with share or count")
        return self


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


Method = Annotated[
    Annotated[Literal["none", "standardize", "minmax"], Tag("<word>")] | Annotated[PositiveNumber, Tag("<number>")],
    Discriminator(lambda value: "<number>" if _is_number(value) else "<word>"),
]


class Scale(ShortSection):
    """Bring columns to a common scale before training. Deviations are population deviations (divided by n)."""

    short = "inputs"

    inputs: Method = "none"
    """standardize: subtract the mean, divide by the deviation; minmax: to [0, 1]; a number: divide by it, as images by
    255."""
    target: Method = "none"
    """The same for the target."""
    fit: Literal["train", "all", "each"] = "train"
    """Which examples give the mean and deviation: the training part, all, or each part its own."""


_SPLIT_KEYS = {"share", "count", "last", "index", "shuffle"}


def _validation_form(value: Any) -> str:
    if _is_number(value):
        return "<share>"
    if isinstance(value, ValidationSplit) or (isinstance(value, dict) and _SPLIT_KEYS & value.keys()):
        return "<split>"
    return "<data>"


ClassWeights = Annotated[
    Annotated[Literal["balanced"], Tag("<scalar>")]
    | Annotated[tuple[NonNegative, ...], Field(min_length=1), Tag("<sequence>")]
    | Annotated[dict[str, NonNegative], Field(min_length=1), Tag("<mapping>")],
    by_form("scalar", "sequence", "mapping"),
]


class DataSection(Section):
    """What every kind of data has."""

    union: ClassVar[Any]
    """Every kind of data; the package says which there are."""

    validation: (
        Annotated[
            Annotated[Share, Tag("<share>")]
            | Annotated[ValidationSplit, Tag("<split>")]
            | Annotated["DataSection", LaterUnion(lambda: DataSection.union), Tag("<data>")],
            Discriminator(_validation_form),
        ]
        | None
    ) = None
    """Examples held out for validation: a share (the last ones), `{share|count|last|index: ..., shuffle: true}`, or a
    data block that inherits what it omits."""
    scale: Scale | None = None
    """Bring inputs and target to a common scale; a bare word is short for `{inputs: ...}`."""
    classes: Annotated[int, Field(ge=2), Whole] | None = None
    """Number of classes; the target's labels (0, 1, ...) become one-hot rows of this length."""
    class_weights: ClassWeights | None = None
    """How much the examples of each class count in the training loss: a list, one weight a class; by label, others
    counting 1, as Keras's class_weight; or `balanced`, examples / (classes * examples of the class)."""
    example_weights: Formula | None = None
    """How much each example counts in the loss, as Keras's sample_weight: a formula of inputs, target and constants,
    or a list; in files, a column or array. The mean stays a division by the number of examples. A part held out for
    validation keeps its weights; metrics have none. Formulas see the weights as `example_weights`."""

    def input_names(self) -> tuple[str, ...] | None:
        """Return the names of the inputs; None where only the data tells them."""
        return None

    @property
    def has_target(self) -> bool:
        """Whether the examples have a target."""
        return True

    @property
    def has_weights(self) -> bool:
        """Whether examples count differently in the loss."""
        return self.example_weights is not None or (self.class_weights is not None and self.has_target)

    def num_examples(self) -> int | None:
        """Return the number of examples before a part is held out; None where only the data tells it."""
        return None

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, value: Any) -> Any:
        """Give a validation block of the same kind what it leaves out."""
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
    inputs: Annotated[dict[Identifier, Formula], Field(min_length=1)]
    """Each input by name; later ones may use earlier ones. The leading axis counts the examples."""
    target: Formula | None = None
    """The target, of inputs and constants."""
    noise: Formula | None = None
    """Added to the target, for example normal(0, 0.1); its shape is the target's."""

    def input_names(self) -> tuple[str, ...]:
        return tuple(self.inputs)

    @property
    def has_target(self) -> bool:
        return self.target is not None


class ValuesData(DataSection):
    """Inline values."""

    kind: Literal["values"]
    inputs: Annotated[dict[Identifier, Array], Field(min_length=1)]
    """Each input by name; the leading axis counts the examples."""
    target: Array | None = None
    """The target, one row an example."""

    def input_names(self) -> tuple[str, ...]:
        return tuple(self.inputs)

    @property
    def has_target(self) -> bool:
        return self.target is not None

    def num_examples(self) -> int | None:
        first = next(iter(self.inputs.values()))
        return len(first) if isinstance(first, list | tuple) else None


class CustomData(CustomSection, DataSection):
    """Examples that a plugin makes."""

    kind: Literal["custom"]
