"""Factors of the learning rate as training goes on. A new one is one class here and one line in `LearningRateFactor`.

A factor is a function of the step alone, in numpy, so that resuming needs nothing but the step and plots need no
TensorFlow. Every factor but the plateau is called as

    factor(steps, steps_per_epoch=10, total_steps=1000) -> float64 (S,)

with `steps` an integer array (S,) of update steps counted from 0. `total_steps` is the length of the whole schedule.
Where a factor has a `unit`, "epoch" makes it count whole epochs, steps // steps_per_epoch, in place of steps.

The formulas are those of `keras.optimizers.schedules`, in float64 where Keras computes in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, Self

import numpy as np
from pydantic import Field, model_validator

from gdrun.config.section import (
    BareKind,
    Count,
    Formula,
    NonNegative,
    PositiveInteger,
    PositiveNumber,
    Section,
    Share,
    UnitInterval,
)
from gdrun.errors import ComponentError
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse
from gdrun.metric_names import higher_is_better

Unit = Literal["step", "epoch"]


class Factor(Protocol):
    """A factor that depends on the step alone."""

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int, total_steps: int) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""


class FactorSection(Section):
    """A kind of factor."""

    def build(self, constants: Mapping[str, np.ndarray]) -> Factor | None:
        """Return the factor; None where it depends on more than the step."""
        return self  # type: ignore[return-value]  # every kind that depends on the step alone is callable itself

    @property
    def fills_schedule(self) -> bool:
        """True where the factor is spread over the whole schedule, so that another length gives other rates."""
        return False

    def formulas(self) -> tuple[Any, ...]:
        """Return the formulas that are evaluated for the factor."""
        return ()


class ConstantFactor(FactorSection):
    """The same rate throughout."""

    kind: Literal["constant"]
    factor: NonNegative = 1.0
    """Factor of the learning rate."""

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        return np.full(np.shape(steps), float(self.factor))


class ExponentialFactor(FactorSection):
    """rate ** (step / every), as Keras's ExponentialDecay."""

    kind: Literal["exponential"]
    rate: PositiveNumber
    """Factor a period."""
    every: PositiveInteger = 1
    """Length of a period, in units."""
    unit: Unit = "step"
    """Unit of the lengths: update steps or epochs."""
    staircase: bool = False
    """Change only at the end of each period."""

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        periods = _count(steps, self.unit, steps_per_epoch) / self.every
        # A rate above 1 may overflow to infinity: the run then diverges and says so.
        with np.errstate(over="ignore"):
            return np.power(float(self.rate), np.floor(periods) if self.staircase else periods)


class InverseTimeFactor(FactorSection):
    """1 / (1 + rate * step / every), as Keras's InverseTimeDecay."""

    kind: Literal["inverse_time"]
    rate: NonNegative
    """Decay a period."""
    every: PositiveInteger = 1
    """Length of a period, in units."""
    unit: Unit = "step"
    """Unit of the lengths: update steps or epochs."""
    staircase: bool = False
    """Change only at the end of each period."""

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        periods = _count(steps, self.unit, steps_per_epoch) / self.every
        return 1.0 / (1.0 + self.rate * (np.floor(periods) if self.staircase else periods))


class PolynomialFactor(FactorSection):
    """(1 - end) * (1 - step / length)**power + end, then end, as Keras's PolynomialDecay."""

    kind: Literal["polynomial"]
    length: PositiveInteger | None = None
    """Units until the end is reached; null: the whole schedule."""
    end: NonNegative = 0.0
    """Last factor."""
    power: PositiveNumber = 1.0
    """1 is a straight line."""
    cycle: bool = False
    """Start again, over twice, three times, ... the length, once the end is passed."""
    unit: Unit = "step"
    """Unit of the lengths: update steps or epochs."""

    @property
    def fills_schedule(self) -> bool:
        return self.length is None

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        count = _count(steps, self.unit, steps_per_epoch)
        length = float(self.length or _whole_length(self.unit, steps_per_epoch, total_steps))
        if self.cycle:
            share = count / (length * np.maximum(np.ceil(count / length), 1.0))
        else:
            share = np.minimum(count, length) / length
        return (1.0 - self.end) * (1.0 - share) ** self.power + self.end


class CosineFactor(FactorSection):
    """A linear warm-up, then half a cosine from 1 to end, as Keras's CosineDecay and CosineDecayRestarts."""

    kind: Literal["cosine"]
    length: PositiveInteger | None = None
    """Units of the (first) half cosine; null: the schedule after the warm-up."""
    end: UnitInterval = 0.0
    """Last factor; Keras's alpha."""
    warmup: Count = 0
    """Units of linear warm-up."""
    warmup_from: UnitInterval = 0.0
    """Factor at the start of the warm-up."""
    restarts: bool = False
    """Start again at each end."""
    length_growth: PositiveNumber = 2.0
    """With restarts: each cosine is so many times longer than the last; Keras's t_mul."""
    peak_growth: PositiveNumber = 1.0
    """With restarts: each start is so many times the last; Keras's m_mul."""
    unit: Unit = "step"
    """Unit of the lengths: update steps or epochs."""

    @property
    def fills_schedule(self) -> bool:
        return self.length is None

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
        """Return the factor after so many (first) lengths."""
        peak: float | np.ndarray = 1.0
        share = np.minimum(lengths, 1.0)
        if self.restarts:
            cosines, share = _restarts(lengths, self.length_growth)
            peak = self.peak_growth**cosines
        return (1.0 - self.end) * peak * 0.5 * (1.0 + np.cos(np.pi * share)) + self.end


