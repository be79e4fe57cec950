"""`gdrun diff A B`: in what two runs differ, and where their losses part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from gdrun.rundir.run import load_run
from gdrun.text import human_number, plural

from . import terminal
from .arguments import Json, RunsDir
from .tables import Cell, fitted, screen_width, short_ids, table, value_text

_HELP = "A run's path, id or the beginning of it, or latest."


def command(
    a: Annotated[str, typer.Argument(metavar="RUN", help=_HELP)],
    b: Annotated[str, typer.Argument(metavar="RUN", help="The other run.")],
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Show in what two runs differ: settings, environment, and the first recorded step at which the losses part."""
    from gdrun.rundir.comparing import diff

    facts = diff(load_run(a, runs_dir), load_run(b, runs_dir))
    if as_json:
        from .output import print_json

        return print_json(facts)
    names = short_ids(facts["runs"])
    lines = [*_section("settings", facts["settings"], names), ""]
    lines += [*_section("environment", facts["environment"], names), "", *_losses(facts["losses"])]
    return terminal.data(*lines)


def _section(heading: str, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[terminal.Line]:
    if not rows:
        return [Text.assemble((heading, "bold"), ": the same")]
    width = screen_width()
    cells: list[list[Cell]] = [
        [str(row["name"]), *((_text(row[side], width), colour) for side, colour in _SIDES)] for row in rows
    ]
    return table(cells, [heading, *names], flexible=2, width=width)


_SIDES = (("a", "red"), ("b", "green"))


def _text(value: Any, width: int | None) -> str:
    text = "-" if value is None else value_text(value, digits=None)
    return text if width is None else fitted(text, max(width // 3, 12))


def _losses(facts: dict[str, Any]) -> list[terminal.Line]:
    """Where the curves part, in words."""
    heading = ("losses", "bold")
    column, rows = facts["column"], facts["rows"]
    if not rows:
        return [Text.assemble(heading, f": no step was recorded by both with a {column}")]
    if facts["same"]:
        return [Text.assemble(heading, f": the same in all {plural(rows, 'row')} that both recorded")]
    words = f": part at step {facts['first']['step']:,}, of {plural(rows, 'row')} that both recorded"
    lines: list[terminal.Line] = [Text.assemble(heading, words)]
    places = [("first", facts["first"]), ("greatest", facts["greatest"])]
    return lines + table(
        [
            [
                f"  {name}",
                f"{place['step']:,}",
                *(human_number(place[side]) for side in ("a", "b")),
                human_number(place["absolute"], digits=3),
                "" if place["relative"] is None else human_number(place["relative"], digits=3),
            ]
            for name, place in places
        ],
        ["", "step", "a", "b", "difference", "relative"],
        right=[1],
    )
