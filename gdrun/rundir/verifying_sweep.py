"""What `verify` looks at in a sweep: one row a trial with a truthful status, curves and parameters that fit."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import RunDirectoryError
from gdrun.text import plural

from . import layout
from .record import RunRecord, Status
from .sweep_run import SweepRun

if TYPE_CHECKING:
    from .verifying import Verdict

_STATUSES = ("completed", "stopped", "diverged", "failed")


def verify_sweep(directory: Path, record: RunRecord, verdict: Verdict) -> None:
    """Add what is wrong with a sweep's own files to `verdict`."""
    sweep = SweepRun(directory)
    try:
        rows = sweep.trials
    except RunDirectoryError as error:
        return verdict.problem(layout.TRIALS, error.message)
    numbers = _verify_rows(rows, verdict)
    _verify_counts(rows, record, verdict)
    for name in (layout.CURVES, layout.PARAMETERS):
        _verify_arrays(sweep, name, numbers, record, verdict)
    best = directory / layout.BEST_RUN
    if best.is_symlink():
        return verdict.problem(layout.BEST_RUN, "a symbolic link; gdrun makes none here and follows none")
    if best.is_dir():
        from .verifying import verify

        inner = verify(best)
        for finding in inner.problems:
            verdict.problem(f"{layout.BEST_RUN}/{finding.file}", finding.message)
    return None


def _verify_rows(rows: list[dict[str, Any]], verdict: Verdict) -> list[int]:
    name = layout.TRIALS
    numbers = [row.get("trial") for row in rows]
    if any(type(number) is not int for number in numbers):
        verdict.problem(name, "a trial has no number")
    whole = [number for number in numbers if type(number) is int]
    if any(b <= a for a, b in itertools.pairwise(whole)):
        verdict.problem(name, "its trials are not in rising order, each once")
    for row in rows:
        trial, status = f"trial {row.get('trial')}", row.get("status")
        if status not in _STATUSES:
            verdict.problem(name, f"{trial} has the status '{status}'")
        elif status == "failed" and not row.get("why"):
            verdict.problem(name, f"{trial} failed, but nothing says why")
        elif status == "diverged" and row.get("diverged_at") is None:
            verdict.problem(name, f"{trial} diverged, but at no step")
        elif status in ("completed", "stopped") and not _finite(row.get("loss")):
            verdict.problem(name, f"{trial} is {status} with a loss of {row.get('loss')}")
    return whole


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _verify_counts(rows: list[dict[str, Any]], record: RunRecord, verdict: Verdict) -> None:
    """The record's counts against the table."""
    counts = record.extra.get("trials")
    if record.status == Status.RUNNING:
        return None
    if not isinstance(counts, dict):
        return verdict.problem(layout.RECORD, "a sweep's record has no counts of its trials")
    for status in _STATUSES:
        found = sum(row.get("status") == status for row in rows)
        if counts.get(status, 0) != found:
            verdict.problem(layout.RECORD, f"it counts {counts.get(status, 0)} trials {status}; the table has {found}")
    total, missing = counts.get("total"), counts.get("missing", 0)
    if isinstance(total, int) and total - missing != len(rows):
        verdict.problem(layout.TRIALS, f"{plural(len(rows), 'row')} for {total} trials, of which {missing} are missing")
    if record.status == Status.COMPLETED and missing:
        verdict.problem(layout.RECORD, f"it is completed, but {plural(missing, 'trial')} are missing")
    trial = record.best.get("trial")
    if trial is not None and not any(row.get("trial") == trial for row in rows):
        verdict.problem(layout.RECORD, f"its best trial, {trial}, is not in the table")
    return None


def _verify_arrays(sweep: SweepRun, name: str, numbers: list[int], record: RunRecord, verdict: Verdict) -> None:
    """curves.npz and parameters.npz: readable, and about trials of the table."""
    if not (sweep.directory / name).is_file():
        if record.status == Status.COMPLETED:
            verdict.problem(name, "missing from a sweep that is completed")
        return None
    try:
        arrays = sweep.curves if name == layout.CURVES else sweep.arrays(name)
    except RunDirectoryError as error:
        return verdict.problem(name, error.message)
    if "trial" not in arrays:
        return verdict.problem(name, "it does not say which trials it is about")
    strange = sorted(set(arrays["trial"].tolist()) - set(numbers))
    if strange and record.status != Status.RUNNING:
        verdict.problem(name, f"it has trial {strange[0]}, which is not in the table")
    return None
