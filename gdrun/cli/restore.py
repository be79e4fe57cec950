"""`gdrun restore [RUN...]`: what is in the trash, and out of it."""

from __future__ import annotations

from typing import Annotated

import typer

from gdrun.errors import ExitCode
from gdrun.rundir.layout import default_runs_root
from gdrun.rundir.trash import removed, restore

from . import ls, terminal
from .arguments import Json, RunsDir
from .output import print_json


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Ids, or beginnings of them, of removed runs.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Bring back all that is in the trash.")] = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Bring runs back from the trash and print where they are. Without a RUN: list what is in the trash.

    `gdrun prune --trash` deletes what is there for good.
    """
    root = runs_dir or default_runs_root()
    if not runs and not everything:
        entries = removed(root)
        if as_json:
            names = ("id", "name", "directory")
            print_json({"trash": [{name: run.get(name) for name in names} for run in entries]})
        elif entries:
            terminal.data(*ls.default_table(entries))
        else:
            terminal.message(f"the trash of {root} is empty")
        return ExitCode.DONE
    references = [run.id for run in removed(root)] if everything else list(runs or ())
    restored = restore(references, root)
    if as_json:
        print_json({"restored": [str(path) for path in restored]})
    else:
        terminal.data(*map(str, restored))
    return ExitCode.DONE
