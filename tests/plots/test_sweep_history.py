"""How a search went: history, parallel coordinates, importance of settings; and a classifier's confusions."""

from __future__ import annotations

import numpy as np
import pytest

import gdrun
from gdrun.errors import UsageError
from gdrun.plots import plot

from .fake_sweeps import descend, write_sweep

RATE, MOMENTUM, OTHER = "optimizer.learning_rate", "optimizer.momentum", "schedule.drop_remainder"


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """40 trials at random: the rate and the momentum decide, the third setting changes nothing."""
    rng = np.random.default_rng(0)
    rows = [
        (float(rate), float(momentum), bool(other))
        for rate, momentum, other in zip(
            10 ** rng.uniform(-3, 0.3, 40), rng.uniform(0, 0.9, 40), rng.integers(2, size=40), strict=True
        )
    ]
    axes = {RATE: [], MOMENTUM: [], OTHER: []}
    return write_sweep(tmp_path_factory.mktemp("s") / "search", axes, rows=rows, search={"kind": "random"})


def test_the_history_falls_to_the_best_trial(search):
    figure = plot(search, kind="history")
    trials, best = figure.series
    losses = np.array([row["loss"] if row["status"] != "diverged" else np.nan for row in search.trials])
    np.testing.assert_array_equal(trials.y, losses)
    np.testing.assert_array_equal(best.y, np.fmin.accumulate(losses))
    assert best.y[-1] == np.nanmin(losses)
    num_diverged = sum(row["status"] == "diverged" for row in search.trials)
    assert num_diverged == sum(descend(row[RATE], row[MOMENTUM]).diverged_at is not None for row in search.trials) > 0
    assert sum(mark.kind == "diverged" for mark in figure.marks) == num_diverged


def test_each_trial_is_a_line_through_its_settings_the_best_last_and_darkest(search):
    figure = plot(search, kind="parallel")
    assert [text for _, text in figure.x.ticks] == ["learning rate", "momentum", "drop_remainder", "final loss"]
    assert len(figure.series) == 40
    best = min((row for row in search.trials if row["status"] != "diverged"), key=lambda row: row["loss"])
    line = figure.series[-1]
    assert (line.label, line.slot) == ("best", 0)
    rates = [row[RATE] for row in search.trials]
    low, high = np.log10([min(rates), max(rates)])
    assert line.y[0] == pytest.approx((np.log10(best[RATE]) - low) / (high - low))
    assert line.y[-1] == 0
    assert all(series.y[-1] == 1 for series in figure.series[:3])  # they diverged
    assert figure.notes[-1].endswith("diverged")


def test_what_changes_nothing_has_no_importance(search):
    pytest.importorskip("optuna")
    figure = plot(search, kind="importance")
    names = [text for _, text in figure.y.ticks]
    shares = dict(zip(names, figure.series[1].x.tolist(), strict=True))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["learning rate"] > 0.5
    assert shares["drop_remainder"] < 0.1
    assert names[-1] == "learning rate"


def test_importance_needs_two_settings_and_some_trials(tmp_path):
    with pytest.raises(UsageError, match="varies 1 setting in 9 trials") as caught:
        plot(write_sweep(tmp_path / "a", {RATE: np.linspace(0.1, 0.4, 9).tolist()}), kind="importance")
    assert "two settings" in (caught.value.hint or "")


CLASSES = """\
precision: float64
compile: eager
data: {kind: values, inputs: {x: [-2, -1, 1, 2, 3]}, target: [0, 1, 1, 1, 0]}
model: {kind: formula, formula: a * x, parameters: {a: 1}}
loss: {kind: binary_crossentropy, from_logits: true}
optimizer: {kind: sgd, learning_rate: 0.0}
schedule: {steps: 1}
"""


def test_confusions_are_counted_by_class(trained):
    figure = gdrun.plot(trained(CLASSES), kind="confusion")
    # Decided is 1 where x > 0: of the zeros, one right and one wrong; of the ones, one wrong and two right.
    np.testing.assert_array_equal(figure.grid.values[::-1], [[1, 1], [1, 2]])
    assert figure.subtitle == "60 % of 5 training examples are decided right"
    assert [text for _, text in figure.x.ticks] == ["class 0", "class 1"]
    assert {text: place for place, text in figure.y.ticks}["class 0"] == 1  # at the top


def test_what_is_no_classifier_has_no_confusions(trained):
    run = trained(
        CLASSES.replace("[0, 1, 1, 1, 0]", "[0.5, 1, 1, 1, 0]").replace(
            "{kind: binary_crossentropy, from_logits: true}", "mse"
        )
    )
    with pytest.raises(UsageError, match="not a class"):
        gdrun.plot(run, kind="confusion")
