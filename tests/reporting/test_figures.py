"""What the script gets is what was recorded, as far as can be seen."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from gdrun.plots.figure import Figure, FigureAxis, Grid, Series
from gdrun.reporting.figures import BUCKETS, figure_data, page_figures, shortened
from gdrun.rundir.run import Run


def test_short_columns_come_back_bit_for_bit_in_float32(make_run: Callable[..., Run]) -> None:
    losses = np.exp(np.random.default_rng(1).normal(size=200) * 20).astype(np.float32)
    run = make_run({"step": np.arange(200), "loss": losses}, precision="float32")
    (figure, *_) = page_figures(run)
    (series,) = json.loads(json.dumps(figure_data(figure), allow_nan=False))["series"]
    assert np.array_equal(np.array(series["y"]).astype(np.float32), losses)
    assert series["x"] == list(range(200))


def test_values_that_are_not_finite_are_null() -> None:
    series = Series(np.arange(4), np.array([1, np.nan, np.inf, -np.inf]))
    (told,) = figure_data(Figure("t", series=(series,)))["series"]
    assert told["y"] == [1, None, None, None]


def test_thinning_keeps_extremes_ends_and_gaps() -> None:
    y = np.random.default_rng(2).normal(size=200_000)
    y[123_456], y[654], y[77_777] = 50, -60, np.nan
    thin = shortened(Series(np.arange(200_000), y), BUCKETS)
    assert len(thin.x) <= 10 * BUCKETS
    assert np.nanmax(thin.y) == 50
    assert np.nanmin(thin.y) == -60
    assert np.isnan(thin.y).any()
    assert thin.x[[0, -1]].tolist() == [0, 199_999]


def test_thinning_leaves_the_first_steps_for_a_logarithmic_axis() -> None:
    thin = shortened(Series(np.arange(200_000), np.random.default_rng(3).normal(size=200_000)), BUCKETS)
    assert set(range(1, 20)) <= set(thin.x.tolist())


def test_points_in_no_order_are_few_too() -> None:
    angle = np.linspace(0, 50, 100_000)
    thin = shortened(Series(np.cos(angle), np.sin(angle)), BUCKETS)
    assert len(thin.x) <= 12 * BUCKETS


def test_many_long_lines_share_the_room() -> None:
    lines = tuple(Series(np.arange(50_000), np.random.default_rng(n).normal(size=50_000)) for n in range(100))
    told = figure_data(Figure("t", series=lines, graded=True))
    assert sum(len(series["x"]) for series in told["series"]) < 100_000


def test_a_grid_keeps_its_cells_and_which_of_them_diverged() -> None:
    values = np.array([[1.0, np.nan], [3.0, 4.0]])
    grid = Grid(np.arange(2), np.arange(2), values, "cells", "loss", blocked=np.isnan(values))
    told = figure_data(Figure("t", x=FigureAxis("lr", ticks=((0.0, "0.1"), (1.0, "0.2"))), grid=grid))
    assert told["grid"]["values"] == [[1, None], [3, 4]]
    assert told["grid"]["blocked"] == [[0, 1], [0, 0]]
    assert told["colours"]["limits"] == [1, 4]
    assert told["x"]["ticks"] == [[0, "0.1"], [1, "0.2"]]
