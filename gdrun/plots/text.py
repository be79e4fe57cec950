"""A figure as lines of text, for terminals and logs: dots of braille characters, or plain ASCII."""

from __future__ import annotations

import numpy as np

from gdrun.text import safe_text

from . import text_grid, text_labels
from .braille import BLANK, Canvas
from .characters import TO_ASCII, display_width, merged
from .characters import can_show as can_show
from .figure import Figure, Region, Rule, Series
from .palette import ASCII_MARKERS, MARKERS, TERMINAL, terminal_colour
from .scales import axis_ticks, figure_limits, position
from .thin import thinned

SMALLEST = (30, 8)
QUIET = -2
"""Owner of what is dim: frames, regions, rules."""
PLAIN = -1

_DIM, _BOLD = "2", "1"


def as_text(
    figure: Figure, width: int = 80, height: int = 24, colour: bool = False, *, ascii_only: bool = False
) -> str:
    """Return a figure as text.

    Args:
        width, height: at most so many columns and rows, 30 and 8 or more.
        colour: with the escape codes of terminals for colours.
        ascii_only: with ASCII characters alone, for terminals that show no others.
    """
    width, height = max(width, SMALLEST[0]), max(height, SMALLEST[1])
    return Drawing(figure, width, height, colour, ascii_only).text()


