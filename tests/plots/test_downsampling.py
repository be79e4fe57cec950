"""Downsampling keeps what can be seen."""

from __future__ import annotations

import numpy as np

from gdrun.plots.downsampling import downsampled
from gdrun.plots.figure import Series

ROWS = 100_000


def test_extremes_and_ends_of_many_points_stay():
    y = np.sin(np.arange(ROWS) / 100)
    y[[7, 33_333, 99_990]] = [40, -50, 60]
    series = downsampled(Series(np.arange(ROWS), y), "linear", (0, ROWS), 300)
    assert len(series.x) <= 6 * 300
    assert {40, -50, 60} <= set(series.y)
    assert series.x[0] == 0
    assert series.x[-1] == ROWS - 1
    assert (np.diff(series.x) > 0).all()


def test_each_stretch_keeps_its_own_lowest_and_highest():
    y = np.random.default_rng(0).normal(size=ROWS)
    series = downsampled(Series(np.arange(ROWS), y), "linear", (0, ROWS), 100)
    for number in range(100):
        stretch = y[number * 1000 : (number + 1) * 1000]
        kept = series.y[(series.x >= number * 1000) & (series.x < (number + 1) * 1000)]
        assert kept.min() == stretch.min()
        assert kept.max() == stretch.max()


def test_a_gap_stays_a_gap():
    y = np.ones(ROWS)
    y[50_000] = np.nan
    y[60_000:61_000] = np.inf
    series = downsampled(Series(np.arange(ROWS), y), "linear", (0, ROWS), 200)
    assert np.isnan(series.y).sum() == 1
    assert np.isinf(series.y).any()


def test_bands_are_downsampled_with_their_line():
    x = np.arange(ROWS)
    upper = np.ones(ROWS)
    upper[77_777] = 9
    series = downsampled(Series(x, np.zeros(ROWS), lower=-upper, upper=upper), "linear", (0, ROWS), 100)
    assert series.upper is not None
    assert series.lower is not None
    assert series.upper.max() == 9
    assert series.lower.min() == -9
    assert len(series.upper) == len(series.x)


def test_short_and_unordered_series_stay_as_they_are():
    short = Series([0, 1, 2], [3, 4, 5])
    assert downsampled(short, "linear", (0, 2), 100) is short
    path = Series(np.cos(np.arange(ROWS)), np.sin(np.arange(ROWS)))
    assert downsampled(path, "linear", (-1, 1), 10) is path
