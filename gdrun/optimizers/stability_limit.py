"""The learning rate at which an optimizer stops being stable on a quadratic of given curvature.

Along an eigenvector with eigenvalue s of the (preconditioned) Hessian each optimizer is a linear recurrence; the limit
is where its first root leaves the unit circle, at -1:

    gradient descent      rate * s < 2
    heavy ball            rate * s < 2 (1 + momentum)
    Nesterov              rate * s < 2 (1 + momentum) / (1 + 2 momentum)
    Adam                  rate * s < 2 (1 + beta_1) / (1 - beta_1)          38 for the defaults
    RMSprop, Adagrad      rate * s < 2 (1 + momentum)

Adam's and RMSprop's s is an eigenvalue of P^-1 H, P the diagonal that they divide by.
Source: Polyak 1964; Cohen et al. 2021, "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability";
Cohen et al. 2022, "Adaptive Gradient Methods at the Edge of Stability".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

DIVISOR_ADAPTS = (
    "the divisor adapts: beyond the limit the run oscillates, its gradients and the divisor grow until it is stable"
)
DIVISOR_OF_FIRST_STEPS = "the divisor is |gradient|, that of a first step from here; it changes as the run goes on"
DIVISOR_GROWS = "the divisor only grows, and the limit with it"
DECAY_LEFT_OUT = "weight decay is left out of the prediction"


@dataclass(frozen=True)
class StabilityLimit:
    """The bound on an optimizer's learning rate.

    Args:
        factor: the limit is factor / eigenvalue.
        formula: the same in words.
        divides_by: what each parameter's gradient is divided by, (P,); None: nothing.
        adds: to every eigenvalue: weight decay.
        caveats: why the limit may not be where the run stops converging.
        exact: whether on a quadratic the limit is exact.
        by_curvature: False: the limit is `factor` whatever the curvature, which the step divides out.
    """

    factor: float
    formula: str
    divides_by: np.ndarray | None = None
    adds: float = 0.0
    caveats: tuple[str, ...] = ()
    exact: bool = True
    by_curvature: bool = True