class PiecewiseFactor(FactorSection):
    """Constant pieces, as Keras's PiecewiseConstantDecay: factors[i] up to and including boundaries[i]."""

    kind: Literal["piecewise"]
    boundaries: Annotated[tuple[Count, ...], Field(min_length=1)]
    """Last step or epoch of each piece but the last one, rising."""
    factors: Annotated[tuple[NonNegative, ...], Field(min_length=2)]
    """Factor of each piece, one more than boundaries."""
    unit: Unit = "step"
    """Unit of the lengths: update steps or epochs."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.factors) != len(self.boundaries) + 1:
            raise ValueError("factors has one entry more than boundaries")
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError("boundaries must rise")
        return self

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        count = _count(steps, self.unit, steps_per_epoch)
        piece = np.searchsorted(np.asarray(self.boundaries, dtype=np.float64), count, side="left")
        return np.asarray(self.factors, dtype=np.float64)[piece]


class OneCycleFactor(FactorSection):
    """Up by a cosine from start to 1, then down to end: Smith's 1cycle."""

    kind: Literal["one_cycle"]
    length: PositiveInteger | None = None
    """Steps of the cycle; null: the whole schedule."""
    start: NonNegative = 0.04
    """First factor."""
    end: NonNegative = 4e-6
    """Last factor."""
    peak_at: Share = 0.3
    """Share of the length at which the factor is 1."""

    @property
    def fills_schedule(self) -> bool:
        return self.length is None

    def __call__(self, steps: np.ndarray, *, steps_per_epoch: int = 1, total_steps: int = 1) -> np.ndarray:
        """Return the factor at each step, float64 (S,)."""
        position = np.asarray(steps, dtype=np.float64) / float(self.length or max(1, total_steps))
        up = np.minimum(position / self.peak_at, 1.0)
        down = np.clip((position - self.peak_at) / (1.0 - self.peak_at), 0.0, 1.0)
        rising = self.start + (1.0 - self.start) * 0.5 * (1.0 - np.cos(np.pi * up))
        falling = self.end + (1.0 - self.end) * 0.5 * (1.0 + np.cos(np.pi * down))
        return np.where(position < self.peak_at, rising, falling)


class FormulaFactor(FactorSection):
    """A formula of step and epoch (both count from 0) and constants."""

    kind: Literal["formula"]
    formula: Formula
    """The factor, for example 1 / sqrt(1 + step)."""

    def build(self, constants: Mapping[str, np.ndarray]) -> Factor:
        expression = parse(self.formula)

        def by_formula(step: Any, epoch: Any) -> Any:
            scope = Scope({**constants, "step": step, "epoch": epoch}, ops=numpy_ops.table())
            return evaluate(expression, scope, owner="schedule.learning_rate_factor")

        return FromFunction(by_formula)

    def formulas(self) -> tuple[Any, ...]:
        return (self.formula,)


class PlateauFactor(FactorSection):
    """Lower the rate when a metric stops falling, as Keras's ReduceLROnPlateau. Checks once an epoch."""

    kind: Literal["plateau"]
    factor: Share = 0.1
    """Multiplies the rate each time."""
    patience: Count = 10
    """Epochs without improvement before the rate is lowered."""
    metric: str = "validation_loss"
    """Metric that is watched: loss_epoch, validation_loss, or a validation metric."""
    min_delta: NonNegative = 1e-4
    """Smallest change that counts as an improvement."""
    cooldown: Count = 0
    """Epochs to wait after lowering."""
    floor: NonNegative = 0.0
    """Smallest factor."""

    @property
    def higher_is_better(self) -> bool:
        """True where the metric should rise."""
        return higher_is_better(self.metric)

    def build(self, constants: Mapping[str, np.ndarray]) -> None:
        return None


LearningRateFactor = Annotated[
    ConstantFactor
    | ExponentialFactor
    | InverseTimeFactor
    | PolynomialFactor
    | CosineFactor
    | PiecewiseFactor
    | OneCycleFactor
    | FormulaFactor
    | PlateauFactor,
    Field(discriminator="kind"),
    BareKind,
]


def _count(steps: np.ndarray, unit: Unit, steps_per_epoch: int) -> np.ndarray:
    """Return the steps in units, float64."""
    steps = np.asarray(steps, dtype=np.int64)
    return (steps if unit == "step" else steps // steps_per_epoch).astype(np.float64)


def _whole_length(unit: Unit, steps_per_epoch: int, total_steps: int) -> int:
    """Return the length of the schedule in units, at least 1."""
    return max(1, total_steps if unit == "step" else -(-total_steps // steps_per_epoch))


def _restarts(lengths: np.ndarray, growth: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of completed cosines, and the completed share of the next one, after so many first lengths."""
    if growth == 1.0:
        completed = np.floor(lengths)
        return completed, lengths - completed

    def start(cosine: np.ndarray) -> np.ndarray:
        return (growth**cosine - 1.0) / (growth - 1.0)

    inside = 1.0 + lengths * (growth - 1.0)
    ended = inside <= 0.0
    completed = np.floor(np.log(np.where(ended, 1.0, inside)) / np.log(growth))
    # The logarithm can miss a restart by one rounding: compare with the restarts themselves.
    completed += lengths >= start(completed + 1.0)
    completed -= lengths < start(completed)
    share = np.clip((lengths - start(completed)) / growth**completed, 0.0, 1.0)
    return np.where(ended, 0.0, completed), np.where(ended, 1.0, share)


@dataclass(frozen=True)
class FromFunction:
    """A factor given as a function of (step, epoch), such as a formula.

    Args:
        function: called with two float64 numbers, or with two arrays (S,) at once where a probe shows that it treats
            them elementwise; returns a real number, or (S,).
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
            except (
                Exception
            ):  # A function of two numbers may fail on arrays in any way: it is then called number by number.
                values = np.empty(0)
            # A function that mixes the steps (a mean, a cumulative sum) differs at the first, a middle or the last one.
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
