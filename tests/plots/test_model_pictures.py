"""Pictures of what a run has learned, beside closed forms in numpy."""

from __future__ import annotations

import numpy as np
import pytest

import gdrun
from gdrun.analysis.model_response import _class_numbers
from gdrun.errors import UsageError
from gdrun.plots import as_text

from . import test_trajectory
from .test_trajectory import X, Y

# Tracing would take longer than the few steps of runs that are only drawn.
LINE, NETWORK = (text.replace("graph", "eager") for text in (test_trajectory.LINE, test_trajectory.NETWORK))

PLANE = """\
precision: float64
compile: eager
data: {kind: values, inputs: {u: [0, 0, 1, 1], v: [0, 2, 0, 2]}, target: [0, 1, 0, 1], scale: standardize}
model: {kind: formula, formula: sigmoid(a * u + b * v), parameters: {a: 0.5, b: 2}}
loss: binary_crossentropy
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 3}
"""
CLASSES = """\
precision: float64
compile: eager
data: {kind: values, inputs: {X: [[0, 0], [0, 1], [1, 0]]}, target: [0, 2, 1], classes: 3}
model: {kind: formula, formula: softmax(X @ W), parameters: {W: [[0, 3, 1], [0, 1, 2]]}}
loss: categorical_crossentropy
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 3}
"""


# --- fits -------------------------------------------------------------------------------------------------------------


def test_a_fit_is_the_data_and_the_line_in_the_units_of_the_data(trained):
    for text in (LINE, LINE.replace("4, 3]}", "4, 3], scale: {inputs: standardize, target: minmax}}")):
        run = trained(text)
        figure = gdrun.plot(run, kind="fit")
        data, model = figure.series
        np.testing.assert_allclose(data.x, X, rtol=1e-14)
        np.testing.assert_allclose(data.y, Y, rtol=1e-14)
        a, b = run.parameters["a"], run.parameters["b"]
        scaled = (model.x - X.mean()) / X.std() if "scale" in text else model.x
        line = a * scaled + b
        np.testing.assert_allclose(model.y, line * 3 + 1 if "scale" in text else line, rtol=1e-12)
        assert model.x[0] < 1 < 4 < model.x[-1]
        assert (figure.name, figure.x.label, figure.y.label) == ("fit", "x", "target")
        assert "data" in as_text(figure)


def test_validation_examples_are_apart_and_scores_become_probabilities(trained):
    run = trained(
        LINE.replace("[2, 1, 4, 3]}", "[0, 0, 1, 1], validation: {last: 1}}").replace(
            "loss: mse", "loss: {kind: binary_crossentropy, from_logits: true}"
        )
    )
    figure = gdrun.plot(run, kind="fit")
    data, validation, model = figure.series
    assert (data.label, validation.label, model.label) == ("data", "validation", "model")
    np.testing.assert_array_equal(validation.x, [4])
    score = run.parameters["a"] * model.x + run.parameters["b"]
    np.testing.assert_allclose(model.y, np.exp(score) / (1 + np.exp(score)), rtol=1e-12)
    assert "probability" in figure.notes[0]


# --- decisions --------------------------------------------------------------------------------------------------------


def test_one_output_decides_at_one_half(trained):
    run = trained(PLANE)
    figure = gdrun.plot(run, kind="decisions")
    u, v = np.meshgrid(figure.grid.x, figure.grid.y)
    a, b = run.parameters["a"], run.parameters["b"]
    decided = a * (u - 0.5) / 0.5 + b * (v - 1) / 1 > 0
    np.testing.assert_array_equal(figure.grid.values, decided)
    assert (figure.x.label, figure.y.label, figure.name) == ("u", "v", "decisions")
    assert [(series.label, len(series.x)) for series in figure.series] == [("class 0", 2), ("class 1", 2)]
    np.testing.assert_allclose(figure.series[1].y, [2, 2], rtol=1e-14)


