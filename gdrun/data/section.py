"""Settings that every kind of data has, and what the program asks of a kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from gdrun.config.name_scopes import ConfigNames, Use
from gdrun.config.scalars import is_number
from gdrun.config.section import DerivedName, Formula, LaterUnion, NonNegative, Section, Share, Whole, by_form
from gdrun.errors import ConfigPath, Problem
from gdrun.formula.parse import parse
from gdrun.random_streams import RandomNumbers, RandomSource, Streams

from .columns import is_range
from .dataset import Dataset
from .memory import Memory
from .scaling import Scale
from .split import ValidationSplit
from .weights import weights_by_formula

_NOT_OF_VALIDATION = {
    "validation": "it is held out already",
    "scale": "data.scale is for both",
    "classes": "data.classes is for both",
    "class_weights": "they count in the training loss alone",
}
"""Settings that a block of validation data cannot have, and why."""
_SPLIT_KEYS = ValidationSplit.model_fields.keys()


def _validation_form(value: Any) -> str:
    if is_number(value):
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


@dataclass(frozen=True)
class LoadContext:
    """Surroundings that examples depend on besides the settings of their own section.

    Args:
        directory: the folder that relative paths count from.
        constants: the config's constants, evaluated.
        random: source of random numbers.
        labels: classes of the training data, which the text in a validation file's target is numbered by.
        memory: where examples are kept, whatever the section says; None: as it says.
    """

    directory: Path
    constants: Mapping[str, np.ndarray]
    random: RandomSource
    labels: tuple[str, ...] = ()
    memory: Memory | None = None
    _seeded: dict[int, Streams] = field(default_factory=dict)

    def generator(self, seed: int | None = None) -> RandomNumbers:
        """Return the generator that draws examples; with a `seed`, that of the sections that have it.

        One seed has one generator: a validation section inherits the training data's seed, and if it began anew it
        would hold the very examples that were trained on.
        """
        source = self.random if seed is None else self._seeded.setdefault(seed, Streams(seed))
        return source.generator("data")


class DataSection(Section):
    """A kind of data: its settings and its examples."""

    union: ClassVar[Any]
    """Every kind of data; the package says which there are."""
    inherits = "validation"
    foreign: ClassVar[bool] = False
    """True where the code of Keras or of a plugin makes the examples."""

    validation: (
        Annotated[
            Annotated[Share, Tag("<share>")]
            | Annotated[ValidationSplit, Tag("<split>")]
            | Annotated[DataSection, LaterUnion(lambda: DataSection.union), Tag("<data>")],
            Discriminator(_validation_form),
        ]
        | None
    ) = None
    """Examples held out for validation: a share (the last ones), `{share|count|last|index: ..., shuffle: true}`, or a
    data block that inherits what it omits."""
    derived: dict[DerivedName, Formula] = Field(default_factory=dict)
    """Further inputs by formula, of the inputs, the target, the constants and those above, and `target`, a formula that
    takes the target's place; computed once, after validation examples are held out, for each part by itself."""
    scale: Scale | None = None
    """Bring inputs and target to a common scale; a bare word is short for `{inputs: ...}`."""
    classes: Annotated[int, Field(ge=2), Whole] | None = None
    """Number of classes; the target's labels (0, 1, ...) become one-hot rows of this length."""
    class_weights: ClassWeights | None = None
    """Weight of each class's examples in the training loss: a list, one weight a class; by label, others
    counting 1, as Keras's class_weight; or `balanced`, examples / (classes * examples of the class)."""
    example_weights: Formula | None = None
    """Weight of each example in the loss, as Keras's sample_weight: a formula of inputs, target and constants,
    or a list; in files, a column or array. The mean stays a division by the number of examples. A part held out for
    validation keeps its weights; metrics have none. Formulas see the weights as `example_weights`."""

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

    @property
    def has_target(self) -> bool:
        """True where the data gives a target, as far as the settings show it."""
        return True

    @property
    def has_weights(self) -> bool:
        """True where examples count differently in the loss."""
        return self.example_weights is not None or (self.class_weights is not None and self.has_target)

    @property
    def needs_tensorflow(self) -> bool:
        """True where the examples, or those for validation, may want TensorFlow to be there."""
        return self.foreign or (isinstance(self.validation, DataSection) and self.validation.foreign)

    def is_lane_setting(self, path: ConfigPath) -> bool:
        """Return whether the setting at `path` below `data` may differ between lanes: it changes examples alone."""
        return bool(path) and path[0] not in ("kind", "validation", "classes")

    def num_examples(self) -> int | None:
        """Return the number of examples before a part is held out; None where only loading shows it."""
        return None

    def num_training_examples(self) -> int | None:
        """Return the number of examples that are trained on; None where only loading shows it."""
        total, part = self.num_examples(), self.validation
        if isinstance(part, float):
            part = ValidationSplit(share=part)
        return total - part.num_held_out(total) if total and isinstance(part, ValidationSplit) else total

    def input_names(self) -> tuple[str, ...] | None:
        """Return the names of the inputs; None where only loading shows them."""
        return None

    def names_of_inputs(self) -> tuple[str, ...] | None:
        """Return the names of the inputs, derived ones included; None where only loading shows them."""
        names = self.input_names()
        return None if names is None else (*names, *(name for name in self.derived if name != "target"))

    def column_names(self, name: str) -> tuple[str, ...]:
        """Return the names that the columns of the input `name` have in their file; () where they have none."""
        return ()

    @property
    def target_name(self) -> str:
        """Name of the target in pictures: that of its column, where it has one."""
        return "target"

    @property
    def source_name(self) -> str:
        """Name of the data in messages."""
        return "the data"

    def problems(self) -> Iterator[Problem]:
        """Yield what does not go together within the section, each setting of which is right by itself."""
        if not self.has_target:
            if "target" in self.derived:
                message = "derived.target is a formula of the target, but there is no target"
                yield Problem(message, ("data", "derived", "target"), key=True)
            if self.classes is not None:
                yield Problem("classes are of the target, but there is no target", ("data", "classes"), key=True)
            if self.scale is not None and self.scale.target != "none":
                yield Problem("there is no target to scale", ("data", "scale", "target"), key=True)
            if self.class_weights is not None:
                message = "class weights are by the target, but there is no target"
                yield Problem(message, ("data", "class_weights"), key=True)
        block = self.validation
        for key, why in _NOT_OF_VALIDATION.items() if isinstance(block, DataSection) else ():
            value, of_training = getattr(block, key), None if key == "validation" else getattr(self, key)
            # A block of another kind inherits nothing: there null means that the setting is left out.
            if value != of_training and (value is not None or type(block) is type(self)):
                hint = f"leave it out here: {why}"
                yield Problem(f"validation data has no {key} of its own", ("data", "validation", key), hint, key=True)

    def load(self, context: LoadContext) -> Dataset:
        """Return the examples with their weights, neither scaled nor split.

        Raises:
            ComponentError: they cannot be had; `within` is the setting at fault.
        """
        data = self.examples(context)
        if self.example_weights is None:
            return data
        formula = parse(self.example_weights)
        return weights_by_formula(data, formula, constants=context.constants, random=context.generator())

    def examples(self, context: LoadContext) -> Dataset:
        """Return the examples without weights of the section's formula: what a kind has to provide."""
        raise NotImplementedError

    def uses(self, path: ConfigPath, names: ConfigNames) -> Iterator[Use]:
        """Yield the formulas of the section at `path`, with the names that they may use."""
        target = ("target",) if names.has_target else ()
        known = None if names.inputs is None else (*names.constants, *names.inputs, *target)
        yield Use((*path, "example_weights"), self.example_weights, known, phase="start")


def named_inputs(inputs: Any) -> tuple[str, ...] | None:
    """Return the names that the setting `inputs` gives, a mapping or a list of columns; None: a position has none."""
    if isinstance(inputs, Mapping) or all(isinstance(column, str) and not is_range(column) for column in inputs):
        return tuple(inputs)
    return None
