"""Whether a run directory is what it says it is: every file read, every hash computed, every claim compared.

What a killed writer may leave (status "running" without a lock, a torn last line, a half-written temporary file) is a
note, no problem: it is what readers are made for, and resuming clears it away.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.errors import GdrunError, RunDirectoryError
from gdrun.text import plural, safe_text

from . import layout, strict_json
from .arrays import ArraysError, read_arrays
from .checkpoint import Checkpoints
from .files import TEMPORARY, names_in, read_file, reading
from .lock import is_locked
from .metrics import read_metrics
from .record import RunRecord, Status, read_record
from .run import Run

_CONFIG_LIMIT = 64 << 20
_ENDED = frozenset({"completed", "stopped", "diverged", "interrupted", "failed"})
_WITH_PARAMETERS = frozenset({"completed", "stopped", "diverged", "interrupted"})
_SUCCESSES = frozenset({"completed", "stopped"})
_MOST_PROBLEMS = 100


@dataclass(frozen=True)
class Finding:
    """Something about one file of a run directory, in words."""

    file: str
    message: str


@dataclass
class Verdict:
    """What was found in a run directory.

    Attributes:
        directory: the run's.
        status: as `Run.status` has it.
        problems: what is not as it should be.
        notes: what a killed writer left behind, and other things that harm nothing.
    """

    directory: Path
    status: str
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def problem(self, file: str, message: object) -> None:
        """Add a problem, up to a hundred of them."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(Finding(file, safe_text(message, limit=500)))

    def note(self, file: str, message: object) -> None:
        """Add a note, up to a hundred of them."""
        if len(self.notes) < _MOST_PROBLEMS:
            self.notes.append(Finding(file, safe_text(message, limit=500)))


def verify(run: Run | str | Path) -> Verdict:
    """Look through a run directory and return what is wrong with it. Nothing is changed. Never raises for bad content.

    A run that goes on can be verified; what is only known at its end is left out then.
    """
    directory = Path(run.directory if isinstance(run, Run) else run)
    verdict = Verdict(directory, Run(directory).status.value)
    if not layout.is_run_directory(directory):
        verdict.problem("", f"{directory} is not a run directory")
        return verdict
    try:
        _verify(directory, verdict)
    except RunDirectoryError as error:
        verdict.problem("", error.message)
    return verdict


def _verify(directory: Path, verdict: Verdict) -> None:
    locked = is_locked(directory)
    _verify_tree(directory, verdict, locked=locked)
    try:
        record = read_record(directory)
    except RunDirectoryError as error:
        if verdict.status == Status.LOST:
            verdict.note(layout.RECORD, "it was killed before it wrote one")
        elif not locked:
            verdict.problem(layout.RECORD, error.message)
        return
    _verify_status(record, verdict, locked=locked)
    _verify_config(directory, record, verdict)
    _verify_sources(directory, verdict)
    _verify_checkpoints(directory, record, verdict)
    if record.kind == "sweep":
        from .verifying_sweep import verify_sweep

        verify_sweep(directory, record, verdict)
    else:
        _verify_metrics(directory, record, verdict)
        _verify_parameters(directory, record, verdict)


def _verify_tree(directory: Path, verdict: Verdict, *, locked: bool) -> None:
    for name, mode in _tree(directory):
        leaf = name.rpartition("/")[2]
        if stat.S_ISLNK(mode):
            verdict.problem(name, "a symbolic link; gdrun makes none here and follows none")
        elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            verdict.problem(name, "neither a file nor a folder")
        elif leaf.startswith(TEMPORARY) and not locked:
            verdict.note(name, "half-written when the writer was killed; nothing reads it")


