"""`gdrun note RUN [TEXT]`: remarks about a run."""

from __future__ import annotations

from typing import Annotated

import typer

from gdrun.rundir.annotations import note
from gdrun.rundir.run import load_run

from .arguments import Json, RunArgument, RunsDir
from .output import print_result


def command(
    run: RunArgument,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]")] = None,
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
    lines = (f"{entry.get('when')}  {entry.get('text')}" for entry in opened.info.notes)
    print_result({"id": opened.id, "notes": opened.info.notes}, *lines, as_json=as_json)
