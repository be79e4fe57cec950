"""Training of an experiment: config in, run directory out.

    train(source, overrides)            one call
    prepare(loaded) -> Prepared         built and tried; nothing is on disk yet
    execute(prepared) -> Run            trained and written

A `Listener` is called meanwhile: progress bars, notebooks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.config.plugins import PluginSources
from gdrun.experiment.loading import load_config
from gdrun.rundir import layout
from gdrun.rundir.environment import git_diff
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore

from .checkpoints import Position, Saver
from .listener import Listener, Plan, plan_of, progress_of
from .new_run import new_run
from .notebook import default_listener
from .outcome import Outcome, describe_outcome
from .phases import PhaseRecord, next_phase
from .prepare import Prepared, prepare
from .recorder import Recorder
from .signals import Abandoned, StopRequests, time_limit

if TYPE_CHECKING:
    from gdrun.engine.drive import Report


def train(
    source: str | Path,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    runs_dir: str | Path | None = None,
    name: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    smoke: bool = False,
    listener: Listener | None = None,
    plugins: PluginSources = (),
) -> Run:
    """Train the experiment in `source` and return its run.

    Args:
        source: path of a YAML file or a run directory.
        overrides: ["optimizer.learning_rate=1e-5"] or {"optimizer.learning_rate": 1e-5}.
        runs_dir: where the run directory is made; default $GDRUN_RUNS or "runs".
        name: of the run; default the config's.
        device: "auto", "cpu", "gpu" or "gpu:1"; default the config's.
        threads: CPU threads.
        smoke: run a few steps only.
        listener: of its progress; default: in a notebook a bar with a live curve, else none.
        plugins: files and modules with the config's parts of kind custom.
    Raises:
        ConfigError: the config is refused; nothing was written.
        ResourceError: the device is not there.
        RunDirectoryError: the disk refused.
    """
    prepared = prepare(load_config(source, overrides, plugins=plugins), device=device, threads=threads, smoke=smoke)
    return execute(prepared, runs_dir=runs_dir, name=name, listener=listener or default_listener())


def execute(
    prepared: Prepared,
    *,
    runs_dir: str | Path | None = None,
    name: str | None = None,
    listener: Listener | None = None,
    keep: bool = True,
    command: Sequence[str] | None = None,
    log: Callable[[], str] | None = None,
    save_diff: bool = False,
) -> Run:
    """Train what was prepared and write its run directory.

    The first SIGINT or SIGTERM ends the run at the next chunk with status `interrupted`, everything saved; the second
    ends the process. Signals reach the main thread only.

    Args:
        prepared: from `prepare`.
        runs_dir, name, listener: as in `train`.
        keep: false: the run directory is a temporary one, removed with the returned Run.
        command: what to record as the command line; default `sys.argv`.
        log: returns TensorFlow's messages, for log.txt.
        save_diff: write how the git work tree differs from its commit into source/changes.diff.
    """
    listener = listener or Listener()
    folder = None if keep else tempfile.TemporaryDirectory(prefix="gdrun-")
    root = folder.name if folder else runs_dir
    run_name = name or prepared.loaded.experiment.name or "run"
    with new_run(root, run_name, prepared, listener, command=command) as store:
        if save_diff and (difference := git_diff()) is not None:
            store.write_text(layout.CHANGES, difference)
        run = train_into_store(store, prepared, listener, name=name, resumable=keep, log=log)
    return run if folder is None else _TemporaryRun(store.directory, folder)


def train_into_store(
    store: RunStore,
    prepared: Prepared,
    listener: Listener,
    *,
    name: str | None = None,
    position: Position | None = None,
    resumable: bool = True,
    log: Callable[[], str] | None = None,
) -> Run:
    """Train `prepared` to its end, write everything that is to be written, and close the store.

    Args:
        store: open; closed by this unless an error ends it.
        listener: of its progress.
        name: of the run, for the listener.
        position: to resume from; None: the start.
        resumable: write checkpoints.
        log: returns TensorFlow's messages, for log.txt.
    """
    saver = Saver(store, prepared, position)
    phase, phases = (position.phase, position.phases) if position else (prepared, PhaseRecord())
    report = position.report if position else None
    plan = plan_of(prepared, store.directory, name, first_step=position.step if position else 0)
    with training_into(store, plan, listener, log) as requests:
        while True:
            recorder = Recorder(store, phase)
            outcome = _train(phase, recorder, listener, report, saver if resumable else None, requests)
            if outcome.status not in (Status.COMPLETED, Status.STOPPED) or phases.number == len(prepared.phases):
                break
            phase, report = next_phase(prepared, phases.number + 1, phase, outcome)
            phases = phases.followed(outcome.stopped_by, phase.built)
            store.update_info(phases=phases.begun)
            saver.begin_phase(phase, phases, outcome.report, report, resumable=resumable)
    # First of all: what follows may take long, and if it is interrupted the state is there.
    if resumable:
        saver.finish(outcome)
    recorder.finish(
        outcome,
        seconds=saver.seconds,
        compute_seconds=saver.compute_seconds(outcome.report),
        phases=phases.ended(outcome.stopped_by) if prepared.phases else (),
    )
    run = Run(store.directory)
    listener.finished(run)
    return run


@contextmanager
def training_into(
    store: RunStore, plan: Plan, listener: Listener, log: Callable[[], str] | None
) -> Iterator[StopRequests]:
    """Announce a run or a sweep, note requests to stop while the block trains it, and log TensorFlow's messages."""
    listener.planned(plan)
    try:
        with StopRequests() as requests:
            yield requests
    finally:
        if log is not None and (messages := log()):
            store.log(messages)


def _train(
    prepared: Prepared,
    recorder: Recorder,
    listener: Listener,
    start: Report | None,
    saver: Saver | None,
    requests: StopRequests,
) -> Outcome:
    """Train, and give each report to the recorder, the saver and the listener.

    Args:
        prepared: the run, or the phase of it.
        start: report of the state that it is trained from, where that was recorded already.
    """
    from gdrun.engine.device import import_tensorflow
    from gdrun.engine.drive import drive, first_report

    tf = import_tensorflow()
    built = prepared.built
    is_over = time_limit(prepared.loaded.experiment.schedule.stop.seconds)
    last = first_report(built.state, built.program.first_record) if start is None else start
    with tf.device(prepared.device.name):
        reports = drive(
            built.program,
            last.state,
            built.setting,
            built.data,
            built.rows,
            built.windows,
            seconds_per_step=built.seconds_per_step,
            should_stop=lambda: requests.signal is not None or is_over(),
            call=requests.calls_on(prepared.device.name),
            resumed=start is not None,
            pause_every=saver.every_steps if saver is not None else None,
        )
        try:
            for last in reports:
                recorder.write(last)
                if saver is not None:
                    saver.save_if_due(last)
                listener.progress(progress_of(prepared, last))
        except Abandoned:
            # The last report was not known to be the last, so its state may have no row yet.
            if not last.is_row[-1]:
                newest = {name: values[-1:] for name, values in last.records.items()}
                recorder.write(replace(last, records=newest, is_row=np.ones(1, bool)))
        return describe_outcome(prepared, last, requests.signal)


class _TemporaryRun(Run):
    """A run whose directory is removed with it."""

    def __init__(self, directory: Path, folder: tempfile.TemporaryDirectory[str]) -> None:
        super().__init__(directory)
        self._folder = folder
