"""`gdrun compare RUN...`: results and differing settings side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from gdrun.errors import UsageError
from gdrun.rundir.run import Run, load_run

from . import terminal
from .arguments import Json, RunsDir
from .tables import Cell, fitted, screen_width, short_ids, table, value_text

RunsArgument = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Paths, ids or beginnings of ids, latest, latest~1, ...", show_default=False),
]

_LONGEST = 24
"""Characters of a value; longer ones are cut where the table would not fit."""


def command(runs: RunsArgument, runs_dir: RunsDir = None, as_json: Json = False) -> None:
    """Show runs side by side: status, steps, time, final and best values, and the settings that differ.

    The best value of each line is marked with *.
    """
    from gdrun.rundir.comparing import compare

    found = several(runs, runs_dir)
    facts = compare(found)
    if as_json:
        from .output import print_json

        return print_json(facts)
    names = short_ids(facts["runs"])
    rows = list(_rows(facts))
    if not facts["settings"]:
        terminal.say("no setting differs")
    width = screen_width()
    for number, block in enumerate(_blocks(names, rows, width)):
        terminal.data(*([""] if number else []), *block)
    return None


def several(references: Sequence[str], runs_dir: Any) -> list[Run]:
    """Return the runs that are named, each once.

    Raises:
        UsageError: they are fewer than two.
    """
    found = {str(run.directory.absolute()): run for run in (load_run(reference, runs_dir) for reference in references)}
    if len(found) < 2:
        raise UsageError("name two runs or more", hint="gdrun show RUN shows one")
    return list(found.values())


def _rows(facts: dict[str, Any]) -> Iterator[tuple[str, list[str], int | None]]:
    for row in facts["results"]:
        yield str(row["name"]), [value_text(value) for value in row["values"]], row["best"]
    for row in facts["settings"]:
        texts = ["-" if value is None else value_text(value, digits=None) for value in row["values"]]
        yield str(row["name"]), texts, None


def _blocks(
    names: Sequence[str], rows: Sequence[tuple[str, list[str], int | None]], width: int | None
) -> Iterator[list[terminal.Line]]:
    """Tables of as many runs beside each other as there is room for."""
    cut = len(names) if width is None else _LONGEST
    first = max((len(name) for name, _, _ in rows), default=0)
    widths = [
        max(
            len(name),
            *(min(len(texts[at]) + 1, max(cut, len(name)) if width else len(texts[at]) + 1) for _, texts, _ in rows),
        )
        for at, name in enumerate(names)
    ]
    start = 0
    while start < len(names):
        end, taken = start, first
        while end < len(names) and (width is None or end == start or taken + 2 + widths[end] <= width):
            taken += 2 + widths[end]
            end += 1
        chosen = range(start, end)
        cells = [
            [name, *(_cell(texts[at], widths[at], best == at, width) for at in chosen)] for name, texts, best in rows
        ]
        yield table(cells, ["", *(names[at] for at in chosen)])
        start = end


def _cell(text: str, room: int, is_best: bool, width: int | None) -> Cell:
    shown = text if width is None else fitted(text, room)
    return (f"{shown}*", "green") if is_best else shown
