"""Summaries over seeds beside NumPy's quantiles, means and deviations."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.errors import UsageError
from gdrun.rundir.seeds import checked_band, seed_groups, spread

VALUES = np.random.default_rng(3).lognormal(size=(5, 40))


def test_quartiles_are_numpys_where_those_fall_on_values():
    middle, low, high = spread(VALUES)
    np.testing.assert_array_equal(middle, np.median(VALUES, axis=0))
    np.testing.assert_array_equal(low, np.quantile(VALUES, 0.25, axis=0))
    np.testing.assert_array_equal(high, np.quantile(VALUES, 0.75, axis=0))
    np.testing.assert_allclose(spread(VALUES[:4]).middle, np.median(VALUES[:4], axis=0), rtol=1e-15)


def test_a_seed_that_diverged_is_worst_and_moves_the_median_by_its_rank_alone():
    assert spread(np.array([3.0, 1.0, np.nan, 2.0, 4.0]))[:2] == (3.0, 2.0)
    assert spread(np.array([3.0, np.inf, np.nan, 2.0])).middle == np.inf
    assert spread(np.array([0.5, 0.9, np.nan]), worst=-np.inf).middle == 0.5
    assert spread(np.array([1e308, 1e308])).middle == 1e308


def test_the_deviation_is_that_of_a_sample_of_what_is_finite():
    middle, low, high = spread(VALUES, "deviation")
    np.testing.assert_allclose(middle, VALUES.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(high - low, 2 * VALUES.std(axis=0, ddof=1), rtol=1e-12)
    assert spread(np.array([1.0, 3.0, np.inf]), "deviation").middle == 2.0
    assert spread(np.array([np.nan, np.inf]), "deviation").middle == np.inf


def test_settings_are_together_that_differ_in_their_seeds_alone():
    first, second = {"lr": 0.1, "seed": 0, "data.seed": 1}, {"lr": 0.1, "seed": 1, "data.seed": 1}
    assert seed_groups([first, {"lr": 0.2, "seed": 0}, second]) == [[0, 2], [1]]
    assert seed_groups([first, first, second]) == [[1, 2]]  # of equal ones the last
    assert seed_groups([{}, {}]) == [[0], [1]]


def test_an_unknown_band_is_refused_with_what_there_is():
    assert checked_band("deviation") == "deviation"
    with pytest.raises(UsageError, match="no band 'quartile'") as error:
        checked_band("quartile")
    assert "quartiles" in str(error.value.hint)
