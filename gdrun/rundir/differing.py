"""Which settings tell runs apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .settings import ALIASES

Settings = Mapping[str, Any]


def differing(settings: Sequence[Settings]) -> list[str]:
    """Return the paths whose values are not the same in all of `settings`, in the order in which they first appear.

    A setting that one has and another has not differs too.
    """
    if len(settings) < 2:
        return []
    first = settings[0]
    names = first.keys()
    found: set[str] = set()
    for other in settings[1:]:
        found |= {path for path, value in first.items() if other.get(path, _NOTHING) != value}
        if other.keys() != names:
            found |= other.keys() - names
    order = dict.fromkeys(path for one in settings for path in one) if found - names else names
    return [path for path in order if path in found]


_NOTHING = object()


def labels(paths: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return path -> the shortest name that means it alone among the paths `known`: lr, momentum, data.kind."""
    ends: dict[str, int] = {}
    for path in dict.fromkeys(known):
        for ending in _endings(path):
            ends[ending] = ends.get(ending, 0) + 1
    aliases = {path: name for name, path in ALIASES.items()}
    return {path: aliases.get(path) or next((e for e in _endings(path) if ends.get(e, 0) <= 1), path) for path in paths}


def _endings(path: str) -> Iterable[str]:
    steps = path.split(".")
    # The last word alone, then the whole: what filters and overrides know.
    return (steps[-1], path) if len(steps) > 1 else (path,)
