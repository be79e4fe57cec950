"""A sweep's table as columns of numbers: its axes, the results of its trials, and which of them diverged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrun.errors import UsageError
from gdrun.rundir.run import Run
from gdrun.rundir.seeds import is_seed
from gdrun.suggest import did_you_mean
from gdrun.text import plural_count

from .figure import Figure, FigureAxis, Scale, numbers
from .names import axis_labels, title_of, value_text
from .scales import number_text, sampling_scale, spacing_scale

LEARNING_RATE = "learning_rate"

BEYOND_START = 100.0
"""Final losses above so many times the start's only say that they are large: near the edge they have any size."""


@dataclass(frozen=True, eq=False)
class TrialColumns:
    """Columns of a sweep's table, an entry for each trial that has a result; axes with a single value are left out.

    `axes`: key -> values as written; `numbers`: the trials'; `value`: the metric, nan where a trial has none;
    `diverged`: bool.
    """

    sweep: Run
    axes: dict[str, list[Any]]
    numbers: list[Any]
    value: np.ndarray
    diverged: np.ndarray
    metric: str
    maximize: bool
    failed: int
    labels: dict[str, str]

    @property
    def results(self) -> np.ndarray:
        """The values of the trials that did not diverge, nan for the others."""
        return np.where(self.diverged, np.nan, self.value)

    def is_numeric(self, key: str) -> bool:
        """Return whether all values of an axis are numbers."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.axes[key])

    def column(self, key: str) -> np.ndarray:
        """Return a numeric axis's values, float64 (T,)."""
        return numbers(self.axes[key])

    def scale(self, key: str) -> Scale:
        """Return the scale on which a numeric axis's values were listed, or drawn where nearly all are different."""
        values = self.column(key)
        return sampling_scale(values) if len(np.unique(values)) > len(values) / 2 else spacing_scale(values)

    def setting(self, row: int, keys: Iterable[str]) -> str:
        """Return a trial's values of some axes: "lr 0.1, momentum 0.9"."""
        return ", ".join(f"{self.labels[key]} {value_text(self.axes[key][row])}" for key in keys)

    def axis_label(self, key: str) -> str:
        """Return the label of an axis: in full where a legend says lr."""
        return "learning rate" if is_rate(key) else self.labels[key]

    def numeric_axes(self, *, seeds: bool = False) -> list[str]:
        """Return the numeric axes: learning rates first, then as in the table; seeds only if asked for."""
        keys = [key for key in self.axes if self.is_numeric(key) and (seeds or not is_seed(key))]
        return sorted(keys, key=lambda key: not is_rate(key))

    @property
    def metric_label(self) -> str:
        """The label of the values on an axis."""
        return {"loss": "final loss", "best_loss": "best loss"}.get(self.metric, self.metric.replace("_", " "))

    @property
    def counts(self) -> str:
        """A line: how many trials there are, how many diverged and failed."""
        done = len(self.value) + self.failed
        words = [plural_count(done, "trial")]
        if count := int(self.diverged.sum()):
            words.append(f"{count:,} diverged")
        if self.failed:
            words.append(f"{self.failed:,} failed")
        if (total := self.sweep.planned_trials or 0) > done:
            words[0] += f" of {total:,}"
        return ", ".join(words)

    @property
    def start(self) -> float | None:
        """The loss at step 0 where all trials begin with about the same, else None."""
        if self.metric not in ("loss", "best_loss", "validation_loss"):
            return None
        curves = self.sweep.curves
        values = curves.get("validation_loss" if self.metric.startswith("validation") else "loss")
        steps = curves.get("step")
        if values is None or steps is None or not len(steps) or steps[0] != 0 or values.ndim != 2 or not len(values):
            return None
        first = numbers(values[:, 0])
        first = first[np.isfinite(first)]
        return float(first[0]) if len(first) and first[0] > 0 and np.ptp(first) <= 0.01 * first[0] else None

    def named_axis(self, name: str) -> str:
        """Return the axis that `name` means: its path, the end of it, its short name."""
        for key in self.axes:
            if name in (key, self.labels[key]) or key.endswith(f".{name}"):
                return key
        hint = did_you_mean(name, self.labels.values(), allowed="it varies")
        raise UsageError(f"{self.sweep.id} does not vary '{name}'", hint=hint)

    def groups(self, keys: Sequence[str]) -> list[tuple[str, np.ndarray]]:
        """Return (label, index of the trials) for each combination of the values of `keys`, in order of values.

        Numbers are in increasing order, other values in the table's.
        """
        combinations: dict[str, list[int]] = {}
        for index in range(len(self.value)):
            combinations.setdefault(repr([self.axes[key][index] for key in keys]), []).append(index)

        def rank(members: list[int]) -> list[tuple[int, float]]:
            first = members[0]
            return [(0, float(self.axes[key][first])) if self.is_numeric(key) else (1, first) for key in keys]

        return [
            (self.setting(members[0], keys), np.array(members)) for members in sorted(combinations.values(), key=rank)
        ]

    def levels(self, key: str) -> tuple[list[str], np.ndarray]:
        """Return the texts of the different values of an axis, and the index of each trial's.

        Numbers are in increasing order, others as in the table.
        """
        if self.is_numeric(key):
            values, index = np.unique(self.column(key), return_inverse=True)
            return [number_text(value, 3) for value in values.tolist()], index
        texts = [value_text(value) for value in self.axes[key]]
        levels = list(dict.fromkeys(texts))
        return levels, np.array([levels.index(text) for text in texts])

    def trial_labels(self) -> dict[Any, str]:
        """Return trial -> its settings: "lr 0.1, momentum 0.9"."""
        return {number: self.setting(row, self.axes) for row, number in enumerate(self.numbers)}

    def figure(self, name: str, subject: str, x: FigureAxis, y: FigureAxis, **parts: Any) -> Figure:
        """Return a picture of the sweep; `parts` are further fields of a Figure."""
        return Figure(title_of(self.sweep, subject), x, y, self.counts, name=name, **parts)


