"""Means over an epoch: of batches as a notebook's loop takes them, of examples as Keras's fit shows them."""

from __future__ import annotations

import numpy as np
import pytest

X = np.linspace(-1, 1, 13, dtype=np.float32)
Y = (X > 0.1).astype(np.float32)

CLASSES = f"""
data: {{kind: values, inputs: {{x: {X[:, None].tolist()}}}, target: {Y[:, None].tolist()}}}
model: {{kind: formula, formula: sigmoid(x * w + b), parameters: {{w: 0.5, b: 0}}}}
loss: binary_crossentropy
optimizer: {{kind: sgd, learning_rate: 0.7}}
schedule: {{epochs: 6, batch_size: 5, order: sequential}}
record:
  every: epoch
  batch_means: {{loss_by_batch: loss}}
  example_means:
    running_loss: loss
    running_mae: "mean(abs(prediction - target))"
    running_accuracy: "mean((prediction > 0.5) == (target > 0.5))"
"""


@pytest.fixture(scope="module")
def columns(shared_lab):
    return shared_lab.train(CLASSES).metrics


@pytest.fixture(scope="module")
def keras_fit(shared_lab):
    """History of Keras's fit, and the losses of its batches by a loop."""
    import keras
    import tensorflow as tf

    def model():
        layer = keras.layers.Dense(1, activation="sigmoid", kernel_initializer=keras.initializers.Constant(0.5))
        return keras.Sequential([keras.Input((1,)), layer])

    fitted = model()
    fitted.compile(
        keras.optimizers.SGD(0.7), "binary_crossentropy", metrics=["mae", "binary_accuracy"], jit_compile=False
    )
    history = fitted.fit(X[:, None], Y[:, None], batch_size=5, epochs=6, shuffle=False, verbose=0).history
    looped, optimizer, losses = model(), keras.optimizers.SGD(0.7), []
    for start in [0, 5, 10] * 6:
        with tf.GradientTape() as tape:
            target = Y[start : start + 5, None]
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(target, looped(X[start : start + 5, None])))
        weights = looped.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        losses.append(float(loss))
    return history, np.reshape(losses, (6, 3))


def test_means_over_examples_are_the_history_of_keras_fit(columns, keras_fit):
    history, _ = keras_fit
    assert columns["step"].tolist() == [0, 3, 6, 9, 12, 15, 18]
    for name, of_keras in (("running_loss", "loss"), ("running_mae", "mae")):
        np.testing.assert_allclose(columns[name][1:], history[of_keras], rtol=1e-6)
    # Counts of thirteen: Keras divides them in float32.
    np.testing.assert_array_equal(np.float32(columns["running_accuracy"][1:]), np.float32(history["binary_accuracy"]))
    assert np.isnan(columns["running_loss"][0])


def test_means_over_batches_count_the_smaller_last_one_alike(columns, keras_fit):
    _, losses = keras_fit
    np.testing.assert_allclose(columns["loss_by_batch"][1:], losses.mean(axis=1), rtol=1e-6)
    weighted = losses @ [5, 5, 3] / 13
    np.testing.assert_allclose(columns["loss_epoch"][1:], weighted, rtol=1e-6)
    assert np.all(np.abs(losses.mean(axis=1) - weighted) > 1e-4)


@pytest.mark.parametrize("changes", [["compile=xla"], ["compile=eager"], ["schedule.drop_remainder=true"]])
def test_every_way_to_run_has_the_same_means(shared_lab, columns, changes):
    other = shared_lab.train(CLASSES, changes).metrics
    if "compile" in changes[0]:
        np.testing.assert_allclose(other["loss_by_batch"], columns["loss_by_batch"], rtol=1e-6)
    else:
        np.testing.assert_array_equal(other["loss_by_batch"], other["loss_epoch"])


def test_full_batches_have_the_mean_of_their_one_update(shared_lab):
    rows = shared_lab.train(CLASSES, ["schedule.batch_size=null", "record.every=1"]).metrics
    np.testing.assert_array_equal(rows["running_loss"], rows["loss_before"])


def test_lanes_of_a_sweep_have_the_means_of_their_runs(shared_lab, columns):
    from gdrun.sweeping.run import sweep

    path = shared_lab.folder / "classes.yaml"
    path.write_text("compile: graph\n" + CLASSES)
    curves = sweep(str(path), ["lr=0.1,0.7"], runs_dir=shared_lab.runs).curves
    np.testing.assert_allclose(curves["loss_by_batch"][1], columns["loss_by_batch"], rtol=1e-6)


def test_a_run_that_is_resumed_within_an_epoch_has_the_mean_of_all_its_updates(shared_lab, columns):
    from gdrun.sweeping.run import resume

    run = shared_lab.train(CLASSES, ["schedule.epochs=null", "schedule.steps=7"])
    again = resume(run.directory, ["steps=18"]).metrics
    np.testing.assert_array_equal(again["loss_by_batch"][again["step"] % 3 == 0], columns["loss_by_batch"])


def test_a_mean_that_cannot_be_is_refused(shared_lab):
    from gdrun.errors import ConfigError

    for change, message in (
        ("record.batch_means.m=prediction", "what a mean is taken of must be one value, this has shape (3, 1)"),
        ("record.batch_means.m=nope", "unknown name 'nope'"),
        ("record.formulas.running_loss=loss", "the column 'running_loss' is given twice in record"),
    ):
        with pytest.raises(ConfigError) as caught:
            shared_lab.build(CLASSES, [change])
        assert message in str(caught.value)
