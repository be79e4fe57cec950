"""Figures as lines of text, for terminals and logs: lines are dots of braille characters.

plotext and plotille were looked at: neither has names at the ends of lines, marks at the edge, shaded stretches, or
contours, and both tell lines apart by colour alone, which a log or a pipe has not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np
from rich.cells import cell_len, set_cell_size

from gdrun.text import safe_text

from .braille import BLANK, Canvas
from .downsampling import downsampled, evenly
from .figure import Figure, FigureAxis, Grid, Mark, Region, Series
from .palette import MARKERS, TERMINAL, graded, terminal_colour
from .scales import Frame, axis_ticks, colour_limits, number_text, position, spread_out

SMALLEST = (30, 8)
QUIET = -2
"""Owner of what is dim: frames, regions, reference lines."""
PLAIN = -1

_DIM, _BOLD = "2", "1"
_SHADES = " ░▒▓█"
_POINTS = "·∘○◉●"
_MARKS = {"diverged": "×", "best": "◎", "start": "○", "end": "●", "zero": "▽"}
_NUMBER = 7
"""Columns that a number takes in a cell, with the gap."""
_SIDE = 0.35
"""Share of the width that labels at the right may take."""
_MOST_AT_ENDS, _MOST_IN_LEGEND = 7, 12
_CONTOURS = 8
"""Fewer than in a picture of matplotlib's: dots are coarse."""

_ASCII = str.maketrans("─│└┤┬┊×▽░▒▓█·∘•○◉●◎▲■◆△□…⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-|++|:xv:+%#.:*o0@O*+#^%.-0123456789") | {
    BLANK + dots: "." for dots in range(1, 256)
}
"""Our own characters -> their substitutes in ASCII."""


def can_show(encoding: str | None) -> bool:
    """Return whether an encoding has the characters of text pictures."""
    try:
        "⣿┤×●▽⁻".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def as_text(
    figure: Figure, width: int = 80, height: int = 24, colour: bool = False, *, ascii_only: bool = False
) -> str:
    """Return a figure as text.

    Args:
        width, height: at most so many columns and rows, 30 and 8 or more.
        colour: with the escape codes of terminals for colours.
        ascii_only: with ASCII characters alone, for terminals that show no others.
    """
    text = _Drawing(figure, max(width, SMALLEST[0]), max(height, SMALLEST[1]), colour).text()
    return text.translate(_ASCII).encode("ascii", "replace").decode() if ascii_only else text


