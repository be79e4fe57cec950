"""Networks: recurrent by hand, shared, with heads and scalars beside them; attention, embeddings, batches."""

import numpy as np
import tensorflow as tf

from .program import adam, constant, program, sgd


@program(
    """
data: {kind: formula, inputs: {x: "sin(reshape(range(20), [2, 10]))"}, target: [1, -1]}
define: {h: {start: "zeros([2, 3])", repeat: "tanh(x[:, i, None] * Wx + h @ Wh + b)", times: 10}}
model:
  kind: formula
  formula: "(h @ Wo)[:, 0]"
  parameters:
    Wx: [[0.1, 0.2, -0.3]]
    Wh: [[0.1, 0, 0.2], [0.3, -0.1, 0.1], [0, 0.2, 0.5]]
    b: [0, 0, 0]
    Wo: [[1], [0.5], [-1]]
loss: mse
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={
        "Wx": [[0.1, 0.2, -0.3]],
        "Wh": [[0.1, 0, 0.2], [0.3, -0.1, 0.1], [0, 0.2, 0.5]],
        "b": [0, 0, 0],
        "Wo": [[1], [0.5], [-1]],
    },
    optimizer=sgd(0.1),
    steps=5,
)
def recurrent_network_by_hand(p, step):
    x, h = constant(np.sin(np.arange(20).reshape(2, 10))), tf.zeros([2, 3])
    for i in range(10):
        h = tf.tanh(x[:, i : i + 1] @ p["Wx"] + h @ p["Wh"] + p["b"])
    return tf.reduce_mean(((h @ p["Wo"])[:, 0] - [1, -1]) ** 2)


@program(
    """
data: {kind: formula, inputs: {x: "sin(reshape(range(24), [2, 12]))"}, target: [1, -1]}
define:
  cell:
    start: zeros([2, 4])
    define:
      gates: "x[:, i, None] * Wx + cell[:, :2] @ Wh"
      c: "sigmoid(gates[:, 2:4] + 1) * cell[:, 2:] + sigmoid(gates[:, :2]) * tanh(gates[:, 4:6])"
    repeat: "concat([sigmoid(gates[:, 6:]) * tanh(c), c], 1)"
    times: 12
model:
  kind: formula
  formula: "cell[:, 0] - cell[:, 1]"
  parameters: {Wx: {value: 0.1, shape: [1, 8]}, Wh: {init: "normal(0, 0.3)", shape: [2, 8]}}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={"Wx": np.full((1, 8), 0.1), "Wh": None},
    optimizer=sgd(0.1),
    steps=5,
)
def long_short_term_memory_by_hand(p, step):
    x, h, c = constant(np.sin(np.arange(24).reshape(2, 12))), tf.zeros([2, 2]), tf.zeros([2, 2])
    for i in range(12):
        gates = x[:, i : i + 1] @ p["Wx"] + h @ p["Wh"]
        c = tf.sigmoid(gates[:, 2:4] + 1) * c + tf.sigmoid(gates[:, :2]) * tf.tanh(gates[:, 4:6])
        h = tf.sigmoid(gates[:, 6:]) * tf.tanh(c)
    return tf.reduce_mean((h[:, 0] - h[:, 1] - [1, -1]) ** 2)


@program(
    """
data: {kind: values, inputs: {a: [[1, 2], [3, 4]], b: [[0.5, 1], [2, 0.1]]}, target: [0, 1]}
model:
  kind: formula
  networks:
    encoder: {kind: layers, layers: [{kind: dense, units: 2, activation: relu, kernel: [[0.3, -0.1], [0.2, 0.4]]}]}
    head: {kind: linear, kernel: 0.5}
  parameters: {gain: 2.0, shift: {value: 0.1, trainable: false}}
  formula: "sigmoid(gain * (head(abs(encoder(a) - encoder(b))) + shift))[:, 0]"
loss: binary_crossentropy
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={
        "gain": 2.0,
        "encoder.dense1.kernel": [[0.3, -0.1], [0.2, 0.4]],
        "encoder.dense1.bias": [0, 0],
        "head.kernel": [[0.5], [0.5]],
        "head.bias": [0],
    },
    optimizer=sgd(0.1),
    steps=5,
)
def siamese_network_with_a_gain_of_its_own(p, step):
    """One network called twice, another once, a trained and a fixed number beside them."""

    def encoder(x):
        return tf.nn.relu(x @ p["encoder.dense1.kernel"] + p["encoder.dense1.bias"])

    gap = tf.abs(encoder(constant([[1, 2], [3, 4]])) - encoder(constant([[0.5, 1], [2, 0.1]])))
    probability = tf.sigmoid(p["gain"] * (gap @ p["head.kernel"] + p["head.bias"] + 0.1))[:, 0]
    return tf.reduce_mean(tf.keras.losses.binary_crossentropy(constant([0, 1]), probability))


@program(
    """
data: {kind: formula, inputs: {X: "sin(reshape(range(16), [8, 2]))", y1: "2 * X[:, 0]", y2: "X[:, 1] > 0"}}
model:
  kind: formula
  networks:
    trunk:
      kind: layers
      layers: [{kind: dense, units: 3, activation: relu, kernel: [[0.3, -0.1, 0.5], [0.2, 0.4, -0.3]]}]
    first: {kind: linear, kernel: 0.3}
    second: {kind: linear, kernel: -0.2}
  formula: {value: "first(trunk(X))[:, 0]", logit: "second(trunk(X))[:, 0]"}
loss:
  kind: formula
  formula: mean((value - y1)**2) + 0.5 * mean(sigmoid_cross_entropy_with_logits(y2, logit))
optimizer: {kind: adam, learning_rate: 0.01}
""",
    start={
        "trunk.dense1.kernel": [[0.3, -0.1, 0.5], [0.2, 0.4, -0.3]],
        "trunk.dense1.bias": [0, 0, 0],
        "first.kernel": [[0.3]] * 3,
        "first.bias": [0],
        "second.kernel": [[-0.2]] * 3,
        "second.bias": [0],
    },
    optimizer=adam(0.01),
    steps=6,
)
def two_heads_and_two_losses(p, step):
    X = np.sin(np.arange(16).reshape(8, 2))
    hidden = tf.nn.relu(constant(X) @ p["trunk.dense1.kernel"] + p["trunk.dense1.bias"])
    value, logit = ((hidden @ p[f"{name}.kernel"] + p[f"{name}.bias"])[:, 0] for name in ("first", "second"))
    cross = tf.nn.sigmoid_cross_entropy_with_logits(constant(X[:, 1] > 0), logit)
    return tf.reduce_mean((value - constant(2 * X[:, 0])) ** 2) + 0.5 * tf.reduce_mean(cross)


@program(
    """
data: {kind: formula, inputs: {X: "sin(reshape(range(48), [4, 3, 4]))"}, target: [1, 0, -1, 0.5]}
define: {query: X @ Wq, key: X @ Wk, A: "softmax(query @ transpose(key, [0, 2, 1]) / sqrt(2))"}
model:
  kind: formula
  formula: "mean(A @ (X @ Wv), axis=[1, 2])"
  parameters:
    Wq: {init: "normal(0, 0.5)", shape: [4, 2]}
    Wk: {init: glorot_uniform, shape: [4, 2]}
    Wv: {init: "uniform(-1, 1)", shape: [4, 2]}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={"Wq": None, "Wk": None, "Wv": None},
    optimizer=sgd(0.1),
    steps=5,
)
def attention(p, step):
    X = constant(np.sin(np.arange(48).reshape(4, 3, 4)))
    A = tf.nn.softmax(tf.matmul(X @ p["Wq"], X @ p["Wk"], transpose_b=True) / np.float32(np.sqrt(2)))
    return tf.reduce_mean((tf.reduce_mean(A @ (X @ p["Wv"]), [1, 2]) - [1, 0, -1, 0.5]) ** 2)


