"""Control flow, second derivatives, custom gradients and complex numbers."""

import numpy as np
import tensorflow as tf

from .program import constant, program, sgd

WIDE = "float64"


@program(
    """
define: {b: {start: 2*a, repeat: 2*b, while: abs(b) < 1000, at_most: 100}}
model: {kind: formula, formula: "where(b > 0, b, 100*b)", parameters: {a: 0.7}}
optimizer: {kind: sgd, learning_rate: 1e-6}
""",
    start={"a": 0.7},
    optimizer=sgd(1e-6),
    steps=3,
)
def control_flow(p, step):
    """Zhang et al., Dive into Deep Learning, section 2.5."""
    b = p["a"] * 2
    while abs(b) < 1000:
        b = b * 2
    return b if b > 0 else 100 * b


@program(
    """
define: {root: {start: 1, repeat: 0.5 * (root + a / root), while: abs(root * root - a) > 1e-12, at_most: 30}}
model: {kind: formula, formula: (root - 3)**2, parameters: {a: 2}}
optimizer: {kind: sgd, learning_rate: 1}
""",
    start={"a": 2.0},
    optimizer=sgd(1.0),
    steps=8,
    dtype=WIDE,
    rtol=1e-12,
)
def newtons_method_differentiated(p, step):
    root = constant(1, WIDE)
    while abs(root * root - p["a"]) > 1e-12:
        root = 0.5 * (root + p["a"] / root)
    return (root - 3) ** 2


@program(
    """
constants: {at: [0.3, -0.2]}
define: {f: "sum(sin(A @ at)) + at[0]**3"}
model:
  kind: formula
  formula: "trace(hessian(f, at))**2 + sum(grad(f, at)**2) + sum(jacobian(A @ at, at)**2)"
  parameters: {A: [[1, 2], [0.5, -1]]}
optimizer: {kind: sgd, learning_rate: 0.01}
""",
    start={"A": [[1, 2], [0.5, -1]]},
    optimizer=sgd(0.01),
    steps=3,
    dtype=WIDE,
    rtol=1e-11,
)
def gradient_jacobian_and_hessian_by_a_constant(p, step):
    at = constant([0.3, -0.2], WIDE)
    with tf.GradientTape() as outer:
        outer.watch(at)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(at)
            y = tf.linalg.matvec(p["A"], at)
            f = tf.reduce_sum(tf.sin(y)) + at[0] ** 3
        slope = inner.gradient(f, at)
    curvature = outer.jacobian(slope, at)
    return tf.linalg.trace(curvature) ** 2 + tf.reduce_sum(slope**2) + tf.reduce_sum(inner.jacobian(y, at) ** 2)


@program(
    """
data: {kind: formula, inputs: {x: "linspace(-1, 1, 6)"}, target: 3 * x + 1}
define:
  inner: mean((w * x + b - target)**2)
  w1: w - rate * grad(inner, w)
  b1: b - rate * grad(inner, b)
model: {kind: formula, formula: w1 * x + b1, parameters: {w: 0.5, b: 0.1, rate: 0.1}}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={"w": 0.5, "b": 0.1, "rate": 0.1},
    optimizer=sgd(0.1),
    steps=5,
    dtype=WIDE,
    rtol=1e-12,
)
def learning_to_learn(p, step):
    """The step of an inner descent is differentiated, its rate is learnt."""
    x = np.linspace(-1, 1, 6)
    with tf.GradientTape() as tape:
        inner = tf.reduce_mean((p["w"] * x + p["b"] - (3 * x + 1)) ** 2)
    w, b = (p[n] - p["rate"] * slope for n, slope in zip("wb", tape.gradient(inner, [p["w"], p["b"]]), strict=True))
    return tf.reduce_mean((w * x + b - (3 * x + 1)) ** 2)


@program(
    """
model: {kind: formula, formula: (stop_gradient(round(x)) + x - stop_gradient(x) - 3)**2, parameters: {x: 0.3}}
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={"x": 0.3},
    optimizer=sgd(0.1),
    steps=6,
)
def straight_through_rounding(p, step):
    @tf.custom_gradient
    def rounded(x):
        return tf.round(x), lambda upstream: upstream

    return (rounded(p["x"]) - 3) ** 2


@program(
    """
constants: {shown: "reshape(sin(range(24)), [6, 4])"}
define: {gram: transpose(F) @ F / 6, wanted: transpose(shown) @ shown / 6}
model:
  kind: formula
  formula: "mean((gram - wanted)**2) + 1e-3 * sum(abs(F[1:] - F[:-1]))"
  parameters: {F: {init: "uniform(-1, 1)", shape: [6, 4]}}
optimizer: {kind: sgd, learning_rate: 0.5}
""",
    start={"F": None},
    optimizer=sgd(0.5),
    steps=6,
)
def style_by_gram_matrices(p, step):
    shown = constant(np.sin(np.arange(24)).reshape(6, 4))
    gap = tf.transpose(p["F"]) @ p["F"] / 6 - tf.transpose(shown) @ shown / 6
    return tf.reduce_mean(gap**2) + 1e-3 * tf.reduce_sum(tf.abs(p["F"][1:] - p["F"][:-1]))


@program(
    """
model:
  kind: formula
  formula: sum(abs(W @ conj(transpose(W)) - eye(2))**2) + abs(trace(W) - 1j)**2
  parameters: {W: [[1+0.1j, 0.2], [0.3j, 0.9-0.2j]]}
optimizer: {kind: sgd, learning_rate: 0.02}
""",
    start={"W": np.array([[1 + 0.1j, 0.2], [0.3j, 0.9 - 0.2j]])},
    optimizer=sgd(0.02),
    steps=6,
)
def unitary_matrix(p, step):
    """A complex parameter moves against TensorFlow's gradient, the conjugate derivative."""
    gap = p["W"] @ tf.math.conj(tf.transpose(p["W"])) - tf.eye(2, dtype=tf.complex64)
    return tf.reduce_sum(tf.abs(gap) ** 2) + tf.abs(tf.linalg.trace(p["W"]) - 1j) ** 2


@program(
    """
constants: {signal: cos(range(16)) + 0.5 * sin(3 * range(16))}
model:
  kind: formula
  formula: mean((real(ifft(spectrum)) - signal)**2) + 1e-3 * sum(abs(spectrum))
  parameters: {spectrum: {value: 1 + 0.5j, shape: [16]}}
optimizer: {kind: sgd, learning_rate: 5}
""",
    start={"spectrum": np.full(16, 1 + 0.5j)},
    optimizer=sgd(5.0),
    steps=6,
    rtol=1e-4,
)
def sparse_spectrum(p, step):
    signal = constant(np.cos(np.arange(16)) + 0.5 * np.sin(3 * np.arange(16)))
    gap = tf.math.real(tf.signal.ifft(p["spectrum"])) - signal
    return tf.reduce_mean(gap**2) + 1e-3 * tf.reduce_sum(tf.abs(p["spectrum"]))
