"""What a user may write, and how text becomes it. Nothing here imports TensorFlow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .display import render as render
    from .experiment import Experiment as Experiment
    from .loading import LoadedConfig as LoadedConfig
    from .loading import load_config as load_config

_PLACES = {
    "Experiment": "experiment",
    "LoadedConfig": "loading",
    "load_config": "loading",
    "render": "display",
}
__all__ = ["Experiment", "LoadedConfig", "load_config", "render"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
