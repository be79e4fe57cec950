"""The members of families of kinds, for tests that each member has to pass."""

from __future__ import annotations

from typing import Any, get_args

from gdrun.data import Data
from gdrun.losses import Loss
from gdrun.models import Model
from gdrun.models.layers import Layer
from gdrun.optimizers import Optimizer
from gdrun.schedules.factors import LearningRateFactor

UNIONS = {
    "data": Data,
    "losses": Loss,
    "models": Model,
    "layers": Layer,
    "optimizers": Optimizer,
    "factors": LearningRateFactor,
}


def members(family: str) -> dict[str, type[Any]]:
    """Return kind -> class."""
    union, *_ = get_args(UNIONS[family])
    return {get_args(member.model_fields["kind"].annotation)[0]: member for member in get_args(union)}
