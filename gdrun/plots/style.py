"""What pictures of matplotlib's have in common: tones, dashes, markers, and how long a text may be."""

from __future__ import annotations

from typing import Any

from gdrun.text import safe_text

from .figure import Figure
from .palette import LINES, graded

TEXT, QUIET, GRID, SHADE = "#222222", "#6b6b6b", "#e6e6e6", "#f1e4e0"
SHADE_TEXT = "#8c3b2e"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
MOST_LABELS = 24
LETTER = 0.56
BOLD_LETTER = 0.64
"""Width of an average letter, in its height."""
_GRADED_FROM, _GRADED_TO = 0.05, 0.92


def colour_of(figure: Figure, slot: int) -> Any:
    """Return the colour of a place in the palette."""
    if figure.graded:
        share = slot / max(len(figure.series) - 1, 1)
        return tuple(graded(_GRADED_FROM + (_GRADED_TO - _GRADED_FROM) * share).tolist())
    return LINES[slot % len(LINES)]


def fitting(text: str, inches: float, points: float, letter: float = LETTER) -> str:
    """Return `text`, harmless, cut to what a line of so many inches holds in letters of so many points."""
    return safe_text(text, limit=max(int(inches * 72 / (points * letter)), 4))
