"""Keeping what libraries print away from the user: it goes to a file instead, and from there into the run's log.

TensorFlow's C++ writes to descriptor 2 directly, so Python's streams are not the place to stop it: while a `Noise` is
open, descriptors 1 and 2 lead to a temporary file, and `terminal` writes to duplicates of the real ones.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from typing import IO, Self, TextIO

from . import terminal

LIMIT = 1 << 20
"""Bytes that one `take` returns at most: the newest ones."""

_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class Noise:
    """While open (a context manager), holds back what anything but `terminal` writes to stdout and stderr."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._taken = 0
        self._real: dict[str, int] = {}
        self._python: dict[str, TextIO] = {}
        self._before: dict[str, TextIO] = {}
        self._opened: list[TextIO] = []

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile()
        talk = {}
        for name, descriptor in _DESCRIPTORS.items():
            python: TextIO = getattr(sys, name)
            self._python[name] = python
            with suppress(OSError, ValueError, AttributeError):
                python.flush()
            try:
                real = os.dup(descriptor)
            except OSError:  # closed by whoever started us
                continue
            self._real[name] = real
            talk[name] = self._stream(real, python) if _writes_to(python, descriptor) else python
            os.dup2(self._file.fileno(), descriptor)
            # Python's own writers (absl's logging, warnings, a stray print) keep the stream that they found.
            setattr(sys, name, self._stream(descriptor, python))
        self._before = terminal.divert(talk)
        return self

    def _stream(self, descriptor: int, like: TextIO) -> TextIO:
        encoding = getattr(like, "encoding", None) or "utf-8"
        stream = open(descriptor, "w", encoding=encoding, errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
        self._opened.append(stream)
        return stream

    def __exit__(self, *error: object) -> None:
        assert self._file is not None
        for stream in self._opened:
            with suppress(OSError, ValueError):
                stream.flush()
        terminal.divert(self._before)
        for name, real in self._real.items():
            os.dup2(real, _DESCRIPTORS[name])
            os.close(real)
        for name, python in self._python.items():
            setattr(sys, name, python)
        self._file.close()

    def take(self) -> str:
        """Return what was written since the last call, the newest `LIMIT` bytes of it; what is no UTF-8 is escaped."""
        assert self._file is not None
        for name in self._real:
            with suppress(OSError, ValueError):
                getattr(sys, name).flush()
        descriptor = self._file.fileno()
        size = os.fstat(descriptor).st_size
        start = max(self._taken, size - LIMIT)
        self._taken = size
        return os.pread(descriptor, size - start, start).decode("utf-8", "backslashreplace")


def _writes_to(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError, AttributeError):  # a test's or a notebook's stream in memory
        return False
