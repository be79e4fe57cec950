"""Likelihoods: regressions, mixtures, Gaussian processes, filters."""

import numpy as np
import tensorflow as tf

from .program import adam, constant, program, sgd

WIDE = "float64"


@program(
    """
data: {kind: formula, inputs: {x: "linspace(-1, 1, 11)", y: "[0, 0, 1, 0, 2, 1, 3, 4, 2, 6, 7]"}}
define: {eta: a + b * x}
model: {kind: formula, formula: mean(exp(eta) - y * eta + lgamma(y + 1)), parameters: {a: 0, b: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={"a": 0.0, "b": 0.0},
    optimizer=sgd(0.1),
    steps=8,
    dtype=WIDE,
    rtol=1e-11,
)
def poisson_regression(p, step):
    y = constant([0, 0, 1, 0, 2, 1, 3, 4, 2, 6, 7], WIDE)
    eta = p["a"] + p["b"] * np.linspace(-1, 1, 11)
    return tf.reduce_mean(tf.exp(eta) - y * eta + tf.math.lgamma(y + 1))


@program(
    """
data: {kind: formula, inputs: {x: "linspace(-1, 1, 9)", y: "x + 0.3 * sin(20 * x) > 0"}}
define: {probability: 0.5 * (1 + erf((a + b * x) / sqrt(2)))}
model:
  kind: formula
  formula: "-mean(where(y > 0, log(probability), log(1 - probability)))"
  parameters: {a: 0.1, b: 0.2}
optimizer: {kind: sgd, learning_rate: 0.5}
""",
    start={"a": 0.1, "b": 0.2},
    optimizer=sgd(0.5),
    steps=8,
    dtype=WIDE,
    rtol=1e-11,
)
def probit_regression(p, step):
    x = np.linspace(-1, 1, 9)
    probability = 0.5 * (1 + tf.math.erf((p["a"] + p["b"] * x) / np.sqrt(2.0)))
    above = x + 0.3 * np.sin(20 * x) > 0
    return -tf.reduce_mean(tf.where(above, tf.math.log(probability), tf.math.log(1 - probability)))


@program(
    """
data: {kind: formula, inputs: {x: "concat([linspace(-3, -1, 10), linspace(1, 4, 15)])"}}
define: {log_p: "log_softmax(w) - log(s) - 0.5 * log(2 * pi) - 0.5 * ((x[:, None] - m) / s)**2"}
model:
  kind: formula
  formula: "-mean(logsumexp(log_p, axis=1))"
  parameters: {w: [0, 0], m: [-1, 1], s: {raw: [0.5, 0.2], transform: softplus}}
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={"w": [0, 0], "m": [-1, 1], "s": [0.5, 0.2]},
    transforms={"s": lambda raw: np.log1p(np.exp(raw))},
    optimizer=sgd(0.1),
    steps=8,
    dtype=WIDE,
    rtol=1e-11,
)
def mixture_of_two_normals(p, step):
    x, s = np.concatenate([np.linspace(-3, -1, 10), np.linspace(1, 4, 15)]), tf.math.softplus(p["s"])
    density = -tf.math.log(s) - 0.5 * np.log(2 * np.pi) - 0.5 * ((x[:, None] - p["m"]) / s) ** 2
    return -tf.reduce_mean(tf.reduce_logsumexp(tf.nn.log_softmax(p["w"]) + density, 1))


@program(
    """
data: {kind: formula, inputs: {x: "linspace(0, 5, 8)", y: sin(x)}}
model:
  kind: formula
  parameters: {height: 1, span: {value: 0.5, transform: exp}, noise: {value: 0.1, transform: exp}}
  formula: "0.5 * sum(y * solve(K, y)) + 0.5 * log(det(K)) + 4 * log(2 * pi)"
define: {K: "height**2 * exp(-0.5 * ((x[:, None] - x) / span)**2) + noise**2 * eye(8)"}
optimizer: {kind: adam, learning_rate: 0.05}
""",
    start={"height": 1.0, "span": np.log(0.5), "noise": np.log(0.1)},
    transforms={"span": np.exp, "noise": np.exp},
    optimizer=adam(0.05),
    steps=6,
    dtype=WIDE,
    rtol=1e-9,
)
def gaussian_process_by_solve_and_det(p, step):
    x = np.linspace(0, 5, 8)
    span, noise = tf.exp(p["span"]), tf.exp(p["noise"])
    K = p["height"] ** 2 * tf.exp(-0.5 * ((x[:, None] - x) / span) ** 2) + noise**2 * tf.eye(8, dtype=WIDE)
    y = constant(np.sin(x)[:, None], WIDE)
    fit = tf.reduce_sum(y * tf.linalg.solve(K, y))
    return 0.5 * fit + 0.5 * tf.math.log(tf.linalg.det(K)) + 4 * np.log(2 * np.pi)


