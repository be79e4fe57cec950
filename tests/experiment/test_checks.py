"""What the text shows beyond each value's own form, each at its place."""

from __future__ import annotations

import pytest

from tests.experiment.texts import line, marked, only, problems

FORMULA = "{kind: formula, formula: a * x, parameters: {a: 1.0}}"


@pytest.mark.parametrize(
    ("sections", "place", "message"),
    [
        # names in formulas
        ({"constants": "{b: 2 * c, c: 1}"}, "c", "'c' is not known yet"),
        ({"constants": "{b: 2 * b}"}, "b", "defined by itself"),
        ({"constants": "{b: 2 * x}"}, "x", "unknown name 'x'"),
        ({"data": "{kind: formula, inputs: {x: 2 * z, z: 'linspace(0, 1, 3)'}, target: x}"}, "z", "not known yet"),
        ({"data": "{kind: formula, inputs: {x: 'linspace(0, 1, 3)'}, target: a * x}"}, "a", "unknown name 'a'"),
        ({"data": "{kind: formula, inputs: {x: 'linspace(0, 1, 3)'}, target: x, noise: s * x}"}, "s", "unknown name"),
        ({"model": "{kind: formula, formula: a * x, parameters: {a: 2 * x}}"}, "x", "unknown name 'x'"),
        ({"model": "{kind: formula, formula: a * x + prediction, parameters: {a: 1}}"}, "prediction", "unknown name"),
        ({"model": "{kind: formula, formula: net(a * x), parameters: {a: 1}}"}, "net", "unknown function 'net'"),
        ({"model": "{kind: formula, formula: siin(a * x), parameters: {a: 1}}"}, "siin", "unknown function 'siin'"),
        ({"define": "{h: a * g, g: x}", "model": FORMULA.replace("a * x", "h")}, "g", "not known yet"),
        ({"define": "{h: {start: x, repeat: h * j, times: 3}}"}, "j", "unknown name 'j'"),
        (
            {"define": "{h: {start: x, repeat: 2 * h + i, while: h < limit, at_most: 3}}"},
            "limit",
            "unknown name 'limit'",
        ),
        ({"loss": "{kind: formula, formula: sum(prediction - targt)}"}, "targt", "unknown name 'targt'"),
        ({"metrics": "[{name: m, formula: sum(q)}]"}, "q", "unknown name 'q'"),
        ({"record": "{formulas: {n: norm(W)}}"}, "W", "unknown name 'W'"),
        ({"record": "{after: {n: gradient_norm}}"}, "gradient_norm", "unknown name"),
        ({"schedule": "{steps: 1, stop: {formula: a > bb}}"}, "bb", "unknown name 'bb'"),
        ({"schedule": "{steps: 1, learning_rate_factor: {kind: formula, formula: 1 / a}}"}, "a", "unknown name 'a'"),
        # names that are given
        ({"constants": "{x: 1}"}, "x", "the name 'x' is taken by constants.x"),
        ({"define": "{a: x}"}, "a", "the name 'a' is taken by define.a"),
        ({"constants": "{loss: 1}", "record": "{formulas: {n: 2 * loss}}"}, "loss", "could be the run's own"),
        # parameters
        ({"model": "{kind: formula, formula: a * x, parameters: {a: 1, b: 2}}"}, "b", "gets no gradient"),
        ({"model": "{kind: formula, formula: 2 * x, parameters: {}}"}, "parameters", "no parameter to train"),
        ({"model": "{kind: formula, formula: 2 * x}"}, "model", "no parameter to train"),
        (
            {"model": "{kind: formula, formula: a * x, parameters: {a: {value: 1, trainable: false}}}"},
            "parameters",
            "no parameter to train",
        ),
        (
            {"model": "{kind: formula, formula: a * x, parameters: {a: 1}, networks: {net: {kind: mlp}}}"},
            "net",
            "never called",
        ),
        ({"loss": "{kind: mse, penalty: {l2: 1, of: [W]}}"}, "W", "there is no parameter 'W'"),
        ({"expect": "{parameters: {aa: 1}}"}, "aa", "there is no parameter 'aa'"),
        ({"expect": "{trace: [{step: 1, aa: 1}]}"}, "aa", "there is no column 'aa'"),
        ({"expect": "{metrics: {r2: 1}}"}, "r2", "the metric 'r2' is not computed"),
        ({"expect": "{predictions: {y: [1], value: [1]}}"}, "y", "there is no input 'y'"),
        # data, loss, metrics
        ({"data": ""}, "mse", "there is no data"),
        ({"data": "{kind: values, inputs: {x: [1]}}"}, "mse", "data has no target"),
        ({"data": "{kind: values, inputs: {x: [1]}}", "loss": "output", "metrics": "[r2]"}, "r2", "there is none"),
        ({"loss": "output"}, "output", "the target of data is not used"),
        ({"optimizer": "{kind: sgd, learning_rate: 1.0e-50}"}, "1.0e-50", "learning rate 1e-50 is 0 in float32"),
        ({"optimizer": "{kind: sgd, learning_rate: 1.0e+50}"}, "1.0e+50", "1e+50 is infinite in float32"),
        (
            {"optimizer": "{kind: sgd, learning_rate: 1, groups: [{parameters: [a], learning_rate: 1.0e-60}]}"},
            "1",
            "learning rate 1e-60 is 0 in float32",
        ),
        (
            {"model": "{kind: formula, formula: {p: a * x, q: x}, parameters: {a: 1}}"},
            "mse",
            "the model has several outputs: p, q",
        ),
        ({"model": "{kind: linear}", "data": "", "loss": ""}, "linear", "a model of kind linear needs data"),
        ({"metrics": "[mae, mae]"}, "mae", "here twice"),
        ({"data": "{kind: values, inputs: {x: [1, 2]}, target: [1]}"}, "target", "target has 1 examples, inputs.x 2"),
        ({"data": "{kind: values, inputs: {x: 1}, target: [1]}"}, "1", "leading axis"),
        ({"data": "{kind: formula, inputs: {x: '[1.]'}, noise: x}", "loss": ""}, "noise", "there is no target"),
        ({"data": "{kind: values, inputs: {x: [1]}, classes: 2}", "loss": ""}, "classes", "there is no target"),
        # schedule
        ({"data": "", "loss": "output", "schedule": "{steps: 1, batch_size: 2}"}, "batch_size", "there is no data"),
        (
            {"schedule": "{steps: 1, stop: {patience: {epochs: 2}}}"},
            "patience",
            "the metric 'validation_loss' is not known at the end of an epoch",
        ),
        (
            {"schedule": "{steps: 1, learning_rate_factor: {kind: plateau, metric: validation_mae}}"},
            "validation_mae",
            "the metric 'validation_mae' is not known at the end of an epoch",
        ),
        (
            {"schedule": "{steps: 1, stop: {patience: {epochs: 2, metric: los}}}"},
            "los",
            "'los' is not known at the end of an epoch",
        ),
    ],
)
def test_each_is_told_at_its_place(sections, place, message):
    found = [problem for problem in problems(line(**sections)) if message in problem.message]
    assert found, [problem.message for problem in problems(line(**sections))]
    assert marked(found[0]) == place


