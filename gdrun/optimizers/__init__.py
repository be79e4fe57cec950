"""Optimizers. One class in this package and one line here add one; Keras's have their line in `keras.KerasKind`."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

from .custom import CustomOptimizer
from .keras import KerasKind
from .line_searched import ConjugateGradients, Lbfgs
from .none import NoOptimizer
from .second_order import GaussNewton, LevenbergMarquardt, Newton
from .update_rule import UpdateRule

Optimizer = Annotated[
    KerasKind
    | UpdateRule
    | Newton
    | GaussNewton
    | LevenbergMarquardt
    | Lbfgs
    | ConjugateGradients
    | NoOptimizer
    | CustomOptimizer,
    Field(discriminator="kind"),
    BareKind,
]
