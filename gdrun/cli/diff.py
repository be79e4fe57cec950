"""`gdrun diff A B`: in what two runs differ, and where their losses part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from rich.text import Text

from gdrun.rundir.comparing import diff
from gdrun.rundir.run import load_run
from gdrun.text import exact, plural, short

from . import terminal
from .arguments import Json, RunArgument, RunsDir, run_names
from .output import print_json
from .tables import Cell, fitted, screen_width, short_ids, table

_SIDES = (("a", "red"), ("b", "green"))


def command(
    a: RunArgument,
    b: Annotated[str, run_names("RUN", "The other run.")],
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Show in what two runs differ: settings, environment, and the first recorded step at which the losses part."""
    facts = diff(load_run(a, runs_dir), load_run(b, runs_dir))
    if as_json:
        return print_json(facts)
    names = short_ids(facts["runs"])
    for section in ("settings", "environment"):
        terminal.data(*_section(section, facts[section], names), "")
    return terminal.data(*_losses(facts["losses"]))


def _section(heading: str, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[terminal.Line]:
    if not rows:
        return [Text.assemble((heading, "bold"), ": the same")]
    width = screen_width()
    cells: list[list[Cell]] = []
    for row in rows:
        texts = ["-" if row[side] is None else exact(row[side]) for side, _ in _SIDES]
        if width is not None:
            texts = [fitted(text, max(width // 3, 12)) for text in texts]
        cells.append([row["name"], *((text, style) for text, (_, style) in zip(texts, _SIDES, strict=True))])
    return table(cells, [heading, *names], flexible=2, width=width)


def _losses(facts: dict[str, Any]) -> list[terminal.Line]:
    """Return where the curves part, in words and numbers."""
    count = plural(facts["rows"], "row")
    cells = []
    if not facts["rows"]:
        words = f"no step was recorded by both with a {facts['column']}"
    elif facts["same"]:
        words = f"the same in all {count} that both recorded"
    else:
        words = f"part at step {facts['first']['step']:,}, of {count} that both recorded"
        for name in ("first", "greatest"):
            place = facts[name]
            numbers = (exact(place["a"]), exact(place["b"]), short(place["absolute"], 3), short(place["relative"], 3))
            cells.append((f"  {name}", f"{place['step']:,}", *numbers))
    titles = ["", "step", "a", "b", "difference", "relative"] if cells else []
    return [Text.assemble(("losses", "bold"), f": {words}"), *table(cells, titles, right=[1])]
