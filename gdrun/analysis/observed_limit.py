"""The observed stability limit: the learning rate beyond which trials stop coming down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from .rate_trials import RateRunner, RateTrials

if TYPE_CHECKING:
    from gdrun.assembly import Built
    from gdrun.engine.state import TrainState

EDGE_STEPS = 2000
"""Steps after which a rate just beyond the limit has grown by a factor that nobody can miss."""
_LANES = 33


@dataclass(frozen=True)
class ObservedLimit:
    """The learning rates between which the stability limit was observed."""

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


def observed_limit(
    built: Built, around: float, *, steps: int | None = None, quadratic: bool = False, start: TrainState | None = None
) -> ObservedLimit:
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
                return ObservedLimit(stable, unstable, steps)
            continue
        unstable = float(rates[first])
        if first == 0:
            if stable is not None or low < around / 1000:
                return ObservedLimit(stable, unstable, steps)
            low, high = low / 16, low
            continue
        stable = float(rates[first - 1])
        low, high = stable, unstable
        if high / low < 1.005:
            break
    return ObservedLimit(stable, unstable, steps)


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
