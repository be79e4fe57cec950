"""One experiment at many learning rates at once, in lanes.

Shape letters: R rates, E moments at which the loss is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from gdrun.engine.drive import Windows, drive
from gdrun.engine.lane_drive import Finals, LaneInputs, LaneProgram, drive_lanes
from gdrun.engine.lanes import in_lanes
from gdrun.engine.loop import Program
from gdrun.engine.rows import Rows
from gdrun.engine.state import Reason, Setting, TrainState
from gdrun.engine.step import Recorded, Step
from gdrun.errors import GdrunError
from gdrun.formula.nodes import LoopDefinition
from gdrun.schedules.sections import Stop

from .stability import configured_rate

if TYPE_CHECKING:
    from gdrun.assembly import Built

_MOST_LANE_NUMBERS = 1 << 23
"""Parameters times lanes in one program."""


@dataclass(frozen=True)
class RateTrials:
    """Losses of an experiment at each of several learning rates."""

    rates: np.ndarray
    """float64 (R,)."""
    steps: np.ndarray
    """When the loss was looked at, int64 (E,)."""
    losses: np.ndarray
    """What the next update would have seen, float64 (R, E); nan from where a rate diverged on."""
    diverged_at: np.ndarray
    """Step, int64 (R,); -1 where it did not diverge."""
    final: np.ndarray
    """Loss over all training data at the end, or at the last finite parameters, float64 (R,)."""

    @property
    def diverged(self) -> np.ndarray:
        """bool (R,)."""
        return self.diverged_at >= 0


class RateRunner:
    """Runs `built` at learning rates, many at once where its program can be mapped over lanes, else one by one.

    Stop rules are left out; divergence is not. Where groups of parameters have rates of their own, all are scaled alike
    and the rate given is the first group's.

    Args:
        built: the experiment, its data in memory. steps: updates of each trial.
        start: where to begin; None: where the experiment does.
    """

    def __init__(self, built: Built, *, steps: int, start: TrainState | None = None) -> None:
        self.built, self.steps = built, steps
        step, self._start = _without_stop_rules(built, start)
        self._in_common = LaneProgram(built.program, step, None, Rows((), steps), _held(built), built.compile)
        loops = any(isinstance(d, LoopDefinition) and not d.fits_lanes for d in built.objective.definitions.values())
        self._lanes = not built.objective.model.convolutional and not loops
        evaluate = lambda parameters, state: built.objective.at(parameters, built.setting, built.data, state)  # noqa: E731
        self._loss = tf.function(evaluate, autograph=False)
        base = np.atleast_1d(built.setting.learning_rate.numpy())
        self._ratio = base / base[0] if base[0] else np.ones_like(base)
        self._is_grouped = built.setting.learning_rate.shape.rank > 0

    def run(self, rates: Sequence[float] | np.ndarray, looks: Sequence[int] = ()) -> RateTrials:
        """Return what came out at `rates`.

        Args:
            looks: steps at which the loss is looked at, beside the end.
        """
        rates = np.asarray(rates, np.float64)
        events = np.unique([*(step for step in looks if 0 <= step <= self.steps), self.steps])
        if self._lanes and self.built.num_parameters * len(rates) <= _MOST_LANE_NUMBERS:
            try:
                return self._in_lanes(rates, events)
            except (tf.errors.OpError, ValueError, NotImplementedError, TypeError) as error:
                if isinstance(error, GdrunError):
                    raise
                self._lanes = False
        return self._one_by_one(rates, events)

    def _setting(self, rates: np.ndarray) -> Setting:
        values = rates[..., None] * self._ratio if self._is_grouped else rates
        return self.built.setting._replace(learning_rate=tf.constant(values, tf.float64))

    def _in_lanes(self, rates: np.ndarray, events: np.ndarray) -> RateTrials:
        built = self.built
        inputs = LaneInputs(
            in_lanes(self._start, len(rates)),
            self._setting(rates),
            built.data,
            tf.nest.map_structure(lambda _: False, built.setting)._replace(learning_rate=True),
            tf.nest.map_structure(lambda _: False, built.data),
            (built.program.feed,),
        )
        finals, losses = Finals(len(rates)), np.full((len(rates), len(events)), np.nan)
        for report in drive_lanes(replace(self._in_common, rows=_rows(events)), inputs, finals):
            steps = report.records["step"]
            record, place = np.nonzero(report.is_row & np.isin(steps, events))
            columns = np.searchsorted(events, steps[record, place])
            losses[report.lanes[place], columns] = report.records["loss"][record, place]
        states = finals.state(self._start)
        ends = [tf.nest.map_structure(lambda leaf: leaf[lane], states) for lane in range(len(rates))]  # noqa: B023
        return self._trials(rates, events, losses, ends)

    def _one_by_one(self, rates: np.ndarray, events: np.ndarray) -> RateTrials:
        program, windows = self._alone
        driven = [_driven(program, self._start, self._setting(rate), self.built, events, windows) for rate in rates]
        return self._trials(rates, events, np.stack([losses for losses, _ in driven]), [end for _, end in driven])

    @cached_property
    def _alone(self) -> tuple[Program, Windows]:
        """The program of a single run, and its windows."""
        built, common = self.built, self._in_common
        windows = Windows(built.program.feed, common.factors, self.steps)
        host_loop = built.objective.model.convolutional
        program = Program(common.step, built.program.feed, compile=built.compile, host_loop=host_loop)
        program.prepare(self._start, built.setting, built.data, windows.at(0))
        return program, windows

    def _trials(
        self, rates: np.ndarray, events: np.ndarray, losses: np.ndarray, ends: Sequence[TrainState]
    ) -> RateTrials:
        """Return trials that end in the states `ends`, with the losses (R, E) that they had at `events`."""
        diverged_at = np.array([int(end.step) if Reason(int(end.reason)).diverged else -1 for end in ends])
        losses[(diverged_at >= 0)[:, None] & (events >= diverged_at[:, None])] = np.nan
        final = np.array([float(self._loss(list(end.parameters), list(end.model_state))) for end in ends])
        return RateTrials(rates, events, losses, diverged_at, final)


def _rows(events: np.ndarray) -> Rows:
    return Rows(events.tolist(), int(events[-1]))


def _driven(
    program: Program, state: TrainState, setting: Setting, built: Built, events: np.ndarray, windows: Windows
) -> tuple[np.ndarray, TrainState]:
    """Train one run to the last of `events`; return its loss at each, (E,), nan where it had ended, and its end."""
    losses = np.full(len(events), np.nan)
    for report in drive(program, state, setting, built.data, _rows(events), windows):
        steps = report.records["step"]
        known = np.isin(steps, events)
        losses[np.searchsorted(events, steps[known])] = report.records["loss"][known]
        state = report.state
    return losses, state


def _without_stop_rules(built: Built, start: TrainState | None = None) -> tuple[Step, TrainState]:
    """Return the step and the state that it begins with, where only divergence ends a run and nothing is recorded."""
    recorded = Recorded(parameters=False)
    step = replace(built.step, guard="each", stop=Stop(), stop_formula=None, recorded=recorded, plateau=None)
    return step, (built.state if start is None else start)._replace(patience=(), plateau=())


def _held(built: Built) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the schedule's factors, the last one held beyond its end."""
    factors = built.windows.factors
    return None if factors is None else lambda steps: factors(np.minimum(steps, built.total_steps))


def ramp_losses(built: Built, rates: np.ndarray) -> np.ndarray:
    """Return the loss that each update of one run saw, float64 (S,), whose rate goes through `rates`, (S,).

    The schedule's own factor is left out. From where the run diverges on, it is nan.
    """
    feed = replace(built.program.feed, has_factor=True)
    base = configured_rate(built)
    factors = lambda steps: rates[np.minimum(steps, len(rates) - 1)] / base  # noqa: E731
    windows = Windows(feed, factors, len(rates) - 1)
    step, state = _without_stop_rules(built)
    host_loop = built.objective.model.convolutional
    program = Program(step, feed, compile=built.compile, host_loop=host_loop)
    program.prepare(state, built.setting, built.data, windows.at(0))
    return _driven(program, state, built.setting, built, np.arange(len(rates)), windows)[0]
