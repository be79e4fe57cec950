"""`gdrun note RUN [TEXT]`: remarks about a run."""

from __future__ import annotations

from typing import Annotated

import typer

from gdrun.rundir.annotations import note
from gdrun.rundir.run import load_run

from . import terminal
from .arguments import Json, RunArgument, RunsDir
from .output import print_json


def command(
    run: RunArgument,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", show_default=False)] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Add a note to a run, or print its notes with their times.

    A run that is being written is refused.
    """
    opened = load_run(run, runs_dir)
    if text is not None:
        note(opened, text)
        return
    if as_json:
        print_json({"id": opened.id, "notes": opened.info.notes})
    for entry in () if as_json else opened.info.notes:
        terminal.data(f"{entry.get('when')}  {entry.get('text')}")