@pytest.mark.parametrize(
    "sections",
    [
        {"data": "", "loss": "output", "model": "{kind: formula, formula: a**2, parameters: {a: 1}}"},
        {
            "data": "",
            "loss": "",
            "model": "{kind: formula, formula: a**2, parameters: {a: 1}}",
            "schedule": "{epochs: 3}",
        },
        {"loss": "output", "model": "{kind: formula, formula: 'sum((a * x - target)**2)', parameters: {a: 1}}"},
        {"define": "{h: a * x, g: 2 * h}", "model": FORMULA.replace("a * x", "g")},
        {"define": "{h: {start: a * x, repeat: h * i, times: 3}}", "model": FORMULA.replace("a * x", "h")},
        {"model": "{kind: formula, formula: net(x), networks: {net: {kind: mlp}}}"},
        {"model": "{kind: formula, formula: a * x, parameters: {a: 1, b: {value: 1, trainable: false}}}"},
        {
            "model": "{kind: formula, formula: {p: a * x}, parameters: {a: 1}}",
            "loss": "{kind: formula, formula: 'sum((p - target)**2) + prediction[0]'}",
        },
        {"record": "{formulas: {n: gradient_norm + loss + learning_rate + step + epoch}}"},
        {"schedule": "{steps: 1, stop: {formula: loss < 1 and gradient_norm < 1}}"},
        {"constants": "{learning_rate: 1}", "model": FORMULA.replace("a * x", "a * x * learning_rate")},
        {"data": "{kind: csv, path: d.csv, inputs: [0, 1], target: y}", "model": FORMULA.replace("* x", "* anything")},
        {"data": "{kind: moons}", "model": FORMULA.replace("* x", "* (x1 + x2)"), "loss": "binary_crossentropy"},
        {"data": "{kind: linear, weights: [1, 2]}", "model": FORMULA.replace("* x", "* x2")},
        {"expect": "{trace: [{step: 1, loss: 1, a: 1, gradient_norm: 1}], metrics: {loss: 1}}"},
    ],
)
def test_what_is_right_is_not_told(sections):
    assert [problem.message for problem in problems(line(**sections))] == []


