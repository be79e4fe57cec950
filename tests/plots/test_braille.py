"""The canvas of dots."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.plots.braille import BLANK, Canvas, clipped


def shown(canvas: Canvas) -> list[str]:
    return ["".join(chr(BLANK + dots) for dots in row) for row in canvas.cells().tolist()]


def test_each_dot_is_where_unicode_has_it():
    # Dots 1 2 3 7 in the left column, 4 5 6 8 in the right one, bit n - 1 for dot n.
    bits = {(0, 0): 1, (1, 0): 2, (2, 0): 4, (3, 0): 64, (0, 1): 8, (1, 1): 16, (2, 1): 32, (3, 1): 128}
    for (row, column), bit in bits.items():
        canvas = Canvas(1, 1)
        canvas.set(np.array([row]), np.array([column]), 0)
        assert canvas.cells().tolist() == [[bit]]


def test_a_line_joins_its_ends_without_holes():
    canvas = Canvas(10, 5)
    canvas.line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0)
    assert canvas.dots[-1, 0]
    assert canvas.dots[0, -1]
    rows, columns = np.nonzero(canvas.dots)
    assert set(columns) == set(range(20))
    assert set(rows) == set(range(20))


def test_a_level_line_is_one_row_of_dots():
    canvas = Canvas(3, 1)
    canvas.line(np.array([0.0, 1.0]), np.array([1.0, 1.0]), 0)
    assert shown(canvas) == ["⠉⠉⠉"]


def test_a_line_is_cut_at_the_edges_and_broken_by_nan():
    canvas = Canvas(10, 5)
    canvas.line(np.array([0.0, 1.0]), np.array([-1e300, 1e300]), 0)
    assert canvas.dots.any(axis=1).all()
    canvas = Canvas(10, 5)
    canvas.line(np.array([0.0, 0.5, 1.0]), np.array([0.5, np.nan, 0.5]), 0)
    assert not canvas.dots.any()


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ((-1, 1, 3, 1), (0, 1, 2, 1)),
        ((1, -5, 1, 9), (1, 0, 1, 2)),
        ((-1, -1, 3, 3), (0, 0, 2, 2)),
        ((0, 5, 2, 5), None),
        ((1, 1, 1, 1), (1, 1, 1, 1)),
    ],
)
def test_clipping(line, part):
    begin, end = clipped(np.array([line[:2]]), np.array([line[2:]]), np.array([2, 2]))
    assert [*begin.ravel(), *end.ravel()] == pytest.approx([] if part is None else part)


def test_points_outside_are_left_out():
    canvas = Canvas(2, 2)
    canvas.points(np.array([0.5, 2.0, np.nan]), np.array([0.5, 0.5, 0.5]), 0)
    assert canvas.dots.sum() == 1
