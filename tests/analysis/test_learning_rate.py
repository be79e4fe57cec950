"""Suggestions of learning rates: curves with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.analysis.learning_rate import (
    blown_up,
    candidate_rates,
    find_learning_rate,
    observed_between,
    smoothed,
    suggest,
    suggest_from_ramp,
)
from gdrun.analysis.stability import Prediction
from gdrun.errors import UsageError

RATES = np.geomspace(1e-3, 1, 31)


def test_the_rate_with_the_lowest_loss_is_suggested():
    losses = 1e-3 + np.log10(RATES / 0.03) ** 2
    found = suggest(RATES, losses, 10.0, None, certain=True, steps=100)
    assert found.rate == pytest.approx(0.03, rel=0.15)
    assert "lowest loss" in found.reason


def test_of_rates_that_come_to_the_same_the_first_there_is_suggested():
    losses = np.where(RATES > 0.01, 1e-9, 1.0)
    on_the_way = np.where((RATES > 0.08) & (RATES < 0.12), 1e-9, 0.5)[:, None] * [1, 1, 1]
    found = suggest(RATES, losses, 10.0, None, certain=True, steps=100, on_the_way=on_the_way)
    assert 0.08 < found.rate < 0.12
    assert "first to be there" in found.reason


def test_near_an_edge_that_may_move_half_of_it_is_suggested():
    losses = np.where(RATES < 0.5, 1 / RATES, np.nan)
    assert suggest(RATES, losses, 1e4, 0.5, certain=False, steps=9).rate == 0.25
    assert suggest(RATES, losses, 1e4, 0.5, certain=True, steps=9).rate == RATES[RATES < 0.5][-1]


def test_where_no_rate_is_any_good_none_is_suggested():
    assert suggest(RATES, np.full(31, np.nan), 1.0, None, certain=True, steps=9).rate is None
    found = suggest(RATES, np.full(31, 2.0), 1.0, None, certain=True, steps=9)
    assert found.rate is None
    assert "no rate came below" in found.reason
    assert "no difference" in suggest(RATES, np.full(31, 0.5), 1.0, None, certain=True, steps=9).reason


def test_a_best_rate_at_the_end_of_the_range_is_told_so():
    assert "larger ones may be better" in suggest(RATES, 1 / RATES, 1e4, None, certain=True, steps=9).reason
    assert "smaller ones may be better" in suggest(RATES, RATES, 1e4, None, certain=True, steps=9).reason


def test_the_observed_edge_lies_between_two_rates():
    losses = np.where(RATES < 0.1, 0.5, np.nan)
    edge = observed_between(RATES, losses, 1.0, steps=9)
    assert (edge.stable, edge.unstable) == (RATES[RATES < 0.1][-1], RATES[RATES >= 0.1][0])
    assert edge.stable < edge.rate < edge.unstable
    none = observed_between(RATES, np.zeros(31), 1.0, steps=9)
    assert none.rate is None
    assert "no trial up to 1 diverged" in none.describe(None)


def test_trials_that_alternate_have_no_edge():
    losses = np.where(np.arange(31) % 5 == 4, 2.0, 0.5)
    edge = observed_between(RATES, losses, 1.0, steps=9)
    assert edge.rate is None
    assert "beyond it some did and some did not" in edge.describe(0.1)


def test_rates_that_come_to_the_same_need_not_be_neighbours():
    losses = np.where(np.isin(np.arange(31), [3, 4, 20]), 1e-9, 1.0)
    found = suggest(RATES, losses, 10.0, None, certain=True, steps=9, on_the_way=losses[:, None])
    assert "of the 3 rates from" in found.reason


def test_rates_are_around_the_limit_or_the_configured_one():
    known = candidate_rates(0.1, Prediction(2.0, "", True, 1.0))
    assert (known[0], known[-1], len(known)) == (pytest.approx(2e-3), pytest.approx(6), 61)
    for other in (Prediction(None, "", False, None), Prediction(2.0, "", False, 1.0, ("the divisor adapts",))):
        assert candidate_rates(0.1, other)[[0, -1]] == pytest.approx([0.1 / 30, 3])


def test_the_moving_average_of_a_constant_is_the_constant():
    assert smoothed(np.full(50, 3.0)) == pytest.approx(np.full(50, 3.0))


def test_a_ramp_suggests_where_the_loss_falls_fastest():
    """A logistic curve in log(rate), steepest at 0.01."""
    losses = 1 / (1 + (RATES / 0.01) ** 3)
    assert suggest_from_ramp(RATES, losses).rate == pytest.approx(0.01, rel=0.3)
    assert blown_up(np.asarray([1, 0.5, 0.4, 2.0, 3])) == 3
    assert blown_up(np.asarray([1.0, np.nan])) == 1
    assert suggest_from_ramp(RATES, RATES).rate is None
    assert suggest_from_ramp(RATES[:3], RATES[:3]).rate is None


BOWL = """
precision: float64
model: {kind: formula, formula: 0.5 * (x**2 + 10 * y**2), parameters: {x: 1, y: 0.3}}
optimizer: {kind: sgd, learning_rate: 0.05}
schedule: {steps: 40}
"""


def find(lab, text=BOWL, overrides=(), **options):
    lab.load(text)
    return find_learning_rate(lab.folder / "case.yaml", overrides, **options)


def test_a_quadratics_best_rate_is_two_over_the_sum_of_its_curvatures(lab):
    """2 / (1 + 10), where both directions shrink alike; the edge is 0.2."""
    found = find(lab)
    assert found.best == pytest.approx(2 / 11, rel=0.1)
    assert found.observed_edge.rate == pytest.approx(0.2, rel=0.1)
    assert found.observed_edge.stable < 0.2 < found.observed_edge.unstable
    assert found.prediction.limit == pytest.approx(0.2)
    lane = int(np.argmin(np.abs(found.rates - 0.05)))
    wanted = 0.5 * ((1 - found.rates[lane]) ** 80 + 10 * 0.09 * (1 - 10 * found.rates[lane]) ** 80)
    assert found.losses[lane] == pytest.approx(wanted, rel=1e-9)
    assert found.as_dict()["suggestion"]["rate"] == found.suggestion.rate


def test_a_range_test_is_one_run_along_a_ramp(lab):
    found = find(lab, overrides=["steps=200"], range_test=True)
    assert found.range_test
    assert found.rates[0] < found.suggestion.rate < found.rates[-1]
    state, rates = np.asarray([1.0, 0.3]), np.geomspace(0.2 / 1000, 0.2 * 9, 200)
    seen = []
    for rate in rates:
        seen.append(0.5 * (state[0] ** 2 + 10 * state[1] ** 2))
        state = state * (1 - rate * np.asarray([1, 10]))
    np.testing.assert_allclose(found.losses, smoothed(np.asarray(seen))[: len(found.losses)], rtol=1e-9)


@pytest.mark.parametrize(("overrides", "message"), [(["steps=0"], "no steps"), (["lr=0"], "nothing to find")])
def test_what_has_no_rate_to_find_is_refused(lab, overrides, message):
    with pytest.raises(UsageError, match=message):
        find(lab, overrides=overrides)
