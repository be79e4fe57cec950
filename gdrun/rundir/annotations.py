"""Tags and notes that people add to runs after the fact; they stand in run.json."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from gdrun.errors import UsageError

from . import layout
from .files import write_whole
from .lock import WriterLock
from .run import Run
from .run_info import RunInfo, now_text, read_run_info

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LONGEST_NOTE = 10_000


def tag(run: Run, add: Iterable[str] = (), remove: Iterable[str] = ()) -> tuple[str, ...]:
    """Add tags to a run and remove others; return those it has then, in the order in which they were added.

    Raises:
        UsageError: a word cannot be a tag, or the run does not have one that is to be removed.
        RunDirectoryError: the run is being written, is damaged, or the disk refuses.
    """
    added, removed = list(add), set(remove)
    for word in added:
        if not _TAG.fullmatch(word):
            raise UsageError(f"'{word[:80]}' cannot be a tag", hint="letters, digits, '.', '_' and '-', at most 64")
    return _change(run, lambda info: _retag(info, added, removed)).tags


def _retag(info: RunInfo, added: list[str], removed: set[str]) -> RunInfo:
    if missing := removed - set(info.tags):
        raise UsageError(
            f"{info.id} has no tag '{min(missing)[:80]}'", hint=f"its tags: {', '.join(info.tags) or 'none'}"
        )
    return info.updated(tags=tuple(word for word in dict.fromkeys([*info.tags, *added]) if word not in removed))


def note(run: Run, text: str) -> None:
    """Add a note with the time of now to a run.

    Raises:
        UsageError: the note is empty or too long.
        RunDirectoryError: as `tag`.
    """
    if not text.strip() or len(text) > LONGEST_NOTE:
        raise UsageError(f"a note has 1 to {LONGEST_NOTE:,} characters")
    entry = {"when": now_text(), "text": text}
    _change(run, lambda info: info.updated(notes=(*info.notes, entry)))


def _change(run: Run, change: Callable[[RunInfo], RunInfo]) -> RunInfo:
    # Under the writer's lock: a running run writes its run.json from memory and would lose the change.
    lock = WriterLock(run.directory)
    try:
        info = change(read_run_info(run.directory))
        write_whole(run.directory / layout.RUN_INFO, info.to_text())
    finally:
        lock.release()
    return info