def _tree(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (name, mode) of everything below a directory; links are not followed."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(path / folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in found:
            name = f"{folder}/{entry.name}" if folder else entry.name
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except OSError:
                continue
            yield name, mode
            if stat.S_ISDIR(mode) and name != layout.BEST_RUN:
                waiting.append(name)


def _verify_status(record: RunRecord, verdict: Verdict, *, locked: bool) -> None:
    """What run.json claims, held against itself and against the lock."""
    file = layout.RECORD
    status, total = record.status, record.extra.get("total_steps")
    if status == Status.RUNNING:
        if not locked:
            verdict.note(file, "it says running, but no process holds the lock: it was killed (lost)")
        return
    if record.finished is None:
        verdict.problem(file, f"it is {status}, but has no time at which it finished")
    if record.steps is None and status != Status.FAILED:
        verdict.problem(file, f"it is {status}, but has no number of steps")
    if status == Status.COMPLETED and isinstance(total, int) and record.steps != total:
        verdict.problem(file, f"it is completed after {record.steps} steps, but its schedule has {total}")
    if isinstance(total, int) and record.steps is not None and not 0 <= record.steps <= total:
        verdict.problem(file, f"{record.steps} steps are not between 0 and the schedule's {total}")
    if status == Status.STOPPED and not record.stopped_by:
        verdict.problem(file, "it was stopped, but no rule is named")
    if (status == Status.DIVERGED) != bool(record.diverged) and record.kind == "train":
        verdict.problem(file, "status diverged and the place where it diverged do not go together")
    if status == Status.FAILED and not record.why:
        verdict.problem(file, "it failed, but nothing says why")
    loss = record.final.get("loss")
    if status in _SUCCESSES and isinstance(loss, str):
        verdict.problem(file, f"it is {status} with a final loss of {loss}")
    if record.seconds is not None and not isinstance(record.seconds, str) and record.seconds < 0:
        verdict.problem(file, "it took less than no time")


def _verify_config(directory: Path, record: RunRecord, verdict: Verdict) -> None:
    name = layout.CONFIG
    try:
        data = read_file(directory / name, limit=_CONFIG_LIMIT)
    except FileNotFoundError:
        if record.status == Status.RUNNING:
            verdict.note(name, "not written yet")
        elif record.status != Status.FAILED:
            verdict.problem(name, "missing")
        return None
    except RunDirectoryError as error:
        return verdict.problem(name, error.message)
    if record.config_hash is not None and hashlib.sha256(data).hexdigest() != record.config_hash.removeprefix(
        "sha256:"
    ):
        verdict.problem(name, f"its bytes do not have the hash that {layout.RECORD} gives")
    try:
        if record.plugins:
            from gdrun.config.document import read_document

            read_document(data, name)
        else:
            from gdrun.experiment.loading import load_config

            load_config(data)
    except GdrunError as error:
        verdict.problem(name, f"it does not load: {error.message}")


def _verify_sources(directory: Path, verdict: Verdict) -> None:
    names = names_in(directory / layout.SOURCE)
    for leaf in names:
        name = f"{layout.SOURCE}/{leaf}"
        if name == layout.PLUGINS:
            continue  # copies for people; no command runs them unless they are named
        try:
            data = read_file(directory / name)
        except (RunDirectoryError, FileNotFoundError) as error:
            verdict.problem(name, error)
            continue
        if leaf.endswith((".yaml", ".yml", ".txt")):
            try:
                data.decode("utf-8")
            except UnicodeDecodeError:
                verdict.problem(name, "not UTF-8")
    if not names and verdict.status in _ENDED - {"failed"}:
        verdict.problem(layout.SOURCE, "nothing of what was written is kept")


def _verify_checkpoints(directory: Path, record: RunRecord, verdict: Verdict) -> None:
    checkpoints = Checkpoints(directory)
    items = checkpoints.list()
    for item in items:
        try:
            checkpoints.load(item)
        except RunDirectoryError as error:
            verdict.problem(item.name, error.message)
        if record.status in _ENDED and record.steps is not None and item.step > record.steps:
            verdict.problem(item.name, f"of step {item.step}, but the run ended at step {record.steps}")
    known = {item.name for item in items}
    for leaf in names_in(directory / layout.CHECKPOINTS):
        if f"{layout.CHECKPOINTS}/{leaf}" not in known and not leaf.startswith(TEMPORARY):
            verdict.note(f"{layout.CHECKPOINTS}/{leaf}", "no checkpoint by its name; nothing reads it")


def _verify_metrics(directory: Path, record: RunRecord, verdict: Verdict) -> None:
    name = layout.METRICS
    try:
        table = read_metrics(read_file(directory / name), precision="float64")
    except FileNotFoundError:
        if record.status in _SUCCESSES:
            verdict.problem(name, f"missing from a run that is {record.status}")
        return None
    except RunDirectoryError as error:
        return verdict.problem(name, error.message)
    if not table.steps.size and record.status in _SUCCESSES:
        verdict.problem(name, f"no row in it, but the run is {record.status}")
    if table.corrupt_lines:
        shown = ", ".join(map(str, table.corrupt_lines[:10]))
        verdict.problem(name, f"{plural(len(table.corrupt_lines), 'line')} that are no strict JSON rows: {shown}")
    if table.torn:
        message = "its last line is torn"
        (verdict.note if record.status in ("running", "failed") else verdict.problem)(name, message)
    steps = table.steps
    if len(steps) > 1 and (falling := np.flatnonzero(np.diff(steps) <= 0)).size:
        at = int(falling[0])
        verdict.problem(name, f"step {int(steps[at + 1])} comes after step {int(steps[at])}: steps must rise")
    if not len(steps) or record.steps is None:
        return None
    last, exact = int(steps[-1]), record.status in ("completed", "stopped", "interrupted")
    if last > record.steps and record.status in _ENDED:
        verdict.problem(name, f"its last row is of step {last}, but the run ended at step {record.steps}")
    elif exact and last != record.steps:
        verdict.problem(name, f"its last row is of step {last}, not of the run's last, {record.steps}")
    return None


def _verify_parameters(directory: Path, record: RunRecord, verdict: Verdict) -> None:
    arrays = _read_npz(directory, layout.PARAMETERS, verdict)
    if arrays is None and record.status in _WITH_PARAMETERS and not _has(directory, layout.PARAMETERS):
        verdict.problem(layout.PARAMETERS, f"missing from a run that is {record.status}")
    _read_npz(directory, layout.BEST, verdict)
    if arrays is not None and _has(directory, layout.PARAMETERS_JSON):
        try:
            told = strict_json.loads(read_file(directory / layout.PARAMETERS_JSON))
        except (ValueError, RunDirectoryError, FileNotFoundError) as error:
            return verdict.problem(layout.PARAMETERS_JSON, f"it is not strict JSON: {error}")
        if told != strict_json.plain(arrays):
            verdict.problem(layout.PARAMETERS_JSON, f"its numbers are not those of {layout.PARAMETERS}")
    return None


def _has(directory: Path, name: str) -> bool:
    return os.path.lexists(directory / name)


def _read_npz(directory: Path, name: str, verdict: Verdict) -> dict[str, Any] | None:
    """The arrays of an .npz file, looked at; None where there are none or they cannot be read."""
    try:
        with reading(directory / name) as file:
            arrays = read_arrays(file)[0]
    except FileNotFoundError:
        return None
    except (ArraysError, RunDirectoryError) as error:
        verdict.problem(name, error)
        return None
    for key, array in arrays.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            verdict.problem(name, f"'{key}' is not finite; the last finite parameters are what is saved")
    return arrays
