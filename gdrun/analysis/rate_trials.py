"""One experiment at many learning rates at once, in lanes.

Shape letters: R rates, E moments at which the loss is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from gdrun.engine.drive import Windows
from gdrun.engine.lanes import Lanes, in_lanes
from gdrun.engine.loop import Program
from gdrun.engine.state import Reason, Setting, TrainState
from gdrun.engine.step import Recorded, Rules, Step
from gdrun.errors import GdrunError
from gdrun.formula.nodes import LoopDefinition

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
        built: the experiment. steps: updates of each trial. count: lanes of a program, fixed.
        start: where to begin; None: where the experiment does.
    """

    def __init__(self, built: Built, *, steps: int, count: int, start: TrainState | None = None) -> None:
        self.built, self.steps, self.count = built, steps, count
        self._step, self._start = _without_stop_rules(built, start)
        self._windows = Windows(built.program.feed, _held(built), steps)
        self._host_loop = built.objective.model.convolutional
        loops = any(isinstance(d, LoopDefinition) and not d.fits_lanes for d in built.objective.definitions.values())
        fits = built.num_parameters * count <= _MOST_LANE_NUMBERS
        self._lanes = fits and not self._host_loop and not loops
        self._program: Program | None = None
        evaluate = lambda parameters, state: built.objective.at(parameters, built.setting, built.data, state)  # noqa: E731
        self._loss = tf.function(evaluate, autograph=False)
        base = np.atleast_1d(built.setting.learning_rate.numpy())
        self._ratio = base / base[0] if base[0] else np.ones_like(base)
        self._is_grouped = built.setting.learning_rate.shape.rank > 0

    def run(self, rates: Sequence[float] | np.ndarray, looks: Sequence[int] = ()) -> RateTrials:
        """Return what came out at `rates`, at most `count` of them.

        Args:
            looks: steps at which the loss is looked at, beside the end.
        """
        rates = np.asarray(rates, np.float64)
        assert len(rates) <= self.count
        events = np.unique([*(step for step in looks if 0 <= step <= self.steps), self.steps]).astype(np.int64)
        # One program for every call: where there are fewer rates, the last one is run again.
        padded = np.concatenate([rates, np.repeat(rates[-1:], self.count - len(rates))]) if self._lanes else rates
        if self._lanes:
            try:
                return _cut(self._in_lanes(padded, events), len(rates))
            except (tf.errors.OpError, ValueError, NotImplementedError, TypeError) as error:
                if isinstance(error, GdrunError):
                    raise
                self._lanes, self._program = False, None
        parts = [self._run_alone(float(rate), events) for rate in rates]
        return RateTrials(
            rates, events, *(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS)
        )

    def _setting(self, rates: np.ndarray) -> tf.Tensor:
        values = rates[..., None] * self._ratio if self._is_grouped else rates
        return tf.constant(values, tf.float64)

    def _in_lanes(self, rates: np.ndarray, events: np.ndarray) -> RateTrials:
        built = self.built
        setting = built.setting._replace(learning_rate=self._setting(rates))
        flags: Setting = tf.nest.map_structure(lambda _: False, built.setting)._replace(learning_rate=True)
        state = in_lanes(self._start, self.count)
        if self._program is None:
            lanes = Lanes(self.count, flags)
            self._program = Program(self._step, built.program.feed, compile=built.compile, lanes=lanes)
            self._program.prepare(state, setting, built.data, self._windows.at(0))
        state, losses = self._advance(self._program, state, setting, events)
        reason = state.reason.numpy()
        final = [
            float(self._loss([p[lane] for p in state.parameters], [s[lane] for s in state.model_state]))
            for lane in range(self.count)
        ]
        return _trials(rates, events, losses, reason, state.step.numpy(), np.asarray(final))

    def _run_alone(self, rate: float, events: np.ndarray) -> RateTrials:
        built = self.built
        setting = built.setting._replace(learning_rate=self._setting(np.asarray(rate)))
        if self._program is None:
            self._program = Program(self._step, built.program.feed, compile=built.compile, host_loop=self._host_loop)
            self._program.prepare(self._start, setting, built.data, self._windows.at(0))
        state, losses = self._advance(self._program, self._start, setting, events)
        final = np.asarray([float(self._loss(list(state.parameters), list(state.model_state)))])
        reason, step = np.atleast_1d(state.reason.numpy()), np.atleast_1d(state.step.numpy())
        return _trials(np.asarray([rate]), events, losses[:, None], reason, step, final)

    def _advance(
        self, program: Program, state: TrainState, setting: Setting, events: np.ndarray
    ) -> tuple[TrainState, np.ndarray]:
        """Return the state after the last event, and the losses at each, (E,) or (E, R); nan where all had ended."""
        losses: list[np.ndarray] = []
        for first, stops in self._pieces(events, program.capacity):
            window = self._windows.at(first)
            state, records = program.run(state, setting, self.built.data, window, stops, np.zeros(len(stops), bool))
            losses += list(records["loss"].astype(np.float64)[np.isin(stops[: len(records["loss"])], events)])
            if len(records["loss"]) < len(stops):
                break
        shape = losses[0].shape
        return state, np.stack([*losses, *[np.full(shape, np.nan)] * (len(events) - len(losses))])

    def _pieces(self, events: np.ndarray, capacity: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield steps to go to, cut where a window of orders and factors ends."""
        first = 0
        while first <= self.steps:
            last = min(self._windows.last_step(first), self.steps)
            stops = events[(events >= first) & (events <= last)][:capacity]
            stops = stops[stops > first] if first else stops
            if not len(stops) or (stops[-1] < last and len(stops) < capacity):
                stops = np.append(stops, last)
            yield first, stops
            if stops[-1] >= self.steps:
                return
            first = int(stops[-1])


_COLUMNS = ("losses", "diverged_at", "final")


def _without_stop_rules(built: Built, start: TrainState | None = None) -> tuple[Step, TrainState]:
    """Return the step and the state that it begins with, where only divergence ends a run and nothing is recorded."""
    step = replace(
        built.step, guard="each", rules=Rules(), recorded=Recorded(parameters=False), patience=None, plateau=None
    )
    return step, (built.state if start is None else start)._replace(patience=(), plateau=())


def _held(built: Built) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the schedule's factors, the last one held beyond its end."""
    factors = built.windows.factors
    return None if factors is None else lambda steps: factors(np.minimum(steps, built.total_steps))


def _trials(
    rates: np.ndarray, events: np.ndarray, losses: np.ndarray, reason: np.ndarray, step: np.ndarray, final: np.ndarray
) -> RateTrials:
    ended = np.asarray([Reason(int(code)).diverged for code in reason])
    diverged_at = np.where(ended, step, -1)
    seen = losses.T.copy()
    seen[ended[:, None] & (events[None, :] >= step[:, None])] = np.nan
    return RateTrials(rates, events, seen, diverged_at, final)


def _cut(trials: RateTrials, count: int) -> RateTrials:
    return RateTrials(trials.rates[:count], trials.steps, *(getattr(trials, name)[:count] for name in _COLUMNS))


def ramp_losses(built: Built, rates: np.ndarray) -> np.ndarray:
    """Return the loss that each update of one run saw, float64 (S,), whose rate goes through `rates`, (S,).

    The schedule's own factor is left out. From where the run diverges on, it is nan.
    """
    feed = replace(built.program.feed, has_factor=True)
    base = configured_rate(built)
    factors = lambda steps: rates[np.minimum(steps, len(rates) - 1)] / base  # noqa: E731
    windows = Windows(feed, factors, len(rates))
    step, state = _without_stop_rules(built)
    host_loop = built.objective.model.convolutional
    program = Program(step, feed, compile=built.compile, host_loop=host_loop, capacity=len(rates))
    program.prepare(state, built.setting, built.data, windows.at(0))
    seen: list[float] = []
    while len(seen) < len(rates):
        first = len(seen)
        last = min(windows.last_step(first), len(rates) - 1)
        events = np.arange(first, max(last, first) + 1)
        state, records = program.run(
            state, built.setting, built.data, windows.at(first), events, np.zeros(len(events), bool)
        )
        seen += [float(loss) for loss in records["loss"]]
        if len(records["loss"]) < len(events) or Reason(int(state.reason)).diverged:
            break
    losses = np.full(len(rates), np.nan)
    losses[: len(seen)] = seen[: len(rates)]
    return losses
