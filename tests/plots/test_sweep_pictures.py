"""Pictures of sweeps as data, beside closed forms of the descent that was swept."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.errors import UsageError
from gdrun.plots import as_text, curves_figure, heatmap_figure, sensitivity_figure
from gdrun.plots.sweep_pictures import is_map

from .fake_sweeps import CURVATURES, descend, write_sweep

RATE, MOMENTUM = "optimizer.learning_rate", "optimizer.momentum"
RATES = [0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6]


def closed_form(rate: float, steps: int = 200) -> float:
    """The loss after gradient descent on the quadratic: each direction shrinks by 1 - rate * curvature a step."""
    curvature = np.array(CURVATURES)
    return float(0.5 * (curvature * (1 - rate * curvature) ** (2 * steps)).sum())


def test_the_sweeps_of_these_tests_are_right(tmp_path):
    for rate in RATES[:5]:
        assert descend(rate).loss == pytest.approx(closed_form(rate), rel=1e-10)


def test_the_final_loss_against_the_rate(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {RATE: RATES}))
    (series,) = figure.series
    np.testing.assert_allclose(series.x, RATES)
    np.testing.assert_allclose(series.y[:5], [closed_form(rate) for rate in RATES[:5]], rtol=1e-10)
    assert np.isinf(series.y[5:]).all()
    assert (figure.x.scale, figure.y.scale) == ("log", "log")
    assert figure.subtitle == "7 trials, 2 diverged"


def test_the_diverged_stretch_begins_between_the_last_stable_rate_and_the_first_that_diverged(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {RATE: RATES}))
    (region,) = figure.regions
    assert region.start == pytest.approx(np.sqrt(0.4 * 0.8))
    assert region.stop is None
    assert region.label == "diverged from 0.8"
    crosses = [mark.x for mark in figure.marks if mark.kind == "diverged"]
    assert crosses == [0.8, 1.6]


def test_the_best_trial_is_marked(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {RATE: RATES}))
    (best,) = [mark for mark in figure.marks if mark.kind == "best"]
    assert best.x == min(RATES[:5], key=closed_form)
    assert best.y == pytest.approx(closed_form(best.x), rel=1e-10)


def test_the_predicted_edge_is_an_upright_line(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {RATE: RATES}, prediction={"limit": 0.5, "why": "2/4"}))
    (rule,) = [rule for rule in figure.rules if rule.x is not None]
    assert rule.x == 0.5
    assert rule.label == "predicted limit 0.5"
    for number, nonsense in enumerate(({"limit": "soon"}, {"limit": -1}, [], 3, {"limit": True})):
        figure = sensitivity_figure(write_sweep(tmp_path / f"{number}", {RATE: RATES}, prediction=nonsense))
        assert all(rule.x is None for rule in figure.rules)


def test_the_loss_at_the_start_is_a_level_line(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {RATE: RATES}))
    assert [rule.y for rule in figure.rules] == [pytest.approx(sum(CURVATURES) / 2)]


def test_each_other_setting_has_its_line(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {MOMENTUM: [0.0, 0.5], RATE: RATES}))
    assert [series.label for series in figure.series] == ["momentum 0", "momentum 0.5"]
    assert {mark.slot for mark in figure.marks if mark.kind == "diverged"} == {0, 1}
    # Heavy ball is stable below 2 * (1 + 0.5) / 4 = 0.75: everything diverged from 0.8 on.
    assert figure.regions[0].label == "diverged from 0.8"


def test_seeds_are_summed_up_by_median_and_quartiles(tmp_path):
    seeds = [1, 2, 3, 4, 5]
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {RATE: [0.01, 0.1, 0.2], "seed": seeds}))
    (series,) = figure.series
    losses = np.array([[descend(rate, seed=seed).loss for seed in seeds] for rate in (0.01, 0.1, 0.2)])
    np.testing.assert_allclose(series.y, np.median(losses, axis=1), rtol=1e-12)
    np.testing.assert_allclose(series.lower, np.sort(losses, axis=1)[:, 1], rtol=1e-12)
    np.testing.assert_allclose(series.upper, np.sort(losses, axis=1)[:, 3], rtol=1e-12)
    assert "median of 5 seeds" in figure.notes[0]


def test_diverged_seeds_count_as_worst(tmp_path):
    rows = [(0.1, 1), (0.1, 2), (0.1, 3), (0.9, 1), (0.9, 2), (0.9, 3)]
    sweep = write_sweep(tmp_path / "s", {RATE: [0], "seed": [0]}, rows=rows)
    sweep.trials[0]["status"] = "diverged"
    (series,) = sensitivity_figure(sweep).series
    rest = sorted(descend(0.1, seed=seed).loss for seed in (2, 3))
    assert series.y[0] == pytest.approx(rest[1])
    assert np.isinf(series.y[1])


def test_a_result_close_to_the_edge_does_not_crush_the_picture(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {RATE: [0.1, 0.2, 0.3, 0.4, 0.55]}))
    assert descend(0.55).diverged_at is None
    assert descend(0.55).loss > 1e20
    assert figure.y.limits is not None
    assert figure.y.limits[1] < 1e6
    assert any("not shown" in note for note in figure.notes)


def test_when_every_trial_diverged_the_picture_says_so(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {RATE: [2.0, 3.0, 4.0]}))
    assert [region.label for region in figure.regions] == ["every trial diverged"]
    assert not any(mark.kind == "best" for mark in figure.marks)


def test_two_axes_make_a_heat_map(tmp_path):
    sweep = write_sweep(tmp_path / "s", {RATE: RATES, MOMENTUM: [0.0, 0.5, 0.9]}, failed=[1])
    figure = heatmap_figure(sweep)
    grid = figure.grid
    assert grid is not None
    assert grid.values.shape == (3, 7)
    assert grid.values[0, 2] == pytest.approx(closed_form(0.1), rel=1e-10)
    assert grid.values[2, 3] == pytest.approx(descend(0.2, 0.9).loss, rel=1e-10)
    assert np.isnan(grid.values[1, 0])  # the trial that failed
    assert grid.blocked is not None
    np.testing.assert_array_equal(grid.blocked[0], np.array(RATES) > 0.5)
    assert figure.x.ticks is not None
    assert [text for _, text in figure.x.ticks][:3] == ["0.01", "0.05", "0.1"]
    assert figure.y.label == "momentum"


def test_of_a_third_axis_the_best_counts(tmp_path):
    sweep = write_sweep(tmp_path / "s", {RATE: [0.1, 0.2], MOMENTUM: [0.0, 0.5], "seed": [1, 2, 3]})
    figure = heatmap_figure(sweep)
    assert figure.grid is not None
    best = min(descend(0.1, 0.5, seed=seed).loss for seed in (1, 2, 3))
    assert figure.grid.values[1, 0] == pytest.approx(best, rel=1e-12)
    assert figure.notes == ("best over seed",)


def test_settings_that_were_drawn_are_a_cloud_of_points(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(float(10 ** rng.uniform(-3, 0)), float(rng.uniform(0, 0.9))) for _ in range(40)]
    figure = heatmap_figure(write_sweep(tmp_path / "s", {RATE: [0], MOMENTUM: [0]}, rows=rows))
    assert figure.grid is None
    (points,) = figure.series
    assert points.values is not None
    assert len(points.x) + sum(mark.kind == "diverged" for mark in figure.marks) == 40
    assert (figure.x.scale, figure.y.scale) == ("log", "linear")


def test_kinds_alone_are_rows_of_points(tmp_path):
    figure = sensitivity_figure(write_sweep(tmp_path / "s", {"optimizer.kind": ["sgd", "adam"]}))
    assert figure.y.ticks == ((0.0, "adam"), (1.0, "sgd"))
    assert figure.series[0].style == "points"
    figure = sensitivity_figure(write_sweep(tmp_path / "t", {"optimizer": [{"kind": "sgd"}, {"kind": "adam"}]}))
    assert figure.y.ticks is not None
    assert [text for _, text in figure.y.ticks] == ["adam", "sgd"]


def test_a_grid_of_many_by_many_is_a_map_and_a_few_lines_are_not(tmp_path):
    assert is_map(write_sweep(tmp_path / "a", {RATE: RATES, MOMENTUM: [0.0, 0.2, 0.4, 0.6, 0.8]}))
    assert not is_map(write_sweep(tmp_path / "b", {RATE: RATES, MOMENTUM: [0.0, 0.5]}))
    assert not is_map(write_sweep(tmp_path / "c", {RATE: RATES}))


def test_curves_are_in_the_order_of_the_axis(tmp_path):
    figure = curves_figure(write_sweep(tmp_path / "s", {RATE: RATES[::-1]}))
    assert [series.label for series in figure.series] == [f"lr {rate:g}" for rate in RATES]
    np.testing.assert_allclose(figure.series[2].y, descend(0.1).curve, rtol=1e-12)
    assert np.isnan(figure.series[-1].y[-1])
    figure = curves_figure(write_sweep(tmp_path / "t", {RATE: np.geomspace(1e-3, 0.4, 300).tolist()}), most=50)
    assert len(figure.series) == 50
    assert figure.notes == ("50 of 300 trials are drawn",)


def test_what_there_is_not_is_refused(tmp_path):
    sweep = write_sweep(tmp_path / "s", {RATE: RATES})
    with pytest.raises(UsageError, match="does not vary 'momentum'"):
        sensitivity_figure(sweep, columns=["momentum"])
    with pytest.raises(UsageError, match="no 'accuracy'"):
        sensitivity_figure(sweep, metric="accuracy")
    with pytest.raises(UsageError, match="two axes"):
        heatmap_figure(sweep)
    with pytest.raises(UsageError, match="no curves of 'mae'"):
        curves_figure(sweep, columns=["mae"])
    (tmp_path / "s" / "trials.csv").unlink()
    with pytest.raises(UsageError, match="no trial is done"):
        sensitivity_figure(type(sweep)(sweep.directory))


def test_20000_trials_are_drawn_with_few_marks(tmp_path):
    rates = np.geomspace(1e-5, 2, 4_000)
    rows = [(float(rate), seed) for rate in rates for seed in range(5)]
    sweep = write_sweep(tmp_path / "s", {RATE: [0], "seed": [0]}, rows=rows[:5])
    sweep.trials[:] = [
        {**sweep.trials[0], "trial": at, RATE: rate, "seed": seed, "loss": 1 / (1 + rate),
         "status": "diverged" if rate > 0.5 else "completed"}
        for at, (rate, seed) in enumerate(rows)
    ]  # fmt: skip
    figure = sensitivity_figure(sweep)
    assert as_text(figure)
    assert len(figure.marks) < 100
    assert figure.subtitle == f"20,000 trials, {5 * (rates > 0.5).sum():,} diverged"


def test_curves_over_seeds_are_numpys_median_and_quartiles(tmp_path):
    seeds = [1, 2, 3, 4, 5]
    sweep = write_sweep(tmp_path / "s", {RATE: [0.1, 0.2], "seed": seeds})
    figure = curves_figure(sweep)
    assert [series.label for series in figure.series] == ["lr 0.1 (5 seeds)", "lr 0.2 (5 seeds)"]
    for series, rate in zip(figure.series, (0.1, 0.2), strict=True):
        curves = np.array([descend(rate, seed=seed).curve for seed in seeds])
        for line, share in ((series.lower, 0.25), (series.y, 0.5), (series.upper, 0.75)):
            np.testing.assert_allclose(line, np.quantile(curves, share, axis=0), rtol=1e-12)
    assert figure.notes == ("line: the median of 5 seeds; band: the middle half",)
    deviation = curves_figure(sweep, band="deviation").series[1]
    np.testing.assert_allclose(deviation.upper - deviation.y, curves.std(axis=0, ddof=1), rtol=1e-9)
    assert len(curves_figure(sweep, band=None).series) == 10


def test_a_seed_that_diverged_is_worst_from_there_on_and_is_counted(tmp_path):
    seeds = [1, 2, 3]
    sweep = write_sweep(tmp_path / "s", {"seed": seeds})
    sweep.curves["loss"][0, 100:] = np.nan
    sweep.trials[0]["status"] = "diverged"
    (series,) = curves_figure(sweep).series
    assert series.label == "3 seeds, 1 diverged"
    curves = np.array([descend(0.1, seed=seed).curve for seed in seeds])
    np.testing.assert_allclose(series.y[:100], np.median(curves[:, :100], axis=0))
    np.testing.assert_allclose(series.y[100:], curves[1:, 100:].max(axis=0))
    assert "diverged" not in curves_figure(write_sweep(tmp_path / "t", {"seed": seeds})).series[0].label


def test_two_seeds_are_drawn_one_by_one(tmp_path):
    assert len(curves_figure(write_sweep(tmp_path / "s", {"seed": [1, 2]})).series) == 2
