"""Opening of config files: only regular ones, and without waiting for a writer."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gdrun.errors import UsageError

from .document import MAX_BYTES


def read_regular_file(
    path: Path, name: str | None = None, *, limit: int = MAX_BYTES, endings: tuple[str, ...] = (".yaml", ".yml")
) -> bytes:
    """Return at most `limit` + 1 bytes of a regular file.

    A pipe, a device, a socket or a folder is refused without being opened, so that nothing waits and no device notices.

    Args:
        name: what to call it in errors; None: by its path.
        endings: of files that may have been meant.
    Raises:
        UsageError: if it cannot be read; the message names the path and the reason.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            # Between the two calls the path may have become a pipe: O_NONBLOCK keeps that from blocking.
            handle = os.open(
                path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
            )
            with os.fdopen(handle, "rb", closefd=True) as file:
                mode = os.fstat(handle).st_mode
                if stat.S_ISREG(mode):
                    # Of what only looks like a file, in /proc, there may be nothing to read now: None.
                    return file.read(limit + 1) or b""
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {name or path}: {_reason(error)}", hint=_near(path, error, endings)) from None
    raise UsageError(f"cannot read {name or path}: it is {_kind(mode)}, not a file")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return "this is no path"
    if error.errno == errno.ENOENT:
        return "there is no such file"
    if error.errno == errno.ELOOP:
        return "its symbolic links go round in a circle"
    return (error.strerror or "it cannot be opened").lower()


def _near(path: Path, error: Exception, endings: tuple[str, ...]) -> str | None:
    """Return the hint that names the file that was probably meant."""
    if getattr(error, "errno", None) != errno.ENOENT:
        return None
    from gdrun.suggest import closest_file

    near = closest_file(path, *endings)
    return f"did you mean {near}?" if near else None


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"
