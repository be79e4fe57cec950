"""Pictures from arrays as data."""

from __future__ import annotations

import numpy as np

from gdrun.plots import decision_figure, fit_figure, spectrum_figure, trajectory_figure
from gdrun.plots.figure import Grid


def test_a_spectrum_is_sorted_and_negative_values_are_apart():
    figure = spectrum_figure([1e-6, -0.01, 10, 0, 1], limit=4.0)
    positive, negative = figure.series
    np.testing.assert_array_equal(positive.y, [10, 1, 1e-6])
    np.testing.assert_array_equal(positive.x, [1, 2, 3])
    np.testing.assert_array_equal(negative.y, [0.01])
    np.testing.assert_array_equal(negative.x, [5])
    assert figure.y.scale == "log"
    assert figure.notes == ("1 eigenvalue of 0 not shown",)
    assert figure.rules[0].y == 4.0


def test_a_spectrum_of_one_size_is_linear():
    figure = spectrum_figure([3.0, -1.0, 2.0])
    assert figure.y.scale == "linear"
    np.testing.assert_array_equal(figure.series[0].y, [3, 2, -1])


def test_a_trajectory_lies_on_the_contours():
    x = np.linspace(-1, 1, 5)
    figure = trajectory_figure(x, x, np.add.outer(x**2, x**2), [[1, 1], [0.5, 0.5], [0, 0]], best=(0, 0))
    assert figure.grid is not None
    assert figure.grid.kind == "contours"
    assert [mark.kind for mark in figure.marks] == ["start", "end", "best"]
    assert [mark.label for mark in figure.marks] == ["start", "", "minimum"]  # the words would lie on each other


def test_levels_are_denser_where_the_loss_is_low():
    values = np.array([[1.0, 2.0], [1000.0, np.inf]])
    levels = Grid([0, 1], [0, 1], values, "contours").contour_levels(4)
    assert levels[0] == 1.0
    assert levels[-1] == 1000.0
    assert (np.diff(levels) > 0).all()
    assert len(Grid([0], [0], [[np.nan]], "contours").contour_levels(4)) == 0


def test_a_fit_is_points_and_a_curve():
    figure = fit_figure([0, 1], [0, 1], [0, 0.5, 1], [0, 0.4, 1], validation=([2], [3]))
    assert [(series.label, series.style) for series in figure.series] == [
        ("data", "points"), ("validation", "points"), ("model", "line")
    ]  # fmt: skip


def test_decisions_are_areas_with_the_examples_of_each_class():
    figure = decision_figure([0, 1], [0, 1], [[0, 1], [1, 1]], [[0, 0], [1, 1], [0, 1]], [0, 1, 1], names=["no", "yes"])
    assert figure.grid is not None
    assert figure.grid.kind == "areas"
    assert [(series.label, len(series.x)) for series in figure.series] == [("no", 1), ("yes", 2)]
