"""Recorder of a block's lanes: their reports to curves, final values and the best trial's rows.

Shape letters: n trials of a block, E events, l lanes in a report, R recorded steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gdrun.assembly import Built
from gdrun.engine.drive import Report, Windows
from gdrun.engine.lane_drive import LaneReport, picked, single
from gdrun.engine.lanes import Lanes
from gdrun.engine.state import Reason, TrainState
from gdrun.engine.step import Moment
from gdrun.models.transforms import transformed
from gdrun.rundir.run_info import Status
from gdrun.training.outcome import Ending, ending

from .inputs import GroupInputs
from .results import BlockProgress, BlockResult, Champion, best_place
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


class LaneRecorder:
    """Recorder of a block's lanes.

    Args:
        trials: their numbers, int64 (n,).
        per_epoch: updates an epoch.
        assessed: columns that are computed over whole data sets.
    """

    def __init__(self, trials: np.ndarray, per_epoch: int, assessed: Sequence[str]) -> None:
        self.trials = trials
        self._per_epoch = per_epoch
        self._columns = {"step", "loss", "loss_epoch", *assessed}
        """What every trial's curves need; the other records are the best trial's rows."""
        self._assessed = {*assessed} - {"loss"}
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
        """Return the recorded steps, int64 (R,), and each column, float64 (n, R)."""
        steps = [chunk.records["step"].max(axis=1)[chunk.is_row.any(axis=1)] for chunk in self._chunks]
        every = np.unique(np.concatenate(steps)) if steps else np.zeros(0, np.int64)
        names = dict.fromkeys(name for chunk in self._chunks for name in chunk.records if name in self._columns)
        curves = {name: np.full((len(self.trials), len(every)), np.nan) for name in names if name != "step"}
        for chunk in self._chunks:
            # A lane that stopped between two rows has none there: the examples and the rate were those of the others.
            event, place = np.nonzero(chunk.is_row & chunk.at_event)
            columns = np.searchsorted(every, chunk.records["step"][event, place])
            for name in curves.keys() & chunk.records.keys():
                curves[name][chunk.lanes[place], columns] = chunk.records[name][event, place]
        if self._per_epoch > 1:
            inside = every % self._per_epoch != 0
            for name in curves:
                if name == "loss_epoch":
                    curves[name][:, inside | (every == 0)] = np.nan
                elif name in self._assessed:
                    curves[name][:, inside] = np.nan
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
    pruned: np.ndarray | None = None,
) -> BlockResult:
    """Return the results of a block's trials.

    Args:
        state: the last one of each trial.
        timed_out: trials that had not ended were stopped by the clock.
        pruned: bool (n,): those that were dropped; None: none were.
    """
    built, trials = block.built, block.trials
    kept, parameters = final_lanes(block, state)
    values = final_values(block, kept, parameters)
    reasons = [Reason(int(code)) for code in state.reason.numpy()]
    steps = state.step.numpy()
    finite = np.isfinite(values["loss"]) & np.asarray(all_finite_lanes(parameters))
    clock = timed_out & ~(np.zeros(len(trials), bool) if pruned is None else pruned)
    unit = "epochs" if built.experiment.schedule.epochs is not None else "steps"
    ends = [
        ending(reason, step, at_end=step >= built.rows.total_steps, not_finite="" if fine else "loss", unit=unit)
        or Ending(Status.STOPPED, "seconds" if late else "pruned")
        for reason, step, fine, late in zip(reasons, steps.tolist(), finite.tolist(), clock.tolist(), strict=True)
    ]
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
        values=values | _bests(spec, curve_steps, curves, steps, last),
        parameters=_named(block, parameters),
        curve_steps=curve_steps,
        curves=curves,
        info=info,
    )
    place = best_place(result, spec.ranked, maximize=spec.maximize)
    if place is not None and recorder.complete:
        records, is_row = recorder.rows_of(place)
        if records["step"][-1] != steps[place]:
            last = last_record(block, state, place)
            records = {name: np.concatenate([values, last[name]]) for name, values in records.items()}
            is_row = np.append(is_row, True)
        leaves = [leaf.numpy()[place] for leaf in tf.nest.flatten(state)]
        seconds = float(info["seconds"])
        result.champion = Champion(int(trials[place]), records, is_row, leaves, int(reasons[place]), seconds)
    return result


def all_finite_lanes(parameters: Sequence[Any]) -> np.ndarray:
    """Return whether every number of a lane is finite, bool (n,)."""
    flags = [np.isfinite(value.numpy()).reshape(value.shape[0], -1).all(axis=1) for value in parameters]
    return np.logical_and.reduce(flags)


def _bests(
    spec: SweepSpec,
    steps: np.ndarray,
    curves: dict[str, np.ndarray],
    end_steps: np.ndarray,
    ends: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """best_loss and best_step, and the same of the metric that trials are ranked by, float64 (n,).

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


