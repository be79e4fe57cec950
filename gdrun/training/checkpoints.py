"""Checkpoints of a run: their content, when they are saved, and the position that one holds.

A step is a function of the state, the config and the step's number: orders of examples, factors, draws and rows all
depend on (seed, step). So a checkpoint holds the state, what the newest row would say, and the times so far.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import RunDirectoryError
from gdrun.metric_names import higher_is_better
from gdrun.rundir import layout
from gdrun.rundir.checkpoint import SavedCheckpoint
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore

from .outcome import Outcome
from .phases import PhaseRecord, phase_at
from .prepare import Prepared
from .recorder import has_value, named_arrays

if TYPE_CHECKING:
    from gdrun.engine.drive import Report

FORMAT = 1
"""Of what is in a checkpoint; another one is not read."""

BEST_CHECKPOINTS = "best_checkpoints"
"""The record's list of the best states, the best first: step, metric, file."""

_STATE = "state."
_RECORD = "record."
_FIXED = "fixed."
"""Parameters that a phase does not train are kept too: one before it may have trained them."""


@dataclass(frozen=True)
class Position:
    """Position that a run is resumed from."""

    report: Report
    """Report of the loop at that step; it is not repeated."""
    seconds: float
    """Of wall clock until then, over all the times it was resumed."""
    compute_seconds: float
    """Of those, in compiled code."""
    phase: Prepared
    """The run that goes on there, or the phase of it."""
    phases: PhaseRecord

    @property
    def step(self) -> int:
        """Updates done."""
        return self.report.step


class Saver:
    """Saver of a run's state, as often as `checkpoint:` says and at its end.

    A sweep has none: its trials are short and many, so that what it saves is results, of each block as it is done
    (`gdrun.sweeping.store`). Of a block that is lost the trials run again from their start.

    Args:
        store: of the run.
        prepared: the run.
        position: it was resumed from; None: it was started.
    """

    def __init__(self, store: RunStore, prepared: Prepared, position: Position | None = None) -> None:
        section = prepared.loaded.experiment.checkpoint
        self._store, self._prepared = store, position.phase if position else prepared
        self._phases = position.phases if position else PhaseRecord()
        self._best, self._metric = section.best, section.metric or "loss"
        self._files = store.checkpoints(keep=section.keep)
        self._every_seconds = section.every_seconds
        self.every_steps = section.every_steps
        self._seconds = position.seconds if position else 0.0
        self._compute_seconds = position.compute_seconds if position else 0.0
        self._step = position.step if position else 0
        self._began = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """Of wall clock, until now, over all the times the run was resumed."""
        return self._seconds + time.monotonic() - self._began

    def compute_seconds(self, report: Report) -> float:
        """Return the seconds in compiled code until `report`, over all the times the run was resumed."""
        return self._compute_seconds + report.seconds

    def begin_phase(
        self, phase: Prepared, phases: PhaseRecord, before: Report, start: Report, *, resumable: bool
    ) -> None:
        """Save the start of a phase.

        Args:
            before, start: the last report of the phase before, and that of its start.
            resumable: write a checkpoint.
        """
        self._compute_seconds += before.seconds
        self._prepared, self._phases, self._step = phase, phases, -1
        if resumable:
            self.save(start)

    def save_if_due(self, report: Report) -> None:
        """Save the state of a report that is not the last one, if it is time to; of any its parameters, if among the
        best.
        """
        if self._best is not None and self.every_steps and report.step % self.every_steps == 0:
            self._rank(report, self._best)
        if report.finished:
            return
        by_time = self._every_seconds is not None and time.monotonic() - self._saved >= self._every_seconds
        by_step = self.every_steps is not None and report.step % self.every_steps == 0
        if by_time or by_step:
            self.save(report)

    def _rank(self, report: Report, count: int) -> None:
        """Keep the parameters of a report, if its metric is among the best `count`, and remove those that are not.

        After a resumption the same steps come again, with the same bits, and take the place of the entries they left.
        """
        value = float(report.records[self._metric][-1])
        if not np.isfinite(value) or not has_value(self._prepared.built, self._metric, np.asarray([report.step]))[0]:
            return
        before = {item["step"]: item for item in self._store.info.extra.get(BEST_CHECKPOINTS, ())}
        name = f"{layout.CHECKPOINTS}/best-{report.step:012d}.npz"
        items = before | {report.step: {"step": report.step, self._metric: value, "file": name}}
        sign = -1 if higher_is_better(self._metric.removeprefix("validation_")) else 1
        ranking = sorted(items.values(), key=lambda item: (sign * item[self._metric], item["step"]))
        if items[report.step] not in ranking[:count]:
            return
        self._store.write_arrays(name, named_arrays(self._prepared.built, report.state))
        self._store.update_info(extra={BEST_CHECKPOINTS: ranking[:count]})
        for item in ranking[count:]:
            self._store.remove(item["file"])

    def finish(self, outcome: Outcome) -> None:
        """Save the last state of a run that can be resumed: with the schedule's other steps, or with more."""
        can_be_resumed = outcome.status in (Status.COMPLETED, Status.INTERRUPTED) or outcome.stopped_by == "seconds"
        if can_be_resumed:
            self.save(outcome.report)

    def save(self, report: Report) -> None:
        """Save the state of a report, once everything recorded until then is on the disk."""
        from gdrun.engine.state import to_arrays

        if report.step <= self._step:
            return  # It is there already, or it is the start, which costs nothing.
        state = {_STATE + name: value for name, value in to_arrays(report.state).items()}
        record = {_RECORD + name: values[-1] for name, values in report.records.items()}
        if self._phases.number:
            built = self._prepared.built
            fixed = zip(built.objective.fixed_names, built.setting.fixed, strict=True)
            state |= {_FIXED + name: value.numpy() for name, value in fixed}
        meta = {
            "format": FORMAT,
            "phases": self._phases.begun,
            "run": self._store.info.id,
            "seconds": self.seconds,
            "compute_seconds": self.compute_seconds(report),
        }
        # The rows first: a state whose rows were lost with the power could not be resumed from.
        self._store.sync()
        self._files.save(report.step, state | record, meta)
        self._step = report.step
        self._saved = time.monotonic()


