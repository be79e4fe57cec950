"""System calls that fail, or are the last one, at will."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from gdrun.errors import RunDirectoryError

CALLS = ("write", "fsync", "replace", "mkdir", "symlink", "ftruncate", "open", "unlink")
CODES = {"full": errno.ENOSPC, "broken": errno.EIO, "read-only": errno.EROFS}


class Killed(BaseException):
    """Stands for SIGKILL: nothing that follows it in the process reaches the disk."""


class Faults:
    """Counts system calls and lets the n-th one fail ("full", "broken", "read-only"), or be the last one ("kill")."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, at: int, kind: str = "kill", names: tuple[str, ...] = CALLS
    ) -> None:
        self.count = 0
        self.killed = False
        self.hit: str | None = None
        self.names: list[str] = []
        self._at, self._kind = at, kind
        for name in names:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, real: Callable) -> Callable:
        def call(*args, **kwargs):
            if self.killed:
                raise Killed
            self.count += 1
            self.names.append(name)
            if self.count != self._at:
                return real(*args, **kwargs)
            self.hit = name
            if name == "write":  # a full disk and a kill both can leave a part
                real(args[0], memoryview(args[1])[: len(args[1]) // 2])
            if self._kind == "kill":
                self.killed = True
                raise Killed
            code = CODES[self._kind]
            raise OSError(code, os.strerror(code))

        return call

    def taken(self) -> list[str]:
        """Return the names of the calls since this was asked last."""
        names, self.names = self.names, []
        return names


def count_calls(action: Callable[[], object]) -> int:
    """Return how many of the counted system calls `action` makes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        faults = Faults(monkeypatch, -1)
        action()
    return faults.count


def outcome(action: Callable[[], object]) -> RunDirectoryError | None:
    """Return the run directory error that `action` ends with, None if it ends well."""
    try:
        action()
    except RunDirectoryError as error:
        return error
    return None
