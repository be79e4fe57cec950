"""`gdrun restore [RUN...]`: what is in the trash, and out of it."""

from __future__ import annotations

from typing import Annotated

import typer

from gdrun.rundir.layout import default_runs_root
from gdrun.rundir.trash import removed, restore

from . import ls, terminal
from .arguments import Json, RunsDir
from .output import print_result


def command(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids, or beginnings of them, of removed runs.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Bring back all that is in the trash.")] = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Bring runs back from the trash and print where they are. Without a RUN: list what is in the trash.

    `gdrun prune --trash` deletes what is there for good.
    """
    root = runs_dir or default_runs_root()
    if not runs and not everything:
        entries = removed(root)
        if not entries and not as_json:
            return terminal.message(f"the trash of {root} is empty")
        facts = [{name: run.get(name) for name in ("id", "name", "directory")} for run in entries]
        return print_result({"trash": facts}, *ls.default_table(entries), as_json=as_json)
    references = [run.id for run in removed(root)] if everything else list(runs or ())
    restored = restore(references, root)
    return print_result({"restored": restored}, *map(str, restored), as_json=as_json)
