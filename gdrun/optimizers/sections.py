"""`optimizer:` how gradients move parameters. Keras's optimizers keep Keras's names, spelling and defaults."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic_core import PydanticCustomError

from gdrun.config.base import Bounds, NonNegative, Number, PositiveInteger, PositiveNumber, Section, UnitInterval, kinds
from gdrun.config.unions import Nested, from_elsewhere

if TYPE_CHECKING:
    from .groups import Group

    Groups = tuple[Group, ...]
else:
    Groups = tuple[Annotated[Any, Nested("gdrun.optimizers.groups:Group")], ...]

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
    "gdrun.optimizers.adaptive",
) | {
    "UpdateRule": "gdrun.optimizers.update_rule_section",
    "Newton": "gdrun.optimizers.second_order_sections",
    "GaussNewton": "gdrun.optimizers.second_order_sections",
    "LevenbergMarquardt": "gdrun.optimizers.second_order_sections",
}

KERAS_KINDS = {
    "sgd": "gdrun.optimizers.sections:Sgd",
    "adam": "gdrun.optimizers.adaptive:Adam",
    "adamw": "gdrun.optimizers.adaptive:AdamW",
    "adamax": "gdrun.optimizers.adaptive:Adamax",
    "nadam": "gdrun.optimizers.adaptive:Nadam",
    "rmsprop": "gdrun.optimizers.adaptive:RmsProp",
    "adagrad": "gdrun.optimizers.adaptive:Adagrad",
    "adadelta": "gdrun.optimizers.adaptive:Adadelta",
    "ftrl": "gdrun.optimizers.adaptive:Ftrl",
    "lion": "gdrun.optimizers.adaptive:Lion",
    "lamb": "gdrun.optimizers.adaptive:Lamb",
    "adafactor": "gdrun.optimizers.adaptive:Adafactor",
    "muon": "gdrun.optimizers.adaptive:Muon",
    "schedule_free_adamw": "gdrun.optimizers.adaptive:ScheduleFreeAdamW",
}
"""Kind -> where its section is."""


def __getattr__(name: str) -> object:
    return from_elsewhere(__name__, _ELSEWHERE, name)


if TYPE_CHECKING:
    from gdrun.config.custom import CustomOptimizer

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
    from .second_order_sections import GaussNewton, LevenbergMarquardt, Newton
    from .update_rule_section import UpdateRule

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
            "formula": "gdrun.optimizers.update_rule_section:UpdateRule",
            "newton": "gdrun.optimizers.second_order_sections:Newton",
            "gauss_newton": "gdrun.optimizers.second_order_sections:GaussNewton",
            "levenberg_marquardt": "gdrun.optimizers.second_order_sections:LevenbergMarquardt",
            "custom": "gdrun.config.custom:CustomOptimizer",
        },
    )
