"""Repetition of a command whenever files are saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gdrun.errors import ExitCode, GdrunError

from . import failures, terminal

PAUSE_SECONDS = 0.25
"""Between two looks at the files."""


class Stamp(NamedTuple):
    """State of a file, which saving changes."""

    modified_ns: int
    size: int
    inode: int


def repeat(command: Callable[[], int], files: Collection[Path]) -> int:
    """Run `command` now and whenever one of `files` was saved, until Ctrl-C; return its last exit code.

    Args:
        command: what it raises is shown, and its files are waited for.
        files: may grow while the command runs. One that is gone is waited for.
    """
    while True:
        before = {path: _stamp(path) for path in files}
        try:
            code = command()
        except GdrunError as error:
            code = failures.show_error(error)
        if code in failures.INTERRUPTS:
            return code
        if not any(before.values()):
            if code == ExitCode.DONE:
                terminal.warn("no file is there to be watched")
            return code
        before |= {path: _stamp(path) for path in files if path not in before}
        terminal.message(f"exit code {int(code)}; runs again when {_names(before)} is saved, Ctrl-C ends")
        try:
            wait_for_save(before)
        except KeyboardInterrupt:
            return code


def wait_for_save(before: dict[Path, Stamp | None]) -> None:
    """Return when a file's state is no longer the one in `before` and all files are there and written to the end."""
    last, gone = before, False
    while True:
        now = {path: _stamp(path) for path in before}
        missing = {path: None for path, stamp in now.items() if stamp is None and before[path] is not None}
        if missing and not gone:
            terminal.message(f"{_names(missing)} is gone; waiting until it is there again")
        gone = bool(missing)
        if now != before and now == last and not gone:
            return
        last = now
        time.sleep(PAUSE_SECONDS)


def _stamp(path: Path) -> Stamp | None:
    """Return the state of a file, None where it is not there."""
    with suppress(OSError, ValueError):
        status = path.stat()
        return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
    return None


def _names(paths: Collection[Path]) -> str:
    return " or ".join(str(path) for path in paths)
