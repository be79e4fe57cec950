"""Recorder of a run: reports of the loop to rows, arrays and the run info in a run directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.rundir import layout
from gdrun.rundir.run_info import Status, Values
from gdrun.rundir.store import RunStore

from .outcome import Outcome
from .prepare import Prepared

if TYPE_CHECKING:
    from gdrun.assembly import Built
    from gdrun.engine.drive import Report
    from gdrun.engine.state import TrainState

_NOT_IN_ROWS = ("reason",)
_NOT_AT_0 = ("loss_before", "loss_epoch")
"""Before the first update there is nothing that an update saw, nor the loss of an epoch."""


def has_value(built: Built, name: str, steps: np.ndarray) -> np.ndarray:
    """Return at which of `steps` a recorded column of a run, or of a sweep's trials, has a value, bool (R,)."""
    record = built.experiment.record
    there = steps > 0 if name in (*_NOT_AT_0, *record.after, *record.means) else np.ones(len(steps), bool)
    if name in built.assess.names:
        there = there & built.rows.assesses(steps)
    elif name == "loss_epoch" or name in record.means:
        there = there & (built.program.feed.position(steps) == 0)
    return there


class Recorder:
    """Recorder of one run."""

    def __init__(self, store: RunStore, prepared: Prepared) -> None:
        self._store = store
        self._prepared = prepared

    def write(self, report: Report) -> None:
        """Append the report's rows to the metrics."""
        columns = self._columns(report)
        built, steps = self._prepared.built, columns["step"]
        self._store.append_columns(columns, {name: has_value(built, name, steps) for name in columns})

    def _columns(self, report: Report) -> dict[str, np.ndarray]:
        """Return the columns of the report's rows in the order of metrics.jsonl.

        A chunk observes more than its rows (its own end, ends of watched epochs); `is_row` says which belong there.
        """
        records = {name: values[report.is_row] for name, values in report.records.items() if name not in _NOT_IN_ROWS}
        feed = self._prepared.built.program.feed
        columns = {"step": records.pop("step")}
        if feed.steps_per_epoch > 1:
            columns["epoch"] = feed.epoch(columns["step"])
        before = records.pop("loss_before").astype(records["loss"].dtype)
        columns |= {"loss": records.pop("loss"), "loss_before": before}
        return columns | records

    def finish(
        self, outcome: Outcome, *, seconds: float, compute_seconds: float, phases: tuple[Values, ...] = ()
    ) -> None:
        """Write final and best parameters and close the record.

        Args:
            outcome: how the run ended.
            seconds: of wall clock.
            compute_seconds: of these, those in compiled code.
            phases: of run.json.
        """
        from .final import best_memory, final_state

        built, last = self._prepared.built, outcome.report.state
        state = final_state(built.step, last)
        memory = best_memory(built.step, last)
        restored = memory is not None and bool(np.isfinite(memory.best))
        self._store.write_parameters(named_arrays(built, state))
        if raw := _raw_arrays(built, state):
            self._store.write_arrays(layout.RAW, raw)
        if restored:
            self._store.write_arrays(layout.BEST, named_arrays(built, state))
        # Restored or averaged parameters are not those that the last row is about.
        pairs = zip(state.parameters, last.parameters, strict=True)
        is_last = not restored and all(np.array_equal(a.numpy(), b.numpy(), equal_nan=True) for a, b in pairs)
        step = outcome.report.step
        self._store.close(
            outcome.status,
            stopped_by=outcome.stopped_by,
            why=outcome.why,
            signal=outcome.signal_number,
            seconds=seconds,
            steps=step,
            phases=phases,
            epochs=built.epochs(step),
            final=self._final(outcome, state, is_last=is_last),
            best=outcome.best,
            diverged=outcome.diverged,
            extra={"compute_seconds": compute_seconds},
        )

    def _final(self, outcome: Outcome, state: TrainState, *, is_last: bool) -> dict[str, Any]:
        """Return the loss over the whole training set, and the metrics, at the final parameters.

        Args:
            is_last: the last row is about these parameters. Its loss is taken as it is and not computed again, which in
                another program could have another last digit.
        """
        from gdrun.engine.device import import_tensorflow

        from .final import final_values

        tf = import_tensorflow()
        built, report = self._prepared.built, outcome.report
        last = {name: values[-1] for name, values in report.records.items()}
        final = {name: last[name] for name in ("gradient_norm", "learning_rate")} if is_last else {}
        is_whole = is_last and _is_whole(built)
        if is_whole and (built.assess.names == ("loss_all",) or outcome.status is Status.DIVERGED):
            return {"loss": last["loss"], **final}
        # An interrupted run ends now; what compiles in another thread would hold it up.
        if outcome.status in (Status.DIVERGED, Status.INTERRUPTED):
            return {"loss" if is_whole else "batch_loss": last["loss"], **final}
        with tf.device(self._prepared.device.name):
            moment = built.program.feed.moment(built.windows.at(report.step), state.step)
            values = final_values(built, state, built.setting, built.data, moment)
        return {name: value.numpy() for name, value in values.items()} | final


def _is_whole(built: Built) -> bool:
    """Return whether each row's loss is that over all training data, the model in inference mode."""
    batches = built.program.feed.batches
    return (batches is None or batches.full_batch) and not built.state.model_state


def _raw_arrays(built: Built, state: TrainState) -> dict[str, np.ndarray]:
    """Return the parameters that have a transform, before it: a sigmoid that has reached 1 cannot be undone."""
    objective = built.objective
    values = dict(zip(objective.trainable_names, state.parameters, strict=True))
    values |= dict(zip(objective.fixed_names, built.setting.fixed, strict=True))
    return {name: values[name].numpy() for name in objective.transforms}


def named_arrays(built: Built, state: TrainState) -> dict[str, np.ndarray]:
    """Return every parameter, and what the model needs beside them to predict: moving averages, but no seeds."""
    kept = dict(zip(built.objective.state_names, state.model_state, strict=True))
    kept = {name: value for name, value in kept.items() if value.dtype.is_floating}
    named = built.objective.named(state.parameters, built.setting)
    return {name: value.numpy() for name, value in {**named, **kept}.items()}
