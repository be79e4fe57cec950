"""Rows: the steps that are recorded, and those at which whole data sets are looked at. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .epochs import Epochs, multiples

_DENSE = 512
"""So many first steps all have a row: most of what goes wrong goes wrong early."""
_PER_OCTAVE = 128
"""Rows of each doubling after that: evenly dense on the logarithmic axis of a loss curve, and few for a long run."""


def auto_rows(first: int, last: int) -> np.ndarray:
    """Return the steps in (first, last] that `every: auto` records, int64: each up to 512, then 128 an octave.

    Whether a step is recorded depends on the step alone, so runs that stop early or are longer have the same rows.
    """
    pieces = [np.arange(first + 1, min(last, _DENSE) + 1, dtype=np.int64)]
    start = _DENSE
    while start < last:
        stride = start // _PER_OCTAVE
        begin = max(first, start)
        pieces.append(np.arange((begin // stride + 1) * stride, min(last, 2 * start) + 1, stride, dtype=np.int64))
        start *= 2
    return np.concatenate(pieces)


@dataclass(frozen=True)
class Rows:
    """The rows of a run.

    Args:
        every: "auto", "epoch", a number of steps, or the steps themselves.
        total_steps: the step at which the schedule ends, which always has a row.
        epochs: those of the run, or of the phase of it; `auto` counts from its beginning too.
        extra: further steps that have a row.
        assess: whether whole data sets are looked at: at epochs' ends, and at each multiple of a number of steps.
        every_epoch: look at the end of every epoch, whether it has a row or not; for rules that watch a metric.
    """

    every: Literal["auto", "epoch"] | int | Sequence[int]
    total_steps: int
    epochs: Epochs = Epochs()
    extra: tuple[int, ...] = ()
    assess: bool = False
    every_epoch: bool = False

    def rows(self, first: int, last: int) -> np.ndarray:
        """Return the steps in (first, last] that have a row, int64, rising."""
        per_epoch, begin = self.epochs.length, self.epochs.begin.step
        ends = np.zeros(0, np.int64)
        if isinstance(self.every, str):
            ends = auto_rows((first - begin) // per_epoch, (last - begin) // per_epoch) * per_epoch + begin
            is_auto = self.every == "auto"
            steps = auto_rows(first - begin, last - begin) + begin if is_auto else self.epochs.ends(first, last)
        elif isinstance(self.every, int):
            steps = multiples(self.every, first, last)
        else:
            steps = np.asarray([step for step in self.every if first < step <= last], np.int64)
        extra = np.asarray([step for step in (*self.extra, self.total_steps) if first < step <= last], np.int64)
        parts = [steps, extra]
        if self.assess and per_epoch > 1:
            parts.append(ends[ends > first])
        return np.unique(np.concatenate(parts))

    def events(self, first: int, last: int) -> np.ndarray:
        """Return the steps in (first, last] to observe, int64: rows, ends of watched epochs, and `last` itself."""
        parts = [self.rows(first, last), np.asarray([last], np.int64)]
        if self.every_epoch:
            parts.append(self.epochs.ends(first, last))
        return np.unique(np.concatenate(parts))

    def assesses(self, steps: np.ndarray) -> np.ndarray:
        """Return for each step whether whole data sets are looked at there, bool."""
        if not self.assess:
            return np.zeros(len(steps), bool)
        ends = self.epochs.position(steps) == 0
        return ends | (steps % self.every == 0) if isinstance(self.every, int) else ends

    def is_row(self, steps: np.ndarray) -> np.ndarray:
        """Return for each of consecutive events whether it is a row, bool."""
        if not len(steps):
            return np.zeros(0, bool)
        rows = self.rows(int(steps[0]) - 1, int(steps[-1]))
        return np.isin(steps, rows) | (steps == self.epochs.begin.step)
