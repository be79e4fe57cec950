"""Optimizers for small problems that use second derivatives or the residuals' exact Jacobian."""

from typing import ClassVar, Literal

from gdrun.config.section import NonNegative, PositiveNumber

from .sections import OptimizerSection


class Newton(OptimizerSection):
    """Newton's method on all parameters together: learning_rate * solve(H + damping * I, gradient) is subtracted, H
    the Hessian of the loss. It goes to a saddle or a maximum as readily as to a minimum."""

    kind: Literal["newton"]
    learning_rate: NonNegative = 1.0
    """Share of the full step."""
    damping: NonNegative = 0.0
    """Added to the Hessian's diagonal."""


class GaussNewton(OptimizerSection):
    """The Gauss-Newton method for squared errors: the full step solves the least squares of the residuals' tangent."""

    needs_squares = True

    kind: Literal["gauss_newton"]
    learning_rate: NonNegative = 1.0
    """Share of the full step."""
    damping: NonNegative = 0.0
    """Added to the diagonal of J'J, J the Jacobian of residuals whose squares add up to the loss."""


class LevenbergMarquardt(OptimizerSection):
    """Gauss-Newton steps for squared errors, with damping that adapts. Each update is one trial step, which is taken if
    it lowers the loss. schedule.stop.parameters_unchanged ends the run when no step does any more. Use float64."""

    needs_squares = True

    kind: Literal["levenberg_marquardt"]
    initial_damping: PositiveNumber = 0.01
    """Before the first step, relative to the squared columns of the Jacobian; larger is more careful."""
    acceleration: NonNegative = 0.75
    """Steps are bent by the residuals' second derivative along them (geodesic acceleration), and rejected where twice
    the bent part is more than this share of the straight one; 0: straight steps only."""

    learning_rate: ClassVar[float] = 1.0
    """It has none."""
