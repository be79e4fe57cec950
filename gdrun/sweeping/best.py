"""best/: the best trial of a sweep as a run directory of its own, from the rows and the state that its lane left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.rundir import layout
from gdrun.rundir.files import disk_error, names_in, remove_file
from gdrun.rundir.lock import WriterLock
from gdrun.rundir.run_info import RunInfo, now_text
from gdrun.rundir.store import RunStore
from gdrun.training.listener import Listener
from gdrun.training.outcome import describe_outcome
from gdrun.training.recorder import Recorder, begin, run_info

from .results import Champion

if TYPE_CHECKING:
    from gdrun.training.prepare import Prepared


def write_best(directory: Path, prepared: Prepared, champion: Champion, command: Sequence[str] | None) -> None:
    """Write `directory`/best.

    Args:
        directory: of the sweep, whose lock is held.
        prepared: the best trial, built.
        champion: its rows and its last state.
        command: what to record as the command line.
    Raises:
        RunDirectoryError: the disk refused.
    """
    import tensorflow as tf

    from gdrun.engine.drive import Report
    from gdrun.engine.state import Reason

    template = prepared.built.state
    leaves = [
        tf.constant(value, leaf.dtype)
        for value, leaf in zip(champion.state, tf.nest.flatten(template), strict=True)
    ]  # fmt: skip
    state = tf.nest.pack_sequence_as(template, leaves)
    report = Report(
        state=state,
        step=int(state.step),
        records=champion.records,
        is_row=champion.is_row,
        reason=Reason(champion.reason),
        finished=True,
        seconds=champion.seconds,
        steps_per_second=0.0,
    )
    fields = {"name": prepared.loaded.experiment.name or "best", **run_info(prepared, command)}
    with _open(directory / layout.BEST_RUN, fields) as store:
        recorder = Recorder(store, prepared)
        begin(store, prepared.loaded, Listener(), prepared.built.warnings)
        recorder.write(report)
        outcome = describe_outcome(prepared, report, None, champion.seconds)
        recorder.finish(outcome, compute_seconds=champion.seconds)


def _open(path: Path, fields: dict[str, Any]) -> RunStore:
    """A new run directory at `path`; what a killed writer left there goes first."""
    try:
        os.mkdir(path)
    except FileExistsError:
        _clear(path)
    except OSError as error:
        raise disk_error("make", path, error) from error
    lock = WriterLock(path)
    record = RunInfo(id=path.name, started=now_text()).updated(**fields)
    store = RunStore(path, lock, record, None)
    store.update_info()
    return store


def _clear(path: Path) -> None:
    for folder in (layout.SOURCE, layout.PLUGINS, layout.CHECKPOINTS, ""):
        for name in names_in(path / folder):
            if name != layout.LOCK and not (path / folder / name).is_dir():
                remove_file(path / folder / name)
