"""Derivatives by finite differences, with an error estimate. NumPy only.

Central differences of shrinking step are extrapolated to step 0 (Richardson); the estimate that differs least from its
neighbours in the tableau is taken.

Source: Ridders 1982, "Accurate computation of F'(x) and F'(x) F''(x)".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_ROUNDS = 7
_SHRINK = 2.0
_FIRST_STEP = 2.0**-6
_SAFETY = 10.0


class Difference(NamedTuple):
    """A derivative by one coordinate."""

    value: float
    """nan where the function is not finite around the point."""
    error: float
    """Bound on its error: what the tableau leaves open and what rounding of the function allows."""
    step: float
    """The smallest step of the estimate."""
    left: float
    """One-sided derivatives at the smallest step of all."""
    right: float
    has_kink: bool = False
    """Whether they stay apart as the step shrinks: there is no derivative."""


def difference(function: Callable[[float], float], at: float, scale: float) -> Difference:
    """Return the derivative of `function` at `at`.

    Args:
        function: of one coordinate, float64.
        scale: typical size of the coordinate, positive; the first step is a 64th of it, and shrinks until the function
            is finite on both sides.
    """
    step = _FIRST_STEP * max(abs(at), scale)
    middle = function(at)
    for _ in range(40):
        if np.isfinite(function(at + step)) and np.isfinite(function(at - step)):
            break
        step /= _SHRINK**2
    if at + step / _SHRINK**_ROUNDS == at or not np.isfinite(function(at + step)):
        # None is finite, or only those that rounding makes of `at` itself.
        return Difference(float("nan"), float("inf"), step, float("nan"), float("nan"))
    tableau = np.zeros((_ROUNDS, _ROUNDS))
    best, error, used = float("nan"), float("inf"), step
    left = right = float("nan")
    gaps = []
    for row in range(_ROUNDS):
        above, below = at + step, at - step
        high, low = function(above), function(below)
        # The step that was made, not the one that was meant: at + step is rounded.
        tableau[row, 0] = (high - low) / (above - below)
        rounding = 4 * np.finfo(np.float64).eps * max(abs(high), abs(low), abs(middle)) / step
        if row == 0:
            best, error = float(tableau[0, 0]), float("inf")
        power = _SHRINK**2
        for column in range(1, row + 1):
            finer, coarser = tableau[row, column - 1], tableau[row - 1, column - 1]
            tableau[row, column] = finer + (finer - coarser) / (power - 1)
            power *= _SHRINK**2
            open_ = max(abs(tableau[row, column] - finer), abs(tableau[row, column] - coarser)) + rounding
            if open_ < error:
                best, error, used = float(tableau[row, column]), float(open_), step
        left, right = (middle - low) / (at - below), (high - middle) / (above - at)
        gaps.append(abs(right - left) - 10 * rounding)
        step /= _SHRINK
    # Of a smooth function the gap shrinks with the step.
    kink = gaps[-1] > 0.5 * gaps[0] > 0 and gaps[-1] > 1e-6 * max(abs(left), abs(right))
    return Difference(best, _SAFETY * error, used, float(left), float(right), bool(kink))
