"""Verification of run directories: every file read, every hash computed, every claim compared.

What a killed writer may leave (status "running" without a lock, a torn last line, a half-written temporary file) is a
note, no problem: it is what readers are made for, and resuming clears it away.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.errors import GdrunError, RunDirectoryError
from gdrun.text import plural

from . import layout, strict_json
from .checkpoint import Checkpoints
from .files import TEMPORARY, names_in, read_file, walk
from .lock import is_locked
from .run import Run, opened
from .run_info import RunInfo, Status
from .settings import CONFIG_LIMIT

_MOST_FINDINGS = 100
_UNFINISHED = (Status.SUBMITTED, Status.RUNNING)
_SUCCESSES = frozenset({"completed", "stopped"})
_WITH_PARAMETERS = _SUCCESSES | {"diverged", "interrupted"}
_ENDED = _WITH_PARAMETERS | {"failed"}
_TRIAL_STATUSES = ("completed", "stopped", "diverged", "failed")


@dataclass(frozen=True)
class FileFinding:
    """A problem or note about one file of a run directory."""

    file: str
    message: str


@dataclass
class Verdict:
    """The result of verifying a run directory.

    Attributes:
        directory: the run's.
        status: as `Run.status` has it.
        problems: what is not as it should be, up to a hundred of them.
        notes: what a killed writer left behind, and other things that harm nothing; up to a hundred.
    """

    directory: Path
    status: str
    problems: list[FileFinding] = field(default_factory=list)
    notes: list[FileFinding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if there is no problem."""
        return not self.problems

    def problem(self, file: str, message: object) -> None:
        """Add a problem."""
        if len(self.problems) < _MOST_FINDINGS:
            self.problems.append(FileFinding(file, str(message)))

    @contextmanager
    def finding(self, file: str) -> Iterator[None]:
        """Make a problem of what cannot be read in the block, which ends there."""
        try:
            yield
        except RunDirectoryError as error:
            self.problem(file, error.message)

    def note(self, file: str, message: object) -> None:
        """Add a note."""
        if len(self.notes) < _MOST_FINDINGS:
            self.notes.append(FileFinding(file, str(message)))


def verify(run: Run | str | Path) -> Verdict:
    """Look through a run directory and return what is wrong with it. Nothing is changed. Never raises for bad content.

    A run that is being written can be verified; what is only known at its end is left out then.
    """
    # A new Run: the one that was given may have been read a while ago.
    run = Run(opened(run).directory)
    verdict = Verdict(run.directory, run.status.value)
    with verdict.finding(""):
        if not layout.is_run_directory(run.directory):
            raise RunDirectoryError(f"{run.directory} is not a run directory")
        _verify(run, verdict)
    return verdict


def _verify(run: Run, verdict: Verdict) -> None:
    locked = is_locked(run.directory)
    _verify_tree(run.directory, verdict, locked=locked)
    try:
        info = run.info
        # Readers take the last of two keys of one name, and NaN as a number; neither is strict JSON.
        strict_json.loads(read_file(run.directory / layout.RUN_INFO))
    except ValueError as error:
        verdict.problem(layout.RUN_INFO, f"it is not strict JSON: {error}")
    except RunDirectoryError as error:
        if verdict.status == Status.LOST:
            verdict.note(layout.RUN_INFO, "it was killed before it wrote one")
        elif not locked:
            verdict.problem(layout.RUN_INFO, error.message)
        return
    _verify_status(info, verdict, locked=locked)
    with verdict.finding(layout.CONFIG):
        _verify_config(run, info, verdict)
    _verify_sources(run.directory, verdict)
    _verify_checkpoints(run.directory, info, verdict)
    if info.is_sweep:
        with verdict.finding(layout.TRIALS):
            _verify_sweep(run, info, verdict)
    else:
        with verdict.finding(layout.METRICS):
            _verify_metrics(run, info, verdict)
        _verify_parameters(run, info, verdict)


def _verify_tree(directory: Path, verdict: Verdict, *, locked: bool) -> None:
    for name, status in walk(directory):
        if name.startswith((f"{layout.BEST_RUN}/", f"{layout.JOBS}/")):
            continue  # a sweep's best run, and parts of it, are verified as runs
        if stat.S_ISLNK(status.st_mode):
            verdict.problem(name, "a symbolic link; gdrun makes none here")
        elif not stat.S_ISREG(status.st_mode):
            verdict.problem(name, "neither a file nor a folder")
        elif name.rpartition("/")[2].startswith(TEMPORARY) and not locked:
            verdict.note(name, "half-written when the writer was killed; nothing reads it")


