"""Recorder of a block's lanes: their reports to curves, final values and the best trial's rows.

Shape letters: n trials of a block, E events, l lanes in a report, R recorded steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.assembly import Built
from gdrun.engine.drive import Report, Windows
from gdrun.engine.lane_drive import LaneReport, picked, single
from gdrun.engine.lanes import Lanes
from gdrun.engine.state import Reason, TrainState
from gdrun.engine.step import Moment
from gdrun.models.transforms import transformed
from gdrun.rundir.record import Status
from gdrun.training.outcome import Ending, ending

from .inputs import GroupInputs
from .results import BlockProgress, BlockResult, Champion, best_place
from .trials import SweepSpec

LANE_BYTES = 512 << 20
"""What a program's lanes may take, as far as that can be foreseen."""
_KEPT_BYTES = 128 << 20
"""What the records that only the best trial's rows need may take."""


class LaneRecorder:
    """Recorder of a block's lanes.

    Args:
        trials: their numbers, int64 (n,).
        metric: what trials are ranked by.
        per_epoch: updates an epoch.
        assessed: what is computed over whole data sets.
    """

    def __init__(self, trials: np.ndarray, metric: str, per_epoch: int, assessed: Sequence[str]) -> None:
        self.trials = trials
        self._metric = metric
        self._per_epoch = per_epoch
        self._assessed = set(assessed)
        self._chunks: list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]] = []
        """(lanes (l,), shown (E, l): a record is its lane's own, records by name)."""
        self._rows: list[np.ndarray] = []
        self._last: dict[str, np.ndarray] = {}
        self._bytes = 0
        self.complete = True
        """Whether everything that a run directory's rows hold was kept."""
        count = len(trials)
        self.last_loss = np.full(count, np.nan)
        self.reason = np.zeros(count, np.int64)
        self.lane_steps = 0

    def take(self, report: LaneReport) -> None:
        """Take a report of lanes."""
        steps = report.records["step"]
        shown = np.ones(steps.shape, bool)
        shown[1:] = steps[1:] != steps[:-1]
        self._keep(report.lanes, report.records, shown & (report.lanes >= 0), report.is_row)
        self.lane_steps += report.lane_steps

    def take_single(self, place: int, report: Report) -> None:
        """Take a report of the trial at `place`, which runs alone."""
        records = {name: values[:, None] for name, values in report.records.items()}
        shown = np.ones((len(report.is_row), 1), bool)
        self._keep(np.asarray([place]), records, shown, report.is_row[:, None])
        self.reason[place] = int(report.reason)
        self.lane_steps += len(report.is_row)

    def _keep(self, lanes: np.ndarray, records: dict[str, Any], shown: np.ndarray, is_row: np.ndarray) -> None:
        kept = {name: values for name, values in records.items() if name in self._curve_names(records) or self.complete}
        self._bytes += sum(values.nbytes for values in kept.values())
        if self.complete and self._bytes > _KEPT_BYTES:
            self.complete = False
            for _, _, old in self._chunks:
                for name in old.keys() - self._curve_names(old):
                    del old[name]
        self._chunks.append((lanes, shown, kept))
        self._rows.append(is_row)
        used = lanes >= 0
        for name in self._curve_names(records) - {"step"}:
            last = self._last.setdefault(name, np.full(len(self.trials), np.nan))
            last[lanes[used]] = records[name][-1][used]
        self.last_loss[lanes[used]] = records["loss"][-1][used]
        self.reason[lanes[used]] = np.where(
            self.reason[lanes[used]] == 0, records["reason"][-1][used], self.reason[lanes[used]]
        )

    def _curve_names(self, records: dict[str, Any]) -> set[str]:
        return {"step", "loss", "loss_epoch", *self._assessed} & records.keys()

    def progress(self) -> BlockProgress:
        """Return how far the block is."""
        finite = np.isfinite(self.last_loss) & (self.reason < Reason.LOSS_NOT_FINITE)
        best = int(np.argmin(np.where(finite, self.last_loss, np.inf))) if finite.any() else None
        return BlockProgress(
            done=int(np.sum(self.reason != 0)),
            diverged=int(np.sum(self.reason >= Reason.LOSS_NOT_FINITE)),
            lane_steps=self.lane_steps,
            best=None if best is None else float(self.last_loss[best]),
            best_trial=None if best is None else int(self.trials[best]),
        )

    def curves(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the recorded steps, int64 (R,), and each column, float64 (n, R)."""
        named: dict[str, None] = {}
        steps = []
        for (_, _, records), rows in zip(self._chunks, self._rows, strict=True):
            named |= dict.fromkeys(name for name in records if name in self._curve_names(records) and name != "step")
            steps.append(records["step"].max(axis=1)[rows.any(axis=1)])
        every = np.unique(np.concatenate(steps)) if steps else np.zeros(0, np.int64)
        whole = {name: np.full((len(self.trials), len(every)), np.nan) for name in named}
        for (lanes, _, records), rows in zip(self._chunks, self._rows, strict=True):
            # A lane that stopped between two rows has none there: the examples and the rate were those of the others.
            event, place = np.nonzero(rows & _at_event(records))
            at = np.searchsorted(every, records["step"][event, place])
            for name in named:
                if name in records:
                    whole[name][lanes[place], at] = records[name][event, place]
        if self._per_epoch > 1:
            inside = (every % self._per_epoch != 0) | (every == 0)
            for name in whole:
                if name == "loss_epoch" or (name in self._assessed and name != "loss"):
                    whole[name][:, inside if name == "loss_epoch" else every % self._per_epoch != 0] = np.nan
        return every, whole

    def ends(self) -> dict[str, np.ndarray]:
        """Return what was recorded last of each trial, float64 (n,): at its own step, where an epoch is one step."""
        return dict(self._last)

    def rows_of(self, place: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return every record of the trial at `place`, name -> (E, ...), and which are rows, the last one always.

        Where it stopped between two events, there is none of its last step.
        """
        pieces: list[dict[str, np.ndarray]] = []
        flags: list[np.ndarray] = []
        for (lanes, shown, records), rows in zip(self._chunks, self._rows, strict=True):
            where = np.flatnonzero(lanes == place)
            if not len(where):
                continue
            own = np.flatnonzero((shown & _at_event(records))[:, where[0]])
            pieces.append({name: values[own, where[0]] for name, values in records.items()})
            flags.append(rows[own, where[0]])
        records = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        is_row = np.concatenate(flags)
        # A lane that was done before a chunk shows its last state again at the chunk's start.
        fresh = np.ones(len(is_row), bool)
        fresh[1:] = records["step"][1:] != records["step"][:-1]
        records, is_row = {name: values[fresh] for name, values in records.items()}, is_row[fresh]
        is_row[-1] = True
        return records, is_row


def _at_event(records: dict[str, Any]) -> np.ndarray:
    """Return the lanes that had come to the step of the event, bool (E, l)."""
    steps = records["step"]
    return steps == steps.max(axis=1, keepdims=True)


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
    last = recorder.ends() if built.steps_per_epoch == 1 else first
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
        moment = Moment(state.step, state.step // per_epoch, None, None)
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
