"""The observed stability limit: the learning rate beyond which trials stop coming down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gdrun.text import short

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
    alternates: bool = False
    """Whether a larger rate than `unstable` was stable again: then there is no edge."""

    @property
    def rate(self) -> float | None:
        """The edge: the geometric mean of both sides."""
        is_edge = self.stable and self.unstable and not self.alternates
        return float(np.sqrt(self.stable * self.unstable)) if is_edge else None  # type: ignore[operator]

    def describe(self, predicted: float | None) -> str:
        """Return in words what the trials showed, and how it fits a predicted limit."""
        trials = f"trials of {self.steps:,} steps"
        if self.stable is None:
            some = "some trials" if self.alternates else "every trial"
            return f"none found: from {short(self.unstable)} on {some} diverged or ended above the start ({trials})"
        if self.unstable is None:
            return f"none found: no trial up to {short(self.stable)} diverged or ended above the start ({trials})"
        if self.alternates:
            return (
                f"none: no trial up to {short(self.stable)} diverged or ended above the start; beyond it some did and "
                f"some did not ({trials})"
            )
        text = f"between {short(self.stable)} and {short(self.unstable)} ({trials})"
        if predicted is None:
            return text
        if self.stable <= predicted <= self.unstable:
            return f"{text}, where it was predicted"
        near = self.stable if predicted < self.stable else self.unstable
        ratio = near / predicted
        off = f"{short(ratio, 3)} times" if ratio > 2 or ratio < 0.5 else f"{(ratio - 1) * 100:+.2f} % off"
        return f"{text}, {off} the prediction"

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"rate": self.rate, **vars(self)}


def observed_limit(
    built: Built, around: float, *, steps: int | None = None, quadratic: bool = False, start: TrainState | None = None
) -> ObservedLimit:
    """Return the learning rates between which trials stop coming down, to half a percent.

    A trial is unstable where it diverges, or ends above where it began, by the loss over all data; on a quadratic also
    where its loss still grows.

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
    runner = RateRunner(built, steps=steps, start=begin)
    low, high = around / 4, around * 4
    stable: float | None = None
    unstable: float | None = None
    alternates = False
    first_loss = float(built.objective.at(begin.parameters, built.setting, built.data, begin.model_state))
    slack = rounding_slack(built)
    for _ in range(9):
        rates = np.geomspace(low, high, _LANES)
        bad = _unstable(runner.run(rates, [steps // 2]), first_loss, slack, quadratic)
        first = int(np.argmax(bad)) if bad.any() else None
        alternates |= first is not None and not bad[first:].all()
        if first is None:
            stable, low, high = (
                float(rates[-1]),
                float(rates[-1]),
                float(rates[-1]) * (high / low if unstable is None else 1),
            )
            if unstable is not None or high > around * 1000:
                break
            continue
        unstable = float(rates[first])
        if first == 0:
            if stable is not None or low < around / 1000:
                break
            low, high = low / 16, low
            continue
        stable = float(rates[first - 1])
        low, high = stable, unstable
        if high / low < 1.005:
            break
    return ObservedLimit(stable, unstable, steps, alternates)


def _moved(at: int, value: tf.Tensor) -> tf.Tensor:
    noise = np.random.default_rng(at).normal(size=tuple(value.shape))
    return value + tf.cast(1e-3 * (1 + np.abs(value.numpy())) * noise, value.dtype)


def rounding_slack(built: Built) -> float:
    """Return the share of a loss by which two of the same parameters may differ."""
    return 1e-9 if built.objective.dtype == tf.float64 else 1e-5


def _unstable(trials: RateTrials, first: float, slack: float, quadratic: bool) -> np.ndarray:
    last = trials.final
    with np.errstate(invalid="ignore"):
        bad = trials.diverged | ~(last <= first + slack * abs(first) + 1e-300)
        if quadratic:
            # All examples in each step: a batch's loss is the whole one.
            middle = trials.losses[:, 0]
            bad |= (last > middle + 1e-6 * np.abs(middle)) & (last > 1e-12 * abs(first))
    return bad
