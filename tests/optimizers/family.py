"""The members of the family of optimizers, for tests that run over all of them."""

from __future__ import annotations

from typing import get_args

from gdrun.optimizers.base import OptimizerSection
from gdrun.optimizers.custom import CustomOptimizer
from gdrun.optimizers.functional_keras import KerasUpdate
from gdrun.optimizers.keras import KerasOptimizer
from gdrun.optimizers.second_order import GaussNewton, LevenbergMarquardt, Newton
from gdrun.optimizers.update_rule import UpdateRule


def kinds_below(section):
    """Return the sections of single kinds that are subclasses of `section`, by kind."""
    own = {get_args(section.model_fields["kind"].annotation)[0]: section} if "kind" in section.model_fields else {}
    return own | {kind: leaf for sub in section.__subclasses__() for kind, leaf in kinds_below(sub).items()}


KERAS: dict[str, type[KerasOptimizer]] = kinds_below(KerasOptimizer)
MEMBERS: dict[str, type[OptimizerSection]] = {
    **KERAS,
    "formula": UpdateRule,
    "newton": Newton,
    "gauss_newton": GaussNewton,
    "levenberg_marquardt": LevenbergMarquardt,
    "custom": CustomOptimizer,
}


def keras_update(kind, *, settings=None, per_lane=None, parameter_names=None):
    """Return the update of a Keras optimizer with settings that Keras's constructor takes."""
    section = KERAS[kind]
    return KerasUpdate(
        section.keras_class(),
        settings=settings or {},
        per_lane=per_lane or {},
        counts=section.counts,
        parameter_names=parameter_names,
    )
