"""Differential equations: networks that obey them, and loops that go through them."""

import numpy as np
import tensorflow as tf

from .program import adam, constant, program, sgd


def dense_tanh(p, name, x):
    hidden = tf.tanh(x @ p[f"{name}.dense1.kernel"] + p[f"{name}.dense1.bias"])
    return hidden @ p[f"{name}.dense2.kernel"] + p[f"{name}.dense2.bias"]


def column(values, dtype="float32"):
    return constant(np.reshape(values, (-1, 1)), dtype)


NET = """{kind: layers, layers: [
      {kind: dense, units: 3, activation: tanh, kernel: %s, bias: [0.1, 0.2, 0.3]},
      {kind: dense, units: 1, kernel: [[1], [2], [-3]]}]}"""


def weights(name, kernel):
    return {
        f"{name}.dense1.kernel": kernel,
        f"{name}.dense1.bias": [0.1, 0.2, 0.3],
        f"{name}.dense2.kernel": [[1], [2], [-3]],
        f"{name}.dense2.bias": [0],
    }


@program(
    f"""
constants: {{everywhere: "linspace(0, 2, 9)", room: 0.5}}
data: {{kind: formula, inputs: {{t: "linspace(0, 1, 5)"}}, target: "0.5 + exp(-t)"}}
model:
  kind: formula
  networks:
    net: {NET % "[[0.4, -0.6, 1]]"}
  parameters: {{rate: {{raw: -1, transform: softplus}}}}
  formula: net(t)
define: {{law: "grad(net(everywhere), everywhere) + rate * (net(everywhere) - room)"}}
loss: {{kind: formula, formula: mean((prediction - target)**2) + mean(law**2)}}
optimizer: {{kind: adam, learning_rate: 0.01}}
""",
    start={"rate": -1.0, **weights("net", [[0.4, -0.6, 1]])},
    transforms={"rate": lambda raw: np.log1p(np.exp(raw))},
    optimizer=adam(0.01),
    steps=6,
)
def cooling_with_an_unknown_rate(p, step):
    """The derivative by a constant's points, beside the fit at the inputs."""
    t, everywhere = column(np.linspace(0, 1, 5)), column(np.linspace(0, 2, 9))
    with tf.GradientTape() as tape:
        tape.watch(everywhere)
        T = dense_tanh(p, "net", everywhere)
    law = tape.gradient(T, everywhere) + tf.math.softplus(p["rate"]) * (T - 0.5)
    misfit = dense_tanh(p, "net", t) - (0.5 + tf.exp(-t))
    return tf.reduce_mean(misfit**2) + tf.reduce_mean(law**2)


@program(
    f"""
data: {{kind: formula, inputs: {{t: "linspace(0, 1, 7)"}}, target: exp(-t)}}
model:
  kind: formula
  networks:
    net: {NET % "[[0.1, -0.2, 0.3]]"}
  formula: {{T: net(t)}}
loss:
  kind: formula
  formula: mean((T - target)**2) + mean((grad(T, t) + T)**2) + 0.1 * mean(grad(grad(T, t), t)**2)
optimizer: {{kind: sgd, learning_rate: 0.01}}
""",
    start=weights("net", [[0.1, -0.2, 0.3]]),
    optimizer=sgd(0.01),
    steps=5,
)
def derivatives_of_the_models_own_output(p, step):
    """grad(T, t) of a named output, and the slope of the slope."""
    t = column(np.linspace(0, 1, 7))
    with tf.GradientTape() as outer:
        outer.watch(t)
        with tf.GradientTape() as inner:
            inner.watch(t)
            T = dense_tanh(p, "net", t)
        slope = inner.gradient(T, t)
    bend = outer.gradient(slope, t)
    return tf.reduce_mean((T - tf.exp(-t)) ** 2) + tf.reduce_mean((slope + T) ** 2) + 0.1 * tf.reduce_mean(bend**2)


@program(
    f"""
data: {{kind: formula, inputs: {{x: "linspace(0, 1, 9)"}}}}
model:
  kind: formula
  networks:
    u: {NET % "[[1, -2, 3]]"}
  formula: mean((grad(grad(u(x), x), x) + pi**2 * sin(pi * x))**2) + u(0)**2 + u(1)**2
optimizer: {{kind: adam, learning_rate: 0.01}}
""",
    start=weights("u", [[1, -2, 3]]),
    optimizer=adam(0.01),
    steps=6,
)
def poisson_equation_with_boundary_values(p, step):
    """A network called with a number is a number."""
    x = column(np.linspace(0, 1, 9))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            u = dense_tanh(p, "u", x)
        slope = inner.gradient(u, x)
    residual = outer.gradient(slope, x) + np.float32(np.pi**2) * tf.sin(np.float32(np.pi) * x)
    ends = dense_tanh(p, "u", constant([[0.0], [1.0]]))
    return tf.reduce_mean(residual**2) + tf.reduce_sum(ends**2)