def _named(block: GroupInputs, parameters: Sequence[Any]) -> dict[str, np.ndarray]:
    """Final parameters by name, in their own domains, each (n, ...)."""
    objective, lanes = block.built.objective, block.lanes
    count = len(block.trials)
    fixed = [
        value if varies else tf.repeat(value[None], count, axis=0)
        for value, varies in zip(lanes.setting.fixed, lanes.setting_varies.fixed, strict=True)
    ]
    raw = dict(zip((*objective.trainable_names, *objective.fixed_names), (*parameters, *fixed), strict=True))
    return {name: transformed(value, objective.transforms.get(name)).numpy() for name, value in raw.items()}


def final_lanes(block: GroupInputs, state: TrainState) -> tuple[TrainState, tuple[tf.Tensor, ...]]:
    """Return the state whose model state goes with the final parameters, and these, each (n, ...).

    As for a single run: gdrun.training.recorder.final_parameters.
    """
    step = block.built.step
    optimizer = step.optimizer

    def finalize(values: tuple[tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]) -> tuple[tf.Tensor, ...]:
        return tuple(optimizer.finalize(*values))

    one = tf.autograph.experimental.do_not_convert(finalize)
    mapped = tf.function(lambda *values: tf.vectorized_map(one, values), autograph=False)
    parameters = mapped(tuple(state.optimizer), tuple(state.parameters))
    watch, memory = step.patience, state.patience
    if watch is None or not watch.restore_best or not memory:
        return state, tuple(parameters)
    found = tf.math.is_finite(memory.best)

    def restored(best: tuple[tf.Tensor, ...], now: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return tuple(
            tf.where(tf.reshape(found, [-1] + [1] * (old.shape.rank - 1)), old, new)
            for old, new in zip(best, now, strict=True)
        )

    kept = state._replace(model_state=restored(memory.model_state, state.model_state))
    return kept, restored(memory.parameters, tuple(parameters))


def last_record(block: GroupInputs, state: TrainState, place: int) -> dict[str, np.ndarray]:
    """Return what the single run would record at the last step of a lane, name -> (1, ...).

    Args:
        state: of all lanes, the last one of each.
        place: of the lane; it stopped while others went on.
    """
    built, lanes = block.built, block.lanes
    one = single(lanes, place)
    # Held where it is: a look, and no update.
    reason = tf.constant(int(Reason.PATIENCE), tf.int32)
    held = tf.nest.map_structure(lambda leaf: leaf[place], state)._replace(reason=reason)
    feed = lanes.feeds[place] if lanes.own_order else lanes.feeds[0]
    windows = Windows(feed, built.windows.factors, built.rows.total_steps, built.windows.stream)
    step = np.asarray([int(held.step)], np.int64)
    window = windows.at(int(step[0]))
    _, records = built.program.run(held, one.setting, one.data, window, step, built.rows.assesses(step))
    return records


def final_values(block: GroupInputs, state: TrainState, parameters: Sequence[tf.Tensor]) -> dict[str, np.ndarray]:
    """Return the loss over the training set, as `loss`, and the metrics at each lane's final parameters, float64 (n,).

    Args:
        state: of all lanes.
        parameters: the final ones, each (n, ...).
    """
    built, lanes = block.built, block.lanes
    mapping = Lanes(len(block.trials), lanes.setting_varies, lanes.data_varies)
    per_epoch = built.steps_per_epoch

    def one(state: TrainState, setting: Any, data: Any, order: Any) -> Any:
        moment = Moment.at(state.step, state.step // per_epoch)
        return built.assess(state, setting, data, moment)

    look = tf.function(mapping.map(one), autograph=False)
    whole = replace(lanes, state=state._replace(parameters=tuple(parameters)))
    count = len(block.trials)
    size = max(1, LANE_BYTES // (activation_bytes(built, built.num_examples or 1)))
    pieces: list[dict[str, np.ndarray]] = []
    for begin in range(0, count, size):
        part = whole if size >= count else picked(whole, np.arange(begin, min(begin + size, count)))
        values = look(part.state, part.setting, part.data, tf.constant(0))
        pieces.append({name: value.numpy().astype(np.float64) for name, value in values.items()})
    numbers = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return {"loss": numbers.pop("loss_all")} | numbers


def activation_bytes(built: Built, examples: int) -> int:
    """Return the bytes that one lane's predictions and their gradients may take, for so many examples."""
    widths = [int(value.shape[-1]) if value.shape.rank else 1 for value in built.state.parameters]
    return 4 * tf.as_dtype(built.experiment.precision).size * examples * (sum(widths) + 1)