@program(
    """
data: {kind: values, inputs: {a: [0, 1, 2, 3, 0], b: [1, 2, 3, 0, 2]}, target: [1, 1, 0, 1, 0]}
model:
  kind: formula
  formula: "sum(gather(E, a) * F[b], axis=1)"
  parameters: {E: {init: "uniform(-0.5, 0.5)", shape: [4, 3]}, F: {init: "uniform(-0.5, 0.5)", shape: [4, 3]}}
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: {kind: sgd, learning_rate: 0.5}
""",
    start={"E": None, "F": None},
    optimizer=sgd(0.5),
    steps=12,
    schedule="{epochs: 4, batch_size: 2, order: sequential}",
)
def word_vectors_in_batches(p, step):
    """Rows of a parameter by index, whose gradient TensorFlow gives by rows; the last batch is smaller."""
    rows = slice([0, 2, 4][step % 3], [2, 4, 5][step % 3])
    a, b, y = np.array([0, 1, 2, 3, 0])[rows], np.array([1, 2, 3, 0, 2])[rows], np.array([1, 1, 0, 1, 0])[rows]
    logit = tf.reduce_sum(tf.gather(p["E"], a) * tf.gather(p["F"], b), 1)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(constant(y), logit))


@program(
    """
data: {kind: values, inputs: {x: [[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]]}, target: [1, 0, 1]}
model:
  kind: layers
  layers:
    - {kind: dense, units: 2, activation: tanh, kernel: [[1, 2], [3, -1]]}
    - {kind: dense, units: 1, kernel: [[1], [-1]]}
loss: {kind: formula, formula: "mean((prediction - target)**2) + 0.1 * mean(sum(grad(prediction, x)**2, axis=1))"}
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={"dense1.kernel": [[1, 2], [3, -1]], "dense1.bias": [0, 0], "dense2.kernel": [[1], [-1]], "dense2.bias": [0]},
    optimizer=sgd(0.1),
    steps=5,
)
def gradient_penalty_on_keras_layers(p, step):
    x, y = constant([[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]]), constant([[1], [0], [1]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        hidden = tf.tanh(x @ p["dense1.kernel"] + p["dense1.bias"])
        prediction = hidden @ p["dense2.kernel"] + p["dense2.bias"]
    slope = tape.gradient(prediction, x)
    return tf.reduce_mean((prediction - y) ** 2) + 0.1 * tf.reduce_mean(tf.reduce_sum(slope**2, 1))


@program(
    """
constants:
  seed_points: linspace(-1, 1, 8)
  samples: 3 + 0.5 * seed_points
define:
  fake: a * seed_points + b
  reversed: 2 * stop_gradient(fake) - fake
model:
  kind: formula
  formula: mean(softplus(-(u * samples + c))) + mean(softplus(u * reversed + c))
  parameters: {a: 1, b: 0, u: 0.1, c: 0}
optimizer: {kind: sgd, learning_rate: 0.1}
""",
    start={"a": 1.0, "b": 0.0, "u": 0.1, "c": 0.0},
    optimizer=sgd(0.1),
    steps=6,
)
def adversaries_by_a_reversed_gradient(p, step):
    """The generator climbs what the discriminator descends."""

    @tf.custom_gradient
    def reverse(x):
        return x, lambda upstream: -upstream

    z = constant(np.linspace(-1, 1, 8))
    fake = reverse(p["a"] * z + p["b"])
    return tf.reduce_mean(tf.math.softplus(-(p["u"] * (3 + 0.5 * z) + p["c"]))) + tf.reduce_mean(
        tf.math.softplus(p["u"] * fake + p["c"])
    )