def test_of_several_outputs_the_largest_decides(trained):
    run = trained(CLASSES)
    figure = gdrun.plot(run, kind="decisions")
    points = np.stack(np.meshgrid(figure.grid.x, figure.grid.y), axis=-1)
    np.testing.assert_array_equal(figure.grid.values, np.argmax(points @ run.parameters["W"], axis=-1))
    assert (figure.x.label, figure.y.label) == ("X[0]", "X[1]")
    assert [series.slot for series in figure.series] == [0, 1, 2]
    assert "▲ class 1" in as_text(figure)


def test_a_logit_decides_at_zero(trained):
    run = trained(NETWORK)
    figure = gdrun.plot(run, kind="decisions")
    weights = [run.parameters[name] for name in run.parameters]
    first, bias, second, last = sorted(weights, key=lambda value: (value.shape[-1] == 1, -value.ndim))
    points = np.stack(np.meshgrid(figure.grid.x, figure.grid.y), axis=-1)
    score = (np.tanh(points @ first + bias) @ second + last)[..., 0]
    sure = np.abs(score) > 1e-9
    np.testing.assert_array_equal(figure.grid.values[sure], (score > 0)[sure])


@pytest.mark.parametrize(
    ("target", "num_classes", "expected"),
    [
        ([[0.0], [1.0]], 2, [0, 1]),
        ([-1.0, 1.0], 2, [0, 1]),
        ([0.0, 2.0, 1.0], 3, [0, 2, 1]),
        ([[0.0, 1.0], [1.0, 0.0]], 2, [1, 0]),
        ([0.0, 3.0], 3, None),
        ([0.0, 0.5], 2, None),
        ([0.0, 1.0, -1.0], 2, None),
        ([[0.5, 0.5]], 2, None),
        ([[0.0, 1.0]], 3, None),
    ],
)
def test_classes_are_numbers_signs_or_rows_with_a_single_one(target, num_classes, expected):
    if expected is None:
        with pytest.raises(UsageError, match="not a class"):
            _class_numbers(np.asarray(target), num_classes)
    else:
        np.testing.assert_array_equal(_class_numbers(np.asarray(target), num_classes), expected)


# --- spectra ----------------------------------------------------------------------------------------------------------

HESSIAN = 2 * np.array([[np.mean(X * X), X.mean()], [X.mean(), 1]])


@pytest.mark.parametrize(
    ("optimizer", "limit"),
    [
        ("{kind: sgd, learning_rate: 0.02}", 100),
        ("{kind: sgd, learning_rate: 0.02, momentum: 0.5}", 150),
        ("{kind: sgd, learning_rate: 0.02, weight_decay: 0.25}", 99.75),
        ("{kind: adam, learning_rate: 0.02}", None),
        ("{kind: newton}", None),
        ("{kind: sgd, learning_rate: 0.02, groups: [{parameters: [b], learning_rate: 0.01}]}", None),
    ],
    ids=["descent", "momentum", "decay", "adam", "newton", "groups"],
)
def test_a_spectrum_is_the_hessian_s_with_the_limit_of_the_optimizer(trained, optimizer, limit):
    run = trained(LINE.replace("{kind: sgd, learning_rate: 0.02}", optimizer).replace("steps: 20", "steps: 2"))
    figure = gdrun.plot(run, kind="spectrum")
    np.testing.assert_allclose(figure.series[0].y, np.linalg.eigvalsh(HESSIAN)[::-1], rtol=1e-9)
    np.testing.assert_allclose([rule.y for rule in figure.rules], [] if limit is None else [limit], rtol=1e-9)
    assert limit is not None or figure.notes


@pytest.mark.parametrize(
    ("place", "step", "words"), [("start", 0, "at the start"), ("10", 10, "at step 10"), (None, 20, "at the end")]
)
def test_a_spectrum_is_of_the_parameters_at_a_step(trained, place, step, words):
    run = trained(
        "precision: float64\ncompile: eager\nmodel: {kind: formula, formula: a**4, parameters: {a: 1}}\n"
        "optimizer: {kind: sgd, learning_rate: 0.02}\nschedule: {steps: 20}\n"
    )
    figure = gdrun.plot(run, kind="spectrum", at=place)
    np.testing.assert_allclose(figure.series[0].y, [12 * run.metrics["parameters.a"][step] ** 2], rtol=1e-9)
    assert figure.subtitle.startswith(words)


