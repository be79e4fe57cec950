"""`optimizer:` how gradients move parameters. Keras's optimizers keep Keras's names, spelling and defaults."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic_core import PydanticCustomError

from .base import Bounds, NonNegative, Number, PositiveInteger, PositiveNumber, Section, UnitInterval, kinds
from .unions import Nested, from_elsewhere

if TYPE_CHECKING:
    from .groups import Group

    Groups = tuple[Group, ...]
else:
    Groups = tuple[Annotated[Any, Nested("groups:Group")], ...]

Decay = Annotated[Number, Bounds(ge=0, lt=1)]


class KerasOptimizer(Section):
    """What every Keras optimizer has."""

    exclusive = (("clipnorm", "clipvalue", "global_clipnorm"),)

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
    gradient_accumulation_steps: Annotated[PositiveInteger, Bounds(ge=2)] | None = None
    """Average gradients over so many steps and update once."""
    loss_scale_factor: PositiveNumber | None = None
    """Multiply the loss by it and divide the gradients, against underflow."""
    groups: Groups = ()
    """Other settings for some parameters: `{parameters: [b], learning_rate: 0.1}`, `{parameters: [dense1], frozen:
    true}`, `{parameters: [W], optimizer: {kind: ...}}`. Norms that clip are those of each group alone."""

    def together(self) -> None:
        if self.groups and self.loss_scale_factor is not None:
            raise PydanticCustomError("groups", "loss_scale_factor is for all parameters together, without groups")
        given = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, name) is not None]
        if len(given) > 1:
            raise PydanticCustomError("clip", "only one of clipnorm, clipvalue, global_clipnorm can be set")


class Sgd(KerasOptimizer):
    """Gradient descent: parameter - learning_rate * gradient, with momentum if asked for."""

    kind: Literal["sgd"]
    learning_rate: NonNegative = 0.01
    """Step size."""
    momentum: Decay = 0.0
    """Heavy-ball momentum."""
    nesterov: bool = False
    """Nesterov's momentum."""


_ELSEWHERE = dict.fromkeys(
    (
        "Adam",
        "AdamW",
        "Adamax",
        "Nadam",
        "RmsProp",
        "Adagrad",
        "Adadelta",
        "Ftrl",
        "Lion",
        "Lamb",
        "Adafactor",
        "Muon",
        "ScheduleFreeAdamW",
    ),
    "adaptive",
) | {
    "UpdateRule": "update_rule",
    "Newton": "second_order",
    "GaussNewton": "second_order",
    "LevenbergMarquardt": "second_order",
}

KERAS_KINDS = {
    "sgd": "optimizer:Sgd",
    "adam": "adaptive:Adam",
    "adamw": "adaptive:AdamW",
    "adamax": "adaptive:Adamax",
    "nadam": "adaptive:Nadam",
    "rmsprop": "adaptive:RmsProp",
    "adagrad": "adaptive:Adagrad",
    "adadelta": "adaptive:Adadelta",
    "ftrl": "adaptive:Ftrl",
    "lion": "adaptive:Lion",
    "lamb": "adaptive:Lamb",
    "adafactor": "adaptive:Adafactor",
    "muon": "adaptive:Muon",
    "schedule_free_adamw": "adaptive:ScheduleFreeAdamW",
}
"""Kind -> where its section is."""


def __getattr__(name: str) -> object:
    return from_elsewhere(__name__, _ELSEWHERE, name)


if TYPE_CHECKING:
    from .adaptive import (
        Adadelta,
        Adafactor,
        Adagrad,
        Adam,
        Adamax,
        AdamW,
        Ftrl,
        Lamb,
        Lion,
        Muon,
        Nadam,
        RmsProp,
        ScheduleFreeAdamW,
    )
    from .custom import CustomOptimizer
    from .second_order import GaussNewton, LevenbergMarquardt, Newton
    from .update_rule import UpdateRule

    Optimizer: TypeAlias = (
        Sgd
        | Adam
        | AdamW
        | Adamax
        | Nadam
        | RmsProp
        | Adagrad
        | Adadelta
        | Ftrl
        | Lion
        | Lamb
        | Adafactor
        | Muon
        | ScheduleFreeAdamW
        | UpdateRule
        | Newton
        | GaussNewton
        | LevenbergMarquardt
        | CustomOptimizer
    )
else:
    Optimizer = kinds(
        {
            **KERAS_KINDS,
            "formula": "update_rule:UpdateRule",
            "newton": "second_order:Newton",
            "gauss_newton": "second_order:GaussNewton",
            "levenberg_marquardt": "second_order:LevenbergMarquardt",
            "custom": "custom:CustomOptimizer",
        },
    )
