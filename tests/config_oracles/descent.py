"""Plain loops over NumPy arrays, and the table of oracles.

The loops round as NumPy does, not as TensorFlow, so each oracle says how far apart the two may be where the config's
own tolerance is tighter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Values:
    """What an oracle computed; `trace` is by step, then by column."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    trace: dict[int, dict[str, Any]] = field(default_factory=dict)
    loss: Any = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    predictions: Any = None
    steps: int | None = None
    gradients: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[dict[str, Any], ...] = ()
    """For each entry of `expect.trials` what it is about, by name."""


@dataclass(frozen=True)
class Oracle:
    """A loop, and how far its rounding may lead it from TensorFlow's."""

    compute: Callable[[], Values]
    rtol: float
    atol: float


ORACLES: dict[str, Oracle] = {}


def oracle(name: str, *, rtol: float = 0.0, atol: float = 0.0) -> Callable[[Callable[[], Values]], Callable]:
    def register(compute: Callable[[], Values]) -> Callable[[], Values]:
        ORACLES[name] = Oracle(compute, rtol, atol)
        return compute

    return register


def descend(parameters: dict[str, Any], gradient: Callable, rate: Any, steps: int, dtype: type) -> Iterator[tuple]:
    """Yield (step, parameters, loss) for each state from 0 to `steps` of plain gradient descent.

    `gradient(parameters, step)` gives the loss and the gradients; `rate` is a number or a function of the step.
    """
    parameters = {name: np.array(value, dtype) for name, value in parameters.items()}
    for step in range(steps + 1):
        loss, gradients = gradient(parameters, step)
        yield step, parameters, loss
        eta = dtype(rate(step) if callable(rate) else rate)
        parameters = {name: value - eta * gradients[name] for name, value in parameters.items()}


def adam(parameters: dict[str, Any], gradient: Callable, rate: float, steps: int, dtype: type) -> Iterator[tuple]:
    """As `descend`, by Adam with Keras's settings and order of operations."""
    parameters = {name: np.array(value, dtype) for name, value in parameters.items()}
    m, v = ({name: np.zeros_like(value) for name, value in parameters.items()} for _ in range(2))
    one, beta_1, beta_2, epsilon = dtype(1), dtype(0.9), dtype(0.999), dtype(1e-7)
    for step in range(steps + 1):
        loss, g = gradient(parameters, step)
        yield step, parameters, loss
        power = dtype(step + 1)
        alpha = dtype(rate) * np.sqrt(one - beta_2**power) / (one - beta_1**power)
        m = {name: m[name] + (g[name] - m[name]) * dtype(1 - 0.9) for name in m}
        v = {name: v[name] + (g[name] ** 2 - v[name]) * dtype(1 - 0.999) for name in v}
        parameters = {name: p - alpha * m[name] / (np.sqrt(v[name]) + epsilon) for name, p in parameters.items()}


def collect(states: Iterator[tuple], *, more: Callable[[int], dict[str, Any]] = lambda step: {}) -> Values:
    """Run to the end and keep every state as a row of the trace."""
    trace: dict[int, dict[str, Any]] = {}
    before = np.nan
    for step, parameters, loss in states:
        trace[step] = {**parameters, "loss": loss, "loss_before": before, **more(step)}
        before = loss
    return Values(parameters, trace, loss, steps=step)


def squares(
    X: np.ndarray, y: np.ndarray, dtype: type, *, names: tuple[str, str] = ("W", "b"), factor: float | None = None
) -> Callable:
    """Loss and gradients of factor * sum((X W + b - y)**2), W and b scalars; factor None: the mean."""
    X, y = np.asarray(X, dtype), np.asarray(y, dtype)
    W, b = names

    def gradient(p: dict[str, Any], step: int) -> tuple:
        error = p[W] * X + p[b] - y
        scale = dtype(1 / error.size if factor is None else factor)
        return scale * (error**2).sum(), {W: scale * (2 * error * X).sum(), b: scale * (2 * error).sum()}

    return gradient


def parabola(a: float, b: float, c: float, name: str) -> Callable:
    a, b, c = np.float32(a), np.float32(b), np.float32(c)
    return lambda p, step: (a * p[name] ** 2 + b * p[name] + c, {name: 2 * a * p[name] + b})
