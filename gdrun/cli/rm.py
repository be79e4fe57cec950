"""`gdrun rm RUN...`: into the trash."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gdrun.errors import UsageError
from gdrun.rundir.layout import default_runs_root
from gdrun.rundir.run import Run, load_run
from gdrun.rundir.trash import name_below, remove
from gdrun.text import plural

from . import ls, terminal
from .arguments import Json, RunsArgument, RunsDir
from .output import print_json

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed where nobody can be asked.")]


def command(runs: RunsArgument, yes: Yes = False, runs_dir: RunsDir = None, as_json: Json = False) -> None:
    """Put runs into the trash, `.trash` in the runs root; `gdrun restore` brings them back.

    Says what goes and asks. A running run is refused.
    """
    root = runs_dir or default_runs_root()
    directories = list(dict.fromkeys(load_run(reference, root).directory for reference in runs))
    for directory in directories:
        name_below(root, directory)
    if not agreed([Run(directory) for directory in directories], "into the trash", yes=yes):
        return
    moved = remove(directories, root)
    if as_json:
        print_json({"removed": moved})
    else:
        terminal.message(f"{plural(len(moved), 'run')} in the trash; `gdrun restore` lists it and brings them back")


def agreed(entries: Sequence[Run], where: str, *, yes: bool) -> bool:
    """Say on stderr what goes and return whether it may.

    Raises:
        UsageError: not `yes`, and there is nobody to ask.
    """
    terminal.message(f"{plural(len(entries), 'run')} {'goes' if len(entries) == 1 else 'go'} {where}:")
    terminal.message(*ls.default_table(entries, name="stderr", indent=2))
    if yes:
        return True
    try:
        can_answer = sys.stdin.isatty() and terminal.is_terminal("stderr")
    except (ValueError, AttributeError):  # stdin is closed
        can_answer = False
    if not can_answer:
        raise UsageError("nothing was done: nobody can be asked here", hint="--yes does it without asking")
    terminal.stream("stderr").write("continue? [y/N] ")
    terminal.stream("stderr").flush()
    answer = sys.stdin.readline().strip().lower() in ("y", "yes")
    if not answer:
        terminal.message("nothing was done")
    return answer
