"""`gdrun ls`: the runs and sweeps there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.rundir.layout import default_runs_root, run_names
from gdrun.rundir.listing import check_names, select
from gdrun.rundir.run import Run
from gdrun.rundir.settings import differing, labels
from gdrun.text import human_age, human_seconds, plural

from . import terminal
from .arguments import Json, RunsDir
from .tables import Cell, screen_width, short_ids, status_cell, table, text_of, value_text

SCREENFUL = 50
"""Rows that a terminal gets without being asked for more."""

FilterOption = Annotated[
    str | None,
    typer.Option(
        "--filter", metavar="CONDITION", help="For example 'lr >= 0.1 and status == diverged'.", show_default=False
    ),
]


def command(
    condition: FilterOption = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="NAME", help="By loss, lr, ...; -NAME turns it round.", show_default=False),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="A,B,...", help="Show these: names as in a filter.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "-n", "--limit", metavar="N", min=0, show_default=False,
            help=f"At most N runs; 0 is all (default: {SCREENFUL} on a terminal, else all).",
        ),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List runs and sweeps, oldest first: id, age, status, steps, final loss, and the settings that differ.

    A filter compares settings (lr, optimizer.momentum, seed), results (loss, validation_loss, steps, seconds, age) and
    facts (name, status, kind, device) with ==, !=, <, <=, >, >=, in (..), combined by and, or, not. Runs that were
    killed are `lost`.
    """
    root = runs_dir or default_runs_root()
    now = datetime.now(UTC)
    most = limit or None
    if limit is None and not as_json and terminal.is_terminal("stdout"):
        most = SCREENFUL
    found, total = _found(root, condition, sort, most, now)
    if as_json:
        return _print_json(root, found, total, columns, now)
    if not found:
        return _say_none(root, condition, total)
    lines = _chosen(found, columns, now) if columns else default_table(found, now=now)
    terminal.data(*lines)
    if limit is None and len(found) < total:
        terminal.say(f"{len(found)} of {total:,} runs; -n 0 shows all, -n N so many, --filter some")
    return None


def _found(
    root: Path, condition: str | None, sort: str | None, most: int | None, now: datetime
) -> tuple[list[Run], int]:
    """The runs to show, and how many there are without the limit."""
    if condition is None and sort is None and most is not None:
        # Only what is shown needs to be read.
        names = run_names(root)
        return [Run(root / name) for name in names[max(len(names) - most, 0) :]], len(names)
    chosen = select([Run(root / name) for name in run_names(root)], filter=condition, sort=sort, now=now)
    if most is None:
        return chosen, len(chosen)
    return (chosen[:most] if sort else chosen[max(len(chosen) - most, 0) :]), len(chosen)


def _say_none(root: Path, condition: str | None, total: int) -> None:
    if condition is not None:
        terminal.say(f"no run in {root} fits the filter")
    elif total:
        terminal.say(f"{plural(total, 'run')} in {root}, none shown")
    else:
        terminal.say(f"no runs in {root}; `gdrun train CONFIG` makes one")


def default_table(found: Sequence[Run], *, now: datetime | None = None, name: str = "stdout") -> list[terminal.Line]:
    """Return the lines of the usual table, with as much of the differences as the line has room for.

    Args:
        found: the runs, at least one.
        now: what ages count from.
        name: the stream that the table is for.
    """
    now = now or datetime.now(UTC)
    notes = differences(found)
    rows = []
    for run, note in zip(found, notes, strict=True):
        age, seconds = run.get("age", now=now), run.get("seconds")
        rows.append(
            [
                run.id,
                "" if age is None else human_age(age),
                status_cell(run.status.value),
                value_text(run.get("steps")),
                "" if not isinstance(seconds, int | float) else human_seconds(seconds),
                value_text(run.get("loss")),
                note,
            ]
        )
    return _fitted(rows, width=screen_width(name))


_TITLES = ("run", "age", "status", "steps", "time", "loss", "differs")
_ROOM = 36
"""Columns for what differs, below which other things give way to it."""


def _fitted(rows: list[list[Cell]], *, width: int | None) -> list[terminal.Line]:
    """The table in the width of the screen: first the times in ids give way to what differs, then the durations."""
    titles = list(_TITLES)
    if not any(text_of(row[-1]) for row in rows):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    elif width is not None and _room(rows, width) < min(_ROOM, max(len(text_of(row[-1])) for row in rows)):
        short = short_ids([text_of(row[0]) for row in rows])
        rows = [[end, *row[1:]] for end, row in zip(short, rows, strict=True)]
        if _room(rows, width) < _ROOM // 2:
            titles, rows = [*titles[:4], *titles[5:]], [[*row[:4], *row[5:]] for row in rows]
    right = [titles.index(title) for title in ("age", "steps", "time") if title in titles]
    flexible = len(titles) - 1 if titles[-1] == "differs" else None
    return table(rows, titles, right=right, flexible=flexible, width=width)


