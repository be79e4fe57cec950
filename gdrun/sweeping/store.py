"""Directory of a sweep: blocks as they come, the table, and at the end curves, parameters and best/."""

from __future__ import annotations

import os
import shutil
import signal as signals
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import RunDirectoryError
from gdrun.experiment.loading import LoadedConfig
from gdrun.rundir import layout, strict_json
from gdrun.rundir.arrays import ArraysError, read_arrays
from gdrun.rundir.files import disk_error, names_in, read_file, reading, remove_file, remove_leftovers
from gdrun.rundir.lock import WriterLock
from gdrun.rundir.run_info import RunInfo, Status, now_text
from gdrun.rundir.store import RunStore
from gdrun.text import safe_text
from gdrun.training.listener import Listener
from gdrun.training.new_run import run_info, write_first_files
from gdrun.training.outcome import describe_outcome
from gdrun.training.prepare import Prepared
from gdrun.training.recorder import Recorder
from gdrun.training.train import train_into_store

from .results import BestTrial, BlockResult, TrialTable, csv_text, curve_arrays, parameter_arrays
from .trials import SweepSpec

if TYPE_CHECKING:
    import numpy as np

PART = "part"
"""Key of run.json about the part of a sweep that a directory holds."""
PARTS = "parts"
_PROPOSALS = "asked-"
_TABLE_SECONDS = 2.0
"""Between two writings of trials.csv while a sweep runs."""


class SweepStore:
    """Writer of one sweep.

    Args:
        store: of its directory.
        spec: the sweep; of a search, with the trials that were proposed so far.
        table: the results so far.
    """

    def __init__(self, store: RunStore, spec: SweepSpec, table: TrialTable) -> None:
        self._store = store
        self.spec = spec
        self.table = table
        self._columns: list[Sequence[Any]] | None = None
        self._written = 0.0
        self._next = 1 + max((int(name[:-4]) for name in _block_names(store.directory)), default=-1)

    def keep(self, block: BlockResult) -> None:
        """Write a block's results durably, and the table now and then."""
        if all(status == "failed" for status in block.status):
            self._store.log(f"failed: {block.why[0]}")
        # The block before the table: a sweep is resumed from its parts, and the table is written from them again.
        self._store.write_arrays(f"{PARTS}/{self._next:06d}.npz", block.to_arrays())
        self._next += 1
        self.table.add(block)
        if time.monotonic() - self._written > _TABLE_SECONDS:
            self.write_table()

    def write_proposals(self, first: int, rows: Sequence[Sequence[Any]]) -> None:
        """Write durably the values that a search proposed for the trials from number `first` on."""
        self._store.write_json(f"{PARTS}/{_PROPOSALS}{first:07d}.json", rows)

    def read_proposals(self) -> list[list[Any]]:
        """Return the values that a search has proposed so far, a list a trial, in order.

        Raises:
            RunDirectoryError: a file is damaged.
        """
        rows: list[list[Any]] = []
        for name in _proposal_names(self._store.directory):
            path = self._store.directory / PARTS / name
            try:
                rows += strict_json.loads(read_file(path).decode())
            except ValueError as error:
                raise RunDirectoryError(f"{path} is damaged") from error
        return rows

    def write_table(self) -> None:
        """Write trials.csv as far as it goes."""
        if self.spec.search is not None or self._columns is None:
            # The trials of a search grow; before the first batch there are none.
            axes = range(len(self.spec.axes))
            self._columns = [self.spec.column(axis).tolist() if self.spec.blocks else [] for axis in axes]
        text = csv_text(self.table, [axis.key for axis in self.spec.axes], self._columns)
        self._store.write_text(layout.TRIALS, text)
        self._written = time.monotonic()

    def finish(
        self,
        retrain_best: Callable[[int], BestTrial | None],
        prepare: Callable[[LoadedConfig], Prepared],
        command: Sequence[str] | None,
    ) -> None:
        """Write everything that a complete sweep has.

        Args:
            retrain_best: trains a trial again whose rows were not kept.
            prepare: builds a trial.
            command: the command line of best/.
        """
        self.write_table()
        self._store.write_arrays(layout.CURVES, curve_arrays(self.table))
        self._store.write_arrays(layout.PARAMETERS, parameter_arrays(self.table))
        best = self.table.best(self.spec.ranked, maximize=self.spec.maximize)
        if best is not None and self.spec.base.phases:
            train_best(self._store.directory, prepare(self.spec.load(best[0])), command)
        elif best is not None:
            best_trial = self.table.best_trial(best[0]) or retrain_best(best[0])
            if best_trial is not None:
                write_best(self._store.directory, prepare(self.spec.load(best[0])), best_trial, command)

    def close(self, status: Status, *, seconds: float, signal: int | None = None, why: str | None = None) -> None:
        """Write the record and close the store; the blocks are removed where no trial of the sweep is missing."""
        table, spec = self.table, self.spec
        if signal is not None:
            self.write_table()
            why = f"{signals.Signals(signal).name} with {table.counts()['missing']} trials to go"
        best, least = table.best(spec.ranked, maximize=spec.maximize), table.best("loss", maximize=False)
        fields: dict[str, Any] = {
            "why": why,
            "stopped_by": "signal" if signal is not None else "trials",
            "signal": signal,
            "seconds": seconds + (self._store.info.seconds or 0.0),
            "steps": int(sum(int(block.steps.sum()) for block in table.blocks)),
            "final": {} if least is None else {"loss": least[1]},
            "best": {},
            "extra": {"trials": table.counts(), "strategy": _strategies(table)},
        }
        if best is not None:
            trial, value = best
            named = dict(zip((axis.key for axis in spec.axes), spec.values(trial), strict=True))
            fields["best"] = {"trial": trial, "metric": spec.ranked, "value": value, "values": named}
        # The record first: without parts it is all that says that nothing is missing.
        self._store.update_info(status=str(status), **fields)
        # Those of a part are what its results are gathered from.
        if signal is None and not len(table.missing()) and PART not in self._store.info.extra:
            for name in (*_block_names(self._store.directory), *_proposal_names(self._store.directory)):
                self._store.remove(f"{PARTS}/{name}")
            shutil.rmtree(self._store.directory / layout.JOBS, ignore_errors=True)
        self._store.close(status)