@program(
    """
constants: {z: sin(range(12)) + range(12) / 5}
define:
  filter:                                  # mean, variance, -log likelihood
    start: [0, 1, 0]
    define:
      spread: "filter[1] + q + r"
      surprise: "z[i] - filter[0]"
      gain: "(filter[1] + q) / spread"
    repeat:
      - "filter[0] + gain * surprise"
      - "(1 - gain) * (filter[1] + q)"
      - "filter[2] + 0.5 * log(spread) + 0.5 * surprise**2 / spread"
    times: 12
model:
  kind: formula
  formula: "filter[2]"
  parameters: {q: {value: 1, transform: exp}, r: {value: 0.5, transform: exp}}
optimizer: {kind: sgd, learning_rate: 0.05}
""",
    start={"q": 0.0, "r": np.log(0.5)},
    transforms={"q": np.exp, "r": np.exp},
    optimizer=sgd(0.05),
    steps=5,
    dtype=WIDE,
    rtol=1e-10,
)
def kalman_filter(p, step):
    z = np.sin(np.arange(12)) + np.arange(12) / 5
    q, r = tf.exp(p["q"]), tf.exp(p["r"])
    mean, variance, total = constant(0, WIDE), constant(1, WIDE), constant(0, WIDE)
    for value in z:
        spread, surprise = variance + q + r, value - mean
        gain = (variance + q) / spread
        total += 0.5 * tf.math.log(spread) + 0.5 * surprise**2 / spread
        mean, variance = mean + gain * surprise, (1 - gain) * (variance + q)
    return total


@program(
    """
constants: {series: sin(range(30) / 3) + 0.1 * cos(2 * range(30))}
model:
  kind: formula
  formula: "mean((series[2:] - a[0] * series[1:-1] - a[1] * series[:-2])**2)"
  parameters: {a: [0, 0]}
optimizer: {kind: adam, learning_rate: 0.05}
""",
    start={"a": [0, 0]},
    optimizer=adam(0.05),
    steps=8,
    rtol=1e-4,
)
def autoregression(p, step):
    series = constant(np.sin(np.arange(30) / 3) + 0.1 * np.cos(2 * np.arange(30)))
    return tf.reduce_mean((series[2:] - p["a"][0] * series[1:-1] - p["a"][1] * series[:-2]) ** 2)


@program(
    """
constants: {reward: [1, 2, 3, 0.5]}
model: {kind: formula, formula: sum(softmax(h) * reward), parameters: {h: [0, 0, 0, 0]}}
loss: {kind: output, maximize: true}
optimizer: {kind: sgd, learning_rate: 0.4}
""",
    start={"h": [0, 0, 0, 0]},
    optimizer=sgd(0.4),
    steps=8,
)
def bandit_by_policy_gradient(p, step):
    return -tf.reduce_sum(tf.nn.softmax(p["h"]) * [1, 2, 3, 0.5])


@program(
    """
constants: {weight: [1, 2, 0.5]}
data: {kind: formula, inputs: {X: "sin(reshape(range(24), [12, 2]))", y: "mod(range(12), 3)"}}
define: {smooth: "0.9 * one_hot(y, 3) + 0.1 / 3", log_p: log_softmax(X @ W + b)}
model:
  kind: formula
  formula: "-mean(sum(smooth * log_p, axis=1) * weight[y])"
  parameters: {W: {value: 0.1, shape: [2, 3]}, b: {value: 0, shape: [3]}}
optimizer: {kind: sgd, learning_rate: 0.5, momentum: 0.9}
""",
    start={"W": np.full((2, 3), 0.1), "b": np.zeros(3)},
    optimizer=sgd(0.5, momentum=0.9),
    steps=6,
)
def softmax_with_weighted_classes_and_smooth_labels(p, step):
    X, y = constant(np.sin(np.arange(24).reshape(12, 2))), np.arange(12) % 3
    log_p = tf.nn.log_softmax(X @ p["W"] + p["b"])
    smooth = tf.one_hot(y, 3) * 0.9 + 0.1 / 3
    return -tf.reduce_mean(tf.reduce_sum(smooth * log_p, 1) * tf.gather([1, 2, 0.5], y))
