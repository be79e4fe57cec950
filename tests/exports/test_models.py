"""Finished runs: what they predict, how good they are, and their models for other programs."""

from __future__ import annotations

import numpy as np
import pytest

import gdrun
from gdrun.errors import ConfigError, DataError, UsageError

TABLE = "a,b,y\n" + "".join(f"{a},{b},{3 * a - 2 * b + 5}\n" for a in range(4) for b in range(3))
SCALED = """
name: plane
precision: float64
data: {kind: csv, path: plane.csv, inputs: [a, b], target: y, scale: {inputs: standardize, target: standardize}}
model: {kind: linear, kernel: 0}
metrics: [r2]
optimizer: {kind: sgd, learning_rate: 0.5}
schedule: {steps: 200}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that has learnt a plane exactly, from scaled columns; and its experiment, built."""
    from gdrun.training.predict import load_trained

    folder = tmp_path_factory.mktemp("plane")
    (folder / "plane.csv").write_text(TABLE)
    (folder / "plane.yaml").write_text(SCALED)
    run = gdrun.train(folder / "plane.yaml", runs_dir=folder / "runs")
    return run, load_trained(run)


def test_predictions_are_in_the_units_of_the_table(trained):
    from gdrun.training.predict import predict

    run, prepared = trained
    got = predict(prepared, run, {"a": [10.0, -1.0], "b": [2.0, 7.0]})
    np.testing.assert_allclose(got[:, 0], [3 * 10 - 2 * 2 + 5, -3 - 14 + 5], rtol=1e-12)


def test_an_input_too_few_is_refused_by_name(trained):
    from gdrun.training.predict import predict

    run, prepared = trained
    with pytest.raises(DataError, match="takes the inputs a, b; given are a"):
        predict(prepared, run, {"a": [1.0]})


def test_evaluation_of_another_table_is_that_tables(trained, tmp_path):
    """A constant error of 2 in y is 2 deviations of the training target, squared, whatever the examples are."""
    from gdrun.training.predict import evaluate, read_examples

    run, prepared = trained
    (tmp_path / "other.csv").write_text("a,b,y\n0,0,7\n1,1,8\n2,0,13\n")
    values = evaluate(prepared, run, read_examples(prepared, tmp_path / "other.csv", target=True))
    target = np.array([3 * a - 2 * b + 5 for a in range(4) for b in range(3)], np.float64)
    assert values["loss"] == pytest.approx((2 / target.std()) ** 2, rel=1e-9)
    assert evaluate(prepared, run)["r2"] == pytest.approx(1.0)


def test_a_changed_table_is_not_taken_for_the_one_that_was_learnt(trained):
    from gdrun.training.predict import load_trained

    run, _ = trained
    table = run.directory.parent.parent / "plane.csv"
    table.write_text(TABLE.replace("0,0,5", "0,0,6"))
    try:
        with pytest.raises(ConfigError, match="is not the file that the run"):
            load_trained(run)
    finally:
        table.write_text(TABLE)


def test_a_keras_model_predicts_what_the_run_does(trained, tmp_path):
    import keras

    from gdrun.exports.models import export_model

    run, _ = trained
    path = export_model(run, tmp_path / "plane.keras", format="keras")
    x = np.array([[0.5, -1.0], [2.0, 0.25]])
    expected = x @ run.parameters["kernel"] + run.parameters["bias"]
    np.testing.assert_allclose(keras.models.load_model(path).predict(x, verbose=0), expected, rtol=1e-12)


def test_a_saved_model_takes_any_number_of_examples(trained, tmp_path):
    import tensorflow as tf

    from gdrun.exports.models import export_model

    run, _ = trained
    path = export_model(run, tmp_path / "plane", format="savedmodel")
    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    a, b = np.linspace(-1, 1, 5), np.linspace(0, 3, 5)
    got = function(a=tf.constant(a), b=tf.constant(b))["prediction"].numpy()
    expected = np.stack([a, b], axis=1) @ run.parameters["kernel"] + run.parameters["bias"]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_arrays_are_the_runs_own_and_nothing_is_replaced(trained, tmp_path):
    from gdrun.exports.models import export_model

    run, _ = trained
    path = export_model(run, tmp_path / "plane.npz", format="npz")
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["kernel"], run.parameters["kernel"])
    with pytest.raises(UsageError, match="is not replaced"):
        export_model(run, path, format="npz")
