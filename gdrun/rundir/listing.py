"""Lists of runs: found, filtered, sorted, as tables; ten thousand in about a second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from gdrun.errors import UsageError
from gdrun.suggest import did_you_mean

from . import layout
from .filter import Filter
from .packing import readable_root
from .run import ALWAYS_KNOWN, Run, opened
from .settings import differing
from .tables import RowTable

_COLUMNS = ("id", "name", "status", "kind", "age", "steps", "seconds", "loss")


def runs(
    runs_root: Path | str | None = None,
    *,
    filter: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
) -> list[Run]:
    """Return the runs below `runs_root` (default $GDRUN_RUNS or `runs`), oldest first, broken ones included.

    Args:
        filter: a condition, e.g. "lr >= 0.1 and loss < 1 and status == completed" (see `gdrun.rundir.filter`).
        sort: a name as in filters; "-loss" begins with the largest. Runs without such a value come last.
        limit: the most to return: the first ones where they are sorted, the newest where they are not.
    Raises:
        UsageError: the filter cannot be read, or names what no run has.
    """
    everything = [Run(path) for path in layout.iterate_runs(readable_root(runs_root))]
    return select(everything, filter=filter, sort=sort, limit=limit)


def select(
    runs: Sequence[Run],
    *,
    filter: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
    now: datetime | None = None,
) -> list[Run]:
    """Return those of `runs` that fit, in order.

    Args:
        runs: oldest first.
        filter: a condition (see `gdrun.rundir.filter`).
        sort: a name; `-name` turns the order round. Runs that have no such value come last, nan before them.
        limit: the most to return: the first ones where they are sorted, the newest where they are not.
        now: what ages count from.
    Raises:
        UsageError: the filter cannot be read, or names what no run has.
    """
    now = now or datetime.now(UTC)
    chosen = list(runs)
    if filter is not None:
        condition = Filter(filter)
        check_names(runs, condition.names)
        chosen = [run for run in runs if condition.matches(partial(run.get, now=now))]
    if sort is not None:
        name = sort.removeprefix("-")
        check_names(runs, (name,))
        chosen = _sorted(chosen, name, now, descending=sort.startswith("-"))
    if limit is not None:
        chosen = chosen[:limit] if sort is not None else chosen[max(len(chosen) - limit, 0) :]
    return chosen


def _sorted(runs: list[Run], name: str, now: datetime, *, descending: bool) -> list[Run]:
    # Numbers, then texts, then nan, then nothing, in both directions.
    groups: list[list[tuple[Any, Run]]] = [[], [], [], []]
    for run in runs:
        value = run.get(name, now=now)
        if isinstance(value, int | float):
            rank = 2 if value != value else 0
        else:
            rank = 1 if isinstance(value, str) else 3
        groups[rank].append((value, run))
    for group in groups[:2]:
        group.sort(key=lambda pair: pair[0], reverse=descending)
    return [run for group in groups for _, run in group]


def check_names(runs: Sequence[Run], names: Iterable[str]) -> None:
    """Refuse names that no run has.

    Raises:
        UsageError: with what was probably meant.
    """
    for name in names:
        if runs and name not in ALWAYS_KNOWN and all(run.get(name) is None for run in runs):
            known = sorted({known for run in runs for known in run.names()})
            raise UsageError(f"no run has a {name!r}", hint=did_you_mean(name, known, allowed="known are"))


def table(runs: Iterable[Run | str | Path], columns: Sequence[str] | None = None) -> RowTable:
    """Return a row for each run.

    Args:
        runs: as `gdrun.runs` gives them, or directories.
        columns: names as in a filter: lr, loss, optimizer.momentum, versions.tensorflow, ... Default: id, name, status,
            kind, age (seconds), steps, seconds, loss, the other final values, and the settings that differ.
    Raises:
        UsageError: no run has a column.
    """
    loaded = [opened(run) for run in runs]
    now = datetime.now(UTC)
    if columns is None:
        finals = dict.fromkeys(name for run in loaded for name in run.final if name not in _COLUMNS)
        columns = [*_COLUMNS, *finals, *differing([run.settings for run in loaded])]
    else:
        check_names(loaded, columns)
    return RowTable({name: run.get(name, now=now) for name in columns} for run in loaded)
