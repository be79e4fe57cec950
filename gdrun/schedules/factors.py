"""What multiplies the learning rate as training goes on."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

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

Unit = Literal["step", "epoch"]


class ConstantFactor(Section):
    """The same rate throughout."""

    kind: Literal["constant"]
    factor: NonNegative = 1.0
    """The factor."""


class ExponentialFactor(Section):
    """rate ** (step / every), as Keras's ExponentialDecay."""

    kind: Literal["exponential"]
    rate: PositiveNumber
    """Factor a period."""
    every: PositiveInteger = 1
    """Length of a period, in units."""
    unit: Unit = "step"
    """What is counted: update steps or epochs."""
    staircase: bool = False
    """Change only at the end of each period."""


class InverseTimeFactor(Section):
    """1 / (1 + rate * step / every), as Keras's InverseTimeDecay."""

    kind: Literal["inverse_time"]
    rate: NonNegative
    """Decay a period."""
    every: PositiveInteger = 1
    """Length of a period, in units."""
    unit: Unit = "step"
    """What is counted: update steps or epochs."""
    staircase: bool = False
    """Change only at the end of each period."""


class PolynomialFactor(Section):
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
    """What is counted: update steps or epochs."""


class CosineFactor(Section):
    """A linear warm-up, then half a cosine from 1 to end, as Keras's CosineDecay and CosineDecayRestarts."""

    kind: Literal["cosine"]
    length: PositiveInteger | None = None
    """Units of the (first) half cosine; null: what the schedule leaves after the warm-up."""
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
    """What is counted: update steps or epochs."""


class PiecewiseFactor(Section):
    """Constant pieces, as Keras's PiecewiseConstantDecay: factors[i] up to and including boundaries[i]."""

    kind: Literal["piecewise"]
    boundaries: Annotated[tuple[Count, ...], Field(min_length=1)]
    """Where a piece ends, rising."""
    factors: Annotated[tuple[NonNegative, ...], Field(min_length=2)]
    """One more than boundaries."""
    unit: Unit = "step"
    """What is counted: update steps or epochs."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.factors) != len(self.boundaries) + 1:
            raise PydanticCustomError("piecewise", "factors has one entry more than boundaries")
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise PydanticCustomError("piecewise", "boundaries must rise")
        return self


class OneCycleFactor(Section):
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


class FormulaFactor(Section):
    """A formula of step and epoch (both count from 0) and constants."""

    kind: Literal["formula"]
    formula: Formula
    """For example 1 / sqrt(1 + step)."""


class PlateauFactor(Section):
    """Lower the rate when a metric stops falling, as Keras's ReduceLROnPlateau. Looks once an epoch."""

    kind: Literal["plateau"]
    factor: Share = 0.1
    """Multiplies the rate each time."""
    patience: Count = 10
    """Epochs without improvement before the rate is lowered."""
    metric: str = "validation_loss"
    """What is watched: loss_epoch, validation_loss, or a validation metric."""
    min_delta: NonNegative = 1e-4
    """Less than this is no improvement."""
    cooldown: Count = 0
    """Epochs to wait after lowering."""
    floor: NonNegative = 0.0
    """Smallest factor."""


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