def _verify_status(info: RunInfo, verdict: Verdict, *, locked: bool) -> None:
    """Compare the claims of run.json with each other and with the lock."""
    status, total = info.status, info.extra.get("total_steps")
    if status in _UNFINISHED:
        if not locked and status == Status.RUNNING:
            verdict.note(layout.RUN_INFO, "it says running, but no process holds the lock: it was killed (lost)")
        return
    loss = info.final.get("loss")
    wrong = {
        f"it is {status}, but has no time at which it finished": info.finished is None,
        f"it is {status}, but has no number of steps": info.steps is None and status != Status.FAILED,
        "it was stopped, but no rule is named": status == Status.STOPPED and not info.stopped_by,
        "status diverged and the place where it diverged do not go together": (
            not info.is_sweep and (status == Status.DIVERGED) != bool(info.diverged)
        ),
        "it failed, but nothing says why": status == Status.FAILED and not info.why,
        f"it is {status} with a final loss of {loss}": status in _SUCCESSES and isinstance(loss, str),
        "it took less than no time": info.seconds is not None and info.seconds < 0,
    }
    if isinstance(total, int) and info.steps is not None:
        unfinished = status == Status.COMPLETED and info.steps != total
        wrong[f"it is completed after {info.steps} steps, but its schedule has {total}"] = unfinished
        wrong[f"{info.steps} steps are not between 0 and the schedule's {total}"] = not 0 <= info.steps <= total
    for message, applies in wrong.items():
        if applies:
            verdict.problem(layout.RUN_INFO, message)


def _verify_config(run: Run, info: RunInfo, verdict: Verdict) -> None:
    name = layout.CONFIG
    try:
        data = read_file(run.directory / name, limit=CONFIG_LIMIT)
    except FileNotFoundError:
        if info.status in _UNFINISHED:
            verdict.note(name, "not written yet")
        elif info.status != Status.FAILED:
            verdict.problem(name, "missing")
        return
    expected = (info.config_hash or "").removeprefix("sha256:")
    if expected and hashlib.sha256(data).hexdigest() != expected:
        verdict.problem(name, f"its bytes do not have the hash that {layout.RUN_INFO} gives")
    try:
        if info.plugins:
            # Its kinds are known to the plugins alone, which verifying must not run.
            from gdrun.config.document import read_document

            read_document(data, name)
        else:
            from gdrun.experiment.loading import load_config

            load_config(data)
    except GdrunError as error:
        verdict.problem(name, f"it does not load: {error.message}")


def _verify_sources(directory: Path, verdict: Verdict) -> None:
    names = names_in(directory / layout.SOURCE)
    for name in (f"{layout.SOURCE}/{leaf}" for leaf in names):
        if name == layout.PLUGINS:
            continue  # copies for people; no command runs them unless they are named
        try:
            data = read_file(directory / name)
            if name.endswith((".yaml", ".yml", ".txt")):
                data.decode("utf-8")
        except UnicodeDecodeError:
            verdict.problem(name, "not UTF-8")
        except (RunDirectoryError, FileNotFoundError) as error:
            verdict.problem(name, error)
    if not names and verdict.status in _WITH_PARAMETERS:
        verdict.problem(layout.SOURCE, "nothing of what was written is kept")


def _verify_checkpoints(directory: Path, info: RunInfo, verdict: Verdict) -> None:
    checkpoints = Checkpoints(directory)
    items = checkpoints.list()
    for item in items:
        with verdict.finding(item.name):
            checkpoints.load(item)
        if info.status in _ENDED and info.steps is not None and item.step > info.steps:
            verdict.problem(item.name, f"of step {item.step}, but the run ended at step {info.steps}")
    known = {item.name for item in items}
    for best in info.extra.get("best_checkpoints", ()):
        known.add(best["file"])
        with verdict.finding(best["file"]):
            Run(directory).arrays(best["file"])
    for leaf in names_in(directory / layout.CHECKPOINTS):
        if f"{layout.CHECKPOINTS}/{leaf}" not in known and not leaf.startswith(TEMPORARY):
            verdict.note(f"{layout.CHECKPOINTS}/{leaf}", "no checkpoint by its name; nothing reads it")


def _verify_metrics(run: Run, info: RunInfo, verdict: Verdict) -> None:
    name, table = layout.METRICS, run.table
    steps = table.steps
    if not steps.size and info.status in _SUCCESSES:
        there = (run.directory / name).exists()
        what = f"no row in it, but the run is {info.status}" if there else f"missing from a run that is {info.status}"
        verdict.problem(name, what)
    if table.corrupt_lines:
        numbers = ", ".join(map(str, table.corrupt_lines[:10]))
        verdict.problem(name, f"{plural(len(table.corrupt_lines), 'line')} that are no whole rows: {numbers}")
    if table.torn:
        report = verdict.note if info.status in ("submitted", "running", "failed") else verdict.problem
        report(name, "its last line is torn")
    for before, after in itertools.pairwise(steps.tolist()):
        if after <= before:
            verdict.problem(name, f"step {after} comes after step {before}: steps must rise")
            break
    if not len(steps) or info.steps is None:
        return
    last = int(steps[-1])
    if last > info.steps and info.status in _ENDED:
        verdict.problem(name, f"its last row is of step {last}, but the run ended at step {info.steps}")
    elif last != info.steps and info.status in ("completed", "stopped", "interrupted"):
        verdict.problem(name, f"its last row is of step {last}, not of the run's last, {info.steps}")


