"""Recorder of a block's lanes: their reports to curves, final values and the best trial's rows.

Shape letters: n trials of a block, E events, l lanes in a report, R recorded steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gdrun.assembly import Built
from gdrun.engine.drive import Report
from gdrun.engine.lane_drive import LaneReport, picked, single
from gdrun.engine.lanes import Lanes, in_lanes
from gdrun.engine.state import Moment, Reason, TrainState
from gdrun.rundir.run_info import Status
from gdrun.training.final import final_state, final_values
from gdrun.training.outcome import Ending, ending, quantity_not_finite
from gdrun.training.recorder import has_value

from .inputs import GroupInputs
from .results import BestTrial, BlockProgress, BlockResult, best_place
from .trials import SweepSpec

LANE_BYTES = 512 << 20
"""What a program's lanes may take, as far as that can be foreseen."""
_KEPT_BYTES = 128 << 20
"""What the records that only the best trial's rows need may take."""


class _Chunk(NamedTuple):
    """Records of a chunk of steps."""

    lanes: np.ndarray
    """int64 (l,): places in the block; -1 for a lane that is only there to fill up."""
    is_row: np.ndarray
    """bool (E, l)."""
    records: dict[str, np.ndarray]
    """Name -> (E, l, ...)."""

    @property
    def at_event(self) -> np.ndarray:
        """The lanes that had come to the step of the event, bool (E, l); others had ended before."""
        steps = self.records["step"]
        return steps == steps.max(axis=1, keepdims=True)


def _asked_columns(built: Built) -> set[str]:
    """Return the further columns that each trial's curves hold: those that the config asks for by name.

    The few parameters that a run records unasked would make the curves of large sweeps ten times as large.
    """
    record, names = built.experiment.record, built.objective.trainable_names
    arrays = [kind for kind in ("parameters", "gradients") if getattr(record, kind)]
    state = [f"state.{name}" for name in built.step.optimizer.state_names] if record.state else []
    return {
        *record.formulas,
        *record.after,
        *record.means,
        *state,
        *(f"{kind}.{name}" for kind in arrays for name in names),
    }