@pytest.mark.parametrize("rate", ["1.0e-50", "0"])
def test_a_rate_that_the_precision_has_is_right(rate):
    precision = {"precision": "float64"} if rate != "0" else {}
    assert not problems(line(optimizer=f"{{kind: sgd, learning_rate: {rate}}}", **precision))


def test_a_target_that_cannot_be_left_out_is_to_be_used():
    data = {"data": "{kind: sklearn, name: iris}", "model": "{kind: mlp, outputs: 1}", "loss": "output"}
    (found,) = problems(line(**data))
    assert "let a metric or a formula use it" in found.hint
    assert not problems(line(**data, metrics="[{name: m, formula: mean(target)}]"))


def test_names_are_checked_once_every_value_is_right_by_itself():
    model = FORMULA.replace("a * x", "a * z")
    assert only(line(seed="x", model=model)).message == "expected an integer, got the text 'x'"
    assert only(line(seed="1", model=model)).message == "unknown name 'z'"


def test_an_unknown_name_brings_the_known_ones():
    problem = only(line(model=FORMULA.replace("a * x", "a * z")))
    assert all(name in problem.hint for name in ("a", "x", "step", "epoch", "pi"))


VALIDATED = "{kind: values, inputs: {x: [1, 2, 3]}, target: [2, 4, 6], validation: VALIDATION}"


@pytest.mark.parametrize(
    ("schedule", "validation", "hint"),
    [
        ("{epochs: 1, stop: {patience: {epochs: 1, metric: loss}}}", "null", None),
        ("{epochs: 1, stop: {patience: {epochs: 1, metric: loss_epoch}}}", "null", "did you mean 'loss'?"),
        ("{epochs: 1, batch_size: 1, stop: {patience: {epochs: 1, metric: loss_epoch}}}", "null", None),
        (
            "{epochs: 1, batch_size: 1, stop: {patience: {epochs: 1, metric: loss}}}",
            "null",
            "did you mean 'loss_epoch'?",
        ),
        ("{epochs: 1, batch_size: 2, stop: {patience: {epochs: 1, metric: loss}}}", "{last: 1}", None),
        (
            "{epochs: 1, batch_size: 2, drop_remainder: true, stop: {patience: {epochs: 1, metric: loss}}}",
            "null",
            None,
        ),
        ("{epochs: 1, stop: {patience: {epochs: 1}}}", "null", "add data.validation, or name loss here"),
        (
            "{epochs: 1, batch_size: 1, stop: {patience: {epochs: 1}}}",
            "null",
            "add data.validation, or name loss_epoch here",
        ),
    ],
)
def test_the_metric_that_is_watched_is_one_that_an_epoch_ends_with(schedule, validation, hint):
    found = problems(line(data=VALIDATED.replace("VALIDATION", validation), schedule=schedule))
    assert [problem.hint for problem in found] == ([] if hint is None else [hint])


@pytest.mark.parametrize(
    ("block", "key"),
    [
        ("{inputs: {x: [1]}, target: [1], scale: minmax}", "scale"),
        ("{kind: csv, path: other.csv, inputs: [x], target: y, scale: minmax}", "scale"),
        ("{inputs: {x: [1]}, target: [1], scale: null}", None),
        ("{inputs: {x: [1]}, target: [1]}", None),
        ("{inputs: {x: [1]}, target: [1], class_weights: [1, 2]}", "class_weights"),
    ],
)
def test_validation_data_has_no_treatment_of_its_own(block, key):
    problems_found = problems(line(data=VALIDATED.replace("VALIDATION", block)))
    assert [problem.path for problem in problems_found] == ([] if key is None else [("data", "validation", key)])


def test_validation_data_may_not_be_left_unscaled_where_the_training_data_is_scaled():
    block = "{inputs: {x: [3]}, scale: null}"
    data = f"{{kind: values, inputs: {{x: [1, 2]}}, target: [1, 2], scale: minmax, validation: {block}}}"
    assert only(line(data=data)).path == ("data", "validation", "scale")


def test_weights_reach_no_default_loss_of_a_model_that_is_its_own_objective():
    data = "{kind: formula, inputs: {x: '[1., 2.]'}, example_weights: x}"
    problem = only(line(data=data, loss="", model="{kind: formula, formula: a**2 * mean(x), parameters: {a: 1}}"))
    assert problem.message == "the weights of data do not reach a loss of kind output"
