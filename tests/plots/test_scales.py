"""Axes: scales, limits, ticks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.plots.figure import Figure, FigureAxis, Series
from gdrun.plots.scales import (
    axis_ticks,
    figure_limits,
    limits_of,
    natural_scale,
    number_text,
    position,
    spacing_scale,
    ticks,
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 1e-3], "log"),
        ([1.0, 0.011], "linear"),  # less than two decades
        ([1.0, -1e-3], "linear"),
        ([1.0, 1e-9, math.nan, math.inf], "log"),
        ([1.0, 0.0, 1e-9], "linear"),
        ([math.nan], "linear"),
        ([], "linear"),
    ],
)
def test_positive_values_over_more_than_two_decades_get_a_log_axis(values, expected):
    assert natural_scale([np.array(values, float)]) == expected


def test_some_zeros_can_be_put_up_with_but_not_many():
    assert natural_scale([np.array([1.0, 1e-5, 0.0])], zeros=True) == "log"
    assert natural_scale([np.array([1.0, 1e-5, *[0.0] * 9])], zeros=True) == "linear"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.geomspace(1e-4, 1, 30), "log"),
        (np.linspace(0.1, 100, 30), "linear"),
        ([0.01, 0.1, 0.3], "log"),
        ([1, 2, 3, 4], "linear"),
        ([0.1, 0.2, 0.4], "log"),
        ([0.0, 0.5, 0.9], "linear"),
        ([5.0], "linear"),
        ([1e-3, 1.0], "log"),
    ],
)
def test_settings_that_were_chosen_by_factors_get_a_log_axis(values, expected):
    assert spacing_scale(np.array(values, float)) == expected


FINITE = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=5e-324, max_value=1e307)


@given(st.lists(FINITE, min_size=1, max_size=5))
def test_linear_limits_hold_all_values_and_have_ticks_within(values):
    low, high = limits = limits_of([np.array(values)], "linear")
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < high
    assert low <= min(values)
    assert max(values) <= high
    found = ticks(limits, "linear", 6)
    assert 1 <= len(found) <= 6
    at = position(np.array([value for value, _ in found]), "linear", limits)
    assert ((at >= -1e-6) & (at <= 1 + 1e-6)).all()


@given(st.lists(POSITIVE, min_size=1, max_size=5), st.integers(2, 12))
def test_log_limits_hold_all_values_and_have_ticks_within(values, at_most):
    low, high = limits = limits_of([np.array(values)], "log")
    assert 0 < low < high < math.inf
    assert low <= min(values) * (1 + 1e-9)
    assert max(values) <= high * (1 + 1e-9)
    found = ticks(limits, "log", at_most)
    assert len(found) <= at_most
    assert all(text for _, text in found)


def test_values_without_a_place_on_an_axis_do_not_count():
    assert limits_of([np.array([0.0, -3.0, math.nan])], "log") == (0.1, 10.0)
    assert limits_of([np.array([math.inf, math.nan])], "linear") == (0.0, 1.0)
    low, high = limits_of([np.array([math.inf, 2.0, 4.0])], "linear", margin=0)
    assert (low, high) == (2.0, 4.0)


def test_the_texts_of_one_axis_are_alike():
    assert [text for _, text in ticks((0, 1), "linear", 6)] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [text for _, text in ticks((0, 100_000), "linear", 6)][-1] == "100,000"
    assert [text for _, text in ticks((0, 3e-7), "linear", 4)] == ["0", "1e-7", "2e-7", "3e-7"]
    assert [text for _, text in ticks((1e-2, 10), "log", 6)] == ["0.01", "0.1", "1", "10"]
    assert [text for _, text in ticks((1e-6, 1), "log", 4)] == ["10⁻⁶", "10⁻⁴", "10⁻²", "1"]
    assert [text for _, text in ticks((0.8, 12), "log", 6)] == ["1", "2", "3", "5", "10"]


def test_ticks_stand_where_they_say():
    for value, text in ticks((-0.3, 2.2), "linear", 8):
        assert float(text) == pytest.approx(value, abs=1e-12)


def test_whole_axes_have_no_halves():
    assert [text for _, text in ticks((0, 3), "linear", 8, whole=True)] == ["0", "1", "2", "3"]
    assert [text for _, text in ticks((0, 30), "linear", 13, whole=True)] == ["0", "5", "10", "15", "20", "25", "30"]


def test_of_categories_too_many_are_left_out_evenly():
    axis = FigureAxis(ticks=tuple((float(at), str(at)) for at in range(10)))
    assert axis_ticks(axis, (-1, 11), 5) == [(0.0, "0"), (2.0, "2"), (4.0, "4"), (6.0, "6"), (8.0, "8")]


def test_a_logarithmic_axis_has_no_tick_at_0_however_few_fit():
    marks = ticks((1e-12, 0.1), "log", 2)
    assert marks
    assert all(value > 0 for value, _ in marks)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.1, "0.1"), (12345, "12,345"), (1e-5, "1e-5"), (3.14159e12, "3.142e12"), (-0.25, "-0.25"),
     (1e-3, "0.001"), (math.nan, "nan"), (-math.inf, "-inf"), (1000, "1000")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number_text(value) == text


def test_marks_rules_and_bands_are_inside_the_picture():
    series = Series([0, 1], [1, 2], lower=[0, 0], upper=[5, 5])
    (left, right), (low, high) = figure_limits(Figure("", series=(series,)))
    assert left < 0 < 1 < right
    assert low < 0 < 5 < high
