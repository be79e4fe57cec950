"""The lock of a run directory's writer: the kernel's, and a heartbeat for other machines.

The lock is flock(2) on an empty file. The kernel drops it when the writer's process ends, however it ends, so there is
nothing to parse, nothing to time out and nothing to remove by hand.

On many network file systems such a lock is not seen from another machine. So the writer also keeps a small file that
says where it runs, and touches it every few seconds. Where both processes have one kernel the lock decides alone; else
a writer lives as long as it touches the file. Both times of that are the file system's, not those of two clocks.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import tempfile
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from gdrun.errors import RunDirectoryError
from gdrun.machine import kernel_id
from gdrun.text import safe_text

from .files import disk_errors
from .layout import HEARTBEAT, LOCK

BEAT_SECONDS = 10.0
"""Between two touches of the heartbeat."""
SILENT_SECONDS = 60.0
"""A writer on another machine that has not touched its heartbeat for so long was killed."""

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
                os.close(self._descriptor)
                raise
        if not free or _beating(directory) is not None:
            os.close(self._descriptor)
            raise busy(directory)
        self._heartbeat = directory / HEARTBEAT
        self._ended = threading.Event()
        with disk_errors("write", self._heartbeat):
            try:
                self._heartbeat.write_text(json.dumps(_writer()))
            except OSError:
                self.release()
                raise
        # It must not keep the lock alive, nor the process.
        arguments = (self._heartbeat, self._ended)
        threading.Thread(target=_beat, args=arguments, daemon=True, name="heartbeat").start()
        _held.add(self)

    def release(self) -> None:
        """Let go of the lock. A second call does nothing."""
        if self._descriptor >= 0:
            self._ended.set()
            # Before the lock: afterwards the file may be another writer's.
            try:
                os.unlink(self._heartbeat)
            except OSError:
                pass
            finally:
                self._close()

    def _close(self) -> None:
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


def _writer() -> dict[str, Any]:
    """Return what a heartbeat says of this process."""
    return {"host": platform.node(), "process": os.getpid(), "kernel": kernel_id(), "time": time.time()}


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        # Without a time, so that the file system's server sets its own; the directory may have been moved.
        with suppress(OSError):
            os.utime(path)


def _beating(directory: Path) -> str | None:
    """Return the process on another machine that writes `directory`, in words; None where there is none."""
    try:
        # Opened, not looked up: network file systems keep what they know of a file for some seconds, but not then.
        with open(directory / HEARTBEAT, "rb") as file:
            touched = os.fstat(file.fileno()).st_mtime
            writer = json.loads(file.read(4096))
        if writer["kernel"] == _writer()["kernel"]:
            return None
        where = f"process {int(writer['process'])} on {safe_text(writer['host'], limit=100)}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        # Torn by a crash of the machine that wrote it, like one that is not there.
        return None
    now = time.time()
    if abs(now - touched) >= SILENT_SECONDS:
        # This machine's clock may be off; a new file's time is by the clock that set the other.
        with suppress(OSError), tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"0")
            file.flush()
            os.fsync(file.fileno())
            now = os.fstat(file.fileno()).st_mtime
    return where if now - touched < SILENT_SECONDS else None


def busy(directory: Path, hint: str = "wait until it ends, or stop it") -> RunDirectoryError:
    """Return the error for a run directory that another process is writing."""
    if (where := _beating(directory)) is None:
        return RunDirectoryError(f"{safe_text(directory)} is busy: another process is writing it", hint=hint)
    return RunDirectoryError(
        f"{safe_text(directory)} is busy: {where} is writing it",
        hint=f"{hint}; if it was killed, that shows {SILENT_SECONDS:g} s after its last heartbeat",
    )


def is_locked(directory: Path) -> bool:
    """Return whether a living process writes `directory`, on this machine or another one. Needs no right to write."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # A file system without locks: no process can hold one there.
        pass
    finally:
        os.close(descriptor)
    return _beating(directory) is not None


def _drop_inherited() -> None:
    # flock belongs to the open file, which a forked worker shares: one that outlived the run would keep it locked.
    for lock in list(_held):
        lock._close()


os.register_at_fork(after_in_child=_drop_inherited)