@program(
    f"""
constants: {{x0: "linspace(0, 1, 5)"}}
data:
  kind: formula
  inputs: {{x: "tile(linspace(0.1, 0.9, 4), 3)", t: "repeat(linspace(0, 0.2, 3), 4)"}}
define: {{v: "u(x, t)"}}
model:
  kind: formula
  networks:
    u: {NET % "[[1, -2, 3], [0.5, 1, -1]]"}
  parameters: {{kappa: 0.1}}
  formula: "mean((grad(v, t) + v * grad(v, x) - kappa * grad(grad(v, x), x))**2) + mean((u(x0, 0) - sin(pi * x0))**2)"
optimizer: {{kind: adam, learning_rate: 0.01}}
""",
    start={"kappa": 0.1, **weights("u", [[1, -2, 3], [0.5, 1, -1]])},
    optimizer=adam(0.01),
    steps=6,
)
def burgers_equation_in_two_variables(p, step):
    """A network of two arguments, one of them a number; the derivative of a defined value."""
    x, t = column(np.tile(np.linspace(0.1, 0.9, 4), 3)), column(np.repeat(np.linspace(0, 0.2, 3), 4))
    x0 = column(np.linspace(0, 1, 5))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch([x, t])
            v = dense_tanh(p, "u", tf.concat([x, t], 1))
        v_x, v_t = inner.gradient(v, x), inner.gradient(v, t)
    law = v_t + v * v_x - p["kappa"] * outer.gradient(v_x, x)
    begin = dense_tanh(p, "u", tf.concat([x0, 0 * x0], 1)) - tf.sin(np.float32(np.pi) * x0)
    return tf.reduce_mean(law**2) + tf.reduce_mean(begin**2)


@program(
    """
define:
  y: {start: [[1.0, 0.0]], repeat: y + 0.1 * f(y), times: 20}
model:
  kind: formula
  networks:
    f: {kind: layers, layers: [
      {kind: dense, units: 3, activation: tanh, kernel: [[1, -0.5, 0.2], [0.3, 0.1, -0.6]]},
      {kind: dense, units: 2, kernel: [[0.1, 0.2], [0.3, -0.1], [0.2, 0.5]]}]}
  formula: "sum((y - [[0.2, -0.5]])**2)"
optimizer: {kind: adam, learning_rate: 0.01}
""",
    start={
        "f.dense1.kernel": [[1, -0.5, 0.2], [0.3, 0.1, -0.6]],
        "f.dense1.bias": [0, 0, 0],
        "f.dense2.kernel": [[0.1, 0.2], [0.3, -0.1], [0.2, 0.5]],
        "f.dense2.bias": [0, 0],
    },
    optimizer=adam(0.01),
    steps=5,
    dtype="float64",
    rtol=1e-9,
)
def neural_differential_equation(p, step):
    """A network inside a loop that is differentiated."""
    y = constant([[1.0, 0.0]], "float64")
    for _ in range(20):
        y = y + 0.1 * dense_tanh(p, "f", y)
    return tf.reduce_sum((y - constant([[0.2, -0.5]], "float64")) ** 2)


@program(
    """
constants: {counted: [0.01, 0.02, 0.03, 0.05, 0.08, 0.11, 0.15, 0.19, 0.22, 0.24, 0.24, 0.23]}
define:
  state:
    start: [0.99, 0.01]
    define: {infections: "beta * state[0] * state[1]"}
    repeat: "[state[0] - infections, state[1] + infections - gamma * state[1]]"
    times: 11
    keep: all
model:
  kind: formula
  formula: "mean((state[:, 1] - counted)**2)"
  parameters: {beta: {value: 1, transform: exp}, gamma: {value: 0.2, transform: exp}}
optimizer: {kind: adam, learning_rate: 0.05}
""",
    start={"beta": 0.0, "gamma": np.log(0.2)},
    transforms={"beta": np.exp, "gamma": np.exp},
    optimizer=adam(0.05),
    steps=5,
    dtype="float64",
    rtol=1e-9,
)
def epidemic_whose_every_day_is_compared(p, step):
    """A loop with a name of its own whose states are all kept."""
    s, i = constant(0.99, "float64"), constant(0.01, "float64")
    infected = [i]
    for _ in range(11):
        new = tf.exp(p["beta"]) * s * i
        s, i = s - new, i + new - tf.exp(p["gamma"]) * i
        infected.append(i)
    counted = [0.01, 0.02, 0.03, 0.05, 0.08, 0.11, 0.15, 0.19, 0.22, 0.24, 0.24, 0.23]
    return tf.reduce_mean((tf.stack(infected) - constant(counted, "float64")) ** 2)
