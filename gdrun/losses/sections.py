"""`loss:` what is minimised, and `metrics:` what is reported beside it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Tag

from gdrun.config.custom import CustomSection
from gdrun.config.section import Formula, Identifier, NonNegative, Number, Section, ShortSection
from gdrun.errors import Problem


class Penalty(Section):
    """Added to the loss: l1 * sum(|w|) + l2 * sum(w**2), as Keras's regularizers."""

    l1: NonNegative = 0.0
    """Weight of the absolute values."""
    l2: NonNegative = 0.0
    """Weight of the squares."""
    of: tuple[str, ...] | None = None
    """Parameters that are penalised; null: every trainable one."""


class LossSection(Section):
    """What every loss has."""

    compares: ClassVar[bool] = True
    """Whether it compares one prediction with a target."""
    weighs_examples: ClassVar[bool] = True
    """Whether the weights of examples act without being named."""
    is_the_models_output: ClassVar[bool] = False
    """Whether the objective is what the model gives."""
    if TYPE_CHECKING:
        kind: str

    penalty: Penalty | None = None
    """Added to the loss."""

    def formulas(self) -> dict[str, Any]:
        """Return the formulas of the section by their keys."""
        return {}

    def squares_problems(self) -> Iterator[Problem]:
        """Yield why the loss is no sum of squares, in words that follow the name of an optimizer that needs one."""
        hint = "loss: mse or sse, with factor: 0.5 for the half variants; kind: newton minimises any loss"
        yield Problem(f"needs squared errors, {self.kind} has none", ("loss", "kind"), hint)
        yield from self._penalty_problems()

    def _penalty_problems(self) -> Iterator[Problem]:
        if self.penalty is not None and self.penalty.l1:
            path = ("loss", "penalty", "l1")
            yield Problem("needs squares; an l1 penalty has none", path, "l2 is possible", key=True)


class NamedLoss(LossSection):
    """What every loss between prediction and target has."""

    reduction: Literal["mean", "sum"] = "mean"
    """Over all examples and outputs; cross-entropies and the like are one number an example first, as in Keras."""
    factor: Number = 1.0
    """Multiplies the loss; 0.5 gives the half variants."""
    broadcast: bool = False
    """true: let prediction and target of different shapes broadcast, as numpy does."""


class SquaredError(ShortSection, NamedLoss):
    """(prediction - target)**2."""

    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mse": {"reduction": "mean"},
        "sse": {"reduction": "sum"},
        "half_mse": {"reduction": "mean", "factor": 0.5},
        "half_sse": {"reduction": "sum", "factor": 0.5},
    }

    kind: Literal["squared_error", "mse", "sse", "half_mse", "half_sse"]

    def squares_problems(self) -> Iterator[Problem]:
        if self.factor <= 0:
            yield Problem("minimises squares; factor must be positive", ("loss", "factor"))
        yield from self._penalty_problems()


class AbsoluteError(ShortSection, NamedLoss):
    """|prediction - target|."""

    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"mae": {"reduction": "mean"}, "sae": {"reduction": "sum"}}

    kind: Literal["absolute_error", "mae", "sae"]


class FormulaLoss(LossSection):
    """A scalar by formula of prediction, target, inputs, parameters, constants and defined values."""

    compares = False
    weighs_examples = False

    kind: Literal["formula"]
    formula: Formula
    """For example 0.5 * sum((prediction - target)**2)."""

    def formulas(self) -> dict[str, Any]:
        return {"formula": self.formula}


class OutputLoss(LossSection):
    """The model's own output is the objective; it must be a scalar."""

    is_the_models_output = True
    compares = False
    weighs_examples = False

    kind: Literal["output"]
    maximize: bool = False
    """true: climb instead of descend."""


MetricName = Literal[
    "mse",
    "rmse",
    "mae",
    "max_error",
    "r2",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "cosine_similarity",
    "precision",
    "recall",
]


class FormulaMetric(Section):
    """A metric by formula."""

    name: Identifier
    """What it is called in rows and summaries."""
    formula: Formula
    """A scalar of prediction, target, inputs, parameters and constants, over all examples."""


class CustomLoss(CustomSection, LossSection):
    """A loss that a plugin computes of target and prediction."""

    kind: Literal["custom"]
    reduction: Literal["mean", "sum"] = "mean"
    """Over the examples, where the plugin gives a number an example."""


class CustomMetric(CustomSection):
    """A metric that a plugin computes of target and prediction, over all examples."""

    kind: Literal["custom"]
    name: Identifier
    """What the plugin calls it, and what it is called in rows and summaries."""


def _metric_form(value: Any) -> str:
    if isinstance(value, Section):
        return "<mapping>" if isinstance(value, FormulaMetric) else "<custom>"
    if isinstance(value, Mapping):
        return "<custom>" if "kind" in value else "<mapping>"
    return "<scalar>"


Metric = Annotated[
    Annotated[MetricName, Tag("<scalar>")]
    | Annotated[FormulaMetric, Tag("<mapping>")]
    | Annotated[CustomMetric, Tag("<custom>")],
    Discriminator(_metric_form),
]
