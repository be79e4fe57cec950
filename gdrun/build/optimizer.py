"""`optimizer:` -> an update rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gdrun.components.optimizers import Optimizer, keras_optimizer
from gdrun.config import optimizer as sections

from .located import located


def build_optimizer(section: Any, parameter_names: Sequence[str]) -> Optimizer:
    """Return the optimizer of the config for parameters of these names."""
    assert isinstance(section, sections.KerasOptimizer)
    settings = {name: value for name, value in section if name not in ("kind", "learning_rate")}
    with located("optimizer"):
        return keras_optimizer(section.kind, settings=settings, parameter_names=tuple(parameter_names))  # type: ignore[attr-defined]


def hides_gradients(section: Any) -> bool:
    """Whether an infinite gradient may give finite parameters, so that it must be looked for."""
    return section.kind in ("lion", "muon", "adafactor") or section.clipvalue is not None
