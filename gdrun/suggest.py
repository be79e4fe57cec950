"""Suggestions of names: aliases of settings, and the allowed name closest to a misspelt one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import ConfigPath, Problem

ALIASES = {"lr": "optimizer.learning_rate"}
"""Short name -> path of the setting, in overrides, filters and tables."""

_LONGEST = 64


def distance(a: str, b: str) -> int:
    """Count the insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.

    Source: Damerau 1964; the restricted form, in which no letter is edited twice.
    """
    a, b = a[:_LONGEST], b[:_LONGEST]
    # Rows of the table of distances between prefixes: `last` is the row above, `before` the one above that.
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def closest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that `name` was probably meant to be, or None.

    It differs in at most a third of the letters, or, among names of four letters and more, one contains the other.
    Capitals, hyphens and underscores do not count.
    """
    if len(name) > _LONGEST:
        return None
    letters = _folded(name)
    best: tuple[float, str] | None = None
    for candidate in names:
        folded = _folded(candidate)
        edits = distance(letters, folded)
        near = edits <= max(1, max(len(letters), len(folded)) // 3) and edits < min(len(letters), len(folded))
        inside = min(len(letters), len(folded)) >= 4 and (letters in folded or folded in letters)
        if edits == 0 or near or inside:
            rank = edits if near or edits == 0 else edits + 100
            if best is None or rank < best[0]:
                best = (rank, candidate)
    return best[1] if best else None


def _folded(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def closest_file(path: Path, *endings: str) -> Path | None:
    """Return the file with one of `endings` in the folder of `path` that was probably meant, or None."""
    try:
        names = sorted(entry.name for entry in os.scandir(path.parent) if entry.name.endswith(endings or ("",)))
    except (OSError, ValueError):
        return None
    near = closest(path.name, names[:1000])
    return path.parent / near if near else None


def did_you_mean(name: str, names: Iterable[str], *, allowed: str | None = None, most: int = 12) -> str | None:
    """Return "did you mean 'x'?", or else "<allowed>: a, b, c" with at most `most` names, or None without names."""
    names = list(names)
    near = closest(name, names)
    if near is not None:
        return f"did you mean '{near}'?"
    return f"{allowed}: {listed(names, most)}" if allowed and names else None


def unknown(what: str, name: str, names: Iterable[str], path: ConfigPath, *, key: bool = True) -> Iterator[Problem]:
    """Yield the problem of a `name` in a config that is not among `names`, at `path` or its key."""
    names = list(names)
    if name not in names:
        hint = did_you_mean(name, names, allowed="there are" if len(names) > 1 else "there is")
        yield Problem(f"there is no {what} '{name}'", path, hint, key=key)


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return "a, b, c and 3 more"."""
    names = list(names)
    omitted = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + omitted
