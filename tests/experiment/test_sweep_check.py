"""`sweep:` and `expect.trials` of a config, by their text alone."""

from __future__ import annotations

import pytest

from gdrun.experiment.loading import load_config
from tests.experiment.texts import LINE, marked, only, problems


def swept(block: str, expect: str = "") -> str:
    return LINE + f"sweep: {block}\n" + (f"expect: {{trials: {expect}}}\n" if expect else "")


@pytest.mark.parametrize(
    "block",
    [
        "{}",
        '{over: {lr: "log:1e-4:1:50", seed: [0, 1]}}',
        "{zip: {lr: [0.1, 0.2], steps: [3, 4]}, over: {optimizer.kind: [sgd, adam]}}",
        '{over: {optimizer: [sgd, {kind: adam, learning_rate: 0.1}], lr: "uniform:0:1"}, trials: 10}',
        "{search: tpe}",
        '{over: {lr: "loguniform:1e-4:1"}, search: {kind: cmaes, metric: loss, batch: 8, prune: true}}',
        "{metric: loss, direction: maximize, value: best}",
    ],
)
def test_sweeps_that_are_right(block):
    assert problems(swept(block)) == []


@pytest.mark.parametrize(
    ("block", "message", "mark"),
    [
        ("{over: {lrr: [1, 2]}}", "there is no setting 'lrr'", "lrr"),
        ("{over: {lr: []}}", "empty", "[]"),
        ('{over: {lr: "log:1:0.1:4"}}', "wrong way round", "1"),
        ("{over: {lr: [0.1, -1]}}", "must be at least 0, got -1", "-1"),
        ('{over: {lr: "0.1,x"}}', "expected a number", "x"),
        ("{zip: {lr: [0.1, 0.3], seed: [1, 2, 3]}}", "zip pairs values", "seed"),
        ('{zip: {lr: "uniform:0:1", seed: [1]}}', "a distribution has none", "lr"),
        ("{over: {lr: [0.1, 0.2]}, zip: {learning_rate: [1, 2]}}", "swept twice", "learning_rate"),
        ('{over: {lr: "lin:0:1:3e9"}}', "3,000,000,000 trials", "lr"),
        ("{over: {name: [a, b]}}", "cannot be swept", "name"),
        ("{ovr: 1}", "unknown key 'ovr' in sweep", "ovr"),
        ("{search: tpee}", "expected one of tpe", "tpee"),
        ("{trials: 0}", "must be at least 1", "0"),
        ("{metric: accuracy}", "'accuracy' is not computed", "accuracy"),
        ("{search: {kind: tpe, metric: validation_loss}}", "'validation_loss' is not computed", "validation_loss"),
    ],
)
def test_mistakes_of_a_sweep_have_their_places(block, message, mark):
    problem = only(swept(block))
    assert message in problem.message
    assert marked(problem) == mark
    assert problem.place.line == 6


@pytest.mark.parametrize(
    ("expect", "message", "mark"),
    [
        ("[{where: {seed: 1}, status: diverged}]", "the sweep does not vary seed", "seed"),
        ("[{where: {lrr: 1}, count: 1}]", "there is no setting 'lrr'", "lrr"),
        ("[{where: {lr: 1}}]", "say what is expected", "{"),
        ("[{where: bst, count: 1}]", "expected best", "bst"),
        ("[{parameters: {b: 1}}]", "there is no parameter 'b'", "b"),
        ("[{metrics: {mae: 1}}]", "'mae' is not computed", "mae"),
        ("[{status: lost}]", "expected one of completed", "lost"),
        ("[{divergd: 2}]", "unknown key 'divergd'", "divergd"),
    ],
)
def test_mistakes_of_expectations_have_their_places(expect, message, mark):
    problem = only(swept("{over: {lr: [0.1, 0.2]}}", expect))
    assert message in problem.message
    assert marked(problem).startswith(mark)
    assert problem.place.line == 7


def test_without_a_sweep_learning_rates_are_what_trials_differ_in():
    assert problems(LINE + "expect: {trials: [{where: {lr: 0.2}, status: diverged}]}\n") == []
    assert "does not vary" in only(LINE + "expect: {trials: [{where: {seed: 2}, count: 1}]}\n").message


def test_a_sweep_is_not_inherited(tmp_path):
    (tmp_path / "parent.yaml").write_text(swept("{over: {lr: [0.1, 0.2]}}"))
    (tmp_path / "child.yaml").write_text("extends: parent.yaml\nseed: 3\n")
    assert load_config(tmp_path / "child.yaml").experiment.sweep.over == {}
