"""`expect.trials` held against a sweep."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.checking.trials import compare_trials, matches
from gdrun.experiment.loading import load_config
from tests.experiment.texts import LINE

from .conftest import RATE


@pytest.fixture
def judged(sweep_of):
    """The rows of expectations about four rates of which the last diverged; parameters are a = 2 - rate."""
    rates = [0.1, 0.2, 0.3, 3.0]
    rows = [
        {RATE: rate, "status": "completed", "loss": rate**2, "steps": 10, "r2": 1 - rate, "stopped_by": "steps"}
        for rate in rates[:3]
    ]
    rows.append({RATE: 3.0, "status": "diverged", "loss": 1e300, "steps": 7, "diverged_at": 7})

    def judge(expectations: str):
        text = LINE.replace("loss: mse", "loss: mse\nmetrics: [r2]") + f"expect: {{trials: {expectations}}}\n"
        run = sweep_of([RATE], rows, parameters={"a": 2 - np.array(rates)}, best=0)
        return list(compare_trials(load_config(text.encode()), run))

    return judge


@pytest.mark.parametrize(
    ("expectation", "ok"),
    [
        ("{count: 4, completed: 3, diverged: 1}", True),
        ("{diverged: 2}", False),
        ("{where: {lr: 3}, status: diverged, diverged_at: 7}", True),
        ("{where: {lr: 3}, diverged_at: 8}", False),
        ("{where: {optimizer.learning_rate: 0.2}, parameters: {a: 1.8}}", True),
        ("{where: {lr: 0.2}, parameters: {a: 1.7}}", False),
        ("{where: {lr: 0.2}, parameters: {a: 1.7}, atol: 0.11}", True),
        ("{where: {lr: 0.2}, loss: 0.04, rtol: 1e-12}", True),
        ("{where: {lr: {below: 1}}, loss: {below: 0.1}, steps: 10, stopped_by: steps}", True),
        ("{where: {lr: {below: 1}}, loss: {below: 0.05}}", False),
        ("{where: {lr: {above: 0.15, below: 1}}, count: 2}", True),
        ("{where: {lr: {value: 0.25, rtol: 0.5}}, count: 2}", True),
        ("{where: best, values: {lr: 0.1}, metrics: {r2: {above: 0.8}}}", True),
        ("{where: best, values: {lr: 0.2}}", False),
        ("{where: {lr: 0.5}, count: 0}", True),
        ("{where: {lr: 0.5}, status: completed}", False),
    ],
)
def test_what_is_expected_of_trials(judged, expectation, ok):
    rows = judged(f"[{expectation}]")
    assert rows
    assert all(row.ok for row in rows) == ok


def test_what_is_missed_by_some_names_the_first_of_them(judged):
    (row,) = judged("[{where: {lr: {below: 1}}, loss: {below: 0.03}}]")
    assert row.what == "trials[lr<1].loss"
    assert row.got.startswith("trial 1: 0.04")
    assert row.note == "2 of 3 trials"


def test_a_setting_that_no_trial_has_is_a_miss(judged):
    (row,) = judged("[{where: {lr: 0.5}, loss: 1}]")
    assert not row.ok
    assert "no trial has these values" in row.note


def test_parameters_of_different_shapes_have_their_trial_in_the_name(sweep_of):
    text = LINE + "expect: {trials: [{where: {lr: 0.2}, parameters: {a: [1, 2]}}]}\n"
    rows = [{RATE: rate, "status": "completed", "loss": 1.0} for rate in (0.1, 0.2)]
    run = sweep_of([RATE], rows, parameters={"a@0": np.array([1.0]), "a@1": np.array([1.0, 2.0])})
    (row,) = compare_trials(load_config(text.encode()), run)
    assert row.ok


@pytest.mark.parametrize(
    ("got", "wanted", "same"),
    [
        (0.1, 0.1, True),
        (0.1, 0.1 * (1 + 1e-12), True),
        (0.1, 0.1001, False),
        (3, 3.0, True),
        ("sgd", "sgd", True),
        ("sgd", "adam", False),
        (None, None, True),
        (None, 1, False),
        ([4, 0], (4, 0), True),
        ([4, 0], (4,), False),
        (True, True, True),
    ],
)
def test_values_of_axes_are_the_same_to_nine_digits(got, wanted, same):
    assert matches(got, wanted) == same
