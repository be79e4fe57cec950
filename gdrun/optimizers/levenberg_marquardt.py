"""The Levenberg-Marquardt method: Gauss-Newton steps, held back as far as they fail to lower the loss.

Shape letters: P entries of all parameters, N residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gdrun.derivatives import flattened, jacobian, second_along, unflattened

from .base import LocalObjective, PointUpdate, State
from .least_squares import factor, solve
from .newton import check_parameters, flat_residuals

_ROUNDING = 256.0
"""Differences of the loss below so many units of its last place say nothing."""


class DampingState(NamedTuple):
    """The state. Steps are measured in scaled parameters, so that no unit of theirs matters."""

    damping: tf.Tensor
    """(): mu."""
    growth: tf.Tensor
    """(): what a rejection multiplies the damping by."""
    scale: tf.Tensor
    """(P,): the largest norm that each column of the Jacobian has had."""
    last_size: tf.Tensor
    """(): length of the last accepted step."""
    undecided: tf.Tensor
    """bool (): whether the last step was tried and rejected, and a shorter one is worth trying."""


class LevenbergMarquardtUpdate(PointUpdate):
    """One trial step an update, taken or rejected:

        step = argmin_s |J s + r|**2 + mu |D s|**2

    r are residuals whose squares add up to the loss, J their exact Jacobian, D the largest column norms of J so far
    (Moré). The damping mu falls smoothly with the ratio of the loss's real to its foreseen reduction, and grows ever
    faster with each rejection in a row (Nielsen).

    Half the second derivative of the residuals along the step bends it (geodesic acceleration); where that part is
    not small, the step leads too far and is rejected whatever it does to the loss. This is what keeps a fit from
    running off to where the model is flat.

    Near the minimum rounding hides whether a step lowers the loss. Such steps are taken as long as each is at most
    half as long as the one before; the first that is not ends the run's progress. From then on steps are rejected, and
    the damping grows until a step changes no bit of any parameter: the rule `parameters_unchanged` stops there.

    Args:
        initial_damping: mu before the first step.
        acceleration: bound on twice the bent part over the straight one; 0: steps are not bent.

    Sources: Moré 1978, "The Levenberg-Marquardt algorithm: implementation and theory"; Nielsen 1999, "Damping parameter
    in Marquardt's method"; Transtrum, Sethna 2012, "Improvements to the Levenberg-Marquardt algorithm for nonlinear
    least-squares minimization".
    """

    state_names = DampingState._fields

    def __init__(self, *, initial_damping: float = 0.01, acceleration: float = 0.75) -> None:
        self._initial_damping = initial_damping
        self._acceleration = acceleration

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the state before the first step. Raises ComponentError for parameters that it is not for."""
        check_parameters(parameters)
        like = flattened(parameters)
        return tuple(
            DampingState(
                damping=tf.constant(self._initial_damping, like.dtype),
                growth=tf.constant(2.0, like.dtype),
                scale=tf.zeros_like(like),
                last_size=tf.constant(np.inf, like.dtype),
                undecided=tf.constant(False),
            )
        )

    def apply_at(
        self, state: State, point: LocalObjective, learning_rate: tf.Tensor
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after one trial. There is no learning rate."""
        memory = DampingState(*state)
        residuals_at, at = flat_residuals(point), flattened(point.parameters)
        residuals, slopes = jacobian(residuals_at, at)
        scale = tf.maximum(memory.scale, tf.sqrt(tf.reduce_sum(slopes * slopes, axis=0)))
        units = tf.where(scale > 0, scale, tf.ones_like(scale))
        slopes = slopes / units

        damped = tf.concat([slopes, tf.sqrt(memory.damping) * tf.eye(at.shape[0], dtype=at.dtype)], axis=0)
        factors = factor(damped)
        straight = -solve(factors, residuals)
        bent, trusted = self._bend(residuals_at, at, straight, units, lambda right: solve(factors, right))
        trial = at + (straight + bent) / units

        after = residuals_at(trial)
        # The difference of the losses, without losing its digits to their size.
        gain = tf.reduce_sum((residuals - after) * (residuals + after))
        size = tf.norm(straight)
        foreseen = tf.reduce_sum(tf.linalg.matvec(slopes, straight) ** 2) + 2.0 * memory.damping * size**2
        noise = _ROUNDING * np.finfo(at.dtype.as_numpy_dtype).eps * tf.reduce_sum(residuals * residuals)
        unseen = (foreseen <= noise) & (tf.abs(gain) <= noise) & (size <= 0.5 * memory.last_size)
        taken = trusted & tf.math.is_finite(gain) & ((gain > 0) | unseen)
        new = tf.where(taken, trial, at)
        damping, most = _next_damping(memory, gain, foreseen, taken, unseen)
        memory = DampingState(
            damping=damping,
            growth=tf.where(taken, tf.constant(2.0, at.dtype), 2.0 * memory.growth),
            scale=scale,
            last_size=tf.where(taken, size, memory.last_size),
            undecided=tf.logical_not(taken) & tf.reduce_any(trial != at) & (damping < most),
        )
        return tuple(memory), unflattened(new, point.parameters)

    def is_undecided(self, state: State) -> tf.Tensor:
        """Return whether the last step was rejected and a shorter one may still lower the loss, bool ()."""
        return DampingState(*state).undecided

    def _bend(
        self,
        residuals_at: Callable[[tf.Tensor], tf.Tensor],
        at: tf.Tensor,
        straight: tf.Tensor,
        units: tf.Tensor,
        solve_for: Callable[[tf.Tensor], tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the bent part of the step, (P,), and whether it is small enough to be trusted, bool ()."""
        if not self._acceleration:
            return tf.zeros_like(straight), tf.constant(True)
        bent = -0.5 * solve_for(second_along(residuals_at, at, straight / units))
        trusted = 2.0 * tf.norm(bent) <= self._acceleration * tf.norm(straight)
        return tf.where(trusted, bent, tf.zeros_like(bent)), trusted


def _next_damping(
    memory: DampingState, gain: tf.Tensor, foreseen: tf.Tensor, taken: tf.Tensor, unseen: tf.Tensor
) -> tuple[tf.Tensor, float]:
    """Return the damping by Nielsen's rule, mu * max(1/3, 1 - (2 gain / foreseen - 1)**3) after a step, mu * growth
    after a rejection; and the largest damping that there is."""
    third = tf.constant(1 / 3, gain.dtype)
    factor_ = tf.where(unseen, third, tf.maximum(third, 1.0 - (2.0 * gain / foreseen - 1.0) ** 3))
    # Kept from zero, where a column of zeros could not be solved for, but by little: the scales remember columns that
    # may have been larger by many orders. Kept from infinity, far beyond where a step is too short to matter.
    limits = np.finfo(gain.dtype.as_numpy_dtype)
    least, most = float(limits.tiny / limits.eps), float(limits.eps) ** -4
    return tf.clip_by_value(memory.damping * tf.where(taken, factor_, memory.growth), least, most), most