def _strategies(table: TrialTable) -> dict[str, Any]:
    """Return strategy -> number of trials, with the reasons where they ran one after the other."""
    counts: dict[str, Any] = {}
    for block in table.blocks:
        if block.info:
            counts[block.info["strategy"]] = counts.get(block.info["strategy"], 0) + len(block)
    reasons = sorted({block.info["why"] for block in table.blocks if "why" in block.info} - {"a single trial"})
    return counts | ({"why": reasons[:8]} if reasons else {})


def _block_names(directory: Path) -> list[str]:
    """Return the files of finished blocks, in the order in which they were written."""
    return [name for name in _part_names(directory) if name.endswith(".npz") and name[:-4].isdigit()]


def _proposal_names(directory: Path) -> list[str]:
    """Return the files of a search's proposals, in the order of the trials."""
    return [name for name in _part_names(directory) if name.startswith(_PROPOSALS) and name.endswith(".json")]


def _part_names(directory: Path) -> list[str]:
    try:
        return names_in(directory / PARTS)
    except RunDirectoryError:
        return []


def load_parts(store: RunStore, trials: np.ndarray) -> TrialTable:
    """Return the results that a sweep of `trials` has so far, without those that cannot be read: these run again."""
    table = TrialTable(trials)
    remove_leftovers(store.directory / PARTS)
    for block in read_blocks(store.directory, lambda message: store.log(f"warning: {message}")):
        table.add(block)
    return table


def read_blocks(directory: Path, warn: Callable[[str], None]) -> Iterator[BlockResult]:
    """Yield the blocks that a sweep's directory has; those that cannot be read are left out.

    Args:
        warn: called with a message for each of these.
    """
    for name in _block_names(directory):
        try:
            with reading(directory / PARTS / name) as file:
                yield BlockResult.from_arrays(read_arrays(file)[0])
        except (ArraysError, KeyError, ValueError, OSError) as error:
            warn(f"{PARTS}/{name} is left out: {safe_text(error, limit=200)}")


def write_best(directory: Path, prepared: Prepared, best_trial: BestTrial, command: Sequence[str] | None) -> None:
    """Write best/, the best trial as a run directory of its own, by the recorder of runs.

    Its final values are computed by the program of a single run, as those of `gdrun train best/` are. Their last digits
    may differ from the trial's row in trials.csv, which the lanes' program computed: sums of other lengths.

    Args:
        directory: of the sweep, whose lock is held.
        prepared: the best trial, built.
        best_trial: its rows and its last state.
        command: what to record as the command line.
    Raises:
        RunDirectoryError: the disk refused.
    """
    import tensorflow as tf

    from gdrun.engine.drive import Report
    from gdrun.engine.state import Reason

    template = prepared.built.state
    leaves = zip(best_trial.state, tf.nest.flatten(template), strict=True)
    state = tf.nest.pack_sequence_as(template, [tf.constant(value, leaf.dtype) for value, leaf in leaves])
    report = Report(
        state=state,
        step=int(state.step),
        records=best_trial.records,
        is_row=best_trial.is_row,
        reason=Reason(best_trial.reason),
        finished=True,
        seconds=best_trial.seconds,
        steps_per_second=0.0,
    )
    with _open_best(directory / layout.BEST_RUN, prepared, command) as store:
        write_first_files(store, prepared, Listener())
        recorder = Recorder(store, prepared)
        recorder.write(report)
        outcome = describe_outcome(prepared, report, None)
        recorder.finish(outcome, seconds=best_trial.seconds, compute_seconds=best_trial.seconds)


def train_best(directory: Path, prepared: Prepared, command: Sequence[str] | None) -> None:
    """Write best/ by training the best trial, which has phases, once more, to the same bits.

    Args:
        directory, prepared, command: as of `write_best`.
    """
    with _open_best(directory / layout.BEST_RUN, prepared, command) as store:
        write_first_files(store, prepared, Listener())
        run = train_into_store(store, prepared, Listener(), resumable=False)
    if run.info.status is Status.INTERRUPTED:
        raise KeyboardInterrupt


def _open_best(path: Path, prepared: Prepared, command: Sequence[str] | None) -> RunStore:
    """Open a new run directory at `path`; what a killed writer left there is removed first."""
    try:
        os.mkdir(path)
    except FileExistsError:
        for folder in (layout.SOURCE, layout.PLUGINS, layout.CHECKPOINTS, ""):
            for name in names_in(path / folder):
                if name != layout.LOCK and not (path / folder / name).is_dir():
                    remove_file(path / folder / name)
    except OSError as error:
        raise disk_error("make", path, error) from error
    fields = {"name": prepared.loaded.experiment.name or "best", **run_info(prepared, command)}
    store = RunStore(path, WriterLock(path), RunInfo(id=path.name, started=now_text()).updated(**fields), None)
    store.update_info()
    return store
