"""Losses between predictions and targets. One line here and one class in this package add one."""

from typing import Annotated, get_args

from pydantic import Field

from gdrun.config.section import BareKind

from .base import LossSection
from .custom import CustomLoss
from .named import (
    AbsoluteError,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    Huber,
    KlDivergence,
    LogCosh,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredError,
    SquaredHinge,
)
from .objectives import FormulaLoss, OutputLoss

Loss = Annotated[
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
    | CustomLoss,
    Field(discriminator="kind"),
    BareKind,
]

METRICS: dict[str, type[LossSection]] = {
    get_args(loss.model_fields["kind"].annotation)[0]: loss for loss in get_args(get_args(Loss)[0]) if loss.is_metric
}
"""Kind -> class of the losses whose mean is a metric too."""


def default_loss(has_target: bool) -> LossSection:
    """Return the loss of a config that gives none: mse with a target, else the model's output."""
    return SquaredError(kind="squared_error") if has_target else OutputLoss(kind="output")
