"""Columns that a model takes side by side: the bits of the same numbers in one input, and each column by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import gdrun
from gdrun.analysis.grad import grad
from gdrun.training.predict import load_trained, predict

CONFIG = """
data: {kind: csv, path: d.csv, inputs: INPUTS, target: y, validation: {last: 4}, example_weights: w}
model: {kind: mlp, hidden: [4], activation: tanh, outputs: 1}
loss: mse
metrics: [r2]
optimizer: {kind: adam, learning_rate: 0.05}
schedule: {epochs: 3, batch_size: 8, order: shuffled}
record: {every: 1, parameters: true}
"""
SEPARATE, TOGETHER = "[a, b, c]", "{x: [a, b, c]}"
LINEAR = """
precision: float64
data: {kind: csv, path: d.csv, inputs: [a, b, c], target: y}
model: linear
loss: {kind: formula, formula: mean((prediction - target)**2) + mean(b) * sum(kernel)}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 3, batch_size: 8, order: sequential}
record: {every: 1, parameters: true, formulas: {total: sum(a), slope: "grad(prediction, c)"}}
"""


@pytest.fixture(scope="module")
def table(shared_lab: Any) -> np.ndarray:
    """The numbers of d.csv, (24, 5): a, b, c, the target y and the weights w."""
    numbers = np.random.default_rng(0).normal(size=(24, 5))
    numbers[:, 4] **= 2
    np.savetxt(shared_lab.folder / "d.csv", numbers, delimiter=",", header="a,b,c,y,w", comments="", fmt="%.17g")
    return numbers


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("compile=graph", "schedule.batch_size=null"),
        ("compile=graph", "schedule.order=sampled"),
        ("compile=graph", "data.memory=mapped", "schedule.order=sequential"),
    ],
    ids=", ".join,
)
def test_columns_have_the_bits_of_one_input(table, shared_lab, overrides):
    separate, together = (
        shared_lab.rows(shared_lab.build(CONFIG.replace("INPUTS", inputs), overrides))
        for inputs in (SEPARATE, TOGETHER)
    )
    assert separate.keys() == together.keys() > {"validation_loss"}
    for name in separate.keys() - {"state", "reason"}:
        np.testing.assert_array_equal(separate[name], together[name], err_msg=name)


def test_columns_have_the_bits_of_one_input_in_lanes(table, shared_lab):
    final = []
    for inputs in (SEPARATE, TOGETHER):
        path = shared_lab.folder / "swept.yaml"
        path.write_text(CONFIG.replace("INPUTS", inputs))
        swept = gdrun.sweep(path, ["lr=0.01,0.05", "compile=graph", "model=linear"], runs_dir=shared_lab.runs, lanes=2)
        assert "lanes" in swept.info.extra["strategy"]
        final.append(swept.trial_parameters())
    assert len(final[0]) == 2
    for trial, parameters in final[0].items():
        for name, value in parameters.items():
            np.testing.assert_array_equal(value, final[1][trial][name], err_msg=name)


def test_a_batch_looks_its_columns_up_at_once(table, shared_lab):
    built = shared_lab.build(CONFIG.replace("INPUTS", SEPARATE))
    window = built.windows.at(0)

    @tf.function(autograph=False)
    def batch(data, order, step):
        return built.program.feed.batch(data, order, window, built.program.feed.moment(window, step), remainder=False)

    graph = batch.get_concrete_function(built.data, window.order, tf.constant(0, tf.int64)).graph
    # The order, the inputs, the target and the weights.
    assert [node.op for node in graph.as_graph_def().node].count("GatherV2") == 4


def test_each_column_has_its_name_and_shape(table, shared_lab):
    built = shared_lab.build(CONFIG.replace("INPUTS", "{p: [a, b], c: c}"))
    assert list(built.named_inputs) == ["p", "c"]
    np.testing.assert_array_equal(built.named_inputs["p"], table[:20, :2].astype("f"))
    np.testing.assert_array_equal(built.named_inputs["c"], table[:20, 2].astype("f"))


def test_formulas_see_columns_and_differentiate_by_them(table, shared_lab):
    """Oracle: a loop in NumPy. The prediction is linear, so that its slope by c is the kernel's third entry."""
    rows = shared_lab.rows(shared_lab.build(LINEAR))
    kernel, bias = rows["parameters.kernel"][0], rows["parameters.bias"][0]
    for step in range(3):
        batch = table[8 * step : 8 * step + 8]
        x, b, y = batch[:, :3], batch[:, 1], batch[:, 3:4]
        np.testing.assert_allclose(rows["total"][step], x[:, 0].sum(), rtol=1e-12)
        np.testing.assert_allclose(rows["slope"][step], np.repeat(kernel[2], 8), rtol=1e-12)
        error = x @ kernel + bias - y
        np.testing.assert_allclose(rows["loss"][step], (error**2).mean() + b.mean() * kernel.sum(), rtol=1e-12)
        kernel = kernel - 0.1 * (2 * x.T @ error / 8 + b.mean())
        bias = bias - 0.1 * 2 * error.mean()
    np.testing.assert_allclose(rows["parameters.kernel"][3], kernel, rtol=1e-12)


def test_predictions_and_derivatives_by_name_are_of_the_columns(table, shared_lab):
    run = shared_lab.train(LINEAR)
    kernel, bias = run.parameters["kernel"], run.parameters["bias"]
    x = table[:5, :3]
    predicted = predict(load_trained(run), run, {"c": x[:, 2], "a": x[:, 0], "b": x[:, 1]})
    np.testing.assert_allclose(predicted, x @ kernel + bias, rtol=1e-12)
    slopes = grad([str(Path(run.directory)), "sum(prediction)"], wrt=["a", "c"]).gradients
    for name, weight in (("a", kernel[0, 0]), ("c", kernel[2, 0])):
        np.testing.assert_allclose(slopes[name], np.full(24, weight), rtol=1e-12)
