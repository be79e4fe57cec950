"""`gdrun ls`: the runs and sweeps there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.rundir.comparing import compare
from gdrun.rundir.layout import run_names
from gdrun.rundir.listing import check_names, select
from gdrun.rundir.packing import readable_root
from gdrun.rundir.run import Run
from gdrun.rundir.seeds import SAID, SEED, Band, checked_band, is_seed
from gdrun.rundir.settings import differing, labels
from gdrun.rundir.strict_json import dumps
from gdrun.text import exact, human_age, human_seconds, plural, short

from . import terminal
from .arguments import BandOption, FilterOption, Json, Over, RunsDir
from .output import print_json
from .tables import Cell, banded, screen_width, short_ids, status_cell, table, text_of

SCREENFUL = 50
"""Rows that a terminal gets without being asked for more."""

_TITLES = ("run", "age", "status", "steps", "time", "loss", "differs")
_ROOM = 36
"""Columns for what differs, below which other things give way to it."""

_DESCRIBED = (
    *("id", "name", "kind", "status", "why", "directory"),
    *("started", "age", "steps", "epochs", "seconds", "loss"),
)


def command(
    condition: FilterOption = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By loss, lr, ...; -NAME turns it round."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Show these: names as in a filter."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "-n", "--limit", metavar="N", min=0,
            help=f"At most N runs; 0 is all (default: {SCREENFUL} on a terminal, else all).",
        ),
    ] = None,
    over: Over = None,
    band: BandOption = "quartiles",
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List runs and sweeps, oldest first: id, age, status, steps, final loss, and the settings that differ.

    A filter compares settings (lr, optimizer.momentum, seed), results (loss, validation_loss, steps, seconds, age) and
    facts (name, status, kind, device) with ==, !=, <, <=, >, >=, in (..), combined by and, or, not. Runs that were
    killed are `lost`. With --over seed, runs (and trials of sweeps) that differ in the seed alone are one row.
    """
    checked = checked_band(band)
    root = readable_root(runs_dir)
    now = datetime.now(UTC)
    if over is not None and columns:
        raise UsageError("--over sums up all columns, --columns chooses some: one of them")
    most = limit or None
    if limit is None and not as_json and over is None and terminal.is_terminal("stdout"):
        most = SCREENFUL
    listed, total = _listed(root, condition, sort, most, now)
    names = _names(columns) if columns else []
    if names and (listed or as_json):
        check_names(listed, names)
    if over is not None and listed:
        _over_seeds([run for run in listed if not run.problem], over, checked, as_json=as_json)
    elif as_json:
        _print_json(root, listed, total, names, now)
    elif listed:
        terminal.data(*(_chosen_columns(listed, names, now) if names else default_table(listed, now=now)))
        if limit is None and len(listed) < total:
            terminal.message(f"{len(listed)} of {total:,} runs; -n 0 shows all, -n N so many, --filter some")
    elif condition is not None:
        terminal.message(f"no run in {root} fits the filter")
    elif total:
        terminal.message(f"{plural(total, 'run')} in {root}, none shown")
    else:
        terminal.message(f"no runs in {root}; `gdrun train CONFIG` makes one")


def _over_seeds(runs: Sequence[Run], over: str, band: Band, *, as_json: bool) -> None:
    """Print a row for each group of runs and trials that differ in the seed alone."""
    facts = compare(runs, over=over, band=band)
    if as_json:
        return print_json(facts)
    results = {row["name"]: row for row in facts["results"]}
    counts = zip(*(results[name]["values"] for name in ("seeds", "diverged")), strict=True)
    losses = results.get("loss")
    settings = facts["settings"]
    names = labels([row["name"] for row in settings], {path for run in runs for path in run.settings})
    rows = []
    for index, (first, (seeds, diverged)) in enumerate(zip(short_ids(facts["runs"]), counts, strict=True)):
        loss = banded(*(losses[key][index] for key in ("values", "low", "high"))) if losses else ""
        words = [
            f"{names[row['name']]}={short(row['values'][index])}"
            for row in settings
            if row["values"][index] is not None
        ]
        others = f" and {seeds - 1} more" if seeds > 1 else ""
        rows.append([f"{first}{others}", str(seeds), str(diverged), loss, " ".join(words)])
    titles = ["runs", "seeds", "diverged", f"loss, {SAID[band][0]} ({SAID[band][1]})", "differs"]
    terminal.data(*table(rows, titles, right=[1, 2], flexible=4, width=screen_width()))
    return None


def _listed(
    root: Path, condition: str | None, sort: str | None, most: int | None, now: datetime
) -> tuple[list[Run], int]:
    """Return the runs to list, and how many there are without the limit."""
    if condition is None and sort is None and most is not None:
        # Only what is shown needs to be read.
        names = run_names(root)
        return [Run(root / name) for name in names[-most:]], len(names)
    chosen = select([Run(root / name) for name in run_names(root)], filter=condition, sort=sort, now=now)
    if most is None:
        return chosen, len(chosen)
    return (chosen[:most] if sort else chosen[-most:]), len(chosen)