def _room(rows: list[list[Cell]], width: int) -> int:
    """How many columns are left for what differs."""
    return width - sum(
        max(len(title), *(len(text_of(row[at])) for row in rows)) + 2 for at, title in enumerate(_TITLES[:-1])
    )


def differences(found: Sequence[Run]) -> list[Cell]:
    """Return for each run what tells it from the others of its name: "lr=0.1 momentum=0.9"; why it is none."""
    groups: dict[str, list[Run]] = {}
    for run in found:
        groups.setdefault(str(run.get("name")), []).append(run)
    shown: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for name, members in groups.items():
        settings = [run.settings for run in members]
        shown[name] = differing(settings)
        names |= labels(shown[name], set().union(*settings)) if shown[name] else {}
    return [_note(run, shown[str(run.get("name"))], names) for run in found]


def _note(run: Run, paths: Sequence[str], names: dict[str, str]) -> Cell:
    if run.problem:
        return _short_problem(run), "red"
    values = ((path, run.settings.get(path)) for path in paths)
    words = [f"{names[path]}={value_text(value)}" for path, value in values if value is not None]
    if run.get("kind") == "sweep":
        words.insert(0, _sweep_words(run))
    return " ".join(words)


def _short_problem(run: Run) -> str:
    """Without the path, which stands in the first column."""
    problem = (run.problem or "").removeprefix(f"{run.directory} is not a run directory: ")
    return problem.replace(f"{run.directory}/", "").removesuffix(".")


def _sweep_words(run: Run) -> str:
    trials, axes = run.value("trials"), run.value("axes")
    trials = trials if isinstance(trials, dict) else {}
    words = [f"sweep of {trials.get('total', '?')}"]
    if isinstance(axes, list):
        keys = [str(axis.get("key", "?")) for axis in axes if isinstance(axis, dict)]
        words.append(f"over {', '.join(labels(keys, keys).values())}")
    if trials.get("diverged"):
        words.append(f"({trials['diverged']} diverged)")
    return " ".join(words)


def _names(columns: str) -> list[str]:
    names = [name.strip() for name in columns.split(",") if name.strip()]
    return names if "id" in names else ["id", *names]


def _chosen(found: Sequence[Run], columns: str, now: datetime) -> list[terminal.Line]:
    """The table of the columns that were asked for, numbers in full."""
    names = _names(columns)
    check_names(found, names)
    rows, numeric = [], dict.fromkeys(names, True)
    for run in found:
        cells = []
        for name in names:
            value = run.get(name, now=now)
            numeric[name] &= value is None or (isinstance(value, int | float) and not isinstance(value, bool))
            cells.append(status_cell(value) if name == "status" else _shown(name, value))
        rows.append(cells)
    right = [at for at, name in enumerate(names) if numeric[name]]
    titles = names
    last = len(names) - 1
    return table(rows, titles, right=right, flexible=last if last not in right else None, width=screen_width())


def _shown(name: str, value: Any) -> str:
    if name == "age" and isinstance(value, int | float):
        return human_age(value)
    return value_text(value, digits=None)


def _print_json(root: Path, found: Sequence[Run], total: int, columns: str | None, now: datetime) -> None:
    from gdrun.rundir.strict_json import dumps

    if columns:
        names = _names(columns)
        check_names(found, names)
        rows = [{name: run.get(name, now=now) for name in names} for run in found]
    else:
        rows = [describe(run, now) for run in found]
    # A run a line: json's own indentation would take longer than all the rest.
    head = dumps({"runs_root": str(root), "total": total})[:-1]
    body = ",\n".join(f"    {dumps(row)}" for row in rows)
    terminal.document(f'{head},"runs":[\n{body}\n]}}')


def describe(run: Run, now: datetime) -> dict[str, Any]:
    """Return what `--json` says of a run."""
    names = ("id", "name", "kind", "status", "why", "directory", "started", "age", "steps", "epochs", "seconds", "loss")
    values = {name: run.get(name, now=now) for name in names}
    return values | {"final": run.final, "best": run.value("best") or {}, "settings": run.settings}
