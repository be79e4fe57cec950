"""Oracles of the configs that use second derivatives."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from .descent import Values, descend, oracle


@oracle("halley", rtol=4e-16)
def halley() -> Values:
    """Halley's method for x**3 - 2, in exact fractions."""
    x, trace = Fraction(2), {}
    for step in range(6):
        trace[step] = {"x": float(x)}
        f, d, dd = x**3 - 2, 3 * x**2, 6 * x
        x = x - 2 * f * d / (2 * d**2 - f * dd) if step < 4 else x
    return Values(parameters={"x": float(x)}, trace=trace)


@oracle("rosenbrock")
def rosenbrock() -> Values:
    """Newton's method by exact fractions: every digit of the path."""
    x, y, trace = Fraction(-12, 10), Fraction(1), {}
    for step in range(7):
        loss = (1 - x) ** 2 + 100 * (y - x**2) ** 2
        trace[step] = {"x": float(x), "y": float(y), "loss": float(loss)}
        by_x, by_y = -2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)
        xx, xy, yy = 2 - 400 * (y - 3 * x**2), -400 * x, 200
        determinant = xx * yy - xy**2
        x, y = x - (yy * by_x - xy * by_y) / determinant, y - (xx * by_y - xy * by_x) / determinant
    return Values(parameters={"x": float(x), "y": float(y)}, trace=trace)


@oracle("himmelblau")
def himmelblau() -> Values:
    """Gradient descent by hand."""

    def gradient(p: dict, step: int) -> tuple[float, dict]:
        a, b = p["x"] ** 2 + p["y"] - 11, p["x"] + p["y"] ** 2 - 7
        return a**2 + b**2, {"x": 4 * p["x"] * a + 2 * b, "y": 2 * a + 4 * p["y"] * b}

    path = list(descend({"x": 0, "y": 0}, gradient, 0.01, 300, np.float64))
    trace = {step: {**parameters, "loss": loss} for step, parameters, loss in path}
    return Values(parameters=path[-1][1], trace=trace, loss=path[-1][2])


@oracle("misra1a", rtol=1e-10)
def misra1a() -> Values:
    """Gauss-Newton from close by; the certified values are NIST's, this shows that no digit was mistyped."""
    x = np.array([77.6, 114.9, 141.1, 190.8, 239.9, 289, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760])
    y = np.array([10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.4, 75.47, 81.78])
    b = np.array([240.0, 5.5e-4])
    for _ in range(20):
        decay = np.exp(-b[1] * x)
        residuals = b[0] * (1 - decay) - y
        jacobian = np.stack([1 - decay, b[0] * x * decay], axis=1)
        b = b - np.linalg.lstsq(jacobian, residuals, rcond=None)[0]
    return Values(parameters={"b1": b[0], "b2": b[1]}, loss=np.sum(residuals**2))
