"""The experiments of our own: loops, least squares, and what bounds leave room for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .descent import Values, adam, collect, descend, oracle, squares

CONFIGS = Path(__file__).parents[2] / "configs"


@oracle("noisy-line")
def noisy_line() -> Values:
    random = np.random.RandomState(42)
    x = 2 * random.uniform(0, 1, 100)
    y = 3 * x + 4 + 0.5 * random.uniform(0, 1, 100)
    gradient = squares(x, y, np.float64, names=("w1", "w0"))
    values = collect(descend({"w0": 0, "w1": 0}, gradient, 0.02, 1001, np.float64))
    values.metrics = {"r2": 1 - values.loss / y.var()}
    (w0, w1), *_ = np.linalg.lstsq(np.c_[np.ones(100), x], y, rcond=None)
    values.parameters = {"w0": w0, "w1": w1}
    return values


@oracle("early-stopping")
def early_stopping() -> Values:
    random = np.random.RandomState(1)
    X = random.normal(0, 1, (60, 30))
    y = 2 * X[:, 0] - X[:, 1] + 0.5 * X[:, 2] + random.normal(0, 1, 60)

    def rate(step: int) -> float:
        return 0.02 * (step / 40 if step < 40 else 0.5 * (1 + np.cos(np.pi * (step - 40) / 360)))

    def loss(rows: slice) -> float:
        return float(np.mean((X[rows] @ w + b - y[rows]) ** 2))

    training, held_out = slice(0, 40), slice(40, 60)
    w, b, step, wait = np.zeros(30), 0.0, 0, 0
    best = (np.inf, np.inf)
    while wait < 10:
        for first in range(0, 40, 10):
            batch = slice(first, first + 10)
            error = X[batch] @ w + b - y[batch]
            w, b = w - rate(step) * 2 * X[batch].T @ error / 10, b - rate(step) * 2 * error.mean()
            step += 1
        wait = 0 if loss(held_out) < best[0] else wait + 1
        best = min(best, (loss(held_out), loss(training)))
    trace = {k: {"learning_rate": rate(k)} for k in range(step + 1)}
    return Values({}, trace, best[1], {"validation_loss": best[0]}, steps=step)


@oracle("rents")
def rents() -> Values:
    table = np.genfromtxt(CONFIGS / "data" / "rents.csv", delimiter=",", skip_header=1)
    training = table[:-24]
    scaled = (table - training.mean(axis=0)) / training.std(axis=0)
    design = np.c_[scaled[:, :3], np.ones(len(scaled))]
    solution, *_ = np.linalg.lstsq(design[:-24], scaled[:-24, 3], rcond=None)
    errors = (design @ solution - scaled[:, 3]) ** 2
    seen, held_out = errors[:-24].mean(), errors[-24:].mean()
    metrics = {"r2": 1 - seen, "validation_loss": held_out, "validation_r2": 1 - held_out / scaled[-24:, 3].var()}
    return Values({"kernel": solution[:3, None], "bias": solution[3:]}, {}, seen, metrics)


@oracle("moons")
def moons() -> Values:
    """A network of the same size written by hand, on moons drawn by hand, keeps the bounds; no straight line would."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.arange(400) % 2)
    angle = random.uniform(0, np.pi, 400)
    X = np.c_[np.cos(angle), np.sin(angle)]
    X[labels == 1] = [1, 0.5] - X[labels == 1]
    X += random.normal(0, 0.1, X.shape)
    t = labels[:, None].astype(np.float64)
    sizes = (2, 16, 16, 1)
    start: dict[str, Any] = {}
    for k, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        limit = np.sqrt(6 / (fan_in + fan_out))
        start |= {f"W{k}": random.uniform(-limit, limit, (fan_in, fan_out)), f"b{k}": np.zeros(fan_out)}

    def forward(p: dict[str, Any], X: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        layers = [X, np.tanh(X @ p["W0"] + p["b0"])]
        layers.append(np.tanh(layers[1] @ p["W1"] + p["b1"]))
        return layers, layers[2] @ p["W2"] + p["b2"]

    def loss(logit: np.ndarray, t: np.ndarray) -> float:
        return float(np.mean(np.logaddexp(0, logit) - t * logit))

    def gradient(p: dict[str, Any], step: int) -> tuple:
        rows = slice(30 * (step % 10), 30 * (step % 10) + 30)
        layers, logit = forward(p, X[rows])
        back = (1 / (1 + np.exp(-logit)) - t[rows]) / 30
        gradients = {}
        for k in (2, 1, 0):
            gradients |= {f"W{k}": layers[k].T @ back, f"b{k}": back.sum(axis=0)}
            back = back @ p[f"W{k}"].T * (1 - layers[k] ** 2)
        return loss(logit, t[rows]), gradients

    values = collect(adam(start, gradient, 0.01, 1000, np.float64))
    _, logit = forward(values.parameters, X)
    right = (logit > 0) == t
    values.loss = loss(logit[:300], t[:300])
    values.metrics = {
        "accuracy": right[:300].mean(),
        "validation_accuracy": right[300:].mean(),
        "validation_loss": loss(logit[300:], t[300:]),
    }
    line = np.c_[X, np.ones(400)]
    scores = line @ np.linalg.lstsq(line, 2 * t - 1, rcond=None)[0]
    assert 0.8 < ((scores > 0) == t).mean() < 0.95
    return values


@oracle("halley")
def halley() -> Values:
    x, trace = 2.0, {0: {"x": 2.0}}
    while (new := x * (x**3 + 4) / (2 * x**3 + 2)) != x and len(trace) < 20:
        x = new
        trace[len(trace)] = {"x": x}
    assert abs(x - 2 ** (1 / 3)) < 3e-16
    return Values({"x": x}, trace)


@oracle("weighted-line", rtol=1e-9)
def weighted_line() -> Values:
    """Weighted least squares, by numpy, on points that numpy's old generator draws."""
    random = np.random.RandomState(7)
    x = np.linspace(0, 10, 50)
    deviation = 0.1 + 0.3 * x
    y = 1.5 * x + 4 + deviation * random.normal(0, 1, 50)
    (slope, intercept), *_ = np.linalg.lstsq(np.c_[x, np.ones(50)] / deviation[:, None], y / deviation, rcond=None)
    return Values({"kernel": [[slope]], "bias": [intercept]})


@oracle("momentum-search")
def momentum_search() -> Values:
    """Every trial that the search might make, as a fine grid over its space: where the best of a thousand are."""
    rate, momentum = np.meshgrid(np.geomspace(1e-3, 1, 1200), np.linspace(0, 0.99, 500), indexing="ij")
    curvature = np.array([1.0, 100.0])[:, None, None]
    position, velocity = np.ones((2, *rate.shape)), np.zeros((2, *rate.shape))
    for _ in range(60):
        velocity = momentum * velocity - rate * curvature * position
        position = position + velocity
    loss = (curvature * position**2).sum(axis=0) / 2
    limit = np.quantile(loss, 1e-3)
    best = loss < limit
    found = {"learning_rate": np.median(rate[best]), "momentum": np.median(momentum[best]), "loss": limit}
    count = 96
    return Values(trials=({"count": count, "completed": count if np.isfinite(loss).all() else 0}, found))


def _valley(rate: float, momentum: float, steps: int) -> tuple[np.ndarray, float, int | None]:
    """Heavy ball on (x**2 + 10 * y**2) / 2 from (1, 1): the last point, its loss, the step at which it overflowed."""
    curvature = np.array([1.0, 10.0])
    position, velocity = np.ones(2), np.zeros(2)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            if not np.isfinite((curvature * position**2).sum() / 2):
                return position, np.inf, step
            velocity = momentum * velocity - rate * curvature * position
            position = position + velocity
        loss = (curvature * position**2).sum() / 2
    return position, loss, None if np.isfinite(loss) else steps


@oracle("rate-edge")
def rate_edge() -> Values:
    rates = np.geomspace(0.01, 10, 31)
    ends = [_valley(rate, 0, 400) for rate in rates]
    diverged = [at is not None for _, _, at in ends]
    losses = [loss for _, loss, _ in ends]
    x, y = ends[0][0]
    return Values(
        trials=(
            {"count": 31, "diverged": sum(diverged), "completed": 31 - sum(diverged)},
            {"lr": rates[int(np.argmin(losses))]},
            {"x": x, "y": y},
            {"diverged_at": ends[-1][2]},
        )
    )


@oracle("momentum-grid")
def momentum_grid() -> Values:
    grid = [(momentum, rate) for momentum in (0, 0.5, 0.8) for rate in (0.05, 0.15, 0.35)]
    losses = {pair: _valley(pair[1], pair[0], 100)[1] for pair in grid}
    momentum, rate = min(losses, key=losses.__getitem__)
    ends = {"count": 9, "completed": int(np.isfinite(list(losses.values())).sum())}
    found = {"momentum": momentum, "lr": rate}
    return Values(trials=(ends, found, {"loss": losses[0, 0.35]}, {"loss": losses[0.8, 0.35]}))


@oracle("noise-seeds")
def noise_seeds() -> Values:
    """Least squares, by numpy, through noise that numpy's old generator draws."""
    x = np.linspace(-1, 1, 40)
    found = []
    for seed in (0, 7):
        y = 2 * x + 1 + np.random.RandomState(seed).normal(0, 0.3, 40)
        slope, intercept = np.polyfit(x, y, 1)
        found.append({"slope": slope, "intercept": intercept})
    return Values(trials=({"count": 10, "completed": 10}, *found))
