"""The published programs, as loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gdrun.experiment.loading import load_config

from .descent import Values, adam, collect, descend, oracle, parabola, squares

CONFIGS = Path(__file__).parents[2] / "configs"


@oracle("pi")
def pi() -> Values:
    x = np.linspace(0, 100, 20)

    def gradient(p: dict[str, Any], step: int) -> tuple:
        error = p["a"] * x[step % 20] - np.pi * x[step % 20]
        return error**2, {"a": 2 * error * x[step % 20]}

    return collect(descend({"a": 520.5}, gradient, 5e-5, 20, np.float64))


@oracle("scalar-linear", atol=1e-6)
def scalar_linear() -> Values:
    gradient = squares([[1, 2, 3], [4, 5, 6]], [[1], [2]], np.float32)
    return collect(descend({"W": 0, "b": 0}, gradient, 1e-3, 10000, np.float32))


@oracle("scalar-linear-half", atol=5e-7)
def scalar_linear_half() -> Values:
    gradient = squares([[1, 2], [3, 4]], [[1], [2]], np.float32, factor=0.5)
    return collect(descend({"W": 0, "b": 0}, gradient, 1e-3, 10000, np.float32))


@oracle("dense", atol=5e-6)
def dense() -> Values:
    X, y = np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.array([[10], [20]], np.float32)

    def gradient(p: dict[str, Any], step: int) -> tuple:
        error = X @ p["dense1.kernel"] + p["dense1.bias"] - y
        return (error**2).mean(), {"dense1.kernel": X.T @ error, "dense1.bias": error.sum(axis=0)}

    start = {"dense1.kernel": np.zeros((3, 1)), "dense1.bias": np.zeros(1)}
    return collect(descend(start, gradient, 0.01, 10000, np.float32))


@oracle("adam-quadratic", rtol=1e-6)
def adam_quadratic() -> Values:
    return collect(adam({"w": 0}, parabola(1, -10, 25, "w"), 0.1, 1001, np.float32))


@oracle("adam-coefficients", rtol=1e-6)
def adam_coefficients() -> Values:
    return collect(adam({"w": 0}, parabola(5, -7, 13, "w"), 0.1, 1000, np.float32))


@oracle("square")
def square() -> Values:
    def gradient(p: dict[str, Any], step: int) -> tuple:
        update = np.float32(0.01) * (2 * p["x"])
        # As hardware set to flush denormals does: the product is 0 where it is no normal float32.
        flushed = update if update >= np.finfo(np.float32).tiny else np.float32(0)
        loss = p["x"] ** 2
        return loss if loss >= np.finfo(np.float32).tiny else np.float32(0), {"x": flushed}

    return collect(descend({"x": 1}, gradient, 1, 10000, np.float32))


@oracle("quadratic-minimum")
def quadratic_minimum() -> Values:
    return collect(descend({"x": 0}, parabola(1, -2, 1, "x"), 0.01, 1000, np.float32))


@oracle("decayed-rate", rtol=1e-6)
def decayed_rate() -> Values:
    def rate(step: int) -> float:
        return 0.2 * 0.99**step

    def gradient(p: dict[str, Any], step: int) -> tuple:
        return (p["w"] + 1) ** 2, {"w": 2 * (p["w"] + 1)}

    states = descend({"w": 5}, gradient, rate, 40, np.float32)
    return collect(states, more=lambda step: {"learning_rate": rate(step)})


@oracle("five-point-line", rtol=1e-6)
def five_point_line() -> Values:
    x = np.arange(1, 6, dtype=np.float32)
    values = collect(descend({"W": 2.9, "b": 0.5}, squares(x, x, np.float32), 0.01, 100, np.float32))
    values.predictions = values.parameters["W"] * np.array([5, 2.5], np.float32) + values.parameters["b"]
    return values


@oracle("five-point-step")
def five_point_step() -> Values:
    x = np.arange(1, 6, dtype=np.float32)
    gradient = squares(x, x, np.float32)
    values = collect(descend({"W": 2, "b": 0.5}, gradient, 0.01, 1, np.float32))
    at_start = gradient({"W": np.float32(2), "b": np.float32(0.5)}, 0)[1]
    values.trace[0] |= {f"gradients.{name}": value for name, value in at_start.items()}
    return values


@oracle("nine-points-adam")
def nine_points_adam() -> Values:
    x = np.array([[1, 4, 6, 3, 3, 4, 5, 6, 7]], np.float32).T
    y = np.array([[0.25, 1.2, 0.79, 0.52, 1.6, 1.7, 1.9, 2, 2]], np.float32).T

    def gradient(p: dict[str, Any], step: int) -> tuple:
        error = x @ p["dense1.kernel"] + p["dense1.bias"] - y
        return (error**2).sum(), {"dense1.kernel": 2 * x.T @ error, "dense1.bias": 2 * error.sum(axis=0)}

    return collect(adam({"dense1.kernel": [[0]], "dense1.bias": [0]}, gradient, 0.07, 5, np.float32))


@oracle("gaussian-likelihood", rtol=1e-5)
def gaussian_likelihood() -> Values:
    y = np.array([131, 105, 114, 117], np.float64)

    def gradient(p: dict[str, Any], step: int) -> tuple:
        mu, sigma = p["mu"], p["sigma"]
        z = (y - mu) / sigma
        loss = (np.log(sigma * np.sqrt(2 * np.pi)) + 0.5 * z**2).sum()
        return loss, {"mu": -(z / sigma).sum(), "sigma": ((1 - z**2) / sigma).sum()}

    values = collect(adam({"mu": 124, "sigma": 10}, gradient, 0.001, 10000, np.float64))
    assert np.allclose([y.mean(), y.std()], [116.75, 9.3374], rtol=1e-5), "the known maximum"
    return values


@oracle("softmax-regression", rtol=1e-6)
def softmax_regression() -> Values:
    config = load_config(CONFIGS / "softmax-regression.yaml").experiment
    X = np.array(config.data.inputs["X"], np.float64)
    classes = np.array(config.data.target)
    target = np.eye(3)[classes]

    def probabilities(p: dict[str, Any]) -> np.ndarray:
        scores = np.exp(X @ p["W"] + p["b"])
        return scores / scores.sum(axis=1, keepdims=True)

    def gradient(p: dict[str, Any], step: int) -> tuple:
        predicted = probabilities(p)
        error = (predicted - target) / len(X)
        loss = -np.log(predicted[np.arange(len(X)), classes]).mean()
        return loss, {"W": X.T @ error, "b": error.sum(axis=0)}

    start = {name: np.array(parameter.value, np.float64) for name, parameter in config.model.parameters.items()}
    values = collect(descend(start, gradient, 0.1, 2000, np.float64))
    values.trace[0]["gradients.b"] = gradient(start, 0)[1]["b"]
    values.metrics = {"accuracy": (probabilities(values.parameters).argmax(axis=1) == classes).mean()}
    return values


@oracle("xor-network")
def xor_network() -> Values:
    config = load_config(CONFIGS / "xor-network.yaml").experiment
    X = np.array(config.data.inputs["X"], np.float64)
    target = np.array(config.data.target, np.float64)

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def forward(p: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        hidden = sigmoid(X @ p["W12"] + p["b12"])
        return hidden, sigmoid(hidden @ p["W3"] + p["b3"])

    def gradient(p: dict[str, Any], step: int) -> tuple:
        hidden, predicted = forward(p)
        last = (predicted - target) / len(X)
        first = last @ p["W3"].T * hidden * (1 - hidden)
        right = np.where(target == 1, predicted, 1 - predicted)
        gradients = {"W12": X.T @ first, "b12": first.sum(axis=0), "W3": hidden.T @ last, "b3": last.sum(axis=0)}
        return -np.log(right).mean(), gradients

    given = {name: np.array(parameter.value) for name, parameter in config.model.parameters.items()}
    start = {
        "W12": np.hstack([given["W1"], given["W2"]]),
        "b12": np.hstack([given["b1"], given["b2"]]),
        "W3": given["W3"],
        "b3": given["b3"],
    }
    values = collect(descend(start, gradient, 0.01, 50000, np.float64))
    values.metrics = {"accuracy": ((forward(values.parameters)[1] > 0.5) == target).mean()}
    return values


@oracle("matrix-factorisation")
def matrix_factorisation() -> Values:
    config = load_config(CONFIGS / "matrix-factorisation.yaml").experiment
    A = np.array(config.data.inputs["A"], np.float64)

    def gradient(p: dict[str, Any], step: int) -> tuple:
        error = np.where(A != 0, A - p["U"] @ p["V"].T, 0)
        return 0.01 * (error**2).sum(), {"U": -0.02 * error @ p["V"], "V": -0.02 * error.T @ p["U"]}

    start = {name: parameter.value for name, parameter in config.model.parameters.items()}
    return collect(adam(start, gradient, 1e-3, 250, np.float64))


@oracle("derivatives")
def derivatives() -> Values:
    w1, w2 = 5.0, 3.0
    return Values(loss=3 * w1**2 + 2 * w1 * w2, gradients={"w1": 6 * w1 + 2 * w2, "w2": 2 * w1})


@oracle("gradient-mistake")
def gradient_mistake() -> Values:
    a, b, X, y = np.zeros((2, 2)), 0.0, np.asarray([[1.0, 2], [3, 4]]), np.asarray([[1.0], [2]])
    for _ in range(10000):
        error = a * X + b - y
        a, b = a - 1e-3 * error @ X, b - 1e-3 * error.sum()
    return Values({"a": a, "b": b})