class Drawing:
    """One figure being drawn."""

    def __init__(self, figure: Figure, width: int, height: int, colour: bool, ascii_only: bool) -> None:
        self.figure, self.width, self.colour, self.ascii = figure, width, colour, ascii_only
        self.x_limits, self.y_limits = figure_limits(figure)
        self.named = [pair for pair in zip(figure.series, figure.slots(), strict=True) if pair[0].label]
        self.several = len(figure.series) > 1
        self.head = [self.styled(self.cut(figure.title), _BOLD)] if figure.title else []
        if figure.subtitle:
            self.head.append(self.styled(self.cut(figure.subtitle), _DIM))
        self.foot = [self.styled(self.cut(note), _DIM) for note in figure.notes]
        self.at_ends = text_labels.fit_at_ends(self)
        self.direct = text_labels.width(self)
        self.head += text_labels.legend(self)
        self.grid = text_grid.Cells(figure, self) if figure.grid is not None and figure.grid.kind == "cells" else None
        if self.grid is not None or figure.colours is not None:
            self.foot = [*text_grid.key_lines(figure, self), *self.foot]
        rows = height - len(self.head) - len(self.foot) - 3 - bool(figure.y.label)
        self.rows = max(rows, 4)
        ticks = None if self.grid is None else figure.y.ticks
        self.y_ticks = list(ticks or axis_ticks(figure.y, self.y_limits, max(self.rows // 3, 2)))
        left = max((len(self.ascii_form(text)) for _, text in self.y_ticks), default=0) + 2
        self.left = min(left, width // 3)
        self.columns = width - self.left - self.direct
        self.canvas = Canvas(self.columns, self.rows)

    # --- the whole ------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """All lines of the picture."""
        if self.grid is not None:
            body = self.grid.lines()
        else:
            text_grid.draw_below(self.figure, self.canvas, self.x_limits, self.y_limits, self.palette)
            self._draw()
            body = self._body()
        label = self.figure.y.label
        above = (
            [self.styled(self.cut(" " * max(self.left - 1 - len(label), 0) + safe_text(label)), _DIM)] if label else []
        )
        return "\n".join(line.rstrip() for line in [*self.head, *above, *body, *self.below(), *self.foot])

    def _draw(self) -> None:
        figure, canvas = self.figure, self.canvas
        for region in figure.regions:
            self._region(region)
        for rule in figure.rules:
            self._rule(rule)
        # The faint ones first: what is drawn later lies above.
        order = sorted(zip(figure.series, figure.slots(), strict=True), key=lambda pair: pair[0].weight == "strong")
        for item, slot in order:
            self._series(thinned(item, figure.x.scale, self.x_limits, 2 * self.columns), slot)
        rows = figure.mark_rows()
        for mark in figure.marks:
            x = position(np.array([mark.x]), figure.x.scale, self.x_limits)[0]
            up = 0.0 if mark.kind == "zero" else 1.0 - rows[mark.slot] / self.rows if mark.y is None else 0.0
            y = up if mark.y is None else position(np.array([mark.y]), figure.y.scale, self.y_limits)[0]
            sign = {"diverged": "×", "best": "◎", "start": "○", "end": "●", "zero": "▽"}[mark.kind]
            canvas.put(float(x), float(y), sign, PLAIN if mark.slot is None else mark.slot)
            if mark.label and np.isfinite(x) and np.isfinite(y):
                self._beside(float(x), float(y), mark.label)

    def _series(self, item: Series, slot: int) -> None:
        x, y = (
            position(values, axis.scale, limits)
            for values, axis, limits in ((item.x, self.figure.x, self.x_limits), (item.y, self.figure.y, self.y_limits))
        )
        if item.values is not None:
            text_grid.coloured_points(self.figure, self, x, y, item.values)
            return
        for edge in (item.lower, item.upper):
            if edge is not None:
                self.canvas.line(x, position(edge, self.figure.y.scale, self.y_limits), slot, on=1, off=3)
        if item.weight == "faint":
            self.canvas.points(x, y, slot)
        elif item.style != "points" and self.figure.grid is not None:
            self._over_contours(x, y, slot)
            return
        elif item.style != "points":
            self.canvas.line(x, y, slot)
        marked = item.style == "points" or (item.style == "both" and len(x) <= self.columns // 4)
        if marked:
            for one, other in zip(x.tolist(), y.tolist(), strict=True):
                if 0 <= one <= 1 and 0 <= other <= 1:
                    self.canvas.put(one, other, self.marker(slot), slot)
        elif self.several and item.weight == "strong" and not self.figure.graded:
            self._markers(x, y, slot)
        if item.style == "both":
            self.canvas.points(x, y, slot)

    def _over_contours(self, x: np.ndarray, y: np.ndarray, slot: int) -> None:
        """A line of characters, since dots would be lost among those of the contours."""
        path = Canvas(self.columns, self.rows)
        path.line(x, y, slot)
        sign = self.marker(slot) if self.several else self.ascii_form("•")
        for row, column in np.argwhere(path.cells()).tolist():
            self.canvas.characters[row, column] = (sign, slot)

    def _markers(self, x: np.ndarray, y: np.ndarray, slot: int) -> None:
        """A few markers along a line, so that lines can be told apart without colours."""
        good = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & (y >= 0) & (y <= 1))
        if not len(good):
            return
        every = 1 / 6
        first = every * (0.3 + 0.7 * (slot % 5) / 5)
        for target in np.arange(first, 1, every):
            if not x[good[0]] <= target <= x[good[-1]]:
                continue
            after = good[min(int(np.searchsorted(x[good], target)), len(good) - 1)]
            before = good[max(int(np.searchsorted(x[good], target)) - 1, 0)]
            span = x[after] - x[before]
            share = (target - x[before]) / span if span > 0 else 0.0
            self.canvas.put(float(target), float(y[before] + share * (y[after] - y[before])), self.marker(slot), slot)
        if x[good[-1]] - x[good[0]] < every:
            self.canvas.put(float(x[good[-1]]), float(y[good[-1]]), self.marker(slot), slot)

    def _region(self, region: Region) -> None:
        pairs = zip((region.start, region.stop), self.x_limits, strict=True)
        ends = np.array([limit if end is None else end for end, limit in pairs])
        low, high = np.clip(position(ends, self.figure.x.scale, self.x_limits), 0, 1)
        first = min(int(low * self.columns), self.columns - 1)
        for row in range(self.rows):
            for column in range(first, min(max(int(np.ceil(high * self.columns)), first + 1), self.columns)):
                self.canvas.characters[row, column] = ("░", QUIET)

    def _rule(self, rule: Rule) -> None:
        if rule.y is not None:
            up = position(np.array([rule.y, rule.y]), self.figure.y.scale, self.y_limits)
            self.canvas.line(np.array([0.0, 1.0]), up, QUIET, on=2, off=4)
        at = np.nan if rule.x is None else position(np.array([rule.x]), self.figure.x.scale, self.x_limits)[0]
        if np.isfinite(at):
            column = min(max(int(at * self.columns), 0), self.columns - 1)
            for row in range(self.rows):
                self.canvas.characters[row, column] = ("┊", QUIET)

    def _beside(self, x: float, y: float, label: str) -> None:
        """Write a mark's label beside it, where nothing is; else over what is there."""
        text = safe_text(label, limit=self.columns // 2)
        row = min(max(int((1 - y) * self.rows), 0), self.rows - 1)
        column = min(max(int(x * self.columns), 0), self.columns - 1)
        sides = [column - len(text) - 1, column + 2]
        if x < 0.5:
            sides.reverse()
        for line in (row, row - 1, row + 1, row - 2, row + 2):
            for side in sides:
                if self.canvas.is_free(line, side, len(text)):
                    self.canvas.write(line, side, text, PLAIN)
                    return
        next((True for side in sides if self.canvas.write(row, side, text, PLAIN)), False)

    # --- lines of text --------------------------------------------------------------------------------------------

    def _body(self) -> list[str]:
        bits = self.canvas.cells()
        ends = text_labels.ends(self) if self.direct else {}
        at = self._tick_rows()
        lines = []
        for row in range(self.rows):
            parts = [self.gutter(at.get(row))]
            for column in range(self.columns):
                character, owner = self.canvas.characters.get((row, column), ("", PLAIN))
                dots = int(bits[row, column])
                # Lines show through shades and rules, not through marks and words.
                if dots and (not character or character in "░┊"):
                    owner = int(self.canvas.owner[row, column])
                    character = self._ascii_dot(owner) if self.ascii else chr(BLANK + dots)
                parts.append(self.painted(character or " ", owner))
            if row in ends:
                text, slot = ends[row]
                parts.append(" " + self.painted(text, slot))
            lines.append(merged("".join(parts)))
        return lines

    def _ascii_dot(self, owner: int) -> str:
        return "." if owner < 0 else ASCII_MARKERS[owner % len(ASCII_MARKERS)]

    def _tick_rows(self) -> dict[int, str]:
        where = position(np.array([value for value, _ in self.y_ticks]), self.figure.y.scale, self.y_limits)
        rows: dict[int, str] = {}
        for up, (_, text) in zip(where, self.y_ticks, strict=True):
            rows.setdefault(min(max(int((1 - up) * self.rows), 0), self.rows - 1), text)
        return rows

    def gutter(self, tick: str | None) -> str:
        width = self.left - 2
        text = safe_text(self.ascii_form(tick or ""), limit=width)
        return " " * (width - len(text)) + text + self.styled(self.ascii_form(" ┤" if tick is not None else " │"), _DIM)

    def below(self) -> list[str]:
        """The x axis, the texts of its ticks and its label."""
        line = ["─"] * self.columns
        texts = [" "] * (self.width + 1)
        free = -1
        for value, text in self._x_ticks():
            at = float(position(np.array([value]), self.figure.x.scale, self.x_limits)[0])
            column = min(max(int(at * self.columns), 0), self.columns - 1)
            text = safe_text(self.ascii_form(text), limit=max(self.columns // 2, 4))
            start = min(max(self.left + column - len(text) // 2, 0), self.width - len(text))
            if start <= free:
                continue
            line[column] = "┬"
            texts[start : start + len(text)] = text
            free = start + len(text)
        corner = " " * (self.left - 1) + "└"
        lines = [self.styled(self.ascii_form(corner + "".join(line)), _DIM), "".join(texts)]
        if self.figure.x.label:
            label = safe_text(self.figure.x.label, limit=self.columns)
            lines.append(" " * (self.left + (self.columns - len(label)) // 2) + self.styled(label, _DIM))
        return lines

    def _x_ticks(self) -> list[tuple[float, str]]:
        """As many ticks as have room for their texts."""
        for count in range(max(self.columns // 6, 2), 1, -1):
            found = axis_ticks(self.figure.x, self.x_limits, count)
            if sum(len(text) + 2 for _, text in found) <= self.columns:
                return found
        return axis_ticks(self.figure.x, self.x_limits, 2)

    # --- characters -----------------------------------------------------------------------------------------------

    def marker(self, slot: int) -> str:
        """Return the marker of a place in the palette."""
        return ASCII_MARKERS[slot % len(ASCII_MARKERS)] if self.ascii else MARKERS[slot % len(MARKERS)]

    def palette(self, slot: int) -> int:
        """Return the terminal's colour of a place in the palette."""
        if self.figure.graded:
            return terminal_colour(0.15 + 0.8 * slot / max(len(self.figure.series) - 1, 1))
        return TERMINAL[slot % len(TERMINAL)]

    def painted(self, text: str, owner: int) -> str:
        text = self.ascii_form(text)
        if not self.colour or owner == PLAIN or text == " ":
            return text
        return self.styled(text, _DIM if owner < 0 else f"38;5;{self.palette(owner)}")

    def styled(self, text: str, style: str) -> str:
        """Return `text` with an escape code, where colours are wanted."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour and text.strip() else text

    def ascii_form(self, text: str) -> str:
        """Return `text`, of our own characters, as it can be shown."""
        return text.translate(TO_ASCII) if self.ascii else text

    def cut(self, text: str) -> str:
        """Return a line of anybody's text, harmless, that fits the width."""
        text = safe_text(text, limit=self.width)
        if self.ascii:
            text = text.translate(TO_ASCII).encode("ascii", "backslashreplace").decode("ascii")[: self.width]
        while display_width(text) > self.width:
            text = text[:-1]
        return text
