"""Edges that trials show, against closed forms and against the predictions of every quadratic config shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gdrun.analysis.observed_limit import observed_limit
from gdrun.analysis.rate_trials import RateRunner
from gdrun.analysis.stability import predicted_limit
from gdrun.analysis.stability_report import stability
from gdrun.errors import UsageError

CONFIGS = Path(__file__).parents[2] / "configs"
BOWL = """
precision: float64
model: {kind: formula, formula: 0.5 * (x**2 + 10 * y**2), parameters: {x: 1, y: 0.3}}
optimizer: {kind: sgd, learning_rate: 0.05}
schedule: {steps: 100}
"""
QUADRATIC = (
    "booth", "dense", "five-point-line", "five-point-step", "ill-conditioned-bowl", "matyas", "momentum-grid",
    "momentum-search", "noise-seeds", "noisy-line", "quadratic-minimum",
    "rate-edge", "rents", "scalar-linear", "scalar-linear-half", "square", "weighted-line",
)  # fmt: skip


@pytest.fixture(scope="module")
def shipped(tensorflow):
    """Return the shipped configs whose optimizers have limits by closed forms, built, by their names."""
    from gdrun.experiment.loading import load_config
    from gdrun.training.prepare import prepare

    loaded = {path.stem: load_config(path, ["compile=graph"]) for path in CONFIGS.glob("*.yaml")}
    kinds = ("sgd", "newton", "gauss_newton")
    return {name: prepare(config).built for name, config in loaded.items() if config.experiment.optimizer.kind in kinds}


def test_every_shipped_config_with_an_exact_prediction_is_verified_below(shipped):
    assert {name for name, built in shipped.items() if predicted_limit(built).exact} == set(QUADRATIC)


@pytest.mark.parametrize("name", QUADRATIC)
def test_the_observed_edge_is_the_predicted_one_to_a_percent(shipped, name):
    limit = predicted_limit(shipped[name]).limit
    edge = observed_limit(shipped[name], limit, quadratic=True, steps=800)
    assert edge.rate == pytest.approx(limit, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [("momentum: 0.9", 0.38), ("momentum: 0.9, nesterov: true", 0.38 / 2.8), ("weight_decay: 2.0", 2 / 12)],
)
def test_momentum_moves_the_edge_as_it_should(lab, settings, limit):
    built = lab.build(BOWL.replace("learning_rate: 0.05", f"learning_rate: 0.05, {settings}"))
    assert predicted_limit(built).limit == pytest.approx(limit)
    assert observed_limit(built, limit * 1.7, quadratic=True, steps=800).rate == pytest.approx(limit, rel=0.01)


def test_trials_at_many_rates_are_the_closed_form(lab):
    """x_n = (1 - rate)**n, y_n = 0.3 (1 - 10 rate)**n."""
    rates = np.asarray([0.01, 0.05, 0.19, 0.21, 1e30])
    trials = RateRunner(lab.build(BOWL), steps=50).run(rates, [0, 10])
    assert trials.steps.tolist() == [0, 10, 50]
    for lane, rate in enumerate(rates[:4]):
        for column, step in enumerate((0, 10, 50)):
            wanted = 0.5 * ((1 - rate) ** (2 * step) + 10 * 0.09 * (1 - 10 * rate) ** (2 * step))
            assert trials.losses[lane, column] == pytest.approx(wanted, rel=1e-10)
        assert trials.final[lane] == pytest.approx(trials.losses[lane, -1])
    assert trials.diverged.tolist() == [False] * 4 + [True]
    assert np.isnan(trials.losses[4, -1])


def test_without_lanes_the_same_comes_out(lab):
    built = lab.build(BOWL)
    rates = np.asarray([0.01, 0.21, 1e30])
    in_lanes = RateRunner(built, steps=50).run(rates, [0, 10])
    runner = RateRunner(built, steps=50)
    runner._lanes = False
    one_by_one = runner.run(rates, [0, 10])
    np.testing.assert_allclose(one_by_one.losses, in_lanes.losses, rtol=1e-10)
    np.testing.assert_array_equal(one_by_one.diverged_at, in_lanes.diverged_at)


def test_what_holds_a_long_loop_runs_one_by_one(lab):
    text = """
