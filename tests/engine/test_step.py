"""One update and what is seen of it. The oracle is the loop that people write by hand: eager TensorFlow and Keras."""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from gdrun.engine.step import all_finite, gradient_norm
from gdrun.schedules.batches import Batches

STEPS = 23
LINE = """
data: {kind: formula, inputs: {x: "linspace(-1, 2, 10)"}, target: sin(3*x) + 2}
model: {kind: formula, formula: w*x + b, parameters: {w: 0.3, b: -0.7}}
record: {every: 1}
"""
SGD = "optimizer={kind: sgd, learning_rate: 0.1, momentum: 0.9, nesterov: true}"
ADAM = "optimizer={kind: adam, learning_rate: 0.05, amsgrad: true, clipnorm: 1.5}"
OPTIMIZERS = {
    SGD: lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    ADAM: lambda: keras.optimizers.Adam(0.05, amsgrad=True, clipnorm=1.5),
}


def line_batches(dtype, batches):
    x = np.linspace(-1, 2, 10)
    y = (np.sin(3 * x) + 2).astype(dtype)
    return [(x.astype(dtype)[batches.batch(step)], y[batches.batch(step)]) for step in range(STEPS)]


def line_loss(batch, *, w, b):
    x, y = batch
    return tf.reduce_mean(tf.square(w * x + b - y))


CASES = [
    (SGD, "float32", {}),
    (SGD, "float64", {"batch_size": 4, "order": "sequential"}),
    (ADAM, "float32", {"batch_size": 4, "order": "shuffled"}),
    (SGD, "float32", {"batch_size": 3, "order": "shuffled", "drop_remainder": True}),
    (ADAM, "float64", {"batch_size": 4, "order": "sampled"}),
]


@pytest.fixture(scope="module")
def trained(shared_lab):
    """(optimizer, dtype, schedule, compile) -> rows; each is trained once."""

    @cache
    def rows(*overrides):
        return shared_lab.rows(shared_lab.build(LINE, overrides))

    def trained(optimizer, dtype, schedule, compile):
        settings = {"steps": STEPS} | schedule
        schedules = (f"schedule.{name}={str(value).lower()}" for name, value in settings.items())
        return rows(f"precision={dtype}", f"compile={compile}", optimizer, *schedules)

    return trained


IDS = ["full", "remainder", "shuffled", "dropped", "sampled"]


@pytest.mark.parametrize(("optimizer", "dtype", "schedule"), CASES, ids=IDS)
def test_a_graph_has_the_bits_of_the_eager_tape_loop(trained, tape_loop, optimizer, dtype, schedule):
    rows = trained(optimizer, dtype, schedule, "graph")
    batches = line_batches(dtype, Batches(10, **schedule))
    trace = tape_loop(line_loss, {"w": 0.3, "b": -0.7}, OPTIMIZERS[optimizer], batches, dtype)
    np.testing.assert_array_equal(rows["parameters.w"], trace["w"])
    np.testing.assert_array_equal(rows["parameters.b"], trace["b"])
    assert rows["parameters.w"].dtype == dtype
    # Row k holds the loss that update k + 1 sees, and the loss that update k saw.
    np.testing.assert_array_equal(rows["loss"][:-1], trace["loss"])
    np.testing.assert_array_equal(rows["loss_before"][1:].astype(dtype), trace["loss"])


def test_xla_follows_the_eager_tape_loop_within_rounding(trained, tape_loop):
    schedule = {"batch_size": 4, "order": "shuffled"}
    rows = trained(ADAM, "float64", schedule, "xla")
    batches = line_batches("float64", Batches(10, **schedule))
    trace = tape_loop(line_loss, {"w": 0.3, "b": -0.7}, OPTIMIZERS[ADAM], batches, "float64")
    for name in ("w", "b"):
        np.testing.assert_allclose(rows[f"parameters.{name}"], trace[name], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(rows["loss"][:-1], trace["loss"], rtol=1e-13, atol=1e-13)


def test_eager_mode_has_the_bits_of_graph_mode(trained):
    graph = trained(*CASES[IDS.index("shuffled")], "graph")
    eager = trained(ADAM, "float32", {"batch_size": 4, "order": "shuffled", "steps": 7}, "eager")
    for name in ("parameters.w", "parameters.b", "loss", "gradient_norm", "loss_epoch"):
        np.testing.assert_array_equal(graph[name][:8], eager[name])


NETWORK = """
precision: float32
compile: graph
seed: 5
data: {kind: moons, size: 20, noise: 0.1}
model:
  kind: layers
  layers:
    - {kind: dense, units: 6, activation: tanh}
    - {kind: batch_normalization, momentum: 0.8}
    - {kind: dropout, rate: 0.3}
    - {kind: layer_normalization}
    - {kind: dense, units: 1}
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: {kind: adam, learning_rate: 0.02}
schedule: {steps: 7, batch_size: 8, order: sequential}
record: {every: 1, parameters: true}
"""


def test_layers_train_as_in_a_hand_written_keras_loop(lab):
    """Dropout's masks, batch normalization's averages and the smaller last batch included; to the last bit."""
    built = lab.build(NETWORK)
    rows = lab.rows(built)
    layers = [
        keras.layers.Dense(6, activation="tanh"),
        keras.layers.BatchNormalization(momentum=0.8),
        keras.layers.Dropout(0.3, seed=5002),
        keras.layers.LayerNormalization(),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((2,)), *layers])
    x = np.stack([value.numpy() for value in built.named_inputs.values()], axis=1)
    y = built.data.target.numpy()
    names = built.objective.trainable_names
    for variable, name in zip(model.trainable_variables, names, strict=True):
        variable.assign(rows[f"parameters.{name}"][0])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(0.02)
    losses = []
    for step in range(7):
        batch = slice(step % 3 * 8, min(step % 3 * 8 + 8, 20))
        with tf.GradientTape() as tape:
            value = loss(y[batch], model(x[batch], training=True))
        gradients = tape.gradient(value, [variable.value for variable in model.trainable_variables])
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        losses.append(value.numpy())
        for variable, name in zip(model.trainable_variables, names, strict=True):
            np.testing.assert_array_equal(
                rows[f"parameters.{name}"][step + 1], variable.numpy(), err_msg=f"{name} {step}"
            )
    np.testing.assert_array_equal(rows["loss"][:-1], np.asarray(losses, np.float32))
    state = dict(zip(built.objective.state_names, rows["state"].model_state, strict=True))
    np.testing.assert_array_equal(state["batch_normalization1.moving_mean"], layers[1].moving_mean.numpy())
    np.testing.assert_array_equal(state["batch_normalization1.moving_variance"], layers[1].moving_variance.numpy())


def test_the_gradient_norm_is_over_all_gradients_together():
    gradients = [tf.constant(3.0), tf.constant([[4.0, 12.0]]), tf.constant([84.0])]
    assert gradient_norm(gradients).numpy() == 85.0
    assert gradient_norm([tf.constant([3 + 4j, 12j])]).numpy() == 13.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_entry_that_is_not_finite_is_found(value):
    assert all_finite([tf.constant(1.0), tf.constant([1, 2])])
    assert not all_finite([tf.constant(1.0), tf.constant([[0.0, value]])])
    assert not all_finite([tf.constant([1.0]), tf.constant([complex(0, value)])])
