<<<<<<< HEAD
"""Optimizers. One line here and one class in this package add one; Keras's are listed in `keras.KerasKind`."""
=======
"""Optimizers. One class in this package and one line here add one; Keras's have their line in `keras.KerasKind`."""
>>>>>>> main

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

from .custom import CustomOptimizer
<<<<<<< HEAD
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
=======
from .keras import KerasKind
>>>>>>> main
from .second_order import GaussNewton, LevenbergMarquardt, Newton
from .update_rule import UpdateRule

Optimizer = Annotated[
<<<<<<< HEAD
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
=======
    KerasKind | UpdateRule | Newton | GaussNewton | LevenbergMarquardt | CustomOptimizer,
>>>>>>> main
    Field(discriminator="kind"),
    BareKind,
]
