"""Pruning: the removal of old runs, diverged runs, or all but the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gdrun.errors import UsageError
from gdrun.metric_names import higher_is_better

from .filter import duration
from .listing import runs, select
from .run import Run
from .run_info import Status
from .trash import remove


def prune(runs_root: Path | str | None = None, **conditions: Any) -> list[Path]:
    """Put the runs that fit all conditions into the trash; return where they are now. Running ones stay.

    Args:
        runs_root: default $GDRUN_RUNS or `runs`.
        conditions: keep_best, metric, older, status, filter, as `plan_pruning` takes them.
    Raises:
        UsageError: no condition is given, or one cannot be read.
        RunDirectoryError: the disk refuses.
    """
    plan = plan_pruning(runs_root, **conditions)
    return remove([run.directory for run in plan.chosen], runs_root)


@dataclass(frozen=True)
class Pruning:
    """The runs that a prune removes and leaves.

    Attributes:
        chosen: the runs to remove, oldest first.
        kept: how many of those that the conditions fit stay because they are among the best.
        busy: runs that fit and are being written.
    """

    chosen: tuple[Run, ...]
    kept: int
    busy: tuple[Run, ...]


def plan_pruning(
    runs_root: Path | str | None = None,
    *,
    keep_best: int | None = None,
    metric: str = "loss",
    older: str | None = None,
    status: str | None = None,
    filter: str | None = None,
    now: datetime | None = None,
) -> Pruning:
    """Return which runs fit all conditions given, the best left out.

    Args:
        keep_best: how many runs of each experiment's name stay: those with the best final `metric`, among all that
            ended well (completed, stopped or interrupted).
        metric: a final value; greater is better for accuracies and the like, else less is.
        older: a duration: "30d", "12h".
        status: e.g. "diverged"; several with commas.
        filter: a condition as in `gdrun.runs`.
    Raises:
        UsageError: no condition is given, or one cannot be read.
    """
    if keep_best is None and older is None and status is None and filter is None:
        raise UsageError(
            "nothing says which runs are to go",
            hint="--keep-best N, --older 30d, --status diverged or --filter CONDITION",
        )
    now = now or datetime.now(UTC)
    everything = runs(runs_root)
    fitting = select(everything, filter=filter, now=now)
    if older is not None:
        seconds = duration(older)
        if seconds is None:
            raise UsageError(f"{older!r} is no duration", hint="for example 30d, 12h or 2w")
        fitting = [run for run in fitting if (age := run.get("age", now=now)) is not None and age > seconds]
    if status is not None:
        statuses = _statuses(status)
        fitting = [run for run in fitting if run.status in statuses]
    best = _best(everything, keep_best, metric) if keep_best is not None else set()
    chosen = [run for run in fitting if run.id not in best]
    busy = tuple(run for run in chosen if run.status is Status.RUNNING)
    return Pruning(tuple(run for run in chosen if run.status is not Status.RUNNING), len(fitting) - len(chosen), busy)


def _statuses(text: str) -> set[Status]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Status)]
    if unknown or not names:
        from gdrun.suggest import did_you_mean

        name = unknown[0] if unknown else text
        hint = did_you_mean(name, [each.value for each in Status], allowed="known are")
        raise UsageError(f"there is no status {name!r}", hint=hint)
    return {Status(name) for name in names}


_ENDED_WELL = (Status.COMPLETED, Status.STOPPED, Status.INTERRUPTED)


def _best(everything: Sequence[Run], count: int, metric: str) -> set[str]:
    """Return the ids of the best `count` runs of each name: losses of different experiments do not compare."""
    groups: dict[str, list[tuple[float, Run]]] = {}
    for run in everything:
        value: Any = run.get(f"final.{metric}") if metric != "loss" else run.get("loss")
        if run.status in _ENDED_WELL and isinstance(value, int | float) and value == value:
            groups.setdefault(str(run.get("name")), []).append((value, run))
    if not groups and metric != "loss":
        raise UsageError(f"no run has a final {metric!r}")
    best: set[str] = set()
    for members in groups.values():
        members.sort(key=lambda pair: pair[0], reverse=higher_is_better(metric))
        best |= {run.id for _, run in members[:count]}
    return best
