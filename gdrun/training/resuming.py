"""Go on with a run that was interrupted, or beyond its end: the same bits as a run that was never interrupted.

    resume()                             the latest run that can go on
    resume("runs/...", ["epochs=200"])   a run that is complete, with more steps

What cannot end with the same bits is refused, with the reason: a changed config, data file or plugin, other versions,
another processor or device. What a kill left behind is no reason: rows after the checkpoint are recorded again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.rundir import layout
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status, now_text
from gdrun.rundir.store import RunStore
from gdrun.text import safe_text

from .checkpoints import Position, position_at
from .listener import Listener
from .loop import carry_out
from .recording import first_record
from .resumable import PREVIOUS_HASH, find_resumable, prepare_again
from .train import Prepared

if TYPE_CHECKING:
    from gdrun.config.plugins import PluginSources
    from gdrun.rundir.run import Run


def resume(
    run: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    plugins: PluginSources = (),
    runs_dir: str | Path | None = None,
    listener: Listener | None = None,
    log: Callable[[], str] | None = None,
) -> Run:
    """Go on with a run, in its own directory, and return it. A sweep goes on with the trials that it lacks.

    It ends with the bits of a run that was never interrupted: parameters, optimizer state, metrics without times. Stops
    by `schedule.stop.seconds` are excepted; the limit counts from each resumption anew.

    Args:
        run: its directory, its id or the beginning of it, or "latest"; None: the latest that can go on.
        overrides: more steps, and nothing else: ["epochs=200"] or {"steps": 10000}.
        plugins: files and modules that bring what the run was trained with, unchanged.
        runs_dir: where runs are; default $GDRUN_RUNS or "runs".
        listener: of its progress.
        log: returns what TensorFlow said, for log.txt.
    Raises:
        UsageError: there is no such run, it has ended, or it cannot go on to the same bits; the message says why.
        ConfigError: with the new length the config is refused.
        ResourceError: the device or the number of threads cannot be had.
        RunDirectoryError: another process writes the run, it is damaged, or the disk refuses.
    """
    directory = find_resumable(run, more=bool(overrides), runs_dir=runs_dir)
    if Run(directory).info.kind == "sweep":
        return resume_sweep(directory, overrides, plugins=plugins, listener=listener)
    prepared = prepare_again(directory, overrides, plugins=plugins)
    return continue_run(prepared, directory, listener=listener, log=log)


def resume_sweep(
    directory: Path,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    plugins: PluginSources = (),
    listener: Listener | None = None,
) -> Run:
    """Go on with a sweep: train the trials that have no result. Raises as `resume`."""
    from gdrun.sweeping.run import resume as resume_trials

    if overrides:
        raise UsageError("a sweep goes on as it is; nothing of it can change", hint="gdrun resume RUN")
    return resume_trials(directory, plugins=plugins, listener=listener)


@dataclass(frozen=True)
class _Found:
    """Where a run goes on, and what is to be said about it."""

    position: Position | None
    warnings: tuple[str, ...]


def continue_run(
    prepared: Prepared,
    directory: Path,
    *,
    listener: Listener | None = None,
    log: Callable[[], str] | None = None,
) -> Run:
    """Train what `prepare_again` returned from the newest whole checkpoint on.

    Raises:
        UsageError, RunDirectoryError: as `resume`.
    """
    listener = listener or Listener()
    store = RunStore.open(directory)
    try:
        found = _find_position(store, prepared)
    except BaseException:
        store.leave()
        raise
    with store:
        _reopen(store, prepared, found)
        for message in found.warnings:
            store.log(f"warning: {message}")
            listener.warned(message)
        carry_out(store, prepared, listener, name=store.info.name, position=found.position, log=log)
    run = Run(directory)
    listener.finished(run)
    return run


def _find_position(store: RunStore, prepared: Prepared) -> _Found:
    """The newest whole checkpoint; without any, the start."""
    checkpoints = store.checkpoints(keep=prepared.loaded.experiment.checkpoint.keep)
    table, warnings = Run(store.directory).table, list[str]()
    for item in reversed(checkpoints.list()):
        try:
            position = position_at(checkpoints.load(item), prepared, store.info.id)
            _check_rows(table.steps, prepared, position)
        except RunDirectoryError as error:
            warnings.append(error.message)
            continue
        return _Found(position, tuple(f"{message}; an older checkpoint is used" for message in warnings))
    if table.corrupt_lines:
        # To start again would throw away what can still be read.
        raise RunDirectoryError(
            f"{safe_text(store.directory / layout.METRICS)} is damaged in line {table.corrupt_lines[0]}; "
            "the run cannot go on to the same rows",
            hint="`gdrun train RUN` trains it again, in a new directory",
        )
    if warnings:
        warnings[-1] += "; the run starts again"
    elif len(table):
        warnings.append("there is no checkpoint yet; the run starts again")
    return _Found(None, tuple(warnings))


def _check_rows(there: np.ndarray, prepared: Prepared, position: Position) -> None:
    """Refuse a position before which rows are missing or damaged: they would never be recorded again."""
    rows, step = prepared.built.rows, position.step
    wanted = np.concatenate([np.zeros(1, np.int64), rows.rows(0, step)])
    there = there[there <= step]
    if not rows.is_row(np.asarray([step]))[0]:
        there = there[there < step]
    if not np.array_equal(there, wanted):
        raise RunDirectoryError(f"metrics.jsonl lacks rows before the checkpoint of step {step}, or has others")


def _reopen(store: RunStore, prepared: Prepared, found: _Found) -> None:
    """Make the run one that is running again: its record, its rows up to the position, its config."""
    position, record = found.position, store.info
    step = position.step if position else 0
    new = first_record(prepared, None)
    # The rest of the settings stays as it was written, relative paths too.
    lengths = ("schedule.epochs", "schedule.steps")
    settings = {key: value for key, value in record.settings.items() if key not in lengths}
    settings |= {key: value for key, value in new["settings"].items() if key in lengths}
    store.update_info(
        status=Status.RUNNING.value,
        stopped_by=None,
        why=None,
        finished=None,
        final={},
        best={},
        diverged=None,
        steps=step,
        epochs=step / prepared.built.steps_per_epoch,
        seconds=position.seconds if position else 0.0,
        resumed=(*record.resumed, {"when": now_text(), "step": step, "command": new["command"]}),
        # A kill before the new config is written leaves the old one, which is then as good.
        extra={**new["extra"], PREVIOUS_HASH: record.config_hash},
        config_hash=new["config_hash"],
        settings=settings,
    )
    store.write_text(layout.CONFIG, prepared.loaded.resolved_text())
    # The row of a state in which the run was interrupted is no row of one that goes on.
    has_row = position is not None and bool(position.report.is_row[0])
    store.cut_rows(after_step=step if has_row else step - 1)
