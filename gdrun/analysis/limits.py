"""The learning rate at which an optimizer stops being stable on a quadratic of given curvature. NumPy only.

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
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rule:
    """How far an optimizer may go.

    Args:
        factor: the limit is factor / eigenvalue.
        formula: the same in words.
        divides_by: what each parameter's gradient is divided by, (P,); None: nothing.
        adds: to every eigenvalue: weight decay.
        caveats: why the limit may not be where the run stops converging.
    """

    factor: float
    formula: str
    divides_by: np.ndarray | None = None
    adds: float = 0.0
    caveats: tuple[str, ...] = ()
    exact: bool = True
    """Whether on a quadratic the limit is exact."""


def rule_of(section: Any, gradient: np.ndarray, second_moment: np.ndarray | None = None) -> Rule | None:
    """Return the rule of an `optimizer:` section, None where none is known.

    Args:
        section: the checked section; its groups are left to the caller.
        gradient: at the point, (P,), from which moments are taken where there are none.
        second_moment: the optimizer's moving mean of squared gradients, (P,).
    """
    kind = section.kind
    if kind in ("newton", "gauss_newton"):
        if section.damping:
            return None
        name = "Newton's" if kind == "newton" else "a Gauss-Newton"
        return Rule(2.0, f"{name} step lands on the minimum of a quadratic at rate 1 and overshoots for ever at 2")
    if kind == "sgd":
        found = _sgd(section)
    elif kind in ("adam", "adamw", "nadam"):
        found = _adam(section, gradient, second_moment)
    elif kind == "rmsprop" and not section.centered:
        found = _rmsprop(section, gradient, second_moment)
    elif kind == "adagrad":
        found = _adagrad(section, gradient, second_moment)
    else:
        return None
    return _with_settings(found, section)


def _sgd(section: Any) -> Rule:
    beta = section.momentum
    if not beta:
        return Rule(2.0, "2 / eigenvalue", adds=section.weight_decay or 0.0)
    decay = ("weight decay is left out of the prediction",) if section.weight_decay else ()
    if section.nesterov:
        factor = 2 * (1 + beta) / (1 + 2 * beta)
        return Rule(factor, "2 (1 + momentum) / ((1 + 2 momentum) eigenvalue)", caveats=decay, exact=not decay)
    return Rule(2 * (1 + beta), "2 (1 + momentum) / eigenvalue", caveats=decay, exact=not decay)


_ADAPTS = (
    "the divisor adapts: beyond the limit the run oscillates, its gradients and the divisor grow until it is stable"
)
_FIRST = "the divisor is that of the first steps, |gradient|; it changes as the run goes on"


def _adam(section: Any, gradient: np.ndarray, second_moment: np.ndarray | None) -> Rule:
    beta = section.beta_1
    moment = gradient**2 if second_moment is None else second_moment
    factor, words = 2 * (1 + beta) / (1 - beta), "2 (1 + beta_1) / ((1 - beta_1) eigenvalue)"
    if section.kind == "nadam":
        factor, words = factor / (1 + 2 * beta), "2 (1 + beta_1) / ((1 - beta_1) (1 + 2 beta_1) eigenvalue)"
    caveats = (_ADAPTS, *((_FIRST,) if second_moment is None else ()))
    return Rule(factor, words, np.sqrt(moment) + section.epsilon, caveats=caveats, exact=False)


def _rmsprop(section: Any, gradient: np.ndarray, second_moment: np.ndarray | None) -> Rule:
    beta = section.momentum
    moment = gradient**2 if second_moment is None else second_moment
    words = "2 (1 + momentum) / eigenvalue" if beta else "2 / eigenvalue"
    caveats = (_ADAPTS, *((_FIRST,) if second_moment is None else ()))
    return Rule(2 * (1 + beta), words, np.sqrt(moment + section.epsilon), caveats=caveats, exact=False)


def _adagrad(section: Any, gradient: np.ndarray, second_moment: np.ndarray | None) -> Rule:
    moment = section.initial_accumulator_value + gradient**2 if second_moment is None else second_moment
    grows = "the divisor only grows, and the limit with it"
    return Rule(2.0, "2 / eigenvalue", np.sqrt(moment + section.epsilon), caveats=(grows,), exact=False)


def _with_settings(found: Rule, section: Any) -> Rule:
    """The rule with what further settings do to it."""
    caveats = list(found.caveats)
    if any(getattr(section, name) is not None for name in ("clipnorm", "clipvalue", "global_clipnorm")):
        caveats.append("clipping bounds the steps: beyond the limit the run oscillates instead of diverging")
    if section.use_ema and section.ema_overwrite_frequency:
        caveats.append("overwriting parameters by their average damps oscillations")
    if found.divides_by is not None and section.weight_decay:
        caveats.append("weight decay is left out of the prediction")
    if caveats == list(found.caveats):
        return found
    return Rule(found.factor, found.formula, found.divides_by, found.adds, tuple(caveats), exact=False)
