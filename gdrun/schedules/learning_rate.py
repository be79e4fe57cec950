"""What the learning rate is multiplied by as training goes on.

A factor is a function of the step alone, in numpy, so that resuming needs nothing but the step and plots need no
TensorFlow. Every factor here is called as

    factor(steps, steps_per_epoch=10, total_steps=1000) -> float64 (S,)

with `steps` an integer array (S,) of update steps counted from 0. `total_steps` is the length of the whole schedule.
Where a factor has a `unit`, "epoch" makes it count whole epochs, steps // steps_per_epoch, in place of steps.

The formulas are those of `keras.optimizers.schedules`, in float64 where Keras computes in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from gdrun.errors import ComponentError

Unit = Literal["step", "epoch"]


class Factor(Protocol):
    """A factor that depends on the step alone."""

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int, total_steps: int) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""


def _count(steps: np.ndarray, unit: Unit, steps_per_epoch: int) -> np.ndarray:
    """The steps in units, float64."""
    steps = np.asarray(steps, dtype=np.int64)
    return (steps if unit == "step" else steps // steps_per_epoch).astype(np.float64)


def _whole_length(unit: Unit, steps_per_epoch: int, total_steps: int) -> int:
    """The length of the schedule in units, at least 1."""
    return max(1, total_steps if unit == "step" else -(-total_steps // steps_per_epoch))


@dataclass(frozen=True)
class Constant:
    """The same factor throughout."""

    factor: float = 1.0

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        return np.full(np.shape(steps), float(self.factor))


@dataclass(frozen=True)
class Exponential:
    """rate ** (count / every); `staircase` rounds the exponent down. Source: keras ExponentialDecay."""

    rate: float
    every: int = 1
    unit: Unit = "step"
    staircase: bool = False

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        periods = _count(steps, self.unit, steps_per_epoch) / self.every
        # A rate above 1 may overflow to infinity: the run then diverges and says so.
        with np.errstate(over="ignore"):
            return np.power(float(self.rate), np.floor(periods) if self.staircase else periods)


@dataclass(frozen=True)
class InverseTime:
    """1 / (1 + rate * count / every); `staircase` rounds count / every down. Source: keras InverseTimeDecay."""

    rate: float
    every: int = 1
    unit: Unit = "step"
    staircase: bool = False

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        periods = _count(steps, self.unit, steps_per_epoch) / self.every
        return 1.0 / (1.0 + self.rate * (np.floor(periods) if self.staircase else periods))


@dataclass(frozen=True)
class Polynomial:
    """(1 - end) * (1 - count / length)**power + end, and `end` afterwards. Source: keras PolynomialDecay.

    Args:
        length: in units; None: the whole schedule.
        cycle: in place of staying at `end`, take the smallest multiple of `length` that is not exceeded yet as length.
    """

    length: int | None = None
    end: float = 0.0
    power: float = 1.0
    cycle: bool = False
    unit: Unit = "step"

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        count = _count(steps, self.unit, steps_per_epoch)
        length = float(self.length or _whole_length(self.unit, steps_per_epoch, total_steps))
        if self.cycle:
            share = count / (length * np.maximum(np.ceil(count / length), 1.0))
        else:
            share = np.minimum(count, length) / length
        return (1.0 - self.end) * (1.0 - share) ** self.power + self.end


@dataclass(frozen=True)
class Cosine:
    """A straight warm-up from `warmup_from` to 1, then half a cosine from 1 to `end`, over and over with `restarts`.

        (1 - end) * peak_growth**i * (1 + cos(pi * share)) / 2 + end

    in the i-th cosine (i = 0, 1, ...), whose length is length * length_growth**i and of which `share` is over. Without
    restarts there is one, and the factor stays at `end`. Lengths that shrink (length_growth < 1) add up to a finite
    sum, after which the factor stays at `end` too. Source: keras CosineDecay and CosineDecayRestarts.

    Args:
        length: of the first cosine, in units; None: what the schedule leaves after the warm-up.
        warmup: units of warm-up, which the cosines follow.
    """

    length: int | None = None
    end: float = 0.0
    warmup: int = 0
    warmup_from: float = 0.0
    restarts: bool = False
    length_growth: float = 2.0
    peak_growth: float = 1.0
    unit: Unit = "step"

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,).

        Raises:
            ComponentError: if `length` is None and the warm-up takes the whole schedule.
        """
        count = _count(steps, self.unit, steps_per_epoch)
        length = self.length
        if length is None:
            whole = _whole_length(self.unit, steps_per_epoch, total_steps)
            length = whole - self.warmup
            # A schedule of no steps (evaluation only) asks for no factor.
            if length <= 0 and total_steps > 0:
                raise ComponentError(
                    f"the warm-up of {self.warmup} {self.unit}s leaves nothing of the schedule's {whole}",
                    hint="shorten warmup, or give length",
                )
        cosine = self._cosine(np.maximum(count - self.warmup, 0.0) / max(length, 1))
        if not self.warmup:
            return cosine
        return np.where(count < self.warmup, self.warmup_from + (1 - self.warmup_from) * count / self.warmup, cosine)

    def _cosine(self, lengths: np.ndarray) -> np.ndarray:
        """The factor after so many (first) lengths."""
        peak: float | np.ndarray = 1.0
        share = np.minimum(lengths, 1.0)
        if self.restarts:
            cosines, share = _restarts(lengths, self.length_growth)
            peak = self.peak_growth**cosines
        return (1.0 - self.end) * peak * 0.5 * (1.0 + np.cos(np.pi * share)) + self.end


