"""Further losses between prediction and target, each as Keras computes it."""

from typing import Annotated, Literal

from pydantic import Field

from gdrun.config.section import Number, PositiveNumber

from .sections import NamedLoss


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
