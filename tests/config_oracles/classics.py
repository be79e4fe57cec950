"""Oracles of the classic test functions: plain descent by hand, and the roots that its ends are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .descent import Values, collect, descend, oracle

Gradient = Callable[[Any, Any], tuple[Any, Any, Any]]
"""(x, y) -> (value, d/dx, d/dy)."""


def _path(function: Gradient, x: float, y: float, rate: float, steps: int) -> Values:
    def gradient(p: dict[str, Any], step: int) -> tuple[Any, dict[str, Any]]:
        value, by_x, by_y = function(p["x"], p["y"])
        return value, {"x": by_x, "y": by_y}

    return collect(descend({"x": x, "y": y}, gradient, rate, steps, np.float64))


@oracle("booth", atol=1e-14)
def booth() -> Values:
    def function(x: Any, y: Any) -> tuple:
        a, b = x + 2 * y - 7, 2 * x + y - 5
        return a**2 + b**2, 2 * a + 4 * b, 4 * a + 2 * b

    return _path(function, -5, 5, 0.1, 200)


@oracle("matyas")
def matyas() -> Values:
    def function(x: Any, y: Any) -> tuple:
        return 0.26 * (x**2 + y**2) - 0.48 * x * y, 0.52 * x - 0.48 * y, 0.52 * y - 0.48 * x

    return _path(function, 8, -6, 1, 400)


@oracle("beale")
def beale() -> Values:
    """Heavy-ball descent by hand: velocity = 0.9 velocity - rate gradient."""
    x, y, v, trace = 1.0, 1.0, np.zeros(2), {}
    for step in range(2001):
        a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
        loss = a**2 + b**2 + c**2
        trace[step] = {"x": x, "y": y, "loss": loss}
        by_x = 2 * a * (y - 1) + 2 * b * (y**2 - 1) + 2 * c * (y**3 - 1)
        by_y = 2 * a * x + 4 * b * x * y + 6 * c * x * y**2
        if step < 2000:
            v = 0.9 * v - 0.01 * np.array([by_x, by_y])
            x, y = x + v[0], y + v[1]
    return Values(parameters={"x": x, "y": y}, trace=trace, loss=loss)


@oracle("mccormick", rtol=1e-15)
def mccormick() -> Values:
    """The minimum in closed form."""
    parameters = {"x": 0.5 - np.pi / 3, "y": -0.5 - np.pi / 3}
    return Values(parameters=parameters, loss=-np.sqrt(3) / 2 - np.pi / 3)


@oracle("three-hump-camel", rtol=1e-14)
def three_hump_camel() -> Values:
    """With y = -x / 2 the derivative by x is x (3.5 - 4.2 x**2 + x**4)."""
    x = -np.sqrt((4.2 - np.sqrt(4.2**2 - 4 * 3.5)) / 2)
    x = min(x, -np.sqrt((4.2 + np.sqrt(4.2**2 - 4 * 3.5)) / 2), key=lambda root: abs(root + 1.7))
    return Values(parameters={"x": x, "y": -x / 2}, loss=2 * x**2 - 1.05 * x**4 + x**6 / 6 - x**2 / 4)


@oracle("styblinski-tang", rtol=1e-14)
def styblinski_tang() -> Values:
    roots = np.sort(np.roots([4, 0, -32, 5]))[[0, 2]]
    return Values(parameters={"x": roots}, loss=np.sum(roots**4 - 16 * roots**2 + 5 * roots) / 2)


@oracle("rastrigin", rtol=1e-14)
def rastrigin() -> Values:
    """Newton's method on the derivative 2 x + 20 pi sin(2 pi x), from the integers."""
    x = np.array([0.0, 2.0, -1.0])
    for _ in range(20):
        slope, curvature = 2 * x + 20 * np.pi * np.sin(2 * np.pi * x), 2 + 40 * np.pi**2 * np.cos(2 * np.pi * x)
        x = x - slope / curvature
    return Values(parameters={"x": x})


@oracle("saddle", atol=1e-15)
def saddle() -> Values:
    return _path(lambda x, y: (x**2 + y**4 / 4 - y**2 / 2, 2 * x, y**3 - y), 1, 1e-6, 0.1, 400)


@oracle("ill-conditioned-bowl")
def ill_conditioned_bowl() -> Values:
    """Each error shrinks by 99/101 a step, the steep one with changing sign."""
    return Values(parameters={"x": 10 * (99 / 101) ** 1000, "y": (-99 / 101) ** 1000})


@oracle("plateau")
def plateau() -> Values:
    def gradient(p: dict[str, Any], step: int) -> tuple[Any, dict[str, Any]]:
        height = np.exp(-(p["x"] ** 2))
        return 1 - height, {"x": 2 * p["x"] * height}

    return collect(descend({"x": 3}, gradient, 0.5, 600, np.float64))
