"""`loss:` what is minimised, and `metrics:` what is reported beside it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from gdrun.config.base import Formula, Identifier, NonNegative, Number, Section, kinds
from gdrun.config.unions import ByForm, Lazy, from_elsewhere


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

    penalty: Lazy[Penalty] | None = None
    """Added to the loss."""


class NamedLoss(LossSection):
    """What every loss between prediction and target has."""

    reduction: Literal["mean", "sum"] = "mean"
    """Over all examples and outputs; cross-entropies and the like are one number an example first, as in Keras."""
    factor: Number = 1.0
    """Multiplies the loss; 0.5 gives the half variants."""
    broadcast: bool = False
    """true: let prediction and target of different shapes broadcast, as numpy does."""


class SquaredError(NamedLoss):
    """(prediction - target)**2."""

    kind: Literal["squared_error"]


class AbsoluteError(NamedLoss):
    """|prediction - target|."""

    kind: Literal["absolute_error"]


class FormulaLoss(LossSection):
    """A scalar by formula of prediction, target, inputs, parameters, constants and defined values."""

    kind: Literal["formula"]
    formula: Formula
    """For example 0.5 * sum((prediction - target)**2)."""


class OutputLoss(LossSection):
    """The model's own output is the objective; it must be a scalar."""

    kind: Literal["output"]
    maximize: bool = False
    """true: climb instead of descend."""


_ELSEWHERE = dict.fromkeys(
    (
        "Huber",
        "LogCosh",
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "SparseCategoricalCrossentropy",
        "Hinge",
        "SquaredHinge",
        "CategoricalHinge",
        "Poisson",
        "KlDivergence",
    ),
    "gdrun.losses.more_sections",
)


def __getattr__(name: str) -> object:
    return from_elsewhere(__name__, _ELSEWHERE, name)


_MEAN, _SUM = {"reduction": "mean"}, {"reduction": "sum"}

if TYPE_CHECKING:
    from gdrun.config.custom import CustomLoss

    from .more_sections import (
        BinaryCrossentropy,
        CategoricalCrossentropy,
        CategoricalHinge,
        Hinge,
        Huber,
        KlDivergence,
        LogCosh,
        Poisson,
        SparseCategoricalCrossentropy,
        SquaredHinge,
    )

    Loss: TypeAlias = (
        SquaredError
        | AbsoluteError
        | Huber
        | LogCosh
        | BinaryCrossentropy
        | CategoricalCrossentropy
        | SparseCategoricalCrossentropy
        | Hinge
        | SquaredHinge
        | CategoricalHinge
        | Poisson
        | KlDivergence
        | FormulaLoss
        | OutputLoss
        | CustomLoss
    )
else:
    Loss = kinds(
        {
            "squared_error": "gdrun.losses.sections:SquaredError",
            "absolute_error": "gdrun.losses.sections:AbsoluteError",
            "huber": "gdrun.losses.more_sections:Huber",
            "log_cosh": "gdrun.losses.more_sections:LogCosh",
            "binary_crossentropy": "gdrun.losses.more_sections:BinaryCrossentropy",
            "categorical_crossentropy": "gdrun.losses.more_sections:CategoricalCrossentropy",
            "sparse_categorical_crossentropy": "gdrun.losses.more_sections:SparseCategoricalCrossentropy",
            "hinge": "gdrun.losses.more_sections:Hinge",
            "squared_hinge": "gdrun.losses.more_sections:SquaredHinge",
            "categorical_hinge": "gdrun.losses.more_sections:CategoricalHinge",
            "poisson": "gdrun.losses.more_sections:Poisson",
            "kl_divergence": "gdrun.losses.more_sections:KlDivergence",
            "formula": "gdrun.losses.sections:FormulaLoss",
            "output": "gdrun.losses.sections:OutputLoss",
            "custom": "gdrun.config.custom:CustomLoss",
        },
        short={
            "mse": {"kind": "squared_error", **_MEAN},
            "sse": {"kind": "squared_error", **_SUM},
            "half_mse": {"kind": "squared_error", **_MEAN, "factor": 0.5},
            "half_sse": {"kind": "squared_error", **_SUM, "factor": 0.5},
            "mae": {"kind": "absolute_error", **_MEAN},
            "sae": {"kind": "absolute_error", **_SUM},
        },
    )


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


def _metric_form(value: Any) -> str:
    if isinstance(value, Section):
        return "mapping" if isinstance(value, FormulaMetric) else "custom"
    if isinstance(value, Mapping):
        return "custom" if "kind" in value else "mapping"
    return "scalar"


Metric = Annotated[
    Any,
    ByForm(
        {
            "scalar": MetricName,
            "mapping": Lazy[FormulaMetric],
            "custom": kinds({"custom": "gdrun.config.custom:CustomMetric"}),
        },
        choose=_metric_form,
    ),
]
