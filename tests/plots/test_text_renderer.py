"""Figures as lines of text."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from rich.cells import cell_len

from gdrun.plots import as_text, can_show
from gdrun.plots.figure import Figure, FigureAxis, Grid, Mark, ReferenceLine, Region, Series

X = np.linspace(0, 10, 50)
HOSTILE = "\x1b[31mred\n\u202ebidi $x$ <b>"
ESCAPE = re.compile(r"\x1b\[[\d;]*m")


def two_lines() -> Figure:
    return Figure(
        "title", FigureAxis("step"), FigureAxis("loss", "log"), "subtitle",
        (Series(X, np.exp(-X), "first"), Series(X, np.exp(-X / 2), "second")),
        (Mark(3.0, None, "diverged", "boom"),), (Region(8.0, None, "diverged from 8"),),
        (ReferenceLine(x=7.0, label="edge"), ReferenceLine(y=0.5, label="half")), notes=("a note",),
    )  # fmt: skip


def cells(kind: str = "cells") -> Figure:
    values = [[1e-3, 1e-2, math.nan], [1e-1, 1.0, 10.0]]
    grid = Grid([0, 1, 2], [0, 1], values, kind, "loss", "log", np.isnan(values))
    ticks = tuple((float(at), f"{at}") for at in range(3))
    return Figure("map", FigureAxis("a", ticks=ticks), FigureAxis("b", ticks=ticks[:2]), grid=grid)


def all_figures() -> list[Figure]:
    cloud = Figure("cloud", series=(Series(X, X, style="points", values=X + 1),), colours=FigureAxis("loss", "log"))
    band = Figure("band", series=(Series(X, X, "median", lower=X - 1, upper=X + 1),))
    return [
        two_lines(), cells(), cells("contours"), cells("areas"), cloud, band,
        Figure("empty"),
        Figure("nan", series=(Series([0, 1], [math.nan, math.inf]),)),
        Figure("one", series=(Series([3], [4], style="both"),)),
        Figure("many", series=tuple(Series(X, X * k, f"line {k}") for k in range(20)), graded=True),
        Figure(
            "hostile " + HOSTILE, FigureAxis(HOSTILE), FigureAxis(HOSTILE), HOSTILE,
            (Series(X, X, HOSTILE), Series(X, -X, HOSTILE)), (Mark(1.0, 2.0, "best", HOSTILE),),
            (Region(3.0, 4.0, HOSTILE),), (ReferenceLine(x=1.0, label=HOSTILE),), notes=(HOSTILE,),
        ),
        Figure("huge", series=(Series([0, 1], [-1.7e308, 1.7e308]),)),
        Figure("tiny", y=FigureAxis(scale="log"), series=(Series([0, 1], [5e-324, 1e-300]),)),
    ]  # fmt: skip


@pytest.mark.parametrize("figure", all_figures(), ids=lambda figure: figure.title[:8].strip())
@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 30), (30, 8), (200, 60), (1, 1)])
def test_no_line_is_wider_and_no_picture_much_higher_than_asked_for(figure, width, height):
    for colour in (False, True):
        lines = ESCAPE.sub("", as_text(figure, width, height, colour)).split("\n")
        assert max(map(cell_len, lines)) <= max(width, 30)
        assert len(lines) <= max(height, 8) + 10
        if height >= 24:
            assert len(lines) <= height


@pytest.mark.parametrize("figure", all_figures(), ids=lambda figure: figure.title[:8].strip())
def test_nothing_that_a_terminal_obeys_gets_out(figure):
    assert "\x1b" not in as_text(figure)
    assert as_text(figure).replace("\n", "").isprintable()
    assert ESCAPE.sub("", as_text(figure, colour=True)) == as_text(figure) or figure.grid or figure.colours


@pytest.mark.parametrize("figure", all_figures(), ids=lambda figure: figure.title[:8].strip())
def test_ascii_is_ascii(figure):
    as_text(figure, ascii_only=True).encode("ascii")


def test_everything_is_named():
    text = as_text(two_lines())
    for word in ("title", "subtitle", "step", "loss", "first", "second", "boom", "░ diverged from 8", "┊ edge", "half"):
        assert word in text
    assert text.split("\n")[-1] == "a note"


def test_lines_are_told_apart_without_colours():
    text = as_text(two_lines())
    assert text.count("●") > 3
    assert text.count("▲") > 3
    assert "● first" in text
    assert "▲ second" in text


def test_a_line_stands_where_its_values_are():
    text = as_text(Figure("", FigureAxis(), FigureAxis(), series=(Series([0, 1], [0, 1]),)), 60, 20)
    rows = [line.partition("│")[2] or line.partition("┤")[2] for line in text.split("\n")]
    columns = [len(row) - len(row.lstrip()) for row in rows if row.strip()]
    assert columns == sorted(columns, reverse=True)


def test_ticks_stand_beside_their_values():
    text = as_text(Figure("", FigureAxis(), FigureAxis(limits=(0, 4)), series=(Series([0, 10], [2, 2]),)), 60, 24)
    (line,) = [line for line in text.split("\n") if "⠒" in line or "⠤" in line or "⠉" in line or "⣀" in line]
    assert line.lstrip().startswith("2")


def test_a_heat_map_has_numbers_where_they_fit_and_shades_where_not():
    wide = as_text(cells(), 80, 20)
    for number in ("0.001", "0.01", "0.1", "10", "×"):
        assert number in wide
    assert "× diverged" in wide
    values = np.geomspace(1, 100, 60)[None].repeat(2, axis=0)
    narrow = Figure(
        "", FigureAxis(), FigureAxis(), grid=Grid(np.arange(60), np.arange(2), values, "cells", "loss", "log")
    )
    assert "█" in as_text(narrow, 80, 20)
    assert "loss: 1 " in as_text(narrow, 80, 20)


def test_a_contour_is_where_the_value_is():
    x = np.linspace(-1, 1, 41)
    grid = Grid(x, x, np.hypot(*np.meshgrid(x, x)), "contours")
    text = as_text(Figure("", grid=grid), 80, 42)
    width = next(len(line.partition("└")[2]) for line in text.split("\n") if "└" in line)
    rows = [re.split("[│┤]", line)[1].ljust(width) for line in text.split("\n") if re.search("[│┤]", line)]
    # Circles: the picture is its own mirror image, up to a dot.
    middle = rows[len(rows) // 2]
    drawn = [at for at, character in enumerate(middle) if character.strip()]
    assert abs(drawn[0] + drawn[-1] - (len(middle) - 1)) <= 2


def test_100000_points_keep_their_peak():
    y = np.zeros(100_000)
    y[54_321] = 1
    text = as_text(Figure("", series=(Series(np.arange(100_000), y),)), 80, 20)
    top = next(line for line in text.split("\n") if re.search(r"[│┤].*[⠀-⣿]", line))
    assert re.search("[\u2801-\u28ff]", top)


def test_what_an_encoding_can_show():
    assert can_show("utf-8")
    assert not can_show("ascii")
    assert not can_show("latin-1")
    assert not can_show(None)
    assert not can_show("no such encoding")


def test_wide_characters_take_two_columns():
    title = as_text(Figure("損失" * 30), 40).split("\n")[0]
    assert 38 <= cell_len(title) <= 40


def test_a_figure_prints_itself():
    assert str(two_lines()) == as_text(two_lines())
