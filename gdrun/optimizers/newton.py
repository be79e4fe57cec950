"""Newton's and the Gauss-Newton method, on all parameters together. For small problems.

Shape letters: P entries of all parameters, N residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from gdrun.derivatives import flattened, hessian, jacobian, unflattened
from gdrun.errors import ComponentError

from .base import LocalObjective, PointUpdate, State
from .least_squares import factor, solve

MOST_PARAMETERS = 4096
"""A method that solves for all parameters at once holds a matrix of this many rows and columns."""


class FullStepUpdate(PointUpdate):
    """parameters - learning_rate * step, for all parameters together; there is no state.

    Args:
        step: (point, parameters as one vector (P,)) -> step (P,).
    """

    def __init__(self, step: Callable[[LocalObjective, tf.Tensor], tf.Tensor]) -> None:
        self._step = step

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return nothing: there is no state. Raises ComponentError for parameters that it is not for."""
        check_parameters(parameters)
        return ()

    def apply_at(
        self, state: State, point: LocalObjective, learning_rate: tf.Tensor
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the parameters after one step."""
        flat = flattened(point.parameters)
        step = self._step(point, flat)
        return (), unflattened(flat - tf.cast(learning_rate, flat.dtype) * step, point.parameters)


def newton_step(point: LocalObjective, flat: tf.Tensor, *, damping: float = 0.0) -> tf.Tensor:
    """Return solve(H + damping * I, gradient), H the Hessian of the loss.

    It leads to wherever the gradient vanishes: a saddle or a maximum as readily as a minimum. A singular matrix makes
    the step nan, which ends the run.
    """
    matrix = hessian(lambda flat: point.loss_at(unflattened(flat, point.parameters)), flat)
    if damping:
        matrix = matrix + damping * tf.eye(matrix.shape[0], dtype=matrix.dtype)
    return solve(factor(matrix), flattened(point.gradients))


def gauss_newton_step(point: LocalObjective, flat: tf.Tensor, *, damping: float = 0.0) -> tf.Tensor:
    """Return argmin_s |J s - r|**2 + damping |s|**2.

    r are residuals whose squares add up to the loss, J their Jacobian.

    Raises:
        ComponentError: there are fewer residuals than parameters, and nothing damps.
    """
    residuals, slopes = jacobian(flat_residuals(point), flat)
    if damping:
        slopes = tf.concat([slopes, damping**0.5 * tf.eye(flat.shape[0], dtype=flat.dtype)], axis=0)
    elif slopes.shape[0] < slopes.shape[1]:
        raise ComponentError(
            f"{slopes.shape[0]} residuals do not determine {slopes.shape[1]} parameters",
            hint="set damping, or use kind: levenberg_marquardt",
        )
    return solve(factor(slopes), residuals)


def check_parameters(parameters: Sequence[tf.Tensor]) -> None:
    """Raise ComponentError for parameters that are complex or too many."""
    if any(parameter.dtype.is_complex for parameter in parameters):
        raise ComponentError("second-order kinds are for real parameters", hint="give the two parts as parameters")
    size = sum(int(parameter.shape.num_elements() or 0) for parameter in parameters)
    if size > MOST_PARAMETERS:
        raise ComponentError(
            f"second-order kinds solve for all parameters at once; these are {size:,}, more than {MOST_PARAMETERS:,}",
            hint="use a kind that needs gradients only, such as adam",
        )


def flat_residuals(point: LocalObjective) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the residuals as a function of all parameters in one vector."""
    residuals_at = point.residuals_at
    assert residuals_at is not None, "the loss is a sum of squares"
    return lambda flat: residuals_at(unflattened(flat, point.parameters))
