"""Convergence reports against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.analysis.convergence import decades, growth, linear_rate, plateaus, report, with_curvature
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

STEPS = np.arange(201)


def test_a_decaying_norm_has_its_factor_as_rate():
    found = linear_rate(STEPS, 3 * 0.9**STEPS)
    assert found.rate == pytest.approx(0.9)
    assert found.steps_per_decade == pytest.approx(np.log(10) / -np.log(0.9))
    assert found.fit == pytest.approx(1)


def test_of_two_rates_the_later_is_the_slower():
    assert linear_rate(STEPS, 0.5**STEPS + 1e-3 * 0.98**STEPS).rate == pytest.approx(0.98, rel=1e-6)


def test_what_rounding_leaves_is_not_fitted():
    noise = 1e-15 * (1 + np.random.default_rng(0).uniform(size=201))
    assert linear_rate(STEPS, 0.7**STEPS + noise).rate == pytest.approx(0.7, rel=1e-3)


@pytest.mark.parametrize(
    "norms",
    [np.ones(201), 1.1**STEPS, np.full(201, np.nan), 1 + np.sin(STEPS), np.zeros(201)],
    ids=["constant", "growing", "unknown", "oscillating", "zero"],
)
def test_where_nothing_decays_there_is_no_rate(norms):
    assert linear_rate(STEPS, norms) is None


def test_convergence_that_slows_down_for_ever_is_not_linear():
    """1 / n fits a line in its logarithm over the later half of any run, to 98 %."""
    assert linear_rate(STEPS, 1 / (1.0 + STEPS)) is None
    assert linear_rate(STEPS, (1.0 + STEPS) ** -2.5) is None


def test_decades_are_the_last_passages():
    losses = np.asarray([100.0, 5, 200, 5, 5, 0.5])
    assert decades(np.arange(6), losses) == ((1, 3), (2, 5))
    # Between the rows the loss was above once more.
    assert decades(np.arange(6), losses, np.asarray([100.0, 5, 200, 5, 50, 0.5])) == ((1, 5), (2, 5))
    # What is 0 has no ratio that says anything.
    assert decades(np.arange(3), np.asarray([10.0, 1, 0])) == ((1, 1),)
    assert decades(np.arange(3), np.asarray([10.0, 1, -1])) == ()


def test_decades_are_the_first_rows_that_reach_them():
    """0.5**n is below 10**-k from n = ceil(k / log10 2) on."""
    wanted = tuple((k, int(np.ceil(k / np.log10(2)))) for k in range(1, 5))
    assert decades(np.arange(15), 0.5 ** np.arange(15.0)) == wanted
    assert decades(np.arange(3), np.asarray([-1.0, -2, -3])) == ()


def test_a_loss_that_stands_still_and_goes_on_has_a_plateau():
    losses = np.concatenate([np.linspace(2, 1, 50), np.full(100, 1.0), np.linspace(1, 0.1, 51)])
    (found,) = plateaus(STEPS, losses)
    assert found.left
    assert (found.first_step, found.last_step) == pytest.approx((49, 150), abs=2)
    assert found.loss == pytest.approx(1, rel=0.02)


def test_a_loss_that_has_arrived_stands_still_to_the_end():
    (found,) = plateaus(STEPS, 1 + 0.8**STEPS)
    assert not found.left
    assert found.last_step == 200
    assert plateaus(STEPS, 0.9**STEPS) == ()
    assert plateaus(STEPS[:1], np.ones(1)) == ()


@pytest.mark.parametrize(
    "losses",
    [
        np.where(STEPS % 2, 190.0, 30.0),
        30 + 160 * np.random.default_rng(0).uniform(size=201),
        1e6 + np.linspace(1, 0, 201),
        np.concatenate([np.full(195, 3.0), [9, 3, 3, 3, 3, 3]]),
    ],
    ids=["swinging", "noisy", "falling slowly from a large value", "left at the end"],
)
def test_what_moves_to_the_end_does_not_stand_still(losses):
    assert not any(plateau.last_step == 200 for plateau in plateaus(STEPS, losses))


def test_a_loss_that_swings_between_the_rows_does_not_stand_still():
    """Rows see 30 each time; what the steps before them saw is 190."""
    losses = np.full(201, 30.0)
    assert plateaus(STEPS, losses)
    assert plateaus(STEPS, losses, losses, np.full(201, 190.0)) == ()


def test_many_rows_are_looked_at_in_groups():
    steps = np.arange(100_000)
    (found,) = plateaus(steps, 1 + 0.999**steps)
    assert found.loss == pytest.approx(1)
    assert found.first_step == pytest.approx(np.log(0.01) / np.log(0.999), abs=200)


def test_the_growth_of_a_diverging_loss_is_its_factor():
    losses = np.concatenate([[5.0], 2.0 ** np.arange(10)])
    assert growth(np.arange(11), losses) == pytest.approx(2)
    assert growth(np.arange(3), np.asarray([3.0, 2, 1])) is None


def run_with(tmp_path, rows, status="completed", **record):
    from gdrun.rundir.run import Run

    facts = {"steps": rows[-1]["step"] if rows else 0, "precision": "float64"} | record
    with RunStore.create(tmp_path, "made") as store:
        append_rows(store, rows)
        store.close(status, **facts)
    return Run(store.directory)


def test_a_report_needs_the_rows_alone(tmp_path):
    rows = [{"step": k, "loss": 4 * 0.81**k, "gradient_norm": 4 * 0.9**k} for k in range(60)]
    found = report(run_with(tmp_path, rows, stopped_by="steps", why="the schedule ended"))
    assert found.linear_rate.rate == pytest.approx(0.9)
    assert found.first_loss == 4
    assert dict(found.decades)[1] == int(np.ceil(np.log(0.1) / np.log(0.81)))
    text = "\n".join(found.lines())
    for part in ("completed after 59 steps: the schedule ended", "loss from 4 to", "0.9 a step"):
        assert part in text
    assert found.as_dict()["linear_rate"]["rate"] == pytest.approx(0.9)


def test_a_run_without_rows_and_one_that_diverged_have_reports_too(tmp_path):
    assert report(run_with(tmp_path / "a", [])).first_loss is None
    rows = [{"step": k, "loss": 3.0**k, "gradient_norm": 3.0**k} for k in range(20)]
    diverged = {"step": 20, "what": "loss"}
    found = report(run_with(tmp_path / "b", rows, "diverged", diverged=diverged, why="the loss is inf at step 20"))
    assert found.growth == pytest.approx(3)
    assert found.linear_rate is None
    assert "the loss grew 3-fold a step" in "\n".join(found.lines())


LINE = """
precision: float64
data: {kind: values, inputs: {X: [[1, 0], [0, 2], [1, 1], [2, 1]]}, target: [1, 2, 2, 3]}
model: {kind: formula, formula: X @ w, parameters: {w: [4, -3]}}
optimizer: {kind: sgd, learning_rate: 0.2}
schedule: {steps: 40}
"""
X, Y = np.asarray([[1.0, 0], [0, 2], [1, 1], [2, 1]]), np.asarray([1.0, 2, 2, 3])


def test_the_fitted_rate_of_least_squares_is_the_predicted_one(lab):
    run = lab.train(LINE)
    found = with_curvature(run)
    values = np.linalg.eigvalsh(X.T @ X / 2)
    kappa = values[1] / values[0]
    predicted = np.max(np.abs(1 - 0.2 * values))
    assert found.curvature["best_rate"] == pytest.approx((kappa - 1) / (kappa + 1))
    assert found.curvature["predicted_rate"] == pytest.approx(predicted)
    assert found.linear_rate.rate == pytest.approx(predicted, rel=1e-3)
    minimum = np.linalg.lstsq(X, Y, rcond=None)[0]
    assert found.curvature["distance"] == pytest.approx(np.linalg.norm(run.parameters["w"] - minimum), rel=1e-6)
    assert found.curvature["first_distance"] == pytest.approx(np.linalg.norm([4, -3] - minimum))
    above = np.mean((X @ run.parameters["w"] - Y) ** 2) - np.mean((X @ minimum - Y) ** 2)
    assert found.curvature["excess_loss"] == pytest.approx(above, rel=1e-3, abs=1e-15)
    assert "distance to the minimum" in "\n".join(found.lines())


def test_a_run_beyond_the_limit_is_told_so(lab):
    found = with_curvature(lab.train(LINE, ["lr=5", "steps=2000"]))
    assert found.status == "diverged"
    assert found.curvature["where"] == "start"
    assert "times the limit" in "\n".join(found.lines())
    largest = np.linalg.eigvalsh(X.T @ X / 2)[-1]
    assert found.growth == pytest.approx((1 - 5 * largest) ** 2, rel=1e-6)
