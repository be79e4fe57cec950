"""Optimizers for small problems that use second derivatives or the residuals' exact Jacobian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from gdrun.config.section import NonNegative, PositiveNumber
from gdrun.errors import Problem

from .base import GivenNames, OptimizerSection, OtherSections, Parameters, PointUpdate
from .line_searched import full_batch_problems
from .stability_limit import StabilityLimit

if TYPE_CHECKING:
    import numpy as np


def _full_step_limit(damping: float, step: str) -> StabilityLimit | None:
    """Return 2, where nothing damps the step: it divides the curvature out."""
    if damping:
        return None
    formula = f"{step} step lands on the minimum of a quadratic at rate 1 and overshoots for ever at 2"
    return StabilityLimit(2.0, formula, by_curvature=False)


class Newton(OptimizerSection):
    """Newton's method on all parameters together: learning_rate * solve(H + damping * I, gradient) is subtracted, H
    the Hessian of the loss. It goes to a saddle or a maximum as readily as to a minimum."""

    needs = "hessian"

    kind: Literal["newton"]
    learning_rate: NonNegative = 1.0
    """Share of the full step."""
    damping: NonNegative = 0.0
    """Added to the Hessian's diagonal."""

    def build(self, parameters: Parameters) -> PointUpdate:
        from .newton import FullStepUpdate, newton_step

        return FullStepUpdate(partial(newton_step, damping=self.damping))

    def stability_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None = None) -> StabilityLimit | None:
        return _full_step_limit(self.damping, "Newton's")


class SquaresOptimizer(OptimizerSection):
    """An optimizer of losses that are sums of squares."""

    needs = "residuals"

    def problems(self, experiment: OtherSections, names: GivenNames) -> Iterator[Problem]:
        """Yield why the loss is no sum of squares."""
        if experiment.loss is None and not names.has_target:
            message = f"{self.kind} fits a prediction to a target, but there is none"
            yield Problem(message, ("optimizer", "kind"), "kind: newton minimises any loss")
        for problem in experiment.loss.squares_problems() if experiment.loss is not None else ():
            yield replace(problem, message=f"{self.kind} {problem.message}")


class GaussNewton(SquaresOptimizer):
    """The Gauss-Newton method for squared errors: the full step solves the least squares of the residuals' tangent."""

    kind: Literal["gauss_newton"]
    learning_rate: NonNegative = 1.0
    """Share of the full step."""
    damping: NonNegative = 0.0
    """Added to the diagonal of J'J, J the Jacobian of residuals whose squares add up to the loss."""

    def build(self, parameters: Parameters) -> PointUpdate:
        from .newton import FullStepUpdate, gauss_newton_step

        return FullStepUpdate(partial(gauss_newton_step, damping=self.damping))

    def stability_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None = None) -> StabilityLimit | None:
        return _full_step_limit(self.damping, "a Gauss-Newton")


class LevenbergMarquardt(SquaresOptimizer):
    """Gauss-Newton steps for squared errors, with damping that adapts. Each update is one trial step, which is taken if
    it lowers the loss. schedule.stop.parameters_unchanged ends the run when no step does any more. Use float64."""

    has_learning_rate = False

    kind: Literal["levenberg_marquardt"]
    initial_damping: PositiveNumber = 0.01
    """Before the first step, relative to the squared columns of the Jacobian; larger is more careful."""
    acceleration: NonNegative = 0.75
    """Steps are bent by the residuals' second derivative along them (geodesic acceleration), and rejected where twice
    the bent part is more than this share of the straight one; 0: straight steps only."""

    def build(self, parameters: Parameters) -> PointUpdate:
        from .levenberg_marquardt import LevenbergMarquardtUpdate

        return LevenbergMarquardtUpdate(initial_damping=self.initial_damping, acceleration=self.acceleration)

    def problems(self, experiment: OtherSections, names: GivenNames) -> Iterator[Problem]:
        """Yield also settings of the schedule that make no sense where each update is a trial."""
        yield from super().problems(experiment, names)
        yield from full_batch_problems(self, experiment, "its damping adapts")

    def warnings(self, precision: str) -> tuple[str, ...]:
        if precision == "float64":
            return ()
        return ("levenberg_marquardt in float32 ends with few digits; precision: float64 gives it all of them",)
