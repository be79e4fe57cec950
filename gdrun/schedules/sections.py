"""Section `schedule:`, the length, batches, learning rates and stopping rules of training."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from gdrun.config.section import (
    Count,
    Formula,
    NonNegative,
    Number,
    PositiveInteger,
    PositiveNumber,
    Section,
    refusal,
)
from gdrun.errors import ConfigPath, Problem
from gdrun.metric_names import higher_is_better

from .factors import LearningRateFactor, PlateauFactor


class Patience(Section):
    """Stop when a metric has not improved for a while. Checks once an epoch."""

    epochs: PositiveInteger
    """Epochs without improvement."""
    metric: str = "validation_loss"
    """Metric that is watched: loss_epoch, validation_loss, or a metric such as validation_accuracy."""
    mode: Literal["auto", "min", "max"] = "auto"
    """Direction of improvement; auto: max for accuracy, precision, recall, r2, else min."""
    min_delta: NonNegative = 0.0
    """Smallest change that counts as an improvement."""
    restore_best: bool = False
    """End with the parameters of the best epoch."""

    @property
    def higher_is_better(self) -> bool:
        """True where the metric should rise."""
        return higher_is_better(self.metric) if self.mode == "auto" else self.mode == "max"


class Stop(Section):
    """Rules that end the run early. Each is tried after every update, patience after every epoch."""

    loss_below: Number | None = None
    """Stop at the first step whose loss is below."""
    gradient_norm_below: PositiveNumber | None = None
    """Stop at the first step whose gradient norm is below."""
    parameter_change_below: PositiveNumber | None = None
    """Stop after the first update that moves no parameter by this much."""
    parameters_unchanged: bool = False
    """Stop after the first update that changes no bit of any parameter."""
    patience: Patience | None = None
    """Stop when a metric has not improved for a while."""
    formula: Formula | None = None
    """Stop at the first step where this is true; sees loss, step, parameters, constants, gradient_norm."""
    seconds: PositiveNumber | None = None
    """Stop after so much wall-clock time; the step at which it stops depends on the machine."""
    non_finite: bool = True
    """false: do not stop when the loss, a gradient or a parameter is no longer finite."""

    def goals(self) -> list[str]:
        """Return the rules that are there to be reached, as they are written; patience and seconds are none."""
        names = ("loss_below", "gradient_norm_below", "parameter_change_below", "parameters_unchanged", "formula")
        values = {name: getattr(self, name) for name in names}
        return [name if value is True else f"{name} {value}" for name, value in values.items() if value]


class Schedule(Section):
    """Length, batches, learning rates and stopping rules of the training."""

    exclusive = (("epochs", "steps"),)

    epochs: Count | None = None
    """Passes over the training data. Give epochs or steps."""
    steps: Count | None = None
    """Update steps; 0 evaluates and stops."""
    batch_size: PositiveInteger | None = None
    """Number of examples in an update; null: all."""
    order: Literal["sequential", "shuffled", "shuffled_batches", "sampled"] | None = None
    """Order of the examples: sequential; shuffled anew each epoch by (seed, epoch); shuffled_batches, the batches of
    sequential in a new order each epoch, a smaller one last; sampled with replacement. null: shuffled if
    batches are smaller than the data, else sequential."""
    drop_remainder: bool = False
    """Leave out the last batch of an epoch if it is smaller."""
    learning_rate_factor: LearningRateFactor | None = None
    """Factor of optimizer.learning_rate that changes during training."""
    stop: Stop = Field(default_factory=Stop)
    """Rules that end the run early."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            empty = [
                name for name in ("epochs", "steps") if name in self.model_fields_set and getattr(self, name) is None
            ]
            raise refusal(Problem("give epochs or steps, one of them", tuple(empty[:1]), key=bool(empty)))
        return self

    def total_steps(self, steps_per_epoch: int) -> int:
        """Return the number of updates that are asked for."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None, "one of them is given"
        return self.epochs * steps_per_epoch

    @property
    def plateau(self) -> PlateauFactor | None:
        """The factor, if it is one that follows a metric."""
        return self.learning_rate_factor if isinstance(self.learning_rate_factor, PlateauFactor) else None

    def watches(self) -> Iterator[tuple[ConfigPath, Patience | PlateauFactor]]:
        """Yield the rules that watch a metric, with their places."""
        if self.stop.patience is not None:
            yield ("schedule", "stop", "patience"), self.stop.patience
        if self.plateau is not None:
            yield ("schedule", "learning_rate_factor"), self.plateau
