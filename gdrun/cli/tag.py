"""`gdrun tag RUN [TAG...]`: words by which runs are found again."""

from __future__ import annotations

from typing import Annotated

import typer

from gdrun.rundir.annotations import tag
from gdrun.rundir.run import load_run

from .arguments import Json, RunArgument, RunsDir
from .output import print_result


def command(
    run: RunArgument,
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]...")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Take a tag away; may be given several times.")
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Add tags to a run and print those that it has; `gdrun ls --filter "tags == TAG"` finds it by one.

    A run that is being written is refused.
    """
    opened = load_run(run, runs_dir)
    known = tag(opened, tags or (), remove or ()) if tags or remove else opened.info.tags
    print_result({"id": opened.id, "tags": known}, *([" ".join(known)] if known else []), as_json=as_json)
