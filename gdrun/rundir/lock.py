"""The kernel lock of a run directory's writer.

The lock is flock(2) on an empty file. The kernel drops it when the writer's process ends, however it ends, so there is
nothing to parse, nothing to time out and nothing to remove by hand.
"""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from pathlib import Path

from gdrun.errors import RunDirectoryError

from .files import disk_errors
from .layout import LOCK

_PATIENCE_SECONDS = 0.2
"""A reader holds the lock for microseconds while it asks whether it is free; a writer must not give up on that."""

_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class WriterLock:
    """The right to write one run directory, held until `release` or the end of the process."""

    def __init__(self, directory: Path) -> None:
        """Take the lock of `directory`.

        Raises:
            RunDirectoryError: another process holds it, or the lock file cannot be used.
        """
        path = directory / LOCK
        with disk_errors("lock", path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                free = _take(self._descriptor)
            except OSError:
                self.release()
                raise
        if not free:
            self.release()
            raise RunDirectoryError(
                f"{directory} is busy: another process is writing it", hint="wait until it ends, or stop it"
            )
        _held.add(self)

    def release(self) -> None:
        """Let go of the lock. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        _held.discard(self)


def _take(descriptor: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)


def is_locked(directory: Path) -> bool:
    """Return whether a living process writes `directory`. Needs no right to write there."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        # A file system without locks: no process can hold one there.
        return False
    finally:
        os.close(descriptor)


def _drop_inherited() -> None:
    # flock belongs to the open file, which a forked worker shares: one that outlived the run would keep it locked.
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_drop_inherited)
