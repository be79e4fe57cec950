"""The experiment that a config describes: its sections, checks between them, reading and writing. No TensorFlow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdrun.config.rendering import render as render

    from .experiment import Experiment as Experiment
    from .loading import LoadedConfig as LoadedConfig
    from .loading import load_config as load_config
    from .reference import Description as Description
    from .reference import describe as describe

_PLACES = {
    "Description": "gdrun.experiment.reference",
    "Experiment": "gdrun.experiment.experiment",
    "LoadedConfig": "gdrun.experiment.loading",
    "describe": "gdrun.experiment.reference",
    "load_config": "gdrun.experiment.loading",
    "render": "gdrun.config.rendering",
}
__all__ = ["Description", "Experiment", "LoadedConfig", "describe", "load_config", "render"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
