"""The members of every family of kinds, for tests that each member has to pass."""

from __future__ import annotations

from importlib import import_module
from typing import Any

UNIONS = {"data": "gdrun.data:Data", "models": "gdrun.models:Model", "layers": "gdrun.models:Layer"}


def members(family: str) -> dict[str, type[Any]]:
    """Return kind -> class."""
    module, _, name = UNIONS[family].partition(":")
    (union,) = getattr(import_module(module), name).__metadata__
    return {kind: union.variant(kind) for kind in union.variants}
