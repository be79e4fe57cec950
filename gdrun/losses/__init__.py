"""Losses between predictions and targets. One line here and one class in this package add one."""

from typing import Annotated

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


def default_loss(has_target: bool) -> LossSection:
    """Return the loss of a config that gives none: mse with a target, else the model's output."""
    return SquaredError(kind="squared_error") if has_target else OutputLoss(kind="output")
