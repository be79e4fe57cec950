"""Training of a prepared experiment into an open run directory, from its start or from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gdrun.rundir.store import RunStore

from .checkpoints import Position, Saver
from .listener import Listener, plan_of, progress_of
from .outcome import Outcome, describe_outcome
from .prepare import Prepared
from .recorder import Recorder
from .signals import Abandoned, StopRequests


def carry_out(
    store: RunStore,
    prepared: Prepared,
    listener: Listener,
    *,
    name: str | None = None,
    position: Position | None = None,
    resumable: bool = True,
    log: Callable[[], str] | None = None,
) -> None:
    """Train `prepared` to its end, write everything that is to be written, and close the store.

    Args:
        store: open; closed by this unless an error ends it.
        listener: of its progress.
        name: of the run, for the listener.
        position: to resume from; None: the start.
        resumable: write checkpoints.
        log: returns TensorFlow's messages, for log.txt.
    """
    recorder = Recorder(store, prepared)
    saver = Saver(store, prepared, position)
    listener.planned(plan_of(prepared, store.directory, name, first_step=position.step if position else 0))
    try:
        outcome = _train(prepared, recorder, listener, position, saver if resumable else None)
    finally:
        if log is not None and (messages := log()):
            store.log(messages)
    # First of all: what follows may take long, and if it is interrupted the state is there.
    if resumable:
        saver.finish(outcome)
    recorder.finish(replace(outcome, seconds=saver.seconds), compute_seconds=saver.compute_seconds(outcome.report))


def _train(
    prepared: Prepared, recorder: Recorder, listener: Listener, position: Position | None, saver: Saver | None
) -> Outcome:
    """Train, and give each report to the recorder, the saver and the listener."""
    from gdrun.engine.device import import_tensorflow
    from gdrun.engine.drive import drive, first_report

    tf = import_tensorflow()
    built, stop = prepared.built, prepared.loaded.experiment.schedule.stop
    began = time.monotonic()
    with StopRequests() as requests, tf.device(prepared.device.name):

        def should_stop() -> bool:
            return requests.signal is not None or (stop.seconds is not None and time.monotonic() - began > stop.seconds)

        last = first_report(built.state, built.program.first_record) if position is None else position.report
        reports = drive(
            built.program,
            last.state,
            built.setting,
            built.data,
            built.rows,
            built.windows,
            seconds_per_step=built.seconds_per_step,
            should_stop=should_stop,
            call=requests.calls_on(prepared.device.name),
            resumed=position is not None,
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
        return describe_outcome(prepared, last, requests.signal, time.monotonic() - began)