class LaneRecorder:
    """Recorder of a block's lanes.

    Args:
        trials: their numbers, int64 (n,).
        built: their program.
    """

    def __init__(self, trials: np.ndarray, built: Built) -> None:
        self.trials = trials
        self._built = built
        self._asked = _asked_columns(built)
        """Further columns that curves hold, as long as they are not too many."""
        self._columns = {"step", "loss", "loss_epoch", *built.assess.names}
        """What every trial's curves need; the other records are the best trial's rows."""
        self._chunks: list[_Chunk] = []
        self._bytes = 0
        self.complete = True
        """False once records were left out that the best trial's rows need: all together were too many."""
        self.last: dict[str, np.ndarray] = {}
        """Newest value of each column, float64 (n,): at a trial's own last step, where an epoch is one step."""
        self._reason = np.zeros(len(trials), np.int64)
        self._lane_steps = 0

    def take(self, report: LaneReport) -> None:
        """Take a report of lanes."""
        self._keep(_Chunk(report.lanes, report.is_row, report.records))
        self._lane_steps += report.lane_steps

    def take_single(self, place: int, report: Report) -> None:
        """Take a report of the trial at `place`, which runs alone."""
        records = {name: values[:, None] for name, values in report.records.items()}
        self._keep(_Chunk(np.asarray([place]), report.is_row[:, None], records))
        self._reason[place] = int(report.reason)
        self._lane_steps += len(report.is_row)

    def _keep(self, chunk: _Chunk) -> None:
        lanes, records = chunk.lanes, chunk.records
        kept = {name: values for name, values in records.items() if self.complete or name in self._columns}
        self._bytes += sum(values.nbytes for values in kept.values())
        self._chunks.append(chunk._replace(records=kept))
        if self.complete and self._bytes > _KEPT_BYTES:
            self.complete = False
            for old in self._chunks:
                for name in old.records.keys() - self._columns:
                    del old.records[name]
        used = lanes >= 0
        for name in records.keys() & self._columns - {"step"}:
            last = self.last.setdefault(name, np.full(len(self.trials), np.nan))
            last[lanes[used]] = records[name][-1][used]
        before = self._reason[lanes[used]]
        self._reason[lanes[used]] = np.where(before == 0, records["reason"][-1][used], before)

    def progress(self) -> BlockProgress:
        """Return the progress of the block."""
        losses = self.last["loss"]
        finite = np.isfinite(losses) & (self._reason < Reason.LOSS_NOT_FINITE)
        best = int(np.argmin(np.where(finite, losses, np.inf))) if finite.any() else None
        return BlockProgress(
            done=int(np.sum(self._reason != 0)),
            diverged=int(np.sum(self._reason >= Reason.LOSS_NOT_FINITE)),
            lane_steps=self._lane_steps,
            best=None if best is None else float(losses[best]),
            best_trial=None if best is None else int(self.trials[best]),
        )

    def curves(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the recorded steps, int64 (R,), and each column, float64 (n, R), of arrays (n, R, ...)."""
        steps = [chunk.records["step"].max(axis=1)[chunk.is_row.any(axis=1)] for chunk in self._chunks]
        every = np.unique(np.concatenate(steps)) if steps else np.zeros(0, np.int64)
        chosen = self._columns | self._asked if self.complete else self._columns
        like = {name: values for chunk in self._chunks for name, values in chunk.records.items() if name in chosen}
        curves = {
            name: np.full((len(self.trials), len(every), *values.shape[2:]), np.nan, np.result_type(values, np.float64))
            for name, values in like.items()
            if name != "step"
        }
        for chunk in self._chunks:
            # A lane that stopped between two rows has none there: the examples and the rate were those of the others.
            event, place = np.nonzero(chunk.is_row & chunk.at_event)
            columns = np.searchsorted(every, chunk.records["step"][event, place])
            for name in curves.keys() & chunk.records.keys():
                curves[name][chunk.lanes[place], columns] = chunk.records[name][event, place]
        for name, values in curves.items():
            values[:, ~has_value(self._built, name, every)] = np.nan
        return every, curves

    def rows_of(self, place: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return every record of the trial at `place`, name -> (E, ...), and which are rows, the last one always.

        Where it stopped between two events, there is none of its last step.
        """
        pieces: list[dict[str, np.ndarray]] = []
        flags: list[np.ndarray] = []
        for chunk in self._chunks:
            for lane in np.flatnonzero(chunk.lanes == place):
                own = np.flatnonzero(chunk.at_event[:, lane])
                pieces.append({name: values[own, lane] for name, values in chunk.records.items()})
                flags.append(chunk.is_row[own, lane])
        records = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        is_row = np.concatenate(flags)
        # A lane that is done shows its last state again, at the other lanes' events and at the next chunk's start.
        fresh = np.ones(len(is_row), bool)
        fresh[1:] = records["step"][1:] != records["step"][:-1]
        records, is_row = {name: values[fresh] for name, values in records.items()}, is_row[fresh]
        is_row[-1] = True
        return records, is_row


def finished_block(
    spec: SweepSpec,
    block: GroupInputs,
    state: TrainState,
    recorder: LaneRecorder,
    info: dict[str, Any],
    *,
    timed_out: bool,
    pruned: np.ndarray,
) -> BlockResult:
    """Return the results of a block's trials.

    Args:
        state: the last one of each trial.
        timed_out: trials that had not ended were stopped by the clock.
        pruned: bool (n,): those that were dropped.
    """
    built, trials = block.built, block.trials
    final = _final_states(block, state)
    values = _final_values(block, final)
    reasons = [Reason(int(code)) for code in state.reason.numpy()]
    steps = state.step.numpy()
    arrays = [value.numpy() for value in final.parameters]
    ends = []
    for lane, step in enumerate(steps.tolist()):
        not_finite = quantity_not_finite(values["loss"][lane], (array[lane] for array in arrays))
        at_end = step >= built.rows.total_steps
        end = ending(reasons[lane], step, built.experiment.schedule, at_end=at_end, not_finite=not_finite)
        ends.append(end or Ending(Status.STOPPED, "seconds" if timed_out and not pruned[lane] else "pruned"))
    diverged = [end.diverged or {"step": -1, "quantity": ""} for end in ends]
    curve_steps, curves = recorder.curves()
    # A trial that stopped within its first epoch has no mean over one.
    first = {"loss_epoch": np.where(steps < built.steps_per_epoch, values["loss"], np.nan)}
    last = dict(recorder.last) if built.steps_per_epoch == 1 else first
    result = BlockResult(
        trials=trials,
        status=[str(end.status) for end in ends],
        stopped_by=[end.stopped_by for end in ends],
        steps=steps,
        diverged_at=np.asarray([each["step"] for each in diverged], np.int64),
        diverged=[each["quantity"] for each in diverged],
        why=[""] * len(trials),
        values=values | best_values(spec, curve_steps, curves, steps, last),
        parameters=_named(block, final),
        curve_steps=curve_steps,
        curves=curves,
        info=info,
    )
    place = best_place(result, spec.ranked, maximize=spec.maximize)
    if place is not None and recorder.complete:
        records, is_row = recorder.rows_of(place)
        if records["step"][-1] != steps[place]:
            at_end = last_record(block, state, place)
            records = {name: np.concatenate([values, at_end[name]]) for name, values in records.items()}
            is_row = np.append(is_row, True)
        leaves = [leaf.numpy()[place] for leaf in tf.nest.flatten(state)]
        seconds = float(info["seconds"])
        result.best_trial = BestTrial(int(trials[place]), records, is_row, leaves, int(reasons[place]), seconds)
    return result


def best_values(
    spec: SweepSpec,
    steps: np.ndarray,
    curves: dict[str, np.ndarray],
    end_steps: np.ndarray,
    ends: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return best_loss and best_step, and the same of the metric that trials are ranked by, float64 (n,).

    Args:
        steps, curves: (R,) and name -> (n, R).
        end_steps, ends: (n,) and name -> (n,): what each trial came to, where that is known.
    """
    result: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(("loss", spec.metric)):
        column = "loss_epoch" if name == "loss" and "loss_epoch" in curves else name
        values = curves.get(column)
        if values is None or not values.size:
            continue
        at = np.broadcast_to(steps, values.shape)
        if column in ends:
            values, at = np.column_stack([values, ends[column]]), np.column_stack([at, end_steps])
        higher = spec.maximize and name == spec.metric
        ranked = np.where(np.isfinite(values), -values if higher else values, np.inf)
        best = np.arange(len(values)), ranked.argmin(axis=1)
        there = np.isfinite(ranked[best])
        result |= {f"best_{name}": np.where(there, values[best], np.nan)}
        result |= {"best_step" if name == "loss" else f"best_{name}_step": np.where(there, at[best], np.nan)}
    return result


def _named(block: GroupInputs, final: TrainState) -> dict[str, np.ndarray]:
    """Return the final parameters by name, in their own domains, each (n, ...)."""
    lanes = block.lanes
    fixed = in_lanes(lanes.setting.fixed, len(block.trials), lanes.setting_varies.fixed)
    named = block.built.objective.named(final.parameters, lanes.setting._replace(fixed=fixed))
    return {name: value.numpy() for name, value in named.items()}


def _final_states(block: GroupInputs, state: TrainState) -> TrainState:
    """Return the state of each lane with its final parameters and the model state that goes with them."""

    @tf.autograph.experimental.do_not_convert
    def final_of_lane(state: TrainState) -> tuple[Any, Any]:
        final = final_state(block.built.step, state)
        return final.parameters, final.model_state

    mapped = tf.function(lambda state: tf.vectorized_map(final_of_lane, state), autograph=False)
    parameters, model_state = mapped(state)
    return state._replace(parameters=parameters, model_state=model_state)


def last_record(block: GroupInputs, state: TrainState, place: int) -> dict[str, np.ndarray]:
    """Return what the single run would record at the last step of a lane, name -> (1, ...).

    Args:
        state: of all lanes, the last one of each.
        place: of the lane; it stopped while others were trained.
    """
    built, lanes = block.built, block.lanes
    one = single(lanes, place)
    # Held where it is: a look, and no update.
    reason = tf.constant(int(Reason.PATIENCE), tf.int32)
    held = tf.nest.map_structure(lambda leaf: leaf[place], state)._replace(reason=reason)
    step = np.asarray([int(held.step)], np.int64)
    window = replace(built.windows, feed=one.feeds[0]).at(int(step[0]))
    _, records = built.program.run(held, one.setting, one.data, window, step, built.rows.assesses(step))
    return records


def _final_values(block: GroupInputs, final: TrainState) -> dict[str, np.ndarray]:
    """Return the loss over the training set, as `loss`, and the metrics at each lane's final parameters, float64 (n,).

    All are computed, where a run may take those of its last row: these are of mini-batches, or a lane has none at its
    last step.
    """
    built, lanes = block.built, block.lanes
    mapping = Lanes(len(block.trials), lanes.setting_varies, lanes.data_varies)
    per_epoch = built.steps_per_epoch

    def values_of_lane(state: TrainState, setting: Any, data: Any, order: Any) -> dict[str, tf.Tensor]:
        return final_values(built, state, setting, data, Moment.at(state.step, state.step // per_epoch))

    compute = tf.function(mapping.map(values_of_lane), autograph=False)
    whole = replace(lanes, state=final)
    count = len(block.trials)
    size = max(1, LANE_BYTES // (activation_bytes(built, built.num_examples or 1)))
    pieces: list[dict[str, np.ndarray]] = []
    for begin in range(0, count, size):
        part = whole if size >= count else picked(whole, np.arange(begin, min(begin + size, count)))
        values = compute(part.state, part.setting, part.data, tf.constant(0))
        pieces.append({name: value.numpy().astype(np.float64) for name, value in values.items()})
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def activation_bytes(built: Built, examples: int) -> int:
    """Return the bytes that one lane's predictions and their gradients may take, for so many examples."""
    widths = [int(value.shape[-1]) if value.shape.rank else 1 for value in built.state.parameters]
    if built.objective.model.convolutional:
        # A filter has an output at each place of an image: of 4096 images, gigabytes.
        examples *= max((int(np.prod(value.shape[1:-1])) for value in built.data.inputs.values()), default=1)
    return 4 * tf.as_dtype(built.experiment.precision).size * examples * (sum(widths) + 1)
