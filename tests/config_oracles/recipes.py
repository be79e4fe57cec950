"""Recipes: averages, projections, policies and samples that a notebook writes a loop for."""

from __future__ import annotations

import numpy as np

from .descent import Values, oracle


@oracle("nonnegative-factors")
def nonnegative_factors() -> Values:
    table = np.array([[1, 2, 0, 1], [0, 1, 1, 2], [2, 5, 1, 4], [1, 1, -0.5, 0]])
    W = np.array([[0.5, 0.1], [0.2, 0.9], [1, 1], [0.7, 0.3]])
    H = np.array([[0.9, 0.6, 0.3, 0.1], [0.2, 0.4, 0.8, 1]])
    trace = {}
    for step in range(601):
        error = table - W @ H
        trace[step] = {"loss": 0.5 * np.sum(error**2)}
        W, H = np.maximum(W + 0.03 * error @ H.T, 0), np.maximum(H + 0.03 * W.T @ error, 0)
    assert trace[600]["loss"] > 0.125
    return Values({"W": W, "H": H}, trace=trace)


@oracle("averaged-weights")
def averaged_weights() -> Values:
    x = np.array([-1, 0.5, 2, -0.5, 1, 1.5, 0, -1.5])
    y = np.array([-1.3, 2.1, 4.6, 0.4, 2.7, 4.4, 0.6, -1.6])
    w, visited = np.zeros(2), []
    for step in range(200):
        visited.append(w)
        batch = slice(step % 4 * 2, step % 4 * 2 + 2)
        inputs = np.c_[np.ones(2), x[batch]]
        w = w - 0.2 * inputs.T @ (inputs @ w - y[batch])
    mean = np.mean(visited[100:], axis=0)
    return Values({"w": mean}, loss=np.mean((mean[0] + mean[1] * x - y) ** 2))


@oracle("bandit")
def bandit() -> Values:
    """Ascent by the exact gradient of the expected reward: of a softmax it is p * (means - expected)."""
    means, logits, baseline = np.array([0.2, 0.8, 0.5]), np.zeros(3), 0.0
    for _ in range(600):
        policy = np.exp(logits) / np.exp(logits).sum()
        baseline = 0.95 * baseline + 0.05 * policy @ means
        logits = logits + 0.5 * policy * (means - policy @ means)
    policy = np.exp(logits) / np.exp(logits).sum()
    return Values({"exp(logits[1])/sum(exp(logits))": policy[1]}, trace={600: {"baseline": baseline}})


@oracle("energy-model")
def energy_model() -> Values:
    """Samples have the data's mean and variance where e/2*k**2 - k + 1/variance = 0."""
    x, size = np.array([0, 0.5, 1, 1.5, 2]), 0.1
    return Values({"m": x.mean(), "k": (1 - np.sqrt(1 - 2 * size / x.var())) / size})


@oracle("wasserstein-gan")
def wasserstein_gan() -> Values:
    """The generator's distribution is the data's, normal of mean 2 and variance 0.25."""
    return Values({"gen.bias": [2], "gen.kernel[0, 0]**2": 0.25})
