"""KEY=VALUE: which place a key means, and what is put there."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.experiment.loading import load_config
from tests.experiment.texts import LINE, line, marked, only, problems


def loaded(text: str, *overrides: str):
    return load_config(text.encode(), overrides).experiment


@pytest.mark.parametrize(
    ("override", "get", "value"),
    [
        ("optimizer.learning_rate=1e-3", lambda e: e.optimizer.learning_rate, 0.001),
        ("lr=1e-3", lambda e: e.optimizer.learning_rate, 0.001),
        ("learning_rate=1e-3", lambda e: e.optimizer.learning_rate, 0.001),
        ("seed=7", lambda e: e.seed, 7),
        ("momentum=0.5", lambda e: e.optimizer.momentum, 0.5),
        ("a=3", lambda e: e.model.parameters["a"].value, 3),
        ("model.parameters.a=[1, 2]", lambda e: e.model.parameters["a"].value, (1, 2)),
        ("model.parameters.a.trainable=true", lambda e: e.model.parameters["a"].value, 1.0),
        ("model.formula=a * x", lambda e: e.model.formula, "a * x"),
        ("loss_below=1e-8", lambda e: e.schedule.stop.loss_below, 1e-8),
        ("schedule.stop.patience={epochs: 2, metric: loss}", lambda e: e.schedule.stop.patience.epochs, 2),
        ("description=hello", lambda e: e.description, "hello"),
        ("record.every=[0, 5]", lambda e: e.record.every, (0, 5)),
        ("constants.c=3", lambda e: e.constants["c"], 3),
        ("optimizer=adam", lambda e: (e.optimizer.kind, e.optimizer.learning_rate), ("adam", 0.001)),
        ("optimizer.kind=adam", lambda e: (e.optimizer.kind, e.optimizer.learning_rate), ("adam", 0.1)),
        ("loss=sse", lambda e: e.loss.reduction, "sum"),
        ("metrics=[mae]", lambda e: e.metric_names, ["mae"]),
    ],
)
def test_an_override_reaches_its_place(override, get, value):
    assert get(loaded(LINE, override)) == value


@pytest.mark.parametrize("written", ["[]", "[1]", "3"])
def test_a_setting_below_what_is_no_mapping_takes_its_place(written):
    assert loaded(line(schedule=written), "schedule.steps=5").schedule.steps == 5


def test_epochs_takes_the_place_of_steps_and_back():
    assert loaded(LINE, "epochs=3").schedule.steps is None
    assert loaded(line(schedule="{epochs: 2}"), "steps=3").schedule.epochs is None


def test_the_same_place_twice_is_refused():
    problem = only(LINE, ["lr=0.1", "optimizer.learning_rate=0.2"])
    assert problem.message == "optimizer.learning_rate is given twice; first in argument 1"


def test_epochs_and_steps_together_are_refused():
    assert "one of them" in only(LINE, ["epochs=3", "steps=4"]).message


def test_the_order_of_overrides_does_not_matter_where_one_is_inside_another():
    first = loaded(LINE, "lr=0.5", "optimizer=adam")
    second = loaded(LINE, "optimizer=adam", "lr=0.5")
    assert first.optimizer == second.optimizer
    assert first.optimizer.learning_rate == 0.5


def test_another_kind_alone_keeps_the_keys_that_both_know():
    text = line(optimizer="{kind: sgd, learning_rate: 0.3, momentum: 0.9, clipnorm: 1}")
    optimizer = loaded(text, "optimizer.kind=adam").optimizer
    assert (optimizer.learning_rate, optimizer.clipnorm) == (0.3, 1)


def test_null_deletes_or_is_the_value_where_null_has_a_meaning():
    text = line(constants="{c: 1, d: 2}", optimizer="{kind: adamw, weight_decay: 0.1, epsilon: 1e-3}")
    assert dict(loaded(text, "constants.c=null").constants) == {"d": 2}
    assert loaded(text, "epsilon=null").optimizer.epsilon == 1e-7
    assert loaded(text, "weight_decay=null").optimizer.weight_decay is None


def test_list_entries_are_counted_from_0():
    text = line(
        model="{kind: layers, layers: [{kind: dense, units: 3}, relu, {kind: dense, units: 1}]}",
        record="{every: [1, 2]}",
    )
    experiment = loaded(text, "model.layers.0.units=5", "record.every.1=9")
    assert [layer.units for layer in experiment.model.layers if layer.kind == "dense"] == [5, 1]
    assert experiment.record.every == (1, 9)
    assert "no 7" in only(text, ["model.layers.7.units=1"]).message


def test_a_leaf_name_with_several_places_lists_them():
    text = line(model="{kind: layers, layers: [{kind: dense, units: 3}, {kind: dense, units: 1}]}")
    problem = only(text, ["units=4"])
    assert "model.layers.0.units" in problem.hint
    assert "model.layers.1.units" in problem.hint


@pytest.mark.parametrize(
    ("override", "caret", "hint"),
    [
        ("learning_rte=1", "learning_rte", "optimizer.learning_rate"),
        ("lrr=3", "lrr", "did you mean 'lr'?"),
        ("steps=", "steps", None),
        ("optimizer.learning_rte=1", "learning_rte", "did you mean 'learning_rate'?"),
        ("optimizer.beta_1=0.5", "beta_1", "belongs to"),
        ("optimiser.lr=1", "optimiser", "optimizer"),
        ("lr=abc", "abc", "number"),
        ("lr=1e999", "1e999", None),
        ("lr=[1", "[", None),
        ("lr=*x", "*x", '"*x"'),
        ("momentum=2", "2", None),
        ("optimizer=adm", "adm", "adam"),
        ("model.formula=a * y", "y", "x"),
        ("nothing", "nothing", "for example"),
        ("=3", "=3", "for example"),
        ("loss.0=3", "0", None),
        ("data.inputs.x.0.5=3", "data.inputs.x.0.5", None),
    ],
)
def test_mistakes_are_located_in_the_argument(override, caret, hint):
    problem = only(LINE, ["seed=1", override])
    assert problem.place.source == "argument 2"
    assert problem.place.text == override
    assert marked(problem) == caret
    if hint:
        assert hint in problem.hint


def test_mistakes_of_file_and_overrides_are_told_together():
    sources = [problem.place.source for problem in problems(line(seed="x"), ["lr=abc", "foo=1"])]
    assert sources == ["config", "argument 1", "argument 2"]


def test_python_values_are_taken_as_they_are():
    overrides = {"lr": np.float64(0.25), "a": np.arange(3.0), "schedule": {"steps": 3}, "seed": np.int64(4)}
    experiment = load_config(LINE.encode(), overrides).experiment
    assert experiment.optimizer.learning_rate == 0.25
    assert experiment.model.parameters["a"].value == (0.0, 1.0, 2.0)
    assert experiment.seed == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "\x1b[31m", {1, 2}])
def test_python_values_that_no_config_can_hold_are_refused(value):
    assert problems(LINE, {"description": value})


def test_names_with_dots_are_found():
    text = line(expect="{parameters: {a: 1}}", model="{kind: mlp, hidden: [2]}")
    text = text.replace("{a: 1}", "{dense1.kernel: 1}")
    assert loaded(text, "expect.parameters.dense1.kernel=2").expect.parameters == {"dense1.kernel": 2}
