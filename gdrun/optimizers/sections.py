"""`optimizer:` how gradients move parameters. Keras's optimizers keep Keras's names, spelling and defaults."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from gdrun.config.custom import CustomSection
from gdrun.config.section import (
    LaterUnion,
    NonNegative,
    Number,
    PositiveInteger,
    PositiveNumber,
    Section,
    UnitInterval,
    Whole,
)

Decay = Annotated[Number, Field(ge=0, lt=1)]


class OptimizerSection(Section):
    """What every optimizer has."""

    needs_squares: ClassVar[bool] = False
    """Whether the loss must be a sum of squared residuals."""


class Group(Section):
    """Parameters that are moved in another way than the rest, or not at all."""

    exclusive = (("learning_rate", "frozen", "optimizer"),)

    parameters: Annotated[tuple[str, ...], Field(min_length=1)]
    """Their names; the name of a layer or network stands for all of its parameters."""
    learning_rate: NonNegative | None = None
    """Takes the place of the optimizer's; the schedule's factor multiplies it, too."""
    frozen: bool = False
    """true: they stay as they are, as with trainable: false."""
    optimizer: Annotated["KerasOptimizer", LaterUnion(lambda: KerasOptimizer.union)] | None = None
    """An optimizer of their own."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [self.learning_rate is not None, self.frozen, self.optimizer is not None]
        if sum(given) != 1:
            raise PydanticCustomError("group", "give exactly one of learning_rate, frozen: true, optimizer")
        if self.optimizer is not None and self.optimizer.groups:
            raise PydanticCustomError("group", "the optimizer of a group has no groups of its own")
        return self


class KerasOptimizer(OptimizerSection):
    """What every Keras optimizer has."""

    exclusive = (("clipnorm", "clipvalue", "global_clipnorm"),)
    union: ClassVar[Any]
    """Every one of Keras's optimizers; the package says which there are."""

    weight_decay: NonNegative | None = None
    """Decoupled weight decay: each step also subtracts weight_decay * learning_rate * parameter."""
    clipnorm: PositiveNumber | None = None
    """Each parameter's gradient is scaled down to this norm."""
    clipvalue: PositiveNumber | None = None
    """Gradients are clipped to [-clipvalue, clipvalue]."""
    global_clipnorm: PositiveNumber | None = None
    """All gradients together are scaled down to this norm."""
    use_ema: bool = False
    """Keep an exponential moving average of the parameters; it is what remains at the end."""
    ema_momentum: UnitInterval = 0.99
    """Of that average."""
    ema_overwrite_frequency: PositiveInteger | None = None
    """Overwrite the parameters by their average every so many steps; null: only at the end."""
    gradient_accumulation_steps: Annotated[int, Field(ge=2), Whole] | None = None
    """Average gradients over so many steps and update once."""
    loss_scale_factor: PositiveNumber | None = None
    """Multiply the loss by it and divide the gradients, against underflow."""
    groups: tuple[Group, ...] = ()
    """Other settings for some parameters: `{parameters: [b], learning_rate: 0.1}`, `{parameters: [dense1], frozen:
    true}`, `{parameters: [W], optimizer: {kind: ...}}`. Norms that clip are those of each group alone."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.groups and self.loss_scale_factor is not None:
            raise PydanticCustomError("groups", "loss_scale_factor is for all parameters together, without groups")
        given = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, name) is not None]
        if len(given) > 1:
            raise PydanticCustomError("clip", "only one of clipnorm, clipvalue, global_clipnorm can be set")
        return self


class Sgd(KerasOptimizer):
    """Gradient descent: parameter - learning_rate * gradient, with momentum if asked for."""

    kind: Literal["sgd"]
    learning_rate: NonNegative = 0.01
    """Step size."""
    momentum: Decay = 0.0
    """Heavy-ball momentum."""
    nesterov: bool = False
    """Nesterov's momentum."""


class CustomOptimizer(CustomSection, OptimizerSection):
    """An optimizer that a plugin brings: a Keras optimizer, or an update rule."""

    kind: Literal["custom"]
    learning_rate: NonNegative = 0.01
    """Step size; the schedule's factor multiplies it."""
