"""Models whose answer is known: a law of physics, a posterior, principal components, or a gradient by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from .descent import Values, adam, collect, descend, oracle


@oracle("cooling")
def cooling() -> Values:
    """The law's own solution, and the rate that fits the same measurements best in the sense of least squares."""
    t = np.linspace(0, 0.3, 10)
    measured = 25 + 75 * np.exp(-5 * t) + np.random.RandomState(2).normal(0, 0.5, 10)
    rates = np.linspace(4, 6, 2001)
    misfit = ((25 + 75 * np.exp(-rates[:, None] * t) - measured) ** 2).sum(axis=1)
    assert abs(rates[misfit.argmin()] - 5) < 0.15
    return Values({"rate": 5}, predictions=25 + 75 * np.exp(-5 * np.array([0.5, 1])))


@oracle("variational-line")
def variational_line() -> Values:
    x = np.linspace(-1, 1, 21)
    y = 1 + 2 * x + np.random.RandomState(1).normal(0, 0.5, 21)
    X = np.c_[np.ones(21), x]
    precision = X.T @ X / 0.25 + np.eye(2)
    assert abs(precision[0, 1]) < 1e-12
    mean = np.linalg.solve(precision, X.T @ y / 0.25)
    return Values({"mean_of": mean, "deviation": np.diag(precision) ** -0.5})


@oracle("gaussian-process")
def gaussian_process() -> Values:
    """d/dp = 0.5 trace((K^-1 - a a') dK/dp) with a = K^-1 y (Rasmussen and Williams 2006, equation 5.9)."""
    x = np.array([0.0, 0.4, 0.9, 1.5, 1.9, 2.6, 3.1, 3.5, 4.2, 4.8, 5.3, 6.0])
    y = np.array([0.12, 0.31, 0.86, 0.95, 0.99, 0.43, 0.11, -0.38, -0.79, -1.08, -0.77, -0.35])
    squares = (x[:, None] - x) ** 2

    def gradient(p: dict[str, Any], step: int) -> tuple:
        scale, amplitude, noise = (np.exp(p[name]) for name in ("length_scale", "amplitude", "noise"))
        smooth = amplitude**2 * np.exp(-0.5 * squares / scale**2)
        K = smooth + noise**2 * np.eye(12)
        inverse = np.linalg.inv(K)
        a = inverse @ y
        loss = 0.5 * y @ a + 0.5 * np.linalg.slogdet(K)[1] + 6 * np.log(2 * np.pi)
        # By the logarithms of the parameters.
        slopes = {
            "length_scale": smooth * squares / scale**2,
            "amplitude": 2 * smooth,
            "noise": 2 * noise**2 * np.eye(12),
        }
        return loss, {name: 0.5 * np.trace((inverse - np.outer(a, a)) @ slope) for name, slope in slopes.items()}

    start = {"length_scale": np.log(0.5), "amplitude": 0.0, "noise": np.log(0.5)}
    values = collect(adam(start, gradient, 0.05, 500, np.float64))
    for row in values.trace.values():
        row.update({name: np.exp(row[name]) for name in start})
    return values


@oracle("logistic-regression")
def logistic_regression() -> Values:
    random = np.random.RandomState(5)
    X = random.normal(0, 1, (200, 2))
    t = (X @ [2, -1] + 0.5 + random.normal(0, 1, 200) > 0).astype(np.float64)

    def gradient(p: dict[str, Any], step: int) -> tuple:
        logit = X @ p["w"] + p["b"]
        back = (1 / (1 + np.exp(-logit)) - t) / 200
        loss = np.mean(np.logaddexp(0, logit) - t * logit) + 0.005 * (p["w"] ** 2).sum()
        return loss, {"w": X.T @ back + 0.01 * p["w"], "b": back.sum()}

    values = collect(descend({"w": [0, 0], "b": 0}, gradient, 1, 1000, np.float64))
    design = np.c_[X, np.ones(200)]
    best = np.zeros(3)
    for _ in range(20):
        probability = 1 / (1 + np.exp(-design @ best))
        curvature = design.T @ (design * (probability * (1 - probability))[:, None]) / 200 + np.diag([0.01, 0.01, 0])
        best = best - np.linalg.solve(curvature, design.T @ (probability - t) / 200 + np.array([0.01, 0.01, 0]) * best)
    np.testing.assert_allclose([*values.parameters["w"], values.parameters["b"]], best, rtol=1e-9)
    values.metrics = {"accuracy": ((design @ best > 0) == t).mean()}
    return values


@oracle("autoencoder")
def autoencoder() -> Values:
    random = np.random.RandomState(7)
    X = random.normal(0, 1, (200, 2)) @ [[1, 0.5, -1, 0, 2], [0, 1, 1, -2, 0.5]] + random.normal(0, 0.1, (200, 5))
    eigenvalues = np.linalg.eigvalsh(np.cov(X.T, bias=True))
    return Values(loss=eigenvalues[:3].sum() / 5)


@oracle("himmelblau-adam")
def himmelblau_adam() -> Values:
    def gradient(p: dict[str, Any], step: int) -> tuple:
        x, y = p["start"].T
        a, b = x**2 + y - 11, x + y**2 - 7
        return (a**2 + b**2).sum(), {"start": np.c_[4 * x * a + 2 * b, 2 * a + 4 * y * b]}

    return collect(adam({"start": [[1, 0], [-1, 1], [-4, -1], [4, -1]]}, gradient, 0.1, 1000, np.float64))


@oracle("rosenbrock-adam")
def rosenbrock_adam() -> Values:
    def gradient(p: dict[str, Any], step: int) -> tuple:
        x, y = p["x"], p["y"]
        off = y - x**2
        return (1 - x) ** 2 + 100 * off**2, {"x": -2 * (1 - x) - 400 * x * off, "y": 200 * off}

    return collect(adam({"x": -1.2, "y": 1}, gradient, 0.02, 5000, np.float64))


@oracle("epidemic")
def epidemic() -> Values:
    """The rates that the counts were made with leave no more than their rounding."""
    states = [np.array([0.99, 0.01, 0.0])]
    for _ in range(29):
        s, i, r = states[-1]
        new, gone = 0.6 * s * i, 0.2 * i
        states.append(np.array([s - new, i + new - gone, r + gone]))
    infected = np.array(states)[:, 1]
    return Values({"infection": 0.6, "recovery": 0.2}, loss=1000 * np.mean((infected - infected.round(4)) ** 2))


@oracle("tone")
def tone() -> Values:
    random = np.random.RandomState(4)
    wave = np.exp(6j * np.pi * np.arange(64) / 64)
    signal = (0.8 - 0.6j) * wave + random.normal(0, 0.1, 64) + 1j * random.normal(0, 0.1, 64)
    best = np.mean(np.conj(wave) * signal)
    magnitude, phase = np.abs(best), np.angle(best)
    return Values(
        trace={200: {"magnitude": magnitude, "phase": phase}}, loss=np.mean(np.abs(best * wave - signal) ** 2)
    )
