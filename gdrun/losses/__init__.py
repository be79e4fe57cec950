"""Losses between predictions and targets. One line here and one class in this package add one."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

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
