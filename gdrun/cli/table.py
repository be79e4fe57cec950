"""Tables of text on stdout: aligned, as wide as the terminal where there is one, in full where there is none."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

from gdrun.text import human_number, safe_text

from . import terminal

STATUS_COLOURS = {
    "running": ("cyan",),
    "completed": ("green",),
    "stopped": ("green",),
    "diverged": ("red",),
    "failed": ("red",),
    "corrupt": ("red", "bold"),
    "interrupted": ("yellow",),
    "lost": ("yellow",),
}


class Cell(NamedTuple):
    """A text without line breaks, and how it is painted."""

    text: str
    styles: tuple[str, ...] = ()


def status_cell(status: str) -> Cell:
    """Return a status in its colour."""
    return Cell(status, STATUS_COLOURS.get(status, ()))


def value_text(value: Any, *, digits: int | None = 6) -> str:
    """Return a value of a record or a setting for a table; "" for none. `digits` None shows numbers in full."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return human_number(value, digits=digits if isinstance(value, float) else None)
    if hasattr(value, "dtype") and not getattr(value, "ndim", 0):
        return human_number(value, digits=digits)
    if isinstance(value, list):
        return "[" + ", ".join(value_text(item, digits=digits) for item in value) + "]"
    return safe_text(value, limit=500)


def short_ids(ids: Sequence[str]) -> list[str]:
    """Return the ends of run ids, "pi-7f3a", where they tell them apart; references may be written so."""
    from gdrun.rundir.layout import is_run_id, name_in

    short = [f"{name_in(one)}-{one[-4:]}" if is_run_id(one) else one for one in ids]
    return [safe_text(one, limit=100) for one in (short if len(set(short)) == len(ids) else ids)]


def width_of(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fitted(text: str, width: int) -> str:
    """Return `text` in at most `width` columns, cut with an ellipsis."""
    if width_of(text) <= width:
        return text
    kept, taken = [], 0
    for character in text:
        taken += _character_width(character)
        if taken > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…" if width > 0 else ""


def screen_width(name: str = "stdout") -> int | None:
    """Return the terminal's width behind a stream, None where there is no terminal."""
    return shutil.get_terminal_size().columns if terminal.is_terminal(name) else None


def lines(
    titles: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    right: Sequence[int] = (),
    flexible: int | None = None,
    width: int | None = None,
    gap: int = 2,
    name: str = "stdout",
) -> list[str]:
    """Return the lines of a table.

    Args:
        titles: of the columns; none make a table without a head.
        rows: of as many cells.
        right: numbers of the columns that end below each other, for numbers.
        flexible: the column that gives way, and is cut, where the table is wider than `width`.
        width: the most columns of the terminal to take; None is no limit. A table that cannot give way is wider.
        name: the stream that it is for; it decides about colours.
    """
    heads = [[Cell(title, ("bold",)) for title in titles]] if titles else []
    everything = [*heads, *rows]
    if not everything:
        return []
    taken = [[width_of(cell.text) for cell in row] for row in everything]
    widths = [max(column) for column in zip(*taken, strict=True)]
    if width is not None and flexible is not None:
        room = width - (sum(widths) + gap * (len(widths) - 1) - widths[flexible])
        widths[flexible] = min(widths[flexible], max(room, len(titles[flexible]) if titles else 0, 8))
    colour = terminal.has_colour(name)
    places = [(at, limit, at in right) for at, limit in enumerate(widths)]
    between = " " * gap
    made = []
    for row, own in zip(everything, taken, strict=True):
        parts = []
        for at, limit, to_the_right in places:
            cell, length = row[at], own[at]
            text = cell.text
            if length > limit:
                text = fitted(text, limit)
                length = width_of(text)
            space = " " * (limit - length)
            if colour and cell.styles and text:
                text = terminal.paint(text, *cell.styles, name=name)
            parts.append(space + text if to_the_right else text + space)
        made.append(between.join(parts).rstrip())
    return made
