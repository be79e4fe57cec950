"""Optimizers: their settings, and their updates as pure functions of tensors."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

from .adaptive import (
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lamb,
    Lion,
    Muon,
    Nadam,
    RmsProp,
    ScheduleFreeAdamW,
)
from .second_order_sections import GaussNewton, LevenbergMarquardt, Newton
from .sections import CustomOptimizer, Group, KerasOptimizer, Sgd
from .update_rule_section import UpdateRule

KerasKind = Annotated[
    Sgd
    | Adam
    | AdamW
    | Adamax
    | Nadam
    | RmsProp
    | Adagrad
    | Adadelta
    | Ftrl
    | Lion
    | Lamb
    | Adafactor
    | Muon
    | ScheduleFreeAdamW,
    Field(discriminator="kind"),
    BareKind,
]

Optimizer = Annotated[
    Sgd
    | Adam
    | AdamW
    | Adamax
    | Nadam
    | RmsProp
    | Adagrad
    | Adadelta
    | Ftrl
    | Lion
    | Lamb
    | Adafactor
    | Muon
    | ScheduleFreeAdamW
    | UpdateRule
    | Newton
    | GaussNewton
    | LevenbergMarquardt
    | CustomOptimizer,
    Field(discriminator="kind"),
    BareKind,
]

KerasOptimizer.union = KerasKind

__all__ = [
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "CustomOptimizer",
    "Ftrl",
    "GaussNewton",
    "Group",
    "KerasKind",
    "KerasOptimizer",
    "Lamb",
    "LevenbergMarquardt",
    "Lion",
    "Muon",
    "Nadam",
    "Newton",
    "Optimizer",
    "RmsProp",
    "ScheduleFreeAdamW",
    "Sgd",
    "UpdateRule",
]
