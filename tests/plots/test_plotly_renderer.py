"""What plotly gets is what was recorded, as far as can be seen; every picture has a form of its."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from gdrun.plots.figure import Figure, FigureAxis, Grid, Mark, Series
from gdrun.plots.plotly_renderer import BUCKETS, plotly_figure, shortened
from gdrun.plots.run_pictures import loss_figure
from gdrun.rundir.run import Run


def test_short_columns_come_back_bit_for_bit_in_float32(make_run: Callable[..., Run]) -> None:
    losses = np.exp(np.random.default_rng(1).normal(size=200) * 20).astype(np.float32)
    run = make_run([{"step": k, "loss": float(loss)} for k, loss in enumerate(losses)])
    (trace,) = json.loads(json.dumps(plotly_figure(loss_figure(run)), allow_nan=False))["data"]
    assert np.array_equal(np.array(trace["y"]).astype(np.float32), losses)
    assert trace["x"] == list(range(200))


def test_values_that_are_not_finite_are_null() -> None:
    series = Series(np.arange(4), np.array([1, np.nan, np.inf, -np.inf]))
    (trace,) = plotly_figure(Figure("t", series=(series,)))["data"]
    assert trace["y"] == [1, None, None, None]


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
    traces = plotly_figure(Figure("t", series=lines, graded=True))["data"]
    assert sum(len(trace["x"]) for trace in traces) < 100_000


def test_a_grid_keeps_its_cells_and_which_of_them_diverged() -> None:
    values = np.array([[1.0, np.nan], [3.0, 4.0]])
    grid = Grid(np.arange(2), np.arange(2), values, "cells", "loss", blocked=np.isnan(values))
    drawn = plotly_figure(Figure("t", x=FigureAxis("lr", ticks=((0.0, "0.1"), (1.0, "0.2"))), grid=grid))
    cells, blocked = drawn["data"]
    assert cells["z"] == [[0, None], [0.6667, 1]]
    assert cells["text"][1] == ["3", "4"]
    assert (blocked["x"], blocked["y"]) == ([1], [0])
    axis = drawn["layout"]["xaxis"]
    assert (axis["tickvals"], axis["ticktext"]) == ([0, 1], ["0.1", "0.2"])


def test_contours_are_at_the_figure_s_own_levels() -> None:
    x = np.linspace(-1, 1, 41)
    grid = Grid(x, x, x**2 + 10 * x[:, None] ** 4, "contours", "loss")
    (trace,) = plotly_figure(Figure("t", grid=grid))["data"]
    levels = grid.contour_levels(12)
    assert trace["contours"] == {"start": 0, "end": len(levels) - 1, "size": 1}
    places = np.array(trace["z"])
    for k, level in enumerate(levels[1:-1], start=1):
        # plotly draws a line where z crosses k: there the loss crosses the level.
        clear = abs(places - k) > 1e-3  # four digits
        np.testing.assert_array_equal((places > k)[clear], (grid.values > level)[clear])


def test_marks_at_the_edge_stay_there_on_any_scale() -> None:
    figure = Figure("t", series=(Series([0, 1], [1, 2]),), marks=(Mark(0.5, None, "diverged"), Mark(1, 2, "best", "b")))
    _, cross, best = plotly_figure(figure)["data"]
    assert (cross["yaxis"], cross["x"]) == ("y2", [0.5])
    assert (best["x"], best["y"], best["text"]) == ([1], [2], ["b"])


def test_texts_are_shown_as_they_are_and_not_read_as_markup() -> None:
    figure = Figure("t", FigureAxis("<a href='javascript:x'>"), series=(Series([0], [1], "a<b>&%{x}"),))
    drawn = plotly_figure(figure)
    assert drawn["layout"]["xaxis"]["title"]["text"].startswith("&lt;a href")
    assert drawn["data"][0]["name"] == "a&lt;b&gt;&amp;%&#123;x}"
