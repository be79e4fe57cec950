"""Losses between predictions and targets. One line here and one class in this package add one."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

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
from .sections import (
    AbsoluteError,
    CustomLoss,
    CustomMetric,
    FormulaLoss,
    FormulaMetric,
    LossSection,
    Metric,
    MetricName,
    NamedLoss,
    OutputLoss,
    Penalty,
    SquaredError,
)

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

__all__ = [
    "AbsoluteError",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CustomLoss",
    "CustomMetric",
    "FormulaLoss",
    "FormulaMetric",
    "Hinge",
    "Huber",
    "KlDivergence",
    "LogCosh",
    "Loss",
    "LossSection",
    "Metric",
    "MetricName",
    "NamedLoss",
    "OutputLoss",
    "Penalty",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredError",
    "SquaredHinge",
]
