"""What a user may write, and how text becomes it. Nothing here imports TensorFlow.

source.py document.py syntax.py scalars.py    bytes -> a tree of values that know their places
base.py unions.py, experiment.py and the rest  the language as pydantic sections
forms.py docs.py schema.py                    the language as data: for merging, suggestions, help, editors
inherit.py merge.py overrides.py              extends: and KEY=VALUE
check.py scopes.py together.py                what the text shows beyond each value's own form
problems.py words.py suggest.py display.py    mistakes, in the words of the language, at their places
loading.py dump.py                            load_config; and back to text
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .display import render as render
    from .docs import Description as Description
    from .docs import describe as describe
    from .experiment import Experiment as Experiment
    from .loading import LoadedConfig as LoadedConfig
    from .loading import load_config as load_config

_PLACES = {
    "Description": "docs",
    "Experiment": "experiment",
    "LoadedConfig": "loading",
    "describe": "docs",
    "load_config": "loading",
    "render": "display",
}
__all__ = ["Description", "Experiment", "LoadedConfig", "describe", "load_config", "render"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
