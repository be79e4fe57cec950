"""Keras models that plugins bring, beside Keras's own training of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.errors import ConfigError
from gdrun.experiment.loading import load_config
from gdrun.exports.models import export_model
from gdrun.training.predict import load_trained, predict
from gdrun.training.prepare import prepare

PLUGIN = """\
from pathlib import Path
from typing import Literal

import keras
from pydantic import BaseModel

import gdrun.plugin as gd


class How(BaseModel):
    how: Literal["graph", "heads", "file", "bare", "losses", "inputs", "narrow"] = "graph"
    path: str = ""


@gd.model("graph", options=How)
def graph(shapes, random, options):
    layers = keras.layers
    if options.how == "file":
        return keras.saving.load_model(options.path)
    if options.how == "bare":
        return keras.Sequential([layers.Dense(1)])
    x = keras.Input((6,), name="other" if options.how == "inputs" else "x")
    if options.how == "losses":
        return keras.Model(x, layers.Dense(1, kernel_regularizer="l2")(x))
    if options.how == "inputs":
        return keras.Model([x, keras.Input((1,), name="z")], layers.Dense(1)(x))
    if options.how == "narrow":
        return keras.Model(x, layers.Dense(1, dtype="float32")(x))
    rows = layers.Reshape((3, 2))(x)
    if options.how == "heads":
        attended = layers.MultiHeadAttention(2, 3, name="attention")(rows, rows)
    else:  # quicker to build, and to trace
        attended = layers.Attention(use_scale=True)([rows, rows])
    mixed = layers.Flatten()(layers.Add()([rows, attended]))
    hidden = layers.BatchNormalization(momentum=0.5)(layers.Dense(4, activation="tanh")(mixed))
    return keras.Model(x, layers.Dense(1)(hidden))
"""

CONFIG = """\
seed: 3
precision: float64
compile: graph
data: {{kind: npz, path: data.npz, inputs: [x], target: y}}
model: {{kind: custom, name: graph, options: {options}}}
loss: mse
optimizer: {{kind: adam, learning_rate: 0.02}}
schedule: {{steps: {steps}}}
"""


@pytest.fixture(scope="module")
def folder(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    keras.config.set_dtype_policy("float32")  # as any layer leaves it that was made in this process before
    folder = tmp_path_factory.mktemp("keras")
    (folder / "graph.py").write_text(PLUGIN)
    numbers = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=numbers.normal(size=(20, 6)), y=numbers.normal(size=20))
    return folder


def train(folder: Path, *, steps: int, options: str = "{}", **more: Any) -> Any:
    (folder / "graph.yaml").write_text(CONFIG.format(steps=steps, options=options))
    return gdrun.train(folder / "graph.yaml", plugins=[folder / "graph.py"], runs_dir=folder / "runs", **more)


@pytest.fixture(scope="module")
def saved(folder: Path) -> Any:
    """The graph made by Keras alone, with weights of its own, and saved."""
    from gdrun.models.keras_model import making

    names: dict[str, Any] = {}
    exec(PLUGIN.replace('@gd.model("graph", options=How)', ""), names)
    with making(seed=1, dtype="float64"):
        model = names["graph"]({}, None, SimpleNamespace(how="graph"))
    model.save(folder / "saved.keras")
    return model


@pytest.fixture(scope="module")
def run(saved: Any, folder: Path) -> Any:
    return train(folder, steps=6, options=f"{{how: file, path: {folder / 'saved.keras'}}}")


def test_a_model_from_a_file_trains_as_in_keras(run: Any, saved: Any, folder: Path) -> None:
    import keras
    import tensorflow as tf

    data = np.load(folder / "data.npz")
    keras.config.set_floatx("float64")
    try:
        optimizer = keras.optimizers.Adam(0.02)
        losses = []
        for _ in range(6):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((saved(data["x"], training=True) - data["y"][:, None]) ** 2)
            variables = saved.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            losses.append(float(loss))
    finally:
        keras.config.set_floatx("float32")
    np.testing.assert_allclose(run.metrics["loss"][:6], losses, rtol=1e-9)
    # What it predicts rests on the moving averages, too.
    np.testing.assert_allclose(
        predictions(run, folder), np.asarray(saved(data["x"], training=False))[:, 0], rtol=1e-7, atol=1e-9
    )


def predictions(run: Any, folder: Path) -> np.ndarray:
    prepared = load_trained(run, plugins=[folder / "graph.py"])
    return np.ravel(predict(prepared, run, {"x": np.load(folder / "data.npz")["x"]}))


def test_it_is_exported_as_a_keras_model_with_its_averages(run: Any, folder: Path) -> None:
    import keras

    path = export_model(run, folder / "trained.keras", format="keras", plugins=[folder / "graph.py"])
    model = keras.saving.load_model(path)
    values = np.asarray(model(np.load(folder / "data.npz")["x"], training=False))[:, 0]
    np.testing.assert_allclose(values, predictions(run, folder), rtol=1e-12)


def test_a_resumed_run_has_the_bits_of_one_that_was_not_interrupted(run: Any, folder: Path) -> None:
    half = train(folder, steps=3, options=f"{{how: file, path: {folder / 'saved.keras'}}}")
    whole = gdrun.resume(half.directory, {"steps": 6}, plugins=[folder / "graph.py"])
    for name, value in run.parameters.items():
        np.testing.assert_array_equal(whole.parameters[name], value, err_msg=name)


def test_weights_are_drawn_from_the_seed_and_have_the_same_names_each_time(folder: Path) -> None:
    (folder / "heads.yaml").write_text(CONFIG.format(steps=1, options="{how: heads}"))
    loaded = load_config(folder / "heads.yaml", plugins=[folder / "graph.py"])
    first, second = (prepare(loaded).built for _ in range(2))
    assert "attention.query.kernel" in first.objective.trainable_names
    assert first.objective.trainable_names == second.objective.trainable_names
    for left, right in zip(first.state.parameters, second.state.parameters, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("bare", "a Keras model without weights"),
        ("losses", "losses of its own"),
        ("inputs", "of the inputs other, "),
        ("narrow", "as float32, but the run's precision is float64"),
    ],
)
def test_a_model_that_cannot_be_trained_as_it_is_meant_is_refused(how: str, message: str, folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        train(folder, steps=1, options=f"{{how: {how}}}")
    assert message in str(caught.value)