def position_at(checkpoint: SavedCheckpoint, prepared: Prepared, run_id: str) -> Position:
    """Return the position that a checkpoint holds.

    Raises:
        RunDirectoryError: it is not one of this run.
    """
    from gdrun.assembly import Begin
    from gdrun.engine.device import import_tensorflow
    from gdrun.engine.drive import Report
    from gdrun.engine.loop import flat_record
    from gdrun.engine.state import Reason, from_arrays, to_arrays

    tf = import_tensorflow()
    meta = checkpoint.meta
    if meta.get("format") != FORMAT or meta.get("run") != run_id:
        raise RunDirectoryError(f"the checkpoint of step {checkpoint.step} is not one of this run")
    phases = PhaseRecord(tuple(meta["phases"]))
    phase = phase_at(prepared, phases.number, Begin(phases.begun[-1]["begins"], phases.begun[-1]["epoch"]))
    built = phase.built
    if phases.number:
        names, values = built.objective.fixed_names, built.setting.fixed
        fixed = _part(checkpoint, _FIXED, {name: value.numpy() for name, value in zip(names, values, strict=True)})
        setting = built.setting._replace(fixed=tuple(tf.constant(fixed[name]) for name in names))
        built = replace(built, setting=setting)
        phase = replace(phase, built=built)
    state = _part(checkpoint, _STATE, {name: np.asarray(value) for name, value in to_arrays(built.state).items()})
    first_record = flat_record(built.program.first_record)
    record = _part(checkpoint, _RECORD, {name: value.numpy() for name, value in first_record.items()})
    with tf.device(prepared.device.name):
        restored = from_arrays(built.state, state)
    if int(restored.step) != checkpoint.step or int(restored.reason) != int(Reason.NONE):
        raise RunDirectoryError(f"the checkpoint of step {checkpoint.step} holds another state")
    step = np.asarray([checkpoint.step])
    report = Report(
        restored,
        checkpoint.step,
        {name: value[None] for name, value in record.items()},
        built.rows.is_row(step),
        Reason.NONE,
        checkpoint.step >= built.total_steps,
        0.0,
        0.0,
    )
    return Position(report, float(meta["seconds"]), float(meta["compute_seconds"]), phase, phases)


def _part(checkpoint: SavedCheckpoint, prefix: str, template: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of one part, if they are those that the run has."""
    arrays = {name.removeprefix(prefix): value for name, value in checkpoint.arrays.items() if name.startswith(prefix)}
    shapes = {name: (value.shape, value.dtype) for name, value in arrays.items()}
    if shapes != {name: (value.shape, value.dtype) for name, value in template.items()}:
        raise RunDirectoryError(f"the checkpoint of step {checkpoint.step} does not hold what this run has")
    return arrays