def _verify_parameters(run: Run, info: RunInfo, verdict: Verdict) -> None:
    arrays = _arrays(run, layout.PARAMETERS, verdict)
    if info.status in _WITH_PARAMETERS and not (run.directory / layout.PARAMETERS).exists():
        verdict.problem(layout.PARAMETERS, f"missing from a run that is {info.status}")
    _arrays(run, layout.BEST, verdict)
    if arrays is None:
        return
    try:
        text = read_file(run.directory / layout.PARAMETERS_JSON)
        if strict_json.loads(text) != strict_json.plain(arrays):
            verdict.problem(layout.PARAMETERS_JSON, f"its numbers are not those of {layout.PARAMETERS}")
    except FileNotFoundError:
        pass  # many parameters are not written as text
    except (ValueError, RunDirectoryError) as error:
        verdict.problem(layout.PARAMETERS_JSON, f"it is not strict JSON: {error}")


def _arrays(run: Run, name: str, verdict: Verdict) -> dict[str, np.ndarray] | None:
    """Return the arrays of an .npz file; None where there are none or they cannot be read."""
    if not (run.directory / name).exists():
        return None
    try:
        arrays = run.arrays(name)
    except RunDirectoryError as error:
        verdict.problem(name, error)
        return None
    for key, array in arrays.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            verdict.problem(name, f"'{key}' is not finite; the last finite parameters are what is saved")
    return arrays


# --- sweeps ------------------------------------------------------------------------------------------------------


def _verify_sweep(sweep: Run, info: RunInfo, verdict: Verdict) -> None:
    """Check a sweep's own files: one row a trial with a status that fits, curves and parameters of those trials."""
    rows = sweep.trials
    numbers = [number for row in rows if type(number := row["trial"]) is int]
    if len(numbers) < len(rows):
        verdict.problem(layout.TRIALS, "a trial has no number")
    if any(after <= before for before, after in itertools.pairwise(numbers)):
        verdict.problem(layout.TRIALS, "its trials are not in rising order, each once")
    for row in rows:
        _verify_trial(row, verdict)
    if info.status not in _UNFINISHED:
        _verify_counts(rows, info, verdict)
    for name in (layout.CURVES, layout.PARAMETERS):
        with verdict.finding(name):
            _verify_trial_arrays(sweep, name, numbers, info, verdict)
    if best := sweep.best_run:
        for finding in verify(best).problems:
            verdict.problem(f"{layout.BEST_RUN}/{finding.file}", finding.message)


def _verify_trial(row: dict[str, Any], verdict: Verdict) -> None:
    trial, status, loss = f"trial {row['trial']}", row["status"], row.get("loss")
    if status not in _TRIAL_STATUSES:
        verdict.problem(layout.TRIALS, f"{trial} has the status '{status}'")
    elif status == "failed" and not row.get("why"):
        verdict.problem(layout.TRIALS, f"{trial} failed, but nothing says why")
    elif status == "diverged" and row.get("diverged_at") is None:
        verdict.problem(layout.TRIALS, f"{trial} diverged, but at no step")
    elif status in _SUCCESSES and not (isinstance(loss, int | float) and math.isfinite(loss)):
        verdict.problem(layout.TRIALS, f"{trial} is {status} with a loss of {loss}")


def _verify_counts(rows: list[dict[str, Any]], info: RunInfo, verdict: Verdict) -> None:
    """Compare the counts of run.json with the table."""
    counts = info.extra.get("trials")
    if not isinstance(counts, dict):
        verdict.problem(layout.RUN_INFO, "a sweep's run info has no counts of its trials")
        return
    for status in _TRIAL_STATUSES:
        count = sum(row["status"] == status for row in rows)
        if counts.get(status, 0) != count:
            verdict.problem(
                layout.RUN_INFO, f"it counts {counts.get(status, 0)} trials {status}; the table has {count}"
            )
    total, missing = counts.get("total"), counts.get("missing", 0)
    if isinstance(total, int) and total - missing != len(rows):
        verdict.problem(layout.TRIALS, f"{plural(len(rows), 'row')} for {total} trials, of which {missing} are missing")
    if info.status == Status.COMPLETED and missing:
        verdict.problem(layout.RUN_INFO, f"it is completed, but {plural(missing, 'trial')} are missing")
    trial = info.best.get("trial")
    if trial is not None and not any(row["trial"] == trial for row in rows):
        verdict.problem(layout.RUN_INFO, f"its best trial, {trial}, is not in the table")


def _verify_trial_arrays(sweep: Run, name: str, numbers: list[int], info: RunInfo, verdict: Verdict) -> None:
    """Check curves.npz or parameters.npz of a sweep: readable, and of trials in the table."""
    if not (sweep.directory / name).is_file():
        if info.status == Status.COMPLETED:
            verdict.problem(name, "missing from a sweep that is completed")
        return
    arrays = sweep.curves if name == layout.CURVES else sweep.arrays(name)
    if "trial" not in arrays:
        verdict.problem(name, "it does not say which trials it is about")
        return
    strange = sorted(set(arrays["trial"].tolist()) - set(numbers))
    if strange and info.status not in _UNFINISHED:
        verdict.problem(name, f"it has trial {strange[0]}, which is not in the table")
