"""Tables of text: aligned, as wide as the terminal where there is one, in full where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from gdrun.text import safe_text, short

from . import terminal
from .terminal import Line

Cell = str | tuple[str, str]
"""A text, or a text and its style in rich's words: ("diverged", "bold red")."""

STATUS_STYLES = {
    "submitted": "cyan",
    "running": "cyan",
    "completed": "green",
    "stopped": "green",
    "diverged": "red",
    "failed": "red",
    "corrupt": "bold red",
    "interrupted": "yellow",
    "lost": "yellow",
}


def status_style(status: str) -> str:
    """Return the style of a run's status."""
    return STATUS_STYLES.get(status, "")


def status_cell(status: str) -> tuple[str, str]:
    """Return a status in its colour."""
    return status, status_style(status)


def text_of(cell: Cell) -> str:
    """Return a cell's text without its style."""
    return cell if isinstance(cell, str) else cell[0]


def short_ids(ids: Sequence[str]) -> list[str]:
    """Return the ends of run ids, "pi-7f3a", where they tell them apart; references may be written so."""
    from gdrun.rundir.layout import is_run_id, name_in

    parts = [each.partition(":") for each in ids]  # of a trial: the sweep's id, a colon, its number
    short = [
        f"{name_in(run_id)}-{run_id[-4:]}{colon}{trial}" if is_run_id(run_id) else f"{run_id}{colon}{trial}"
        for run_id, colon, trial in parts
    ]
    return short if len(set(short)) == len(ids) else list(ids)


def banded(middle: float | None, low: float | None, high: float | None) -> str:
    """Return "0.12 (0.1 to 0.15)", the middle alone where the band is no wider."""
    same = low == high or low is None or high is None
    return short(middle) if same else f"{short(middle, 4)} ({short(low, 3)} to {short(high, 3)})"


def fitted(text: str, width: int) -> str:
    """Return `text` in one line of at most `width` columns, cut with an ellipsis."""
    text = safe_text(text)
    return text if cell_len(text) <= width else set_cell_size(text, max(width, 1) - 1) + "…"


def screen_width(name: str = "stdout") -> int | None:
    """Return the terminal's width behind a stream, None where there is no terminal."""
    return shutil.get_terminal_size().columns if terminal.is_terminal(name) else None


def table(
    rows: Sequence[Sequence[Cell]],
    titles: Sequence[str] = (),
    *,
    right: Sequence[int] = (),
    flexible: int | None = None,
    width: int | None = None,
    indent: int = 0,
) -> list[Line]:
    """Return the lines of a table; each cell takes one line, whatever it holds.

    rich's own Table takes 10 s for 10,000 rows, and `gdrun ls` lists as many.

    Args:
        rows: of cells; a row may be shorter than others.
        titles: of the columns; none make a table without a head.
        right: numbers of the columns that end below each other, for numbers.
        flexible: the column that gives way, and is cut, where the table is wider than `width`.
        width: the most columns of the terminal to take; None is no limit. A table that cannot give way is wider.
        indent: spaces before each line.
    """
    heads = [[(title, "bold") for title in titles]] if titles else []
    cells = [[_text_and_style(cell) for cell in row] for row in (*heads, *rows)]
    widths = [0] * max(map(len, cells), default=0)
    for row in cells:
        for index, (text, _) in enumerate(row):
            widths[index] = max(widths[index], cell_len(text))
    if width is not None and flexible is not None:
        room = width - indent - sum(widths) - _GAP * (len(widths) - 1) + widths[flexible]
        widths[flexible] = min(widths[flexible], max(room, 8, len(titles[flexible]) if titles else 0))
        for row in cells:
            row[flexible] = (fitted(row[flexible][0], widths[flexible]), row[flexible][1])
    lines: list[Line] = []
    for row in cells:
        parts: list[str | tuple[str, str]] = [" " * indent]
        for index, (text, style) in enumerate(row):
            space = " " * (widths[index] - cell_len(text))
            gap = " " * _GAP if index < len(row) - 1 else ""
            parts += [space, (text, style), gap] if index in right else [(text, style), space + gap]
        if any(style for _, style in row):
            line = Text.assemble(*parts)
            line.rstrip()
            lines.append(line)
        else:
            lines.append("".join(part if isinstance(part, str) else part[0] for part in parts).rstrip())
    return lines


_GAP = 2
"""Spaces between columns."""


def markdown_cell(text: str) -> str:
    """Return a text for a cell of a Markdown table."""
    escaped = safe_text(text, limit=500)
    for mark in "\\`|<*_":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped


def _text_and_style(cell: Cell) -> tuple[str, str]:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return safe_text(text, limit=500), style
