"""The values of spaces."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.config.source import Source, Span
from gdrun.experiment.spaces import Space
from gdrun.sweeping.axis import Distribution, column, generate

NOWHERE = Span(Source("", ""), 0, 0)


def space(kind: str, low: float, high: float, count: int = 1) -> Space:
    return Space(kind, NOWHERE, (), low, high, count)


def test_log_has_equal_ratios_and_its_ends_exactly():
    values = np.array(generate(space("log", 3e-5, 0.7, 50)))
    assert values[0] == 3e-5
    assert values[-1] == 0.7
    np.testing.assert_allclose(values[1:] / values[:-1], (0.7 / 3e-5) ** (1 / 49), rtol=1e-11)


def test_lin_has_equal_steps_and_its_ends_exactly():
    values = np.array(generate(space("lin", -1 / 3, 2 / 3, 11)))
    assert (values[0], values[-1]) == (-1 / 3, 2 / 3)
    np.testing.assert_allclose(np.diff(values), 0.1, rtol=1e-10)


def test_values_are_the_numbers_that_a_person_would_write():
    assert list(generate(space("lin", 0, 1, 11)))[3] == 0.3
    assert list(generate(space("log", 1e-4, 1, 5))) == [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def test_a_range_is_half_open_and_whole():
    assert list(generate(space("range", 0, 10, 3))) == [0, 3, 6, 9]


def test_whole_numbers_are_rounded_for_an_integer():
    assert list(generate(space("log", 1, 1000, 4), integer=True)) == [1, 10, 100, 1000]
    assert all(isinstance(value, int) for value in generate(space("lin", 1, 4, 3), integer=True))


@pytest.mark.parametrize(("kind", "low", "high"), [("uniform", -2.0, 3.0), ("loguniform", 1e-5, 10.0)])
def test_draws_are_within_the_ends_and_evenly_spread(kind, low, high):
    drawn = np.array(Distribution(kind, low, high).at(np.random.default_rng(1).random(20_000)))
    assert drawn.min() >= low
    assert drawn.max() <= high
    scale = np.log if kind == "loguniform" else np.asarray
    share = (scale(drawn) - scale(low)) / (scale(high) - scale(low))
    # Kolmogorov's bound at one in a million for 20,000 draws.
    assert np.abs(np.sort(share) - np.linspace(0, 1, 20_000)).max() < 2.7 / np.sqrt(20_000)


def test_both_ends_of_whole_numbers_are_drawn():
    drawn = Distribution("uniform", 1, 4, integer=True).at(np.random.default_rng(1).random(1000))
    counts = np.bincount(drawn)
    assert counts[0] == 0
    assert counts[1:].min() > 200
    whole = Distribution("loguniform", 1, 8, integer=True).at(np.random.default_rng(1).random(1000))
    assert (min(whole), max(whole)) == (1, 8)


def test_columns_are_numeric_where_all_values_are_numbers():
    assert column([1, 2]).dtype == np.int64
    assert column([1, 0.5]).dtype == np.float64
    assert column([True, False]).dtype == object
    mixed = column([(4, 0), (1, 2)])
    assert mixed.shape == (2,)
    assert mixed[0] == (4, 0)
