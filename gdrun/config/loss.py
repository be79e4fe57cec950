"""`loss:` what is minimised, and `metrics:` what is reported beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Formula, Identifier, NonNegative, Number, PositiveNumber, Section, by_form, kinds


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

    penalty: Penalty | None = None
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


class Huber(NamedLoss):
    """Half the square up to delta, linear beyond."""

    kind: Literal["huber"]
    delta: PositiveNumber = 1.0
    """Where the square ends."""


class LogCosh(NamedLoss):
    """log(cosh(prediction - target))."""

    kind: Literal["log_cosh"]


class BinaryCrossentropy(NamedLoss):
    """-target * log(p) - (1 - target) * log(1 - p); probabilities are clipped to [1e-7, 1 - 1e-7], as Keras does."""

    kind: Literal["binary_crossentropy"]
    from_logits: bool = False
    """true: the prediction is a logit; false: a probability."""
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Squeezes targets towards one half."""


class CategoricalCrossentropy(NamedLoss):
    """-sum(target * log(p)) over the last axis, targets one-hot; Keras's normalisation and clipping."""

    kind: Literal["categorical_crossentropy"]
    from_logits: bool = False
    """true: the predictions are logits; false: probabilities."""
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Squeezes targets towards uniform."""


class SparseCategoricalCrossentropy(NamedLoss):
    """-log(p[target]), targets are class labels 0, 1, ..."""

    kind: Literal["sparse_categorical_crossentropy"]
    from_logits: bool = False
    """true: the predictions are logits; false: probabilities."""


class Hinge(NamedLoss):
    """max(0, 1 - target * prediction); labels 0 and 1 are read as -1 and 1, as in Keras."""

    kind: Literal["hinge"]


class SquaredHinge(NamedLoss):
    """max(0, 1 - target * prediction)**2, labels as in hinge."""

    kind: Literal["squared_hinge"]


class CategoricalHinge(NamedLoss):
    """max(0, 1 + best wrong score - right score), targets one-hot."""

    kind: Literal["categorical_hinge"]


class Poisson(NamedLoss):
    """prediction - target * log(prediction + 1e-7)."""

    kind: Literal["poisson"]


class KlDivergence(NamedLoss):
    """sum(target * log(target / prediction)) over the last axis, both clipped to [1e-7, 1]."""

    kind: Literal["kl_divergence"]


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


_MEAN, _SUM = {"reduction": "mean"}, {"reduction": "sum"}

Loss = kinds(
    SquaredError,
    AbsoluteError,
    Huber,
    LogCosh,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    Poisson,
    KlDivergence,
    FormulaLoss,
    OutputLoss,
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


Metric = by_form(scalar=MetricName, mapping=FormulaMetric)