def default_table(
    listed: Sequence[Run], *, now: datetime | None = None, name: str = "stdout", indent: int = 0
) -> list[terminal.Line]:
    """Return the lines of the usual table, with as much of the differences as the line has room for.

    Args:
        listed: the runs, at least one.
        now: what ages count from.
        name: the stream that the table is for.
        indent: spaces before each line.
    """
    now = now or datetime.now(UTC)
    rows: list[list[Cell]] = []
    for run, difference in zip(listed, differences(listed), strict=True):
        age, seconds = run.get("age", now=now), run.get("seconds")
        time = human_seconds(seconds) if isinstance(seconds, int | float) else ""
        numbers = (short(run.get("steps")), time, short(run.get("loss")))
        status = status_cell(run.status.value)
        rows.append([run.id, "" if age is None else human_age(age), status, *numbers, difference])
    titles, width = list(_TITLES), screen_width(name)
    if not any(text_of(row[-1]) for row in rows):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    elif width is not None and _room(rows, width) < min(_ROOM, max(len(text_of(row[-1])) for row in rows)):
        # First the times in ids give way to what differs, then the durations.
        ends = short_ids([text_of(row[0]) for row in rows])
        rows = [[end, *row[1:]] for end, row in zip(ends, rows, strict=True)]
        if _room(rows, width) < _ROOM // 2:
            titles, rows = [*titles[:4], *titles[5:]], [[*row[:4], *row[5:]] for row in rows]
    right = [titles.index(title) for title in ("age", "steps", "time") if title in titles]
    flexible = len(titles) - 1 if titles[-1] == "differs" else None
    return table(rows, titles, right=right, flexible=flexible, width=width, indent=indent)


def _room(rows: list[list[Cell]], width: int) -> int:
    """Return how many columns are left for what differs."""
    columns = zip(_TITLES[:-1], *(row[:-1] for row in rows), strict=True)
    return width - sum(max(len(text_of(cell)) for cell in column) + 2 for column in columns)


def differences(listed: Sequence[Run]) -> list[Cell]:
    """Return for each run what tells it from the others of its name, "lr=0.1 momentum=0.9", or why it is none."""
    groups: dict[str, list[Run]] = {}
    for run in listed:
        groups.setdefault(str(run.get("name")), []).append(run)
    paths: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for name, members in groups.items():
        settings = [run.settings for run in members]
        paths[name] = differing(settings)
        names |= labels(paths[name], set().union(*settings)) if paths[name] else {}
    return [_difference(run, paths[str(run.get("name"))], names) for run in listed]


def _difference(run: Run, paths: Sequence[str], names: dict[str, str]) -> Cell:
    if run.problem:
        # Without the path, which stands in the first column.
        problem = run.problem.removeprefix(f"{run.directory} is not a run directory: ")
        return problem.replace(f"{run.directory}/", "").removesuffix("."), "red"
    values = ((path, run.settings.get(path)) for path in paths)
    words = [f"{names[path]}={short(value)}" for path, value in values if value is not None]
    if run.is_sweep:
        words.insert(0, _sweep_words(run))
    return " ".join(words)


def _sweep_words(run: Run) -> str:
    words = f"sweep of {run.planned_trials or '?'}"
    if axes := run.value("axes"):
        keys = [axis["key"] for axis in axes]
        words += f" over {', '.join(labels(keys, keys).values())}"
        words += _over_seed_alone(run) if len(keys) == 1 and is_seed(keys[0]) else ""
    diverged = (run.value("trials") or {}).get("diverged")
    return words + (f" ({diverged} diverged)" if diverged else "")


def _over_seed_alone(run: Run) -> str:
    """Return ": loss 0.12 (0.1 to 0.15)", the median and the middle half over a sweep's seeds; "" without a result."""
    try:
        facts = compare([run], over=SEED)
    except RunDirectoryError:
        return ""
    loss = next((row for row in facts["results"] if row["name"] == "loss"), None)
    return "" if loss is None else f": loss {banded(*(loss[key][0] for key in ('values', 'low', 'high')))}"


def _names(columns: str) -> list[str]:
    names = [name.strip() for name in columns.split(",") if name.strip()]
    return names if "id" in names else ["id", *names]


def _chosen_columns(listed: Sequence[Run], names: Sequence[str], now: datetime) -> list[terminal.Line]:
    """Return the table of the columns that were asked for, numbers in full."""
    rows: list[list[Cell]] = []
    numeric = dict.fromkeys(names, True)
    for run in listed:
        row: list[Cell] = []
        for name in names:
            value = run.get(name, now=now)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            numeric[name] &= value is None or is_number
            if name == "status":
                row.append(status_cell(value))
            else:
                row.append(human_age(value) if name == "age" and is_number else exact(value))
        rows.append(row)
    right = [index for index, name in enumerate(names) if numeric[name]]
    last = len(names) - 1
    return table(rows, names, right=right, flexible=None if last in right else last, width=screen_width())


def _print_json(root: Path, listed: Sequence[Run], total: int, names: Sequence[str], now: datetime) -> None:
    rows = []
    for run in listed:
        row: dict[str, Any] = {name: run.get(name, now=now) for name in names or _DESCRIBED}
        if not names:
            row |= {"final": run.final, "best": run.value("best") or {}, "settings": run.settings}
        rows.append(row)
    # A run a line: json's own indentation would take longer than all the rest.
    head = dumps({"runs_root": str(root), "total": total})[:-1]
    body = ",\n".join(f"    {dumps(row)}" for row in rows)
    terminal.document(f'{head},"runs":[\n{body}\n]}}')
