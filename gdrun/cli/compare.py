"""`gdrun compare RUN...`: results and differing settings side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from gdrun.errors import UsageError
from gdrun.rundir.comparing import compare
from gdrun.rundir.run import load_run
from gdrun.rundir.seeds import SAID, checked_band
from gdrun.text import exact, short

from . import terminal
from .arguments import BandOption, Json, Over, RunsArgument, RunsDir
from .output import print_json
from .tables import Cell, banded, fitted, markdown_cell, screen_width, short_ids, table

_LONGEST = 24
"""Characters of a value; longer ones are cut where the table would not fit."""


class TableFormat(StrEnum):
    """Forms in which runs are printed side by side."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"


def command(
    runs: RunsArgument,
    over: Over = None,
    band: BandOption = "quartiles",
    form: Annotated[
        TableFormat, typer.Option("--format", help="A table for people, for Markdown, or exact values for programs.")
    ] = TableFormat.TEXT,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Show runs side by side: status, steps, time, final and best values, and the settings that differ.

    The best value of each line is marked with *. With --over seed, a column is what differs in the seed alone: the
    median and the middle half, how many seeds there are, and how many diverged.
    """
    checked = checked_band(band)
    compared = {str(run.directory.absolute()): run for run in (load_run(reference, runs_dir) for reference in runs)}
    if len(compared) < 2 and not (over and all(run.is_sweep for run in compared.values())):
        raise UsageError("name two runs or more", hint="gdrun show RUN shows one")
    facts = compare(list(compared.values()), over=over, band=checked)
    if as_json:
        return print_json(facts)
    if form is TableFormat.CSV:
        return terminal.document(_csv(facts))
    if not facts["settings"]:
        terminal.message("no setting differs" if over is None else "no setting but the seed differs")
    if over is not None:
        middle, spread = SAID[checked]
        terminal.message(f"over seeds: {middle} ({spread})")
    rows = [(row["name"], _texts(row), row["best"]) for row in facts["results"]]
    rows += [
        (row["name"], ["-" if value is None else exact(value) for value in row["values"]], None)
        for row in facts["settings"]
    ]
    if form is TableFormat.MARKDOWN:
        return terminal.data(*_markdown(short_ids(facts["runs"]), rows))
    for number, block in enumerate(_blocks(short_ids(facts["runs"]), rows, screen_width())):
        terminal.data(*([""] if number else []), *block)
    return None


def _csv(facts: dict[str, Any]) -> str:
    """Return a row for each result and setting, and a column for each run; over seeds with the band's two ends."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *facts["runs"]])
    for row in [*facts["results"], *facts["settings"]]:
        for key, ending in (("values", ""), ("low", ".low"), ("high", ".high")):
            if key in row:
                writer.writerow([row["name"] + ending, *map(exact, row[key])])
    return text.getvalue()


def _markdown(names: Sequence[str], rows: Sequence[tuple[str, list[str], int | None]]) -> Iterator[str]:
    yield f"| | {' | '.join(map(markdown_cell, names))} |"
    yield f"|---|{'---:|' * len(names)}"
    for name, texts, best in rows:
        cells = [markdown_cell(text) for text in texts]
        if best is not None:
            cells[best] = f"**{cells[best]}**"
        yield f"| {markdown_cell(name)} | {' | '.join(cells)} |"


def _texts(row: dict[str, Any]) -> list[str]:
    if "low" not in row:
        return [short(value) for value in row["values"]]
    parts = zip(row["values"], row["low"], row["high"], strict=True)
    return [banded(*part) for part in parts]


def _blocks(
    names: Sequence[str], rows: Sequence[tuple[str, list[str], int | None]], width: int | None
) -> Iterator[list[terminal.Line]]:
    """Yield tables of as many runs beside each other as there is room for."""
    columns: list[list[Cell]] = []
    for index, name in enumerate(names):
        column: list[Cell] = []
        for _, texts, best in rows:
            text = texts[index] if width is None else fitted(texts[index], max(_LONGEST, len(name)) - 1)
            column.append((f"{text}*", "green") if best == index else text)
        columns.append(column)
    first = max((len(name) for name, _, _ in rows), default=0)
    start = 0
    while start < len(names):
        end, taken = start, first
        while end < len(names):
            cells = (cell if isinstance(cell, str) else cell[0] for cell in columns[end])
            taken += 2 + max(map(len, (names[end], *cells)))
            if width is not None and end > start and taken > width:
                break
            end += 1
        cells_by_row = zip((name for name, _, _ in rows), *columns[start:end], strict=True)
        yield table(list(cells_by_row), ["", *names[start:end]])
        start = end
