"""`gdrun prune`: throw old, diverged and second-best runs away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdrun.errors import UsageError
from gdrun.rundir.layout import default_runs_root
from gdrun.rundir.pruning import plan_pruning
from gdrun.rundir.trash import empty_trash, remove, removed
from gdrun.text import plural

from . import terminal
from .arguments import FilterOption, Json, RunsDir
from .output import print_json
from .rm import Yes, agreed


def command(
    keep_best: Annotated[int | None, typer.Option(metavar="N", min=0, help="All but the best N of each name.")] = None,
    metric: Annotated[str, typer.Option(metavar="NAME", help="The final value that is judged.")] = "loss",
    older: Annotated[str | None, typer.Option(metavar="TIME", help="Started longer ago: 30d, 12h.")] = None,
    status: Annotated[str | None, typer.Option(metavar="A,B", help="Of this status.")] = None,
    condition: FilterOption = None,
    trash: Annotated[bool, typer.Option("--trash", help="Delete what is in the trash for good.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, do nothing.")] = False,
    yes: Yes = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Put the runs that fit all conditions given into the trash; running ones stay.

    Says what goes and asks. With --trash alone: empties the trash.
    """
    root = runs_dir or default_runs_root()
    conditions = (keep_best, older, status, condition)
    if trash:
        if any(condition is not None for condition in conditions):
            raise UsageError("--trash empties the whole trash; it takes no condition")
        return _empty(root, yes=yes, dry_run=dry_run, as_json=as_json)
    plan = plan_pruning(root, keep_best=keep_best, metric=metric, older=older, status=status, filter=condition)
    if plan.busy:
        terminal.message(
            f"{plural(len(plan.busy), 'run')} that would go {'is' if len(plan.busy) == 1 else 'are'} running"
        )
    goes = [entry.directory for entry in plan.chosen]
    moved: list[Path] = []
    if not goes:
        terminal.message(f"nothing goes{f'; {plan.kept} among the best stay' if plan.kept else ''}")
    elif dry_run:
        agreed(plan.chosen, "into the trash (a dry run: nothing is done)", yes=True)
    elif not agreed(plan.chosen, "into the trash", yes=yes):
        return None
    else:
        moved = remove(goes, root)
        terminal.message(
            f"{plural(len(moved), 'run')} in the trash; `gdrun restore` lists it, `gdrun prune --trash` empties it"
        )
    if as_json:
        running = [entry.directory for entry in plan.busy]
        print_json({"goes": goes, "kept_among_the_best": plan.kept, "running": running, "removed": moved})
    return None


def _empty(root: Path, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    entries = removed(root)
    count = 0
    if not entries:
        terminal.message(f"the trash of {root} is empty")
    elif dry_run:
        agreed(entries, "for good (a dry run: nothing is done)", yes=True)
    elif agreed(entries, "for good", yes=yes):
        count = empty_trash(root)
        terminal.message(f"{plural(count, 'run')} deleted")
    if as_json:
        print_json({"deleted": count})
