"""`optimizer:` -> an update rule."""

from __future__ import annotations

from typing import Any, assert_never

from gdrun.components.levenberg_marquardt import LevenbergMarquardt
from gdrun.components.optimizers import Optimizer, keras_optimizer
from gdrun.components.point import PointOptimizer
from gdrun.components.second_order import GaussNewton, Newton
from gdrun.components.update_rule import UpdateRule
from gdrun.config import optimizer as sections
from gdrun.engine.objective import Objective
from gdrun.formula.parse import parse

from .located import located


def build_optimizer(section: Any, objective: Objective) -> Optimizer | PointOptimizer:
    """Return the optimizer of the config for the trainable parameters of `objective`."""
    match section:
        case sections.KerasOptimizer():
            settings = {name: value for name, value in section if name not in ("kind", "learning_rate")}
            with located("optimizer"):
                return keras_optimizer(section.kind, settings=settings, parameter_names=objective.trainable_names)  # type: ignore[attr-defined]
        case sections.UpdateRule():
            return UpdateRule(
                {name: parse(text) for name, text in section.update.items()},
                state={name: parse(text) for name, text in section.state.items()},
                settings=section.settings,
                constants=objective.constants,
                ops=objective.ops,
                parameter_names=objective.trainable_names,
            )
        case sections.Newton():
            return Newton(damping=section.damping)
        case sections.GaussNewton():
            return GaussNewton(damping=section.damping)
        case sections.LevenbergMarquardt():
            return LevenbergMarquardt(
                initial_damping=section.initial_damping, acceleration=section.acceleration
            )
        case _:
            assert_never(section)


def needs_residuals(section: Any) -> bool:
    """Whether the optimizer works on residuals instead of the loss."""
    return isinstance(section, sections.GaussNewton | sections.LevenbergMarquardt)


def hides_gradients(section: Any) -> bool:
    """Whether an infinite gradient may give finite parameters, so that it must be looked for."""
    return (
        not isinstance(section, sections.KerasOptimizer)
        or section.kind in ("lion", "muon", "adafactor")  # type: ignore[attr-defined]
        or section.clipvalue is not None
        # An accumulated gradient moves nothing until the last of its steps.
        or section.gradient_accumulation_steps is not None
    )
