"""Optimizers. One line here and one class in this package add one; Keras's are listed in `keras.KerasKind`."""

from typing import TYPE_CHECKING, TypeAlias

from gdrun.config.unions import kinds

from .keras import KERAS_KINDS, KerasKind
from .second_order import GaussNewton, LevenbergMarquardt, Newton
from .update_rule import UpdateRule

if TYPE_CHECKING:
    from .custom import CustomOptimizer

    Optimizer: TypeAlias = KerasKind | UpdateRule | Newton | GaussNewton | LevenbergMarquardt | CustomOptimizer
else:
    Optimizer = kinds(
        {
            **KERAS_KINDS,
            "formula": UpdateRule,
            "newton": Newton,
            "gauss_newton": GaussNewton,
            "levenberg_marquardt": LevenbergMarquardt,
            "custom": "gdrun.optimizers.custom:CustomOptimizer",
        },
    )
