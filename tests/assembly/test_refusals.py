"""What only building shows is refused at its place, with the mend, before anything is on disk."""

import numpy as np
import pytest

from gdrun.errors import ResourceError

BASE = """
data: {kind: values, inputs: {x: [1, 2, 3, 4]}, target: [2, 4, 6, 8]}
model: {kind: formula, formula: w*x, parameters: {w: 0}}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 3}
"""
# name -> (overrides, path of the problem, parts of the message and the hint)
CASES = {
    "shapes of prediction and target": (
        ["model.formula=w*x[:, None]"],
        ("loss",),
        ["(4, 1)", "(4,)", "[:, 0]"],
    ),
    "shapes inside a formula": (
        ["model.parameters={w: [1, 2, 3]}"],
        ("model", "formula"),
        ["(3,)", "(4,)"],
    ),
    "matrix product": (
        ['model={kind: formula, formula: x @ w, parameters: {w: {init: "normal(0, 1)", shape: [3, 1]}}}'],
        ("model", "formula"),
        ["(4,)", "(3, 1)"],
    ),
    "examples of inputs and target": (
        ["data.target=[1, 2, 3]"],
        ("data", "target"),
        ["3", "4"],
    ),
    "a shape of one batch in the evaluation over all data": (
        ["model.formula=w * (x + normal(0, 1, [2]))", "batch_size=2"],
        ("model", "formula"),
        ["this is the evaluation over all 4 examples", "normal(zeros_like(x), 1)"],
    ),
    "loss is no scalar": (
        ["loss={kind: formula, formula: (prediction - target)**2}"],
        ("loss", "formula"),
        ["(4,)", "mean"],
    ),
    "no scalar objective": (
        ["data=null", "loss=output", "model.formula=w*[1, 2]"],
        ("model", "formula"),
        ["(2,)", "mean"],
    ),
    "no gradient": (
        ["model.parameters={w: 1, v: 2}"],
        ("model", "parameters", "v"),
        ["'v'", "gradient", "trainable: false"],
    ),
    "no gradient through a comparison": (
        ["model.formula=where(x > w, 1, 0)"],
        ("model", "parameters", "w"),
        ["'w'", "gets no gradient: a comparison ends the way back to it"],
    ),
    "batch larger than the data": (
        ["schedule.batch_size=5", "schedule.drop_remainder=true"],
        ("schedule", "batch_size"),
        ["batch_size 5 is larger than the number of training examples, 4", "leave batch_size out"],
    ),
    "start too large for float32": (
        ["model.parameters.w=1e39"],
        ("model", "parameters", "w"),
        ["float32", "float64"],
    ),
    "data too large for float32": (
        ["data.target=[1, 2, 1e39, 4]"],
        ("data", "target"),
        ["float32", "2"],
    ),
    "network never called": (
        ["model.networks={net: {kind: mlp}}"],
        ("model", "networks", "net"),
        ["'net'", "never called", "net(x)"],
    ),
    "layers that do not fit": (
        [
            "model={kind: layers, layers: [{kind: dense, units: 4}, {kind: conv2d, filters: 2, kernel_size: 3}]}",
        ],
        ("model", "layers", 1),
        ["conv2d1", "(n, 4)"],
    ),
    "given weights of another shape": (
        ["model={kind: layers, layers: [{kind: dense, units: 1, kernel: [[1], [2]]}]}"],
        ("model", "layers", 0, "kernel"),
        ["(2, 1)", "(1, 1)"],
    ),
    "kernel of a linear model": (
        ["model={kind: linear, kernel: [[1], [2]]}"],
        ("model", "kernel"),
        ["(2, 1)", "(1, 1)"],
    ),
    "coefficients of a polynomial": (
        ["model={kind: polynomial, degree: 2, coefficients: [1, 2]}"],
        ("model", "coefficients"),
        ["(2,)", "(3,)"],
    ),
    "value does not fill its shape": (
        ["model.parameters.w={value: [1, 2], shape: [3]}"],
        ("model", "parameters", "w"),
        ["(2,)", "(3,)"],
    ),
    "outside of the transform": (
        ["model.parameters.w={value: -1, transform: exp}"],
        ("model", "parameters", "w"),
        ["-1", "above 0", "raw"],
    ),
    "start is not finite": (
        ["model.parameters.w=log(0)"],
        ("model", "parameters", "w"),
        ["not finite"],
    ),
    "constant is not finite": (
        ["constants={c: 1 / 0}"],
        ("constants", "c"),
        ["finite"],
    ),
    "constants whose shapes do not fit": (
        ["constants={a: [1, 2], b: [1, 2, 3], c: a + b}"],
        ("constants", "c"),
        ["(2,)", "(3,)"],
    ),
    "penalty of no parameter": (
        ["loss={kind: squared_error, penalty: {l2: 0.1, of: [v]}}"],
        ("loss", "penalty", "of", 0),
        ["'v'", "w"],
    ),
    "watching without validation data": (
        ["schedule.stop.patience={epochs: 2}"],
        ("schedule", "stop", "patience"),
        ["validation_loss", "add data.validation"],
    ),
    "watching no metric": (
        ["schedule.learning_rate_factor={kind: plateau, metric: accuracy}"],
        ("schedule", "learning_rate_factor", "metric"),
        ["accuracy", "add accuracy to metrics"],
    ),
    "metric is no scalar": (
        ["metrics=[mae, {name: m, formula: prediction}]"],
        ("metrics", 1, "formula"),
        ["(4,)", "mean"],
    ),
    "what only the whole data shows": (
        ['loss={kind: formula, formula: "sum((prediction - target) * [1, 2])"}', "schedule.batch_size=2"],
        ("loss", "formula"),
        ["(4,)", "(2,)"],
    ),
    "record formula": (
        ['record.formulas={s: "x + [1, 2]"}'],
        ("record", "formulas", "s"),
        ["(4,)", "(2,)"],
    ),
    "record after": (
        ['record.after={s: "x + [1, 2]"}'],
        ("record", "after", "s"),
        ["(4,)", "(2,)"],
    ),
    "stop formula is no scalar": (
        ["schedule.stop.formula=x > 1"],
        ("schedule", "stop", "formula"),
        ["(4,)"],
    ),
    "define": (
        ['define={h: "x + [1, 2]"}', "model.formula=w*h"],
        ("define", "h"),
        ["(4,)", "(2,)"],
    ),
    "several outputs against a target": (
        ["model.formula={a: w*x, b: x}"],
        ("loss", "kind"),
        ["a, b", "formula"],
    ),
    "target of a named loss": (
        ["data.target=null", "loss=mse"],
        ("loss", "kind"),
        ["no target"],
    ),
    "warm-up longer than the schedule": (
        ["schedule.learning_rate_factor={kind: cosine, warmup: 9}"],
        ("schedule", "learning_rate_factor"),
        ["9", "3"],
    ),
    "formula of the data": (
        ['data={kind: formula, inputs: {x: "linspace(0, 1, 3)"}, target: "x + [1, 2]"}'],
        ("data", "target"),
        ["(3,)", "(2,)"],
    ),
    "data that is not finite": (
        ['data={kind: formula, inputs: {x: "linspace(0, 1, 4)"}, target: 1 / (x - 1)}'],
        ("data", "target"),
        ["3", "inf"],
    ),
    "split leaves nothing": (
        ["data.validation={count: 4}"],
        ("data", "validation"),
        ["4"],
    ),
    "linear without data": (
        ["data=null", "model=linear", "loss=null"],
        ("model", "kind"),
        ["data"],
    ),
    "polynomial of two inputs": (
        ["data.inputs={x: [1, 2, 3, 4], z: [1, 2, 3, 4]}", "model={kind: polynomial, degree: 1}"],
        ("model",),
        ["x, z"],
    ),
    "labels beyond the classes": (
        ["data.classes=3", "data.target=[0, 1, 2, 3]"],
        ("data", "classes"),
        ["3"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_at_its_place(lab, case):
    overrides, path, parts = CASES[case]
    problem = lab.refused(BASE, overrides)
    told = f"{problem.message} | {problem.hint}"
    assert problem.path == path
    for part in parts:
        assert part in told


def test_a_column_that_is_not_in_the_file(lab):
    (lab.folder / "rents.csv").write_text("area,rent\n10,100\n20,180\n")
    problem = lab.refused(BASE, ["data={kind: csv, path: rents.csv, inputs: [size], target: rent}", "model=linear"])
    assert problem.path == ("data", "inputs", 0)
    assert "'size'" in problem.message
    assert "area, rent" in f"{problem.message} {problem.hint}"


def test_a_cell_that_is_not_a_number(lab):
    (lab.folder / "rents.csv").write_text("area,rent\n10,100\n20,nan\n")
    problem = lab.refused(BASE, ["data={kind: csv, path: rents.csv, inputs: [area], target: rent}", "model=linear"])
    assert "rents.csv:3" in problem.message
    assert "rent" in problem.message


def test_an_array_that_is_not_in_the_file(lab):
    np.savez(lab.folder / "a.npz", u=np.zeros(3), v=np.zeros(3))
    problem = lab.refused(BASE, ["data={kind: npz, path: a.npz, inputs: [x], target: v}"])
    assert "'x'" in problem.message
    assert "u, v" in f"{problem.message} {problem.hint}"


def test_a_file_that_is_not_there(lab):
    problem = lab.refused(BASE, ["data={kind: csv, path: nothing.csv, inputs: [area], target: rent}", "model=linear"])
    assert problem.path == ("data", "path")
    assert "nothing.csv" in problem.message


def test_a_gpu_that_is_not_there_is_a_missing_resource(lab):
    with pytest.raises(ResourceError) as caught:
        lab.train(BASE, ["device=gpu:7"])
    assert caught.value.exit_code == 8
    assert "gpu:7" in caught.value.message
    assert "cpu" in caught.value.hint
    assert not lab.runs.exists()
