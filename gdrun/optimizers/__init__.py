"""Optimizers. One line here and one class in this package add one; Keras's are listed in `keras.KerasKind`."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

from .custom import CustomOptimizer
from .keras import (
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
    RMSprop,
    ScheduleFreeAdamW,
    Sgd,
)
from .second_order import GaussNewton, LevenbergMarquardt, Newton
from .update_rule import UpdateRule

Optimizer = Annotated[
    Sgd
    | Adam
    | AdamW
    | Adamax
    | Nadam
    | RMSprop
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