class _Drawing:
    """One figure being drawn: a canvas with a gutter of ticks at its left and labels at its right."""

    def __init__(self, figure: Figure, width: int, height: int, colour: bool) -> None:
        self.figure, self.width, self.colour = figure, width, colour
        self.frame = Frame(figure)
        self.cells = figure.grid if figure.grid is not None and figure.grid.kind == "cells" else None
        self.named = [(item, slot) for item, slot in figure.slotted() if item.label]
        self.several = len(figure.series) > 1
        self.ends = self._ends()
        self.right = self._width_at_the_right()
        self.head = [self._styled(self._cut(figure.title), _BOLD)] if figure.title else []
        if figure.subtitle:
            self.head.append(self._styled(self._cut(figure.subtitle), _DIM))
        self.head += self._legend()
        self.foot = [self._styled(self._cut(note), _DIM) for note in figure.notes]
        if self.cells is not None:
            self.foot = [*self._colour_key(FigureAxis(self.cells.label, self.cells.scale)), *self.foot]
        elif figure.colours is not None:
            self.foot = [*self._colour_key(figure.colours), *self.foot]
        self.rows = max(height - len(self.head) - len(self.foot) - 3 - bool(figure.y.label), 4)
        most = max(self.rows // 3, 2) if figure.y.ticks is None else self.rows
        ticks = None if self.cells is None else figure.y.ticks
        self.y_ticks = list(ticks or axis_ticks(figure.y, self.frame.y_limits, most))
        self.left = min(max((len(text) for _, text in self.y_ticks), default=0) + 2, width // 3)
        self.columns = width - self.left - self.right
        self.canvas = Canvas(self.columns, self.rows)

    def text(self) -> str:
        """Return all lines of the picture."""
        if self.cells is not None:
            body = list(self._cell_lines(self.cells))
        else:
            self._draw()
            body = list(self._body())
        label = self.figure.y.label
        padded = " " * max(self.left - 1 - len(label), 0) + safe_text(label)
        above = [self._styled(self._cut(padded), _DIM)] if label else []
        return "\n".join(line.rstrip() for line in [*self.head, *above, *body, *self._below(), *self.foot])

    # --- on the canvas --------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        figure, canvas = self.figure, self.canvas
        if figure.grid is not None and min(figure.grid.values.shape) > 1:
            self._contours(figure.grid)
        for region in figure.regions:
            self._region(region)
        for rule in figure.rules:
            if rule.y is not None:
                canvas.line(np.array([0.0, 1.0]), self.frame.up([rule.y, rule.y]), QUIET, on=2, off=4)
            if rule.x is not None and np.isfinite(x := float(self.frame.across(rule.x))):
                column = canvas.column(x)
                canvas.characters |= {(row, column): ("┊", QUIET) for row in range(self.rows)}
        # The faint ones first: what is drawn later lies above.
        for item, slot in sorted(figure.slotted(), key=lambda pair: pair[0].weight == "strong"):
            self._series(downsampled(item, figure.x.scale, self.frame.x_limits, 2 * self.columns), slot)
        rows = figure.mark_rows()
        for mark in figure.marks:
            x = float(self.frame.across(mark.x))
            edge = 0.0 if mark.kind == "zero" or mark.y is not None else 1.0 - rows[mark.slot] / self.rows
            y = edge if mark.y is None else float(self.frame.up(mark.y))
            canvas.put(x, y, _MARKS[mark.kind], PLAIN if mark.slot is None else mark.slot)
            if mark.label and np.isfinite(x) and np.isfinite(y):
                self._label_beside(x, y, mark)

    def _contours(self, grid: Grid) -> None:
        """Draw the contours of a grid, or the borders of its areas, as dots."""
        height, width = self.canvas.dots.shape
        x = _values_at(np.linspace(0, 1, width), self.figure.x, self.frame.x_limits)
        y = _values_at(np.linspace(1, 0, height), self.figure.y, self.frame.y_limits)
        if grid.kind == "areas":
            nearest_y, nearest_x = (
                abs(axis[None] - places[:, None]).argmin(1) for axis, places in ((grid.y, y), (grid.x, x))
            )
            level = np.nan_to_num(grid.values[nearest_y][:, nearest_x], nan=-1).astype(int)
        else:
            smooth = _interpolated(grid, x, y)
            level = np.searchsorted(grid.contour_levels(_CONTOURS), smooth)
            level[~np.isfinite(smooth)] = -1
        edges = np.zeros(level.shape, bool)
        edges[:-1] |= level[:-1] != level[1:]
        edges[:, :-1] |= level[:, :-1] != level[:, 1:]
        rows, columns = np.nonzero(edges)
        self.canvas.set(rows, columns, QUIET)

    def _region(self, region: Region) -> None:
        low, high = self.frame.span(region)
        first = min(int(low * self.columns), self.columns - 1)
        last = min(max(int(np.ceil(high * self.columns)), first + 1), self.columns)
        self.canvas.characters |= {
            (row, column): ("░", QUIET) for row in range(self.rows) for column in range(first, last)
        }

    def _series(self, item: Series, slot: int) -> None:
        canvas, x, y = self.canvas, self.frame.across(item.x), self.frame.up(item.y)
        if item.values is not None:
            assert self.figure.colours is not None
            shares = position(item.values, self.figure.colours.scale, colour_limits(self.figure))
            for across, up, share in zip(x.tolist(), y.tolist(), np.nan_to_num(shares).tolist(), strict=True):
                canvas.put(across, up, _step(_POINTS, share), PLAIN)
            return
        for edge in (item.lower, item.upper):
            if edge is not None:
                canvas.line(x, self.frame.up(edge), slot, on=1, off=3)
        if item.weight == "faint":
            canvas.points(x, y, slot)
        elif item.style != "points" and self.figure.grid is not None:
            # Characters, since dots would be lost among those of the contours.
            path = Canvas(self.columns, self.rows)
            path.line(x, y, slot)
            sign = _marker(slot) if self.several else "•"
            for row, column in np.argwhere(path.cells()).tolist():
                canvas.characters[row, column] = (sign, slot)
            return
        elif item.style != "points":
            canvas.line(x, y, slot)
        if item.style == "points" or (item.style == "both" and len(x) <= self.columns // 4):
            for across, up in zip(x.tolist(), y.tolist(), strict=True):
                if 0 <= across <= 1 and 0 <= up <= 1:
                    canvas.put(across, up, _marker(slot), slot)
        elif self.several and item.weight == "strong" and not self.figure.graded:
            self._markers(x, y, slot)
        if item.style == "both":
            canvas.points(x, y, slot)

    def _markers(self, x: np.ndarray, y: np.ndarray, slot: int) -> None:
        """Put a few markers along a line, so that lines can be distinguished without colours."""
        good = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & (y >= 0) & (y <= 1))
        if not len(good):
            return
        x, y, every = x[good], y[good], 1 / 6
        for target in np.arange(every * (0.3 + 0.7 * (slot % 5) / 5), 1, every):
            if not x[0] <= target <= x[-1]:
                continue
            following = int(np.searchsorted(x, target))
            after, before = min(following, len(x) - 1), max(following - 1, 0)
            span = x[after] - x[before]
            share = (target - x[before]) / span if span > 0 else 0.0
            self.canvas.put(float(target), float(y[before] + share * (y[after] - y[before])), _marker(slot), slot)
        if x[-1] - x[0] < every:
            self.canvas.put(float(x[-1]), float(y[-1]), _marker(slot), slot)

    def _label_beside(self, x: float, y: float, mark: Mark) -> None:
        """Write a mark's label beside it, where nothing is; else over what is there."""
        text = safe_text(mark.label, limit=self.columns // 2)
        row, column = self.canvas.row(y), self.canvas.column(x)
        sides = [column - len(text) - 1, column + 2]
        if x < 0.5:
            sides.reverse()
        places = [(line, side) for line in (row, row - 1, row + 1, row - 2, row + 2) for side in sides]
        free = [place for place in places if self.canvas.is_free(*place, len(text))]
        for place in free or places[:2]:
            if self.canvas.write(*place, text, PLAIN):
                return

    def _body(self) -> Iterator[str]:
        """Yield the rows of the canvas between their gutter and the labels at the right."""
        dots = self.canvas.cells()
        labels = self._labels_at_the_right()
        ticks: dict[int, str] = {}
        for up, (_, text) in zip(self.frame.up([value for value, _ in self.y_ticks]), self.y_ticks, strict=True):
            ticks.setdefault(self.canvas.row(up), text)
        for row in range(self.rows):
            cells = []
            for column in range(self.columns):
                character, owner = self.canvas.characters.get((row, column), ("", PLAIN))
                # Lines show through shades and reference lines, not through marks and words.
                if dots[row, column] and character in "░┊":
                    character, owner = chr(BLANK + dots[row, column]), int(self.canvas.owner[row, column])
                cells.append((character or " ", owner if character.strip() else PLAIN))
            runs = groupby(cells, key=lambda cell: cell[1])
            line = "".join(self._painted("".join(text for text, _ in run), owner) for owner, run in runs)
            label = " " + self._painted(*labels[row]) if row in labels else ""
            yield self._gutter(ticks.get(row)) + line + label

    # --- heat maps ------------------------------------------------------------------------------------------------

    def _cell_lines(self, grid: Grid) -> Iterator[str]:
        """Yield the rows of a heat map, the highest first: numbers where cells are wide enough, else shades."""
        rows, columns = grid.values.shape
        picked = evenly(rows, self.rows)
        edges = np.linspace(0, self.columns, columns + 1).astype(int)
        numbers = self.columns // columns >= _NUMBER
        # Numbers are enough: shades around them would only be in the way.
        high = max(min(self.rows // len(picked), 2 if numbers and not self.colour else 3), 1)
        ticks = {round(value): text for value, text in (self.figure.y.ticks or ())}
        for row in reversed(picked.tolist()):
            for part in range(high):
                middle = part == high // 2
                cells = [
                    self._cell(grid, row, column, int(edges[column + 1] - edges[column]), numbers, middle)
                    for column in range(columns)
                ]
                yield self._gutter(ticks.get(row) if middle else None) + "".join(cells)

    def _cell(self, grid: Grid, row: int, column: int, width: int, numbers: bool, middle: bool) -> str:
        value = float(grid.values[row, column])
        if grid.blocked is not None and grid.blocked[row, column]:
            return self._styled("×" * width if width < 3 else "×".center(width), _DIM)
        if not np.isfinite(value):
            return ("?" if (numbers and middle) or width < 4 else "").center(width)
        share = float(position(np.array(value), grid.scale, colour_limits(self.figure)))
        text = (number_text(value, 2) if numbers and middle else "").center(width)
        if self.colour:
            return _on_colour(text, share, light=float(graded(share) @ np.array([0.3, 0.59, 0.11])) > 0.5)
        return text if numbers else _step(_SHADES, share) * width

    def _colour_key(self, axis: FigureAxis) -> list[str]:
        """Return the lines that explain the shades or colours of cells or points."""
        low, high = (number_text(limit, 3) for limit in colour_limits(self.figure))
        colour = self.colour and self.cells is not None
        shares = np.linspace(0, 0.999, min(8, self.width // 10) if colour else 5).tolist()
        if self.cells is None:
            ramp = "".join(_step(_POINTS, share) for share in shares)
        else:
            ramp = "".join(_on_colour("  ", share) if colour else 2 * _step(_SHADES, share) for share in shares)
        lines = [f"{safe_text(axis.label, limit=max(self.width - 30, 4))}: {low} {ramp} {high}"]
        if self.cells is not None:
            if not self.colour and (self.width - 8) // self.cells.values.shape[1] >= _NUMBER:
                lines = []  # the cells hold numbers
            if self.cells.blocked is not None and self.cells.blocked.any():
                lines.append("× diverged")
        joined = "   ".join(lines)
        return [joined] if lines and not colour and len(joined) <= self.width else lines

    # --- labels ---------------------------------------------------------------------------------------------------

    def _ends(self) -> list[float]:
        """Return the height at which each named line ends; [] where the names do not fit there."""
        longest = max((cell_len(item.label) for item, _ in self.named), default=0) + 3
        if not 0 < len(self.named) <= _MOST_AT_ENDS or longest > _SIDE * self.width:
            return []
        if self.figure.grid is not None or self.figure.colours is not None:
            return []
        return self.frame.line_ends(item for item, _ in self.named)

    def _width_at_the_right(self) -> int:
        """Return the number of columns that labels right of the canvas take."""
        sizes = [cell_len(item.label) + (3 if self.several else 1) for item, _ in self.named if self.ends]
        sizes += [cell_len(rule.label) + 1 for rule in self.figure.rules if rule.y is not None and rule.label]
        return min(max(sizes, default=0), int(_SIDE * self.width))

    def _labels_at_the_right(self) -> dict[int, tuple[str, int]]:
        """Return row -> (text, owner) of series that end there and of horizontal reference lines."""
        if not self.right:
            return {}
        labels: list[tuple[float, str, int]] = []
        for (item, slot), end in zip(self.named, self.ends, strict=False):
            sign = "·" if item.weight == "faint" else _marker(slot)
            text = f"{sign} {item.label}" if self.several and not self.figure.graded else item.label
            labels.append((end, text, slot))
        for rule in self.figure.rules:
            if rule.y is not None and rule.label:
                labels.append((self.frame.height(rule.y), rule.label, QUIET))
        places = spread_out([up for up, _, _ in labels], 1.001 / self.rows)
        by_row: dict[int, tuple[str, int]] = {}
        for place, (_, text, owner) in sorted(zip(places, labels, strict=True), key=lambda pair: -pair[0]):
            row = self.canvas.row(place)
            while row in by_row and row < self.rows - 1:
                row += 1
            by_row[row] = (safe_text(text, limit=max(self.right - 1, 1)), owner)
        return by_row

    def _legend(self) -> list[str]:
        """Return the lines above the picture that name shades, vertical lines, and series not named at their ends.

        Of many series a dozen are named; of those in an order the first and the last.
        """
        figure = self.figure
        parts = [(f"░ {region.label}", QUIET) for region in figure.regions if region.label]
        parts += [(f"┊ {rule.label}", QUIET) for rule in figure.rules if rule.x is not None and rule.label]
        named = [] if self.ends else self.named
        if figure.graded and len(named) > 2:
            (first, start), (last, stop) = named[0], named[-1]
            parts += [(f"{len(named)} lines: {first.label}", start), (f"to {last.label}", stop)]
        else:
            parts += [(f"{_marker(slot)} {item.label}", slot) for item, slot in named[:_MOST_IN_LEGEND]]
            if len(named) > _MOST_IN_LEGEND:
                parts.append((f"and {len(named) - _MOST_IN_LEGEND} more", PLAIN))
        lines, used = [""] if parts else [], 0
        for text, owner in parts:
            text = safe_text(text, limit=self.width)
            if used and used + 3 + cell_len(text) > self.width:
                lines.append("")
                used = 0
            lines[-1] += ("   " if used else "") + self._painted(text, owner)
            used += cell_len(text) + (3 if used else 0)
        return lines

    def _gutter(self, tick: str | None) -> str:
        width = self.left - 2
        return safe_text(tick or "", limit=width).rjust(width) + self._styled(" ┤" if tick is not None else " │", _DIM)

    def _below(self) -> list[str]:
        """Return the x axis, the texts of its ticks and its label."""
        line, texts, free = ["─"] * self.columns, [" "] * (self.width + 1), -1
        for value, text in self._x_ticks():
            column = self.canvas.column(float(self.frame.across(value)))
            text = safe_text(text, limit=max(self.columns // 2, 4))
            start = min(max(self.left + column - len(text) // 2, 0), self.width - len(text))
            if start <= free:
                continue
            line[column] = "┬"
            texts[start : start + len(text)] = text
            free = start + len(text)
        lines = [self._styled(" " * (self.left - 1) + "└" + "".join(line), _DIM), "".join(texts)]
        if self.figure.x.label:
            label = safe_text(self.figure.x.label, limit=self.columns)
            lines.append(" " * (self.left + (self.columns - len(label)) // 2) + self._styled(label, _DIM))
        return lines

    def _x_ticks(self) -> list[tuple[float, str]]:
        """Return as many ticks as have room for their texts."""
        for count in range(max(self.columns // 6, 2), 1, -1):
            ticks = axis_ticks(self.figure.x, self.frame.x_limits, count)
            if sum(len(text) + 2 for _, text in ticks) <= self.columns:
                break
        return ticks

    # --- characters -----------------------------------------------------------------------------------------------

    def _painted(self, text: str, owner: int) -> str:
        """Return `text` in the colour of its owner."""
        if owner == PLAIN:
            return text
        if owner < 0:
            return self._styled(text, _DIM)
        share = 0.15 + 0.8 * owner / max(len(self.figure.series) - 1, 1)
        colour = terminal_colour(share) if self.figure.graded else TERMINAL[owner % len(TERMINAL)]
        return self._styled(text, f"38;5;{colour}")

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour and text.strip() else text

    def _cut(self, text: str) -> str:
        """Return a line of any text, escaped, that fits the width."""
        text = safe_text(text, limit=self.width)
        return text if cell_len(text) <= self.width else set_cell_size(text, self.width).rstrip()


def _marker(slot: int) -> str:
    return MARKERS[slot % len(MARKERS)]


def _step(steps: str, share: float) -> str:
    """Return the character of a share in [0, 1]: the darker, the more."""
    return steps[min(max(int(share * len(steps)), 0), len(steps) - 1)]


def _on_colour(text: str, share: float, *, light: bool = False) -> str:
    """Return `text` on the terminal's colour of a share."""
    return f"\x1b[38;5;{16 if light else 231};48;5;{terminal_colour(share)}m{text}\x1b[0m"


def _values_at(shares: np.ndarray, axis: FigureAxis, limits: tuple[float, float]) -> np.ndarray:
    if axis.scale == "log":
        return np.exp(np.log(limits[0]) + shares * (np.log(limits[1]) - np.log(limits[0])))
    return limits[0] + shares * (limits[1] - limits[0])


def _interpolated(grid: Grid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a grid's values between its points, by straight lines in both directions; float64 (len(y), len(x))."""
    with np.errstate(invalid="ignore"):
        across = np.stack([np.interp(x, grid.x, row) for row in grid.values])
        return np.stack([np.interp(y, grid.y, column) for column in across.T], axis=1)
