"""Many runs at a glance: found, filtered, sorted, told apart; ten thousand in well under a second."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from gdrun.errors import UsageError
from gdrun.text import safe_text

from . import layout
from .differing import differing
from .entry import ALWAYS_KNOWN, Entry
from .filter import Filter


def entries(runs_root: Path) -> list[Entry]:
    """Return the runs below `runs_root`, oldest first."""
    with _without_collector():
        return [Entry(f"{runs_root}/{name}") for name in layout.run_names(runs_root)]


def select(
    found: Sequence[Entry],
    *,
    filter: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
    now: datetime | None = None,
) -> list[Entry]:
    """Return the entries that are meant, in order.

    Args:
        found: oldest first.
        filter: a condition (see `gdrun.rundir.filter`).
        sort: a name; `-name` turns the order round. Runs that have no such value come last, nan before them.
        limit: the most to return: the first ones where they are sorted, the newest where they are not.
        now: what ages count from.
    Raises:
        UsageError: the filter cannot be read, or names what no run has.
    """
    now = now or datetime.now(UTC)
    chosen = list(found)
    if filter is not None:
        condition = Filter(filter)
        check_names(found, condition.names)
        chosen = [entry for entry in found if condition.matches(partial(entry.get, now=now))]
    if sort is not None:
        chosen = _sorted(chosen, sort, found, now)
    if limit is not None:
        chosen = chosen[:limit] if sort is not None else chosen[max(len(chosen) - limit, 0) :]
    return chosen


def _sorted(chosen: list[Entry], sort: str, found: Sequence[Entry], now: datetime) -> list[Entry]:
    name = sort.removeprefix("-")
    check_names(found, (name,))
    # Numbers, then texts, then nan, then nothing, in both directions.
    ranked = [(_rank(value := entry.get(name, now=now)), value, entry) for entry in chosen]
    groups = [[(value, entry) for rank, value, entry in ranked if rank == wanted] for wanted in range(4)]
    for group in groups[:2]:
        group.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
    return [entry for group in groups for _, entry in group]


def _rank(value: Any) -> int:
    if isinstance(value, int | float):
        return 2 if value != value else 0
    return 1 if isinstance(value, str) else 3


def check_names(found: Iterable[Entry], names: Iterable[str]) -> None:
    """Refuse names that no run has.

    Raises:
        UsageError: with what was probably meant.
    """
    found = list(found)
    for name in names:
        if name in ALWAYS_KNOWN or not found:
            continue
        if all(entry.get(name) is None for entry in found):
            from gdrun.suggest import did_you_mean

            known = sorted({known for entry in found for known in entry.names()})
            hint = did_you_mean(name, known, allowed="known are")
            raise UsageError(f"no run has a '{safe_text(name, limit=100)}'", hint=safe_text(hint) if hint else None)


_SETTING_LINE = re.compile(rb'    "([^"\\\\]+)": [^\\[{].*')


def apart(members: Sequence[Entry]) -> tuple[list[str], list[str]]:
    """Return the paths of the settings in which the entries differ, and all paths that one of them has.

    Looks at the texts of the settings line by line, and reads them only where a line is not a whole setting.
    """
    texts = [entry.settings_lines() for entry in members]
    lines = [text for text in texts if text is not None]
    if len(members) > 1 and len(lines) == len(members):
        first = frozenset(lines[0])
        odd = {line for other in lines[1:] for line in first.symmetric_difference(other)}
        matches = [_SETTING_LINE.fullmatch(line) for line in odd]
        if all(matches):
            found = {match[1].decode() for match in matches if match}
            known = [*members[0].settings, *(found - members[0].settings.keys())]
            return [path for path in known if path in found], known
    settings = [entry.settings for entry in members]
    return differing(settings), list(dict.fromkeys(path for one in settings for path in one))


@contextmanager
def _without_collector() -> Iterator[None]:
    # A hundred thousand new dicts and no garbage among them: looking for some takes half of the time.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
