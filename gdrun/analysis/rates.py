"""One experiment at many learning rates at once, in lanes, and the edge between those that come down and those that do
not.

Shape letters: R rates, E moments at which the loss is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gdrun.engine.drive import Windows
from gdrun.engine.lanes import Lanes, in_lanes
from gdrun.engine.loop import Program
from gdrun.engine.state import Reason, Setting, TrainState
from gdrun.engine.step import Recorded, Rules
from gdrun.errors import GdrunError, UsageError

if TYPE_CHECKING:
    from gdrun.build import Built

EDGE_STEPS = 2000
"""Steps after which a rate just beyond the limit has grown by a factor that nobody can miss."""
_LANES = 33
_MOST_LANE_NUMBERS = 1 << 23
"""Parameters times lanes in one program."""


@dataclass(frozen=True)
class RateTrials:
    """What an experiment came to at each of several learning rates."""

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


@dataclass(frozen=True)
class Edge:
    """Between which learning rates the edge of stability was seen."""

    stable: float | None
    """The largest rate below the edge that was tried; None: none was stable."""
    unstable: float | None
    """The smallest rate above it; None: all were stable."""
    steps: int
    """After so many updates."""

    @property
    def rate(self) -> float | None:
        """The edge: the geometric mean of both sides."""
        return float(np.sqrt(self.stable * self.unstable)) if self.stable and self.unstable else None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"rate": self.rate, "stable": self.stable, "unstable": self.unstable, "steps": self.steps}


class RateRunner:
    """Runs `built` at learning rates, many at once where its program can be mapped over lanes, else one by one.

    Stop rules are left out; divergence is not. Where groups of parameters have rates of their own, all are scaled alike
    and the rate given is the first group's.

    Args:
        built: the experiment. steps: updates of each trial. count: lanes of a program, fixed.
        start: where to begin; None: where the experiment does.
    Raises:
        UsageError: the data is not in memory.
    """

    def __init__(self, built: Built, *, steps: int, count: int, start: TrainState | None = None) -> None:
        if built.windows.stream is not None:
            raise UsageError("trials over learning rates need the training data in memory", hint="memory: all")
        self.built, self.steps, self.count = built, steps, count
        step = replace(
            built.step, guard="each", rules=Rules(), recorded=Recorded(parameters=False), patience=None, plateau=None
        )
        begin = built.state if start is None else start
        self._start = begin._replace(patience=(), plateau=())
        self._windows = Windows(built.program.feed, _held(built), steps)
        self._host_loop = built.objective.model.convolutional
        self._step = step
        self._lanes = not self._host_loop and built.num_parameters * count <= _MOST_LANE_NUMBERS
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
        parts = [self._one(float(rate), events) for rate in rates]
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

    def _one(self, rate: float, events: np.ndarray) -> RateTrials:
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
        """The state after the last event, and the losses at each, (E,) or (E, R); nan where all had ended before."""
        losses: list[np.ndarray] = []
        for first, wanted in self._pieces(events, program.capacity):
            window = self._windows.at(first)
            state, records = program.run(state, setting, self.built.data, window, wanted, np.zeros(len(wanted), bool))
            losses += list(records["loss"].astype(np.float64)[np.isin(wanted[: len(records["loss"])], events)])
            if len(records["loss"]) < len(wanted):
                break
        shape = losses[0].shape
        return state, np.stack([*losses, *[np.full(shape, np.nan)] * (len(events) - len(losses))])

    def _pieces(self, events: np.ndarray, capacity: int) -> Iterator[tuple[int, np.ndarray]]:
        """Steps to go to, cut where a window of orders and factors ends."""
        first = 0
        while first <= self.steps:
            last = min(self._windows.last_step(first), self.steps)
            wanted = events[(events >= first) & (events <= last)][:capacity]
            wanted = wanted[wanted > first] if first else wanted
            if not len(wanted) or (wanted[-1] < last and len(wanted) < capacity):
                wanted = np.append(wanted, last)
            yield first, wanted
            if wanted[-1] >= self.steps:
                return
            first = int(wanted[-1])


_COLUMNS = ("losses", "diverged_at", "final")


def _held(built: Built) -> Callable[[np.ndarray], np.ndarray] | None:
    """The schedule's factors, the last one held beyond its end."""
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


def observed_edge(
    built: Built, around: float, *, steps: int | None = None, quadratic: bool = False, start: TrainState | None = None
) -> Edge:
    """Return the learning rates between which trials stop coming down, to half a percent.

    A trial is unstable where it diverges, or ends above where it began; on a quadratic also where its loss still grows.

    Args:
        around: where to look first; the range widens until it holds the edge, up to 1000 times either way.
        steps: updates of each trial; None: 2000, or the schedule's where that is longer.
        quadratic: whether the loss is one: then the start is moved a little in every direction, so that each shows.
        start: where trials begin; None: at the start.
    """
    steps = max(EDGE_STEPS, min(built.total_steps, 5 * EDGE_STEPS)) if steps is None else steps
    begin = built.state if start is None else start
    if quadratic:
        begin = begin._replace(parameters=tuple(_moved(at, value) for at, value in enumerate(begin.parameters)))
    runner = RateRunner(built, steps=steps, count=_LANES, start=begin)
    low, high = around / 4, around * 4
    stable: float | None = None
    unstable: float | None = None
    for _ in range(9):
        rates = np.geomspace(low, high, _LANES)
        bad = _unstable(runner.run(rates, [0, steps // 2]), quadratic)
        first = int(np.argmax(bad)) if bad.any() else None
        if first is None:
            stable, low, high = (
                float(rates[-1]),
                float(rates[-1]),
                float(rates[-1]) * (high / low if unstable is None else 1),
            )
            if unstable is not None or high > around * 1000:
                return Edge(stable, unstable, steps)
            continue
        unstable = float(rates[first])
        if first == 0:
            if stable is not None or low < around / 1000:
                return Edge(stable, unstable, steps)
            low, high = low / 16, low
            continue
        stable = float(rates[first - 1])
        low, high = stable, unstable
        if high / low < 1.005:
            break
    return Edge(stable, unstable, steps)


def _moved(at: int, value: tf.Tensor) -> tf.Tensor:
    noise = np.random.default_rng(at).normal(size=tuple(value.shape))
    return value + tf.cast(1e-3 * (1 + np.abs(value.numpy())) * noise, value.dtype)


def _unstable(trials: RateTrials, quadratic: bool) -> np.ndarray:
    first, middle, last = trials.losses[:, 0], trials.losses[:, 1], trials.losses[:, -1]
    with np.errstate(invalid="ignore"):
        bad = trials.diverged | ~(last <= first * (1 + 1e-9) + 1e-300)
        if quadratic:
            bad |= (last > middle * (1 + 1e-6)) & (last > 1e-12 * first)
    return bad