precision: float64
define: {y: {start: 1, repeat: 0.9 * y + 0.1 * a, times: 12}}
model: {kind: formula, formula: (y - 2)**2, parameters: {a: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 5}
"""
    runner = RateRunner(lab.build(text), steps=5)
    assert not runner._lanes
    share = 1 - 0.9**12
    wanted = [(0.9**12 - 2) ** 2 * (1 - 2 * rate * share**2) ** 10 for rate in (0.1, 0.5)]
    np.testing.assert_allclose(runner.run([0.1, 0.5]).final, wanted, rtol=1e-9)


def test_batches_and_factors_go_on_beyond_the_schedules_end(lab):
    text = """
precision: float64
data: {kind: formula, inputs: {x: "linspace(-1, 1, 12)"}, target: 3 * x}
model: {kind: formula, formula: a * x, parameters: {a: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 6, batch_size: 5, order: shuffled, learning_rate_factor: {kind: exponential, rate: 0.5, every: 3}}
"""
    trials = RateRunner(lab.build(text), steps=400).run([0.1, 0.2], [3])
    assert trials.losses.shape == (2, 2)
    assert np.all(trials.final < trials.losses[:, 0])


def test_where_there_is_no_edge_it_says_so(lab):
    text = BOWL.replace("0.5 * (x**2 + 10 * y**2)", "sin(x)").replace(", y: 0.3", "")
    edge = observed_limit(lab.build(text), 1e-3, steps=3)
    assert edge.stable is not None
    assert edge.as_dict()["steps"] == 3


def test_stability_reports_a_config_with_its_observed_edge(lab):
    lab.load(BOWL)
    found = stability(lab.folder / "case.yaml", verify=True)
    (point,) = found.points
    assert (point.largest, point.smallest, point.condition_number) == pytest.approx((10, 1, 10))
    assert found.prediction.limit == pytest.approx(0.2)
    assert found.share == pytest.approx(0.25)
    assert found.edge.rate == pytest.approx(0.2, rel=0.01)
    assert found.as_dict()["points"][0]["eigenvalues"].tolist() == pytest.approx([1, 10])


def test_along_a_run_the_curvature_is_that_of_each_recorded_step(lab):
    """x**4 has curvature 12 x**2."""
    text = """
precision: float64
model: {kind: formula, formula: x**4, parameters: {x: 1}}
optimizer: {kind: sgd, learning_rate: 0.05}
schedule: {steps: 6}
"""
    run = lab.train(text)
    found = stability(run.directory, at="all")
    assert [point.step for point in found.points] == list(range(7))
    x = run.metrics["parameters.x"]
    np.testing.assert_allclose([point.largest for point in found.points], 12 * x**2)
    assert stability(run.directory).points[0].largest == pytest.approx(12 * float(run.parameters["x"]) ** 2)
    assert stability(run.directory, at="start").points[0].largest == pytest.approx(12)


def test_of_many_recorded_rows_those_left_out_are_named(lab):
    text = BOWL.replace("steps: 100", "steps: 20")
    found = stability(lab.train(text).directory, at="all")
    shown = [point.step for point in found.points]
    (note,) = found.notes
    left_out = sorted(set(range(21)) - set(shown))
    assert len(shown) == 20
    assert note == f"20 of 21 rows with parameters are shown; left out: steps {left_out[0]}"


def test_at_the_end_of_a_run_adam_divides_by_what_it_had_saved(lab):
    """With a constant gradient of 2, v is 4 (1 - beta_2**n), which was not corrected for its start."""
    text = """
precision: float64
model: {kind: formula, formula: 0.5 * x**2 + 1e9 * x, parameters: {x: 1}}
optimizer: {kind: adam, learning_rate: 1e-9, epsilon: 0}
schedule: {steps: 20}
checkpoint: {every_seconds: 60, keep: 2}
"""
    run = lab.train(text)
    limit = stability(run.directory).prediction.limit
    assert limit == pytest.approx(38 * 1e9 * np.sqrt(1 - 0.999**20), rel=1e-3)


@pytest.mark.parametrize(("at", "message"), [("middle", "no place"), ("end", "only a start"), ("all", "only a start")])
def test_places_that_a_config_does_not_have_are_refused(lab, at, message):
    lab.load(BOWL)
    with pytest.raises(UsageError, match=message):
        stability(lab.folder / "case.yaml", at=at)
