"""Data of a config as the engine gets it: weights, classes, scaling. The oracle for weighted losses is Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from gdrun.build.data import build_data, random_source
from gdrun.config.loading import load_config
from gdrun.training import train

X = np.array([[0.5, -1.0], [1.5, 0.3], [-0.7, 0.8], [0.1, 0.2], [2.0, -0.4]])
NUMBERS = [1.0, 2.5, -0.5, 0.7, 3.0]
BINARY = [0, 1, 1, 0, 1]
CLASSES = [0, 2, 1, 0, 2]
WEIGHTS = [1.0, 0.0, 2.5, 0.3, 4.0]


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """Write a config and load it."""

    def load(text: str, **overrides: Any) -> Any:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return load_config(path, overrides)

    return load


def datasets(loaded: Any) -> Any:
    experiment = loaded.experiment
    return build_data(experiment, {}, random_source(experiment), loaded.directory)


def data_of(config: Any, data: str) -> Any:
    text = f"data: {data}\nmodel: {{kind: linear, outputs: 1}}\noptimizer: sgd\nschedule: {{steps: 1}}\n"
    return datasets(config(text))


LOSSES: list[tuple[str, Any, list[float], int]] = [
    ("mse", "mean_squared_error", NUMBERS, 1),
    ("mae", "mean_absolute_error", NUMBERS, 1),
    ("huber", "huber", NUMBERS, 1),
    ("log_cosh", "log_cosh", NUMBERS, 1),
    (
        "{kind: binary_crossentropy, from_logits: true}",
        keras.losses.BinaryCrossentropy(from_logits=True),
        BINARY,
        1,
    ),
    ("hinge", "hinge", BINARY, 1),
    (
        "{kind: sparse_categorical_crossentropy, from_logits: true}",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        CLASSES,
        3,
    ),
]


def by_keras(loss: Any, target: list[float], outputs: int, *, epochs: int, batch_size: int, **weights: Any) -> Any:
    """Weights and losses after each epoch of Keras's own fit, in float64."""
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(outputs, dtype="float64")])
    start = np.linspace(-0.5, 0.5, 2 * outputs).reshape(2, outputs)
    model.layers[0].set_weights([start, np.zeros(outputs)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    target = np.asarray(target, np.float64)
    history = model.fit(X, target, epochs=epochs, batch_size=batch_size, shuffle=False, verbose=0, **weights)
    return model.get_weights(), history.history


def by_gdrun(tmp_path: Path, loss: str, target: list[float], outputs: int, extra: str, **schedule: Any) -> Any:
    start = np.linspace(-0.5, 0.5, 2 * outputs).reshape(2, outputs).tolist()
    text = f"""
data:
  kind: values
  inputs: {{x: {X.tolist()}}}
  target: {target}
  {extra}
model: {{kind: linear, outputs: {outputs}, kernel: {start}}}
loss: {loss}
optimizer: {{kind: sgd, learning_rate: 0.1}}
schedule: {{epochs: {schedule["epochs"]}, batch_size: {schedule["batch_size"]}, order: sequential}}
precision: float64
record: {{every: epoch}}
"""
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return train(path, runs_dir=tmp_path / "runs")


@pytest.mark.parametrize(("loss", "keras_loss", "target", "outputs"), LOSSES, ids=[row[0][:12] for row in LOSSES])
def test_example_weights_are_keras_sample_weight(tmp_path, loss, keras_loss, target, outputs):
    run = by_gdrun(tmp_path, loss, target, outputs, f"example_weights: {WEIGHTS}", epochs=2, batch_size=2)
    (kernel, bias), history = by_keras(
        keras_loss, target, outputs, epochs=2, batch_size=2, sample_weight=np.array(WEIGHTS)
    )
    np.testing.assert_allclose(run.parameters["kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(run.parameters["bias"], bias, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(run.metrics["loss_epoch"][-1], history["loss"][-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("written", "weights"),
    [
        ("[1, 2.5, 0.5]", {0: 1.0, 1: 2.5, 2: 0.5}),
        ("{1: 3}", {1: 3.0}),
        ("balanced", {0: 5 / 6, 1: 5 / 3, 2: 5 / 6}),
    ],
)
def test_class_weights_are_keras_class_weight(tmp_path, written, weights):
    loss, keras_loss, target, outputs = LOSSES[-1]
    run = by_gdrun(tmp_path, loss, target, outputs, f"class_weights: {written}", epochs=2, batch_size=2)
    (kernel, _), history = by_keras(keras_loss, target, outputs, epochs=2, batch_size=2, class_weight=weights)
    np.testing.assert_allclose(run.parameters["kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(run.metrics["loss_epoch"][-1], history["loss"][-1], rtol=1e-6)


def test_a_part_held_out_keeps_its_example_weights_and_has_no_class_weights(tmp_path):
    extra = f"example_weights: {WEIGHTS}\n  validation: {{last: 2}}\n  class_weights: {{1: 7}}"
    run = by_gdrun(tmp_path, LOSSES[4][0], BINARY, 1, extra, epochs=1, batch_size=3)
    kernel, bias = run.parameters["kernel"], run.parameters["bias"]
    logits, target, weights = (X @ kernel + bias)[3:, 0], np.array(BINARY[3:]), np.array(WEIGHTS[3:])
    by_hand = np.mean(weights * (np.log1p(np.exp(logits)) - target * logits))
    np.testing.assert_allclose(run.metrics["validation_loss"][-1], by_hand, rtol=1e-12)