def _restarts(lengths: np.ndarray, growth: float) -> tuple[np.ndarray, np.ndarray]:
    """How many cosines are over, and the share of the next one that is, after so many first lengths."""
    if growth == 1.0:
        over = np.floor(lengths)
        return over, lengths - over

    def start(cosine: np.ndarray) -> np.ndarray:
        return (growth**cosine - 1.0) / (growth - 1.0)

    inside = 1.0 + lengths * (growth - 1.0)
    ended = inside <= 0.0
    over = np.floor(np.log(np.where(ended, 1.0, inside)) / np.log(growth))
    # The logarithm can miss a restart by one rounding: compare with the restarts themselves.
    over += lengths >= start(over + 1.0)
    over -= lengths < start(over)
    share = np.clip((lengths - start(over)) / growth**over, 0.0, 1.0)
    return np.where(ended, 0.0, over), np.where(ended, 1.0, share)


@dataclass(frozen=True)
class Piecewise:
    """factors[i] up to and including boundaries[i], then the last. Source: keras PiecewiseConstantDecay.

    Args:
        boundaries: in units, rising.
        factors: one more than boundaries.
    """

    boundaries: Sequence[int]
    factors: Sequence[float]
    unit: Unit = "step"

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        count = _count(steps, self.unit, steps_per_epoch)
        piece = np.searchsorted(np.asarray(self.boundaries, dtype=np.float64), count, side="left")
        return np.asarray(self.factors, dtype=np.float64)[piece]


@dataclass(frozen=True)
class OneCycle:
    """Up by a cosine from `start` to 1 at step peak_at * length, then down by a cosine to `end` at step length.

    Source: Smith & Topin 2018, "Super-Convergence"; the cosines as in optax's cosine_onecycle_schedule.

    Args:
        length: in steps; None: the whole schedule. Afterwards the factor stays at `end`.
    """

    length: int | None = None
    start: float = 0.04
    end: float = 4e-6
    peak_at: float = 0.3

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        position = np.asarray(steps, dtype=np.float64) / float(self.length or max(1, total_steps))
        up = np.minimum(position / self.peak_at, 1.0)
        down = np.clip((position - self.peak_at) / (1.0 - self.peak_at), 0.0, 1.0)
        rising = self.start + (1.0 - self.start) * 0.5 * (1.0 - np.cos(np.pi * up))
        falling = self.end + (1.0 - self.end) * 0.5 * (1.0 + np.cos(np.pi * down))
        return np.where(position < self.peak_at, rising, falling)


@dataclass(frozen=True)
class FromFunction:
    """A factor given as a function of (step, epoch), such as a formula.

    Args:
        function: called with two float64 numbers, or with two arrays (S,) at once where it turns out to treat them
            elementwise; returns a real number, or (S,).
    """

    function: Callable[[Any, Any], object]

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,).

        Raises:
            ComponentError: if it is not a real, finite number at some step; the message gives the step.
        """
        steps = np.asarray(steps, dtype=np.int64)
        values = self._evaluate(steps.astype(np.float64), (steps // steps_per_epoch).astype(np.float64))
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values)))
            raise ComponentError(f"the learning-rate factor is {values[bad]} at step {steps[bad]}")
        return values

    def _evaluate(self, step: np.ndarray, epoch: np.ndarray) -> np.ndarray:
        if len(step) > 4:
            try:
                values = np.asarray(self.function(step, epoch))
            except Exception:  # A function of two numbers may fail on arrays in any way: it is then asked one by one.
                values = np.empty(0)
            # A function that mixes the steps (a mean, a cumulative sum) shows it at the first, a middle or the last.
            probes = [0, len(step) // 2, len(step) - 1]
            if values.shape == step.shape and values.dtype.kind in "bif":
                alone = np.array([self._single(step[k], epoch[k]) for k in probes])
                if np.array_equal(values[probes].astype(np.float64), alone, equal_nan=True):
                    return values.astype(np.float64)
        return np.array([self._single(s, e) for s, e in zip(step, epoch, strict=True)], dtype=np.float64)

    def _single(self, step: np.float64, epoch: np.float64) -> float:
        value = np.asarray(self.function(step, epoch))
        if value.shape != () or value.dtype.kind not in "bif":
            what = f"has shape {value.shape}" if value.shape != () else "is not a real number"
            raise ComponentError(f"the learning-rate factor {what} at step {step:g}, expected one number")
        return float(value)
