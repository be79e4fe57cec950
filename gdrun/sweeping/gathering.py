"""Reports of lanes -> curves, final values and the best trial's rows.

Shape letters: n trials of a block, E events, l lanes in a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.engine.drive import Report
from gdrun.engine.lane_drive import LaneReport
from gdrun.engine.state import Reason

from .results import BlockProgress, BlockResult, Champion, best_place

if TYPE_CHECKING:
    from gdrun.engine.state import TrainState

    from .inputs import GroupInputs
    from .trials import SweepSpec

_KEPT_BYTES = 128 << 20
"""What the records that only the best trial's rows need may take."""
_DIVERGED = {
    Reason.LOSS_NOT_FINITE: "loss",
    Reason.GRADIENT_NOT_FINITE: "gradient",
    Reason.PARAMETERS_NOT_FINITE: "parameters",
}


class Gathered:
    """What a block's reports have shown so far.

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
    """Which lanes had come to the step of the event, bool (E, l)."""
    steps = records["step"]
    return steps == steps.max(axis=1, keepdims=True)


def finished_block(
    spec: SweepSpec,
    block: GroupInputs,
    state: TrainState,
    gathered: Gathered,
    info: dict[str, Any],
    *,
    timed_out: bool,
    pruned: np.ndarray | None = None,
) -> BlockResult:
    """Return what a block's trials came to.

    Args:
        state: the last one of each trial.
        timed_out: trials that had not ended were stopped by the clock.
        pruned: bool (n,): those that were dropped; None: none were.
    """
    from .blocks import final_values
    from .finals import final_lanes, last_record

    built, trials = block.built, block.trials
    kept, parameters = final_lanes(block, state)
    values = final_values(block, kept, parameters)
    reasons = [Reason(int(code)) for code in state.reason.numpy()]
    steps = state.step.numpy()
    finite = np.isfinite(values["loss"]) & np.asarray(all_finite_lanes(parameters))
    clock = timed_out & ~(np.zeros(len(trials), bool) if pruned is None else pruned)
    ended = [
        _ended(reason, step, fine, built, timed_out=late)
        for reason, step, fine, late in zip(reasons, steps.tolist(), finite.tolist(), clock.tolist(), strict=True)
    ]
    curve_steps, curves = gathered.curves()
    # A trial that stopped within its first epoch has no mean over one.
    first = {"loss_epoch": np.where(steps < built.steps_per_epoch, values["loss"], np.nan)}
    ends = gathered.ends() if built.steps_per_epoch == 1 else first
    result = BlockResult(
        trials=trials,
        status=[one[0] for one in ended],
        stopped_by=[one[1] for one in ended],
        steps=steps,
        diverged_at=np.asarray([one[3] for one in ended], np.int64),
        diverged=[one[2] for one in ended],
        why=[""] * len(trials),
        values=values | _bests(spec, curve_steps, curves, steps, ends),
        parameters=_named(block, parameters),
        curve_steps=curve_steps,
        curves=curves,
        info=info,
    )
    place = best_place(result, spec.ranked, maximize=spec.maximize)
    if place is not None and gathered.complete:
        import tensorflow as tf

        records, is_row = gathered.rows_of(place)
        if records["step"][-1] != steps[place]:
            last = last_record(block, state, place)
            records = {name: np.concatenate([values, last[name]]) for name, values in records.items()}
            is_row = np.append(is_row, True)
        leaves = [leaf.numpy()[place] for leaf in tf.nest.flatten(state)]
        seconds = float(info["seconds"])
        result.champion = Champion(int(trials[place]), records, is_row, leaves, int(reasons[place]), seconds)
    return result


def _ended(reason: Reason, step: int, finite: bool, built: Any, *, timed_out: bool) -> tuple[str, str, str, int]:
    """(status, stopped_by, what diverged, at which step) of one trial."""
    if reason.diverged:
        return "diverged", "non_finite", _DIVERGED[reason], step + (reason is Reason.PARAMETERS_NOT_FINITE)
    if reason is not Reason.NONE:
        return "stopped", reason.name.lower(), "", -1
    if step < built.rows.total_steps:
        return "stopped", "seconds" if timed_out else "pruned", "", -1
    if not finite:
        return "diverged", "non_finite", "loss", step
    unit = "epochs" if built.experiment.schedule.epochs is not None else "steps"
    return "completed", unit, "", -1


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
    import tensorflow as tf

    from gdrun.models.transforms import transformed

    objective, lanes = block.built.objective, block.lanes
    count = len(block.trials)
    fixed = [
        value if varies else tf.repeat(value[None], count, axis=0)
        for value, varies in zip(lanes.setting.fixed, lanes.setting_varies.fixed, strict=True)
    ]
    raw = dict(zip((*objective.trainable_names, *objective.fixed_names), (*parameters, *fixed), strict=True))
    return {name: transformed(value, objective.transforms.get(name)).numpy() for name, value in raw.items()}
