"""A canvas of characters with eight dots each, two across and four up: U+2800 and the 255 that follow it."""

from __future__ import annotations

import math

import numpy as np

_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Of the dot in row r (from above) and column c of a character. Source: Unicode 15, chapter 21.1."""

BLANK = 0x2800


class Canvas:
    """Dots and characters, each with an owner: the series it belongs to, which decides its colour.

    Coordinates are shares of the width and height, from the lower left corner. What is drawn later lies above.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.dots = np.zeros((rows * 4, columns * 2), bool)
        self.owner = np.full((rows, columns), -1, np.int64)
        self.characters: dict[tuple[int, int], tuple[str, int]] = {}

    def line(self, x: np.ndarray, y: np.ndarray, owner: int, *, on: int = 1, off: int = 0) -> None:
        """Join points by straight lines, gaps where one is nan, `on` dots in a row and then `off` left out."""
        height, width = self.dots.shape
        # Further out than so many dots, float64 would lose the place where a line enters the canvas.
        joints = np.clip(np.stack([x * (width - 1), (1 - y) * (height - 1)], axis=1), -1e8, 1e8)
        begin, end = clipped(joints[:-1], joints[1:], np.array([width - 1, height - 1]))
        move = end - begin
        counts = np.maximum(np.ceil(np.abs(move).max(axis=1)), 1).astype(np.int64)
        # A segment of n steps has n + 1 dots, of which it shares the first with the one before.
        segment = np.repeat(np.arange(len(counts)), counts + 1)
        step = np.arange(len(segment)) - np.repeat(np.cumsum(counts + 1) - counts - 1, counts + 1)
        dots = np.rint(begin[segment] + (step / counts[segment])[:, None] * move[segment]).astype(np.int64)
        travelled = (np.cumsum(counts) - counts)[segment] + step
        columns, rows = dots[travelled % (on + off) < on].T
        self.set(rows, columns, owner)

    def points(self, x: np.ndarray, y: np.ndarray, owner: int) -> None:
        """Set one dot a point; what lies outside is left out."""
        height, width = self.dots.shape
        with np.errstate(invalid="ignore"):
            inside = np.isfinite(x) & np.isfinite(y) & (abs(x - 0.5) <= 0.5) & (abs(y - 0.5) <= 0.5)
        self.set(
            np.rint((1 - y[inside]) * (height - 1)).astype(int), np.rint(x[inside] * (width - 1)).astype(int), owner
        )

    def set(self, rows: np.ndarray, columns: np.ndarray, owner: int) -> None:
        """Set dots by their rows (from above) and columns."""
        self.dots[rows, columns] = True
        self.owner[rows // 4, columns // 2] = owner

    def row(self, y: float) -> int:
        """Return the row of characters in which a height lies; of one outside the nearest row."""
        return min(max(int((1 - y) * self.rows), 0), self.rows - 1)

    def column(self, x: float) -> int:
        """Return the column of characters in which a place across lies; of one outside the nearest column."""
        return min(max(int(x * self.columns), 0), self.columns - 1)

    def put(self, x: float, y: float, character: str, owner: int) -> None:
        """Put a character where the point lies, in place of the dots there."""
        if math.isfinite(x) and math.isfinite(y):
            self.characters[self.row(y), self.column(x)] = (character, owner)

    def write(self, row: int, column: int, text: str, owner: int) -> bool:
        """Write `text` over what is there, where it fits into the row; return whether it does."""
        if not 0 <= row < self.rows or column < 0 or column + len(text) > self.columns:
            return False
        for offset, character in enumerate(text):
            self.characters[row, column + offset] = (character, owner)
        return True

    def is_free(self, row: int, column: int, length: int) -> bool:
        """Return whether nothing is drawn in `length` characters from (row, column), all of them inside."""
        if not 0 <= row < self.rows or column < 0 or column + length > self.columns:
            return False
        block = self.dots[row * 4 : row * 4 + 4, column * 2 : (column + length) * 2]
        return not block.any() and not any((row, column + offset) in self.characters for offset in range(length))

    def cells(self) -> np.ndarray:
        """Return the eight dots of each character as bits, int (rows, columns); 0 is empty."""
        blocks = self.dots.reshape(self.rows, 4, self.columns, 2).transpose(0, 2, 1, 3)
        return (blocks * _BITS).sum(axis=(2, 3))


def clipped(first: np.ndarray, second: np.ndarray, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the parts of straight lines that lie between (0, 0) and a corner, each (N, 2).

    Lines that have no such part, or a nan in them, are left out.

    Args:
        first, second: the ends of the lines, (S, 2).
    Source: Liang and Barsky 1984.
    """
    move = second - first
    with np.errstate(divide="ignore", invalid="ignore"):
        enter, leave = np.sort([-first / move, (corner - first) / move], axis=0)
    still, outside = move == 0, (first < 0) | (first > corner)
    enter, leave = np.where(still, np.where(outside, np.inf, -np.inf), enter), np.where(still, np.inf, leave)
    start, stop = np.maximum(enter.max(axis=1), 0)[:, None], np.minimum(leave.min(axis=1), 1)[:, None]
    inside = (start <= stop)[:, 0]
    first, move = first[inside], move[inside]
    return first + start[inside] * move, first + stop[inside] * move