def test_a_sum_s_limit_is_that_of_the_whole_sum(trained):
    run = trained(
        LINE.replace("loss: mse", "loss: sse").replace("steps: 20", "steps: 20, batch_size: 2").replace("0.02", "0.01")
    )
    figure = gdrun.plot(run, kind="spectrum")
    np.testing.assert_allclose(figure.series[0].y, np.linalg.eigvalsh(4 * HESSIAN)[::-1], rtol=1e-9)
    np.testing.assert_allclose(figure.rules[0].y, 2 * 200, rtol=1e-9)


def test_of_many_eigenvalues_the_largest_are_those_of_numpy(trained, shared_lab):
    size = 1100
    run = trained(
        f"precision: float64\nseed: 2\ndata: {{kind: formula, inputs: {{X: 'normal(0, 1, [40, {size}])'}},"
        " target: 'normal(0, 1, 40)'}\nloss: mse\noptimizer: {kind: sgd, learning_rate: 0.01}\nschedule: {steps: 1}\n"
        f"model: {{kind: formula, formula: X @ w, parameters: {{w: {{value: 'zeros({size})'}}}}}}\n"
    )
    figure = gdrun.plot(run, kind="spectrum")
    inputs = shared_lab.prepare((run.directory / "config.yaml").read_text()).built.data.inputs["X"].numpy()
    expected = np.linalg.eigvalsh(2 * inputs @ inputs.T / 40)[::-1]
    found = figure.series[0].y
    assert 5 <= len(found) <= 20
    np.testing.assert_allclose(found, expected[: len(found)], rtol=0.02)
    assert "of 1,100 eigenvalues" in figure.notes[0]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(trained):
    """(name) -> a run, trained when it is first asked for."""
    objective = "compile: eager\nmodel: {kind: formula, formula: x**2, parameters: {x: 1}}\n"
    objective += "optimizer: {kind: sgd, learning_rate: 0.1}\n"
    three = LINE.replace("{x: [1, 2, 3, 4]}", "{X: [[1, 2, 3], [4, 5, 6]]}").replace("[2, 1, 4, 3]", "[1, 2]")
    texts = {
        "line": LINE,
        "network": NETWORK,
        "objective": objective + "schedule: {steps: 2}\n",
        "three": three.replace("a * x + b", "X[:, 0] * a + b"),
        "plane": PLANE.replace("[0, 1, 0, 1]", "[0.1, 1, 3, 1]").replace("loss: binary_crossentropy", "loss: mse"),
        "no target": LINE.replace(", target: [2, 1, 4, 3]", "").replace("a * x + b", "mean((a * x + b)**2)")
        .replace("loss: mse", "loss: output"),
        "complex": LINE.replace("b: 0}", "b: 0j}").replace("a * x + b", "abs(a * x + b)"),
    }  # fmt: skip
    return lambda name: trained(texts[name])


@pytest.mark.parametrize(
    ("name", "kind", "options", "message", "hint"),
    [
        ("network", "fit", {}, "a fit is of 1 input; this model has 2 inputs", "--kind decisions"),
        ("line", "decisions", {}, "are of 2 inputs; this model has 1 input", "--kind fit"),
        ("three", "decisions", {}, "this model has 3 inputs", "gdrun predict"),
        ("three", "fit", {}, "this model has 3 inputs", "gdrun predict"),
        ("objective", "fit", {}, "has no data", "--kind"),
        ("objective", "decisions", {}, "has no data", "--kind"),
        ("plane", "decisions", {}, "not a class", "gdrun predict"),
        ("no target", "fit", {}, "has no target", "--kind loss"),
        ("complex", "spectrum", {}, "real parameters", "two parts"),
        ("line", "spectrum", {"at": "middle"}, "no place 'middle'", "--at start, end or a step"),
        ("line", "spectrum", {"at": "99"}, "no parameters at step 99", "nearest is step 20"),
        ("line", "fit", {"columns": ["a"]}, "does not go with", None),
    ],
)
def test_a_kind_that_does_not_fit_the_run_says_what_does(runs, name, kind, options, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        gdrun.plot(runs(name), kind=kind, **options)
    assert hint is None or hint in (caught.value.hint or "")
