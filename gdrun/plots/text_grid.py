"""Heat maps, contours, areas and coloured points in characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gdrun.text import safe_text

from .braille import Canvas
from .figure import Axis, Figure, Grid
from .palette import graded, terminal_colour
from .scales import colour_limits, number_text, position

if TYPE_CHECKING:
    from .text import Drawing

SHADES = " ░▒▓█"
POINTS = "·∘○◉●"
ASCII_SHADES = " .:+#"
ASCII_POINTS = ".:o0@"
_NUMBER = 7
"""Columns that a number takes in a cell, with the gap."""


def shade(share: float, drawing: Drawing, *, point: bool = False) -> str:
    """Return the character of a share in [0, 1]: the darker, the more."""
    steps = (ASCII_POINTS if drawing.ascii else POINTS) if point else ASCII_SHADES if drawing.ascii else SHADES
    return steps[min(max(int(share * len(steps)), 0), len(steps) - 1)]


class Cells:
    """A heat map: numbers where cells are wide enough for them, else shades."""

    def __init__(self, figure: Figure, drawing: Drawing) -> None:
        assert figure.grid is not None
        self.grid: Grid = figure.grid
        self.drawing = drawing
        self.limits = colour_limits(figure)

    def wants_numbers(self, width: int) -> bool:
        """Return whether the cells of a map in so many columns, its gutter included, hold numbers alone."""
        return not self.drawing.colour and (width - 8) // self.grid.values.shape[1] >= _NUMBER

    def lines(self) -> list[str]:
        """Return the rows of the map, the highest first."""
        drawing, grid = self.drawing, self.grid
        rows, columns = grid.values.shape
        width = drawing.columns
        shown_rows = _picked(rows, drawing.rows)
        edges = np.linspace(0, width, columns + 1).astype(int)
        numbers = width // columns >= _NUMBER
        # Numbers speak for themselves: shades around them would only be in the way.
        self.plain_numbers = numbers and not drawing.colour
        high = max(min(drawing.rows // max(len(shown_rows), 1), 2 if self.plain_numbers else 3), 1)
        tick_of = {round(value): text for value, text in (drawing.figure.y.ticks or ())}
        lines = []
        for row in reversed(shown_rows):
            for part in range(high):
                middle = part == high // 2
                cells = [self._cell(row, column, edges, numbers and middle) for column in range(columns)]
                lines.append(drawing.gutter(tick_of.get(row) if middle else None) + "".join(cells))
        return lines

    def _cell(self, row: int, column: int, edges: np.ndarray, number: bool) -> str:
        drawing, grid = self.drawing, self.grid
        width = int(edges[column + 1] - edges[column])
        value = grid.values[row, column]
        if grid.blocked is not None and grid.blocked[row, column]:
            return drawing.styled(drawing.ascii_form("×" * width if width < 3 else "×".center(width)), "2")
        if not np.isfinite(value):
            return ("?" if number or width < 4 else "").center(width)
        share = float(position(np.array([value]), grid.scale, self.limits)[0])
        text = number_text(float(value), 2).center(width) if number else ""
        if self.plain_numbers:
            return text or " " * width
        if drawing.colour:
            light = float(graded(share) @ np.array([0.3, 0.59, 0.11])) > 0.5
            return drawing_background(text or " " * width, terminal_colour(share), light)
        return text or shade(share, drawing) * width


def drawing_background(text: str, colour: int, light: bool) -> str:
    """Return `text` on one of the terminal's 256 colours."""
    return f"\x1b[38;5;{16 if light else 231};48;5;{colour}m{text}\x1b[0m"


def _picked(count: int, room: int) -> list[int]:
    """At most `room` of so many rows, evenly."""
    return list(range(count)) if count <= room else np.unique(np.linspace(0, count - 1, room).astype(int)).tolist()


def key_lines(figure: Figure, drawing: Drawing) -> list[str]:
    """Return the line that says what shades mean."""
    if figure.grid is not None:
        axis = Axis(figure.grid.label, figure.grid.scale)
    else:
        assert figure.colours is not None
        axis = figure.colours
    low, high = colour_limits(figure)
    points = figure.grid is None
    colour = drawing.colour and not points
    count = min(8, drawing.width // 10) if colour else 5
    ramp = "".join(
        drawing_background("  ", terminal_colour(at), False)
        if colour
        else shade(at, drawing, point=points) * (1 if points else 2)
        for at in np.linspace(0, 0.999, count).tolist()
    )
    lines = []
    if drawing.grid is None or not drawing.grid.wants_numbers(drawing.width):
        label = safe_text(axis.label, limit=max(drawing.width - 30, 4))
        lines.append(f"{label}: {number_text(low, 3)} {ramp} {number_text(high, 3)}")
    grid = figure.grid
    if grid is not None and grid.blocked is not None and grid.blocked.any():
        lines.append(drawing.ascii_form("× diverged"))
    plain = "   ".join(lines)
    return [plain] if lines and not colour and len(plain) <= drawing.width else lines


def coloured_points(figure: Figure, drawing: Drawing, x: np.ndarray, y: np.ndarray, values: np.ndarray) -> None:
    """Draw points whose shade or colour is a value."""
    assert figure.colours is not None
    shares = np.nan_to_num(position(values, figure.colours.scale, colour_limits(figure))).clip(0, 1)
    for one, other, share in zip(x.tolist(), y.tolist(), shares.tolist(), strict=True):
        drawing.canvas.put(one, other, shade(share, drawing, point=True), -1)


def draw_below(
    figure: Figure, canvas: Canvas, x_limits: tuple[float, float], y_limits: tuple[float, float], palette: Callable
) -> None:
    """Draw the contours of a grid, or the borders of its areas, as dots."""
    grid = figure.grid
    if grid is None or grid.kind == "cells" or min(grid.values.shape) < 2:
        return
    height, width = canvas.dots.shape
    x = _values_at(np.linspace(0, 1, width), figure.x, x_limits)
    y = _values_at(np.linspace(1, 0, height), figure.y, y_limits)
    if grid.kind == "areas":
        nearest = grid.values[np.abs(grid.y[None] - y[:, None]).argmin(1)][
            :, np.abs(grid.x[None] - x[:, None]).argmin(1)
        ]
        level = np.nan_to_num(nearest, nan=-1).astype(int)
    else:
        from .levels import contour_levels

        smooth = interpolated(grid, x, y)
        # Fewer than in a picture: dots are coarse.
        level = np.searchsorted(contour_levels(grid, 8), smooth)
        level[~np.isfinite(smooth)] = -1
    edges = np.zeros(level.shape, bool)
    edges[:-1] |= level[:-1] != level[1:]
    edges[:, :-1] |= level[:, :-1] != level[:, 1:]
    rows, columns = np.nonzero(edges)
    canvas.set(rows, columns, -2)


def _values_at(shares: np.ndarray, axis: Axis, limits: tuple[float, float]) -> np.ndarray:
    if axis.scale == "log":
        return np.exp(np.log(limits[0]) + shares * (np.log(limits[1]) - np.log(limits[0])))
    return limits[0] + shares * (limits[1] - limits[0])


def interpolated(grid: Grid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a grid's values between its points, by straight lines in both directions; float64 (len(y), len(x))."""
    with np.errstate(invalid="ignore"):
        across = np.stack([np.interp(x, grid.x, row) for row in grid.values])
        return np.stack([np.interp(y, grid.y, column) for column in across.T], axis=1)
