"""The kernel lock that says who writes a run directory.

The lock is flock(2) on an empty file. The kernel drops it when the writer's process ends, however it ends, so there is
nothing to parse, nothing to time out and nothing to remove by hand.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
import weakref
from pathlib import Path

from gdrun.errors import RunDirectoryError
from gdrun.text import safe_text

from .files import disk_error
from .layout import LOCK

_PATIENCE_SECONDS = 0.2
"""A reader holds the lock for microseconds while it asks whether it is free; a writer must not give up on that."""

_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class WriterLock:
    """The right to write one run directory, held until `release` or the end of the process."""

    def __init__(self, directory: Path) -> None:
        """Take the lock of `directory`.

        Raises:
            RunDirectoryError: somebody else holds it, or the lock file cannot be used.
        """
        path = directory / LOCK
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        except OSError as error:
            raise disk_error("lock", path, error) from error
        try:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise RunDirectoryError(f"cannot lock {safe_text(path)}: it is not a regular file")
            if not _take(self._descriptor):
                raise RunDirectoryError(
                    f"{safe_text(directory)} is busy: another process is writing it",
                    hint="wait until it ends, or stop it",
                )
        except OSError as error:
            self.release()
            raise disk_error("lock", path, error) from error
        except BaseException:
            self.release()
            raise
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
        descriptor = os.open(directory / LOCK, os.O_RDONLY | _FLAGS)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        # A file system without locks: nobody can hold one there.
        return False
    finally:
        os.close(descriptor)


def _drop_inherited() -> None:
    # flock belongs to the open file, which a forked worker shares: one that outlived the run would keep it locked.
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_drop_inherited)
