"""Results of trials as arrays, which workers send and a sweep keeps, and the callbacks of training. NumPy only.

Shape letters: n trials, R recorded steps.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from gdrun.rundir.column_parts import parameter_parts
from gdrun.rundir.digits import shortest_texts

STATUSES = ("completed", "stopped", "diverged", "failed")
HAS_RESULT = STATUSES[:3]
LANES, SINGLY = "lanes", "one after the other"
"""Two ways to run the trials of one program."""


@dataclass
class BestTrial:
    """Rows and last state of a block's best trial, from which its run directory is written."""

    trial: int
    records: dict[str, np.ndarray]
    """Name -> (E, ...)."""
    is_row: np.ndarray
    """bool (E,)."""
    state: list[np.ndarray]
    """The leaves of its TrainState."""
    reason: int
    seconds: float


@dataclass(eq=False)
class BlockResult:
    """Results of the trials of one block."""

    trials: np.ndarray
    """int64 (n,), rising."""
    status: list[str]
    """One of STATUSES each."""
    stopped_by: list[str]
    steps: np.ndarray
    """int64 (n,): updates done."""
    diverged_at: np.ndarray
    """int64 (n,): step at which something stopped being finite; -1 where everything is."""
    diverged: list[str]
    """The quantity: loss, gradient, parameters; "" where nothing diverged."""
    why: list[str]
    """Of failed trials."""
    values: dict[str, np.ndarray] = field(default_factory=dict)
    """Final loss and metrics by name, best_loss, best_step, ...: float64 (n,), nan where there is none."""
    parameters: dict[str, np.ndarray] = field(default_factory=dict)
    """Name -> (n, ...)."""
    curve_steps: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64 (R,)."""
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    """Name -> float64 (n, R), nan where a trial has no row."""
    best_trial: BestTrial | None = None
    info: dict[str, Any] = field(default_factory=dict)
    """strategy, lanes, seconds, compile."""

    def __len__(self) -> int:
        return len(self.trials)

    def subset(self, places: np.ndarray) -> BlockResult:
        """Return the results of the trials at `places`."""

        def pick(column: Any) -> Any:
            if isinstance(column, dict):
                return {name: values[places] for name, values in column.items()}
            return column[places] if isinstance(column, np.ndarray) else [column[place] for place in places]

        shared = ("curve_steps", "best_trial", "info")
        columns = {item.name: pick(getattr(self, item.name)) for item in fields(self) if item.name not in shared}
        kept = self.best_trial is not None and self.best_trial.trial in columns["trials"]
        return replace(self, **columns, best_trial=self.best_trial if kept else None)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays, for one .npz file."""
        arrays: dict[str, np.ndarray] = {name: getattr(self, name) for name in _ARRAYS}
        texts: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS}
        tables: dict[str, dict[str, np.ndarray]] = {prefix: getattr(self, name) for name, prefix in _TABLES.items()}
        if (best := self.best_trial) is not None:
            texts["best_trial"] = {"trial": best.trial, "reason": best.reason, "seconds": best.seconds}
            arrays["is_row"] = best.is_row
            tables |= {"record:": best.records, "state:": {str(k): leaf for k, leaf in enumerate(best.state)}}
        for prefix, table in tables.items():
            arrays |= {f"{prefix}{name}": values for name, values in table.items()}
        return arrays | {"texts": np.frombuffer(json.dumps(texts).encode(), np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> BlockResult:
        """Return the results that `to_arrays` was called of.

        Raises:
            KeyError, ValueError: there are none.
        """
        texts = json.loads(arrays["texts"].tobytes())

        def table(prefix: str) -> dict[str, np.ndarray]:
            return {name[len(prefix) :]: values for name, values in arrays.items() if name.startswith(prefix)}

        best_trial = None
        if "best_trial" in texts:
            leaves = table("state:")
            state = [leaves[str(number)] for number in range(len(leaves))]
            best_trial = BestTrial(
                records=table("record:"), is_row=arrays["is_row"], state=state, **texts["best_trial"]
            )
        columns: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        columns |= {name: texts[name] for name in _TEXTS}
        columns |= {name: table(prefix) for name, prefix in _TABLES.items()}
        return cls(**columns, best_trial=best_trial)


_ARRAYS = ("trials", "steps", "diverged_at", "curve_steps")
_TEXTS = ("status", "stopped_by", "diverged", "why", "info")
_TABLES = {"values": "value:", "parameters": "parameter:", "curves": "curve:"}
"""Fields of a BlockResult in a file: as they are, as JSON, and with a prefix to each name."""


@dataclass(frozen=True)
class BlockProgress:
    """Progress of a block, of the blocks of a group, or of several groups that are trained at the same time."""

    done: int = 0
    """Trials that have ended."""
    diverged: int = 0
    """Of these."""
    lane_steps: int = 0
    """Updates of all trials."""
    best: float | None = None
    """The least loss among trials that have not diverged."""
    best_trial: int | None = None

    @classmethod
    def of(cls, block: BlockResult) -> BlockProgress:
        """Return the counts of a block that is done; its best is in the table."""
        return cls(len(block), block.status.count("diverged"), int(block.steps.sum()))

    def __add__(self, other: BlockProgress) -> BlockProgress:
        best = min(((one.best, one.best_trial) for one in (self, other) if one.best is not None), default=(None, None))
        counts = (self.done + other.done, self.diverged + other.diverged, self.lane_steps + other.lane_steps)
        return BlockProgress(*counts, *best)


@dataclass(frozen=True)
class Hooks:
    """Callbacks of training.

    Args:
        should_stop: asked after each chunk.
        call: calls compiled code; see `drive`.
        progress: called with the progress of the groups that are being trained.
        warn: called with a message.
        device: "cpu", "gpu:1", ..., of trials that are built as runs; None: the config's.
    """

    should_stop: Callable[[], bool] = lambda: False
    call: Callable[..., Any] = lambda function, *arguments: function(*arguments)
    progress: Callable[[BlockProgress], None] = lambda progress: None
    warn: Callable[[str], None] = lambda message: None
    device: str | None = None


def failed(trials: np.ndarray, why: str) -> BlockResult:
    """Return the result of trials that an error ended."""
    count = len(trials)
    return BlockResult(
        trials=np.asarray(trials, np.int64),
        status=["failed"] * count,
        stopped_by=[""] * count,
        steps=np.zeros(count, np.int64),
        diverged_at=np.full(count, -1),
        diverged=[""] * count,
        why=[why] * count,
    )


class TrialTable:
    """Results of a sweep's trials, or of those of a part, whatever the order in which they come in."""

    def __init__(self, trials: np.ndarray) -> None:
        self.trials = trials
        self.total = len(trials)
        self.blocks: list[BlockResult] = []

    def add(self, block: BlockResult) -> None:
        """Take a block's results; rows of its trials that were there before, because they failed, are dropped."""
        for other in list(self.blocks):
            again = np.isin(other.trials, block.trials)
            if again.any():
                self.blocks.remove(other)
                if not again.all():
                    self.blocks.append(other.subset(np.flatnonzero(~again)))
        self.blocks.append(block)

    @property
    def done(self) -> np.ndarray:
        """int64, rising: trials that have a row."""
        return trials_of(self.blocks)

    def missing(self) -> np.ndarray:
        """int64, rising: trials without a result, failed ones among them."""
        kept = [
            block.trials[np.asarray([status in HAS_RESULT for status in block.status], bool)] for block in self.blocks
        ]
        return np.setdiff1d(self.trials, np.concatenate([np.zeros(0, np.int64), *kept]))

    def unknown(self) -> np.ndarray:
        """int64, rising: trials that have no row."""
        return np.setdiff1d(self.trials, self.done)

    def counts(self) -> dict[str, int]:
        """Status -> number of trials; `missing` too."""
        every = [status for block in self.blocks for status in block.status]
        counts = {status: every.count(status) for status in STATUSES}
        return {"total": self.total, **counts, "missing": self.total - len(every)}

    def best(self, metric: str, *, maximize: bool) -> tuple[int, float] | None:
        """Return (trial, value) of the best of `metric`; None where no trial has one. Of equals, the first."""
        ranked = []
        for block in self.blocks:
            place = best_place(block, metric, maximize=maximize)
            if place is not None:
                value = float(block.values[metric][place])
                ranked.append((-value if maximize else value, int(block.trials[place])))
        value, trial = min(ranked, default=(math.nan, None))
        return None if trial is None else (trial, -value if maximize else value)

    def best_trial(self, trial: int) -> BestTrial | None:
        """Return the rows and the state of `trial`, if its block kept them."""
        kept = (block.best_trial for block in self.blocks)
        return next((best for best in kept if best is not None and best.trial == trial), None)


def trials_of(blocks: Iterable[BlockResult]) -> np.ndarray:
    """Return the trials of blocks, int64, rising."""
    return np.sort(np.concatenate([np.zeros(0, np.int64), *(block.trials for block in blocks)]))


def by_trial(blocks: Iterable[BlockResult]) -> list[BlockResult]:
    """Return blocks in the order of their first trials, not in that in which they came."""
    return sorted(blocks, key=lambda block: int(block.trials[0]))


def best_place(block: BlockResult, metric: str, *, maximize: bool) -> int | None:
    """Return where in `block` the best finite value of `metric` is, of trials that neither diverged nor were dropped on
    the way; None if nowhere."""
    values = block.values.get(metric)
    if values is None or not len(values):
        return None
    ends = zip(block.status, block.stopped_by, strict=True)
    whole = [status in ("completed", "stopped") and by != "pruned" for status, by in ends]
    usable = np.isfinite(values) & np.asarray(whole, bool)
    if not usable.any():
        return None
    ranked = np.where(usable, -values if maximize else values, np.inf)
    return int(np.argmin(ranked))


def csv_text(table: TrialTable, axes: Sequence[str], values: Sequence[Sequence[Any]]) -> str:
    """Return trials.csv.

    Args:
        table: the results.
        axes: the swept keys.
        values: for each of them its value in every trial.
    """
    names = list(dict.fromkeys(name for block in by_trial(table.blocks) for name in block.values))
    first = [name for name in ("loss", "best_loss", "best_step") if name in names]
    others = [name for name in names if name not in first]
    parameters = [_parameter_texts(block) for block in by_trial(table.blocks)]
    parameter_names = list(dict.fromkeys(name for texts in parameters for name in texts))
    header = ["trial", *axes, "status", "stopped_by", "steps", *first, *others, *parameter_names]
    header += ["diverged_at", "diverged", "why"]
    rows: list[tuple[int, list[str]]] = []
    for block, texts in zip(by_trial(table.blocks), parameters, strict=True):
        columns = {name: block.values[name].tolist() for name in names if name in block.values}
        for place, trial in enumerate(block.trials.tolist()):
            own = [_cell(column[trial]) for column in values]
            numbers = [_number(name, columns[name][place]) if name in columns else "" for name in [*first, *others]]
            numbers += [texts[name][place] if name in texts else "" for name in parameter_names]
            at = int(block.diverged_at[place])
            ends = [str(at) if at >= 0 else "", block.diverged[place], block.why[place]]
            status = [block.status[place], block.stopped_by[place], str(int(block.steps[place]))]
            rows.append((trial, [str(trial), *own, *status, *numbers, *ends]))
    rows.sort(key=lambda row: row[0])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(row for _, row in rows)
    return text.getvalue()


def _parameter_texts(block: BlockResult) -> dict[str, list[str]]:
    parts = parameter_parts(block.parameters)
    return {name: [text.strip('"') for text in shortest_texts(column)] for name, column in parts}


def _number(name: str, value: float) -> str:
    if name == "best_step" or name.endswith("_step"):
        return "" if np.isnan(value) else str(int(value))
    return repr(value)


def _cell(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or value is None or isinstance(value, dict | list | tuple):
        return json.dumps(value)
    return repr(value) if isinstance(value, int | float) else str(value)


def curve_arrays(table: TrialTable) -> dict[str, np.ndarray]:
    """Return curves.npz: step (R,), trial (T,), and each column (T, R, ...) whose shape is the same in all trials."""
    blocks = by_trial(block for block in table.blocks if block.curves)
    trials = trials_of(blocks)
    steps = np.unique(np.concatenate([np.zeros(0, np.int64), *(block.curve_steps for block in blocks)]))
    arrays = {"step": steps, "trial": trials}
    for name in dict.fromkeys(name for block in blocks for name in block.curves):
        having = [block.curves[name] for block in blocks if name in block.curves]
        if len({values.shape[2:] for values in having}) > 1:
            continue
        whole = np.full((len(trials), len(steps), *having[0].shape[2:]), np.nan, np.result_type(*having))
        for block in blocks:
            if name in block.curves:
                places = np.searchsorted(trials, block.trials), np.searchsorted(steps, block.curve_steps)
                whole[np.ix_(*places)] = block.curves[name]
        arrays[name] = whole
    return arrays


def parameter_arrays(table: TrialTable) -> dict[str, np.ndarray]:
    """Return parameters.npz: trial (T,), name -> (T, ...); "name@trial" -> (...) where shapes differ."""
    blocks = by_trial(block for block in table.blocks if block.parameters)
    trials = trials_of(blocks)
    arrays: dict[str, np.ndarray] = {"trial": trials}
    for name in dict.fromkeys(name for block in blocks for name in block.parameters):
        having = [block for block in blocks if name in block.parameters]
        kinds = {(block.parameters[name].shape[1:], block.parameters[name].dtype) for block in having}
        if len(kinds) == 1 and len(having) == len(blocks):
            ((shape, dtype),) = kinds
            whole = np.zeros((len(trials), *shape), dtype)
            for block in having:
                whole[np.searchsorted(trials, block.trials)] = block.parameters[name]
            arrays[name] = whole
            continue
        for block in having:
            for trial, value in zip(block.trials, block.parameters[name], strict=True):
                arrays[f"{name}@{trial}"] = value
    return arrays