def is_rate(key: str) -> bool:
    """Return whether an axis is a learning rate."""
    return key.rpartition(".")[2] == LEARNING_RATE


def read_trials(sweep: Run, metric: str | None = None) -> TrialColumns:
    """Return the trials of a sweep.

    Args:
        metric: a column of the table; default: the one that the sweep was made for, else the loss.
    Raises:
        UsageError: there is no trial yet, or no such column.
        RunDirectoryError: the table is damaged.
    """
    rows = sweep.trials
    if not rows:
        raise UsageError(f"{sweep.id}: no trial is done, so there is nothing to draw")
    extra = {} if sweep.problem else sweep.info.extra
    ranked_by = extra.get("metric")
    chosen = metric or (ranked_by if isinstance(ranked_by, str) and ranked_by in rows[0] else "loss")
    if not metric and extra.get("value") == "best" and f"best_{chosen}" in rows[0]:
        chosen = f"best_{chosen}"
    if chosen not in rows[0]:
        skipped = {"trial", "status", "stopped_by", "diverged", "why", *sweep.axes}
        metrics = [name for name in rows[0] if name not in skipped]
        raise UsageError(
            f"the trials of {sweep.id} have no '{chosen}'", hint=did_you_mean(chosen, metrics, allowed="they have")
        )
    done = [row for row in rows if row.get("status") != "failed"]
    keys = [key for key in sweep.axes if key in rows[0]]
    axes = {key: [row[key] for row in done] for key in keys}
    varied = {key: values for key, values in axes.items() if len({repr(value) for value in values}) > 1}
    return TrialColumns(
        sweep=sweep,
        axes=varied,
        numbers=[row["trial"] for row in done],
        value=numbers([row[chosen] for row in done]),
        diverged=np.array([row.get("status") == "diverged" for row in done], bool),
        metric=chosen,
        maximize=extra.get("direction") == "maximize" and chosen.removeprefix("best_") == ranked_by,
        failed=len(rows) - len(done),
        labels=axis_labels(list(varied)),
    )


def ticks_of(texts: Iterable[str]) -> tuple[tuple[float, str], ...]:
    """Return an axis's ticks with texts at 0, 1, 2, ..."""
    return tuple((float(index), text) for index, text in enumerate(texts))
