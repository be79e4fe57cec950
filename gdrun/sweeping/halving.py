"""Successive halving: the lanes of a group that continue at each rung. NumPy only.

A rung is a step at which the weaker half of the lanes is dropped. It is decided by what was recorded at that step and
nothing else, so neither the chunks, nor the clock, nor the worker that a group runs on changes which lanes continue.

Shape letters: L lanes at the start, l lanes still in the program.

Source: Jamieson and Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter Optimization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gdrun.engine.lane_drive import LaneReport

LEAST = 16
"""A program of fewer lanes costs as much as one of so many: dropping more of them would save nothing."""


def rung_steps(num_lanes: int, total_steps: int, steps_per_epoch: int = 1) -> tuple[int, ...]:
    """Return the steps at which half of the lanes are dropped, rising.

        total_steps / 2^K, ..., total_steps / 4, total_steps / 2        with num_lanes / 2^K >= LEAST

    each moved to the end of its epoch, where whole data sets are looked at.
    """
    count = max(0, (num_lanes // LEAST).bit_length() - 1)
    steps = [total_steps / 2**k for k in range(count, 0, -1)]
    ends = sorted({int(-(-step // steps_per_epoch)) * steps_per_epoch for step in steps})
    return tuple(step for step in ends if 0 < step < total_steps)


class Halving:
    """Choice of the lanes of one program that continue.

    Args:
        num_lanes: L.
        total_steps, steps_per_epoch: of the schedule.
        metric: what lanes are ranked by: a recorded column.
        maximize: whether more of it is better.
    """

    def __init__(
        self, num_lanes: int, total_steps: int, *, steps_per_epoch: int = 1, metric: str = "loss", maximize: bool
    ) -> None:
        self.rungs = rung_steps(num_lanes, total_steps, steps_per_epoch)
        self.pruned = np.zeros(num_lanes, bool)
        """bool (L,): the lanes that were dropped."""
        self._num_lanes = num_lanes
        self._metric = metric
        self._maximize = maximize

    def keep(self, report: LaneReport) -> np.ndarray | None:
        """Return which lanes of a report continue, bool (l,); None: all, because no rung is reached."""
        if report.step not in self.rungs:
            return None
        places = np.flatnonzero(report.active)
        wanted = -(-self._num_lanes // 2 ** (self.rungs.index(report.step) + 1))
        keep = np.ones(len(report.lanes), bool)
        if len(places) <= wanted:
            return keep
        values = self._column(report)[places]
        ranked = np.where(np.isfinite(values), -values if self._maximize else values, np.inf)
        # Of equals those with the lower number, wherever in the program they are.
        order = np.lexsort((report.lanes[places], ranked))
        dropped = places[order[wanted:]]
        keep[dropped] = False
        self.pruned[report.lanes[dropped]] = True
        return keep

    def _column(self, report: LaneReport) -> np.ndarray:
        """Return the values that rank lanes at the report's last step, float64 (l,): of mini-batches the mean."""
        records = report.records
        names = ("loss_epoch", "loss") if self._metric == "loss" else (self._metric, "loss_epoch", "loss")
        name = next(name for name in names if name in records)
        values = np.asarray(records[name][-1], np.float64)
        # Before there is a value of the metric, the loss has to do; less of it is better.
        return -values if self._maximize and name != self._metric else values
