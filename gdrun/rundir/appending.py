"""The append-only files of a run directory: lines added in one write each, flushed when told or grown old.

Only the last line of such a file can be torn, by a kill in the middle of a write or a power cut. Readers skip it, and
the next writer cuts it off before it appends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .files import Directory, disk_error, write_all

FLUSH_SECONDS = 1.0
"""How old an appended line may be before it is flushed to the disk.

A line is with the system as soon as it is appended, so a killed process loses none; only a power cut can take what was
not flushed. A flush costs milliseconds, as much as thousands of steps: one an append would slow short runs down, one a
second bounds both the cost (below 1 %) and the loss."""

_BLOCK = 1 << 16


class AppendOnlyFiles:
    """Appends to files of one directory, each kept open from its first use until `close`.

    Every method but `close` raises RunDirectoryError when the disk refuses.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._descriptors: dict[str, int] = {}
        self._unflushed = False
        self._flushed_at = time.monotonic()

    def descriptor(self, name: str) -> int:
        """Return the descriptor of `name`, open for appending; made if the file is not there. It stays ours."""
        if name not in self._descriptors:
            self._descriptors[name] = self._directory.append_descriptor(name)
            self._unflushed = True
        return self._descriptors[name]

    def append(self, name: str, data: bytes) -> None:
        """Add `data`, whole lines, to the end of `name`; flush everything if the last flush was long ago."""
        if data:
            descriptor = self.descriptor(name)
            self._unflushed = True
            with self._errors("write", name):
                size = os.fstat(descriptor).st_size
                try:
                    write_all(descriptor, data)
                except OSError:
                    # A full disk takes a part. If even this fails the last line is torn, which readers can bear.
                    with suppress(OSError):
                        os.ftruncate(descriptor, size)
                    raise
        if time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Put everything that was appended on the disk, the files' names in the directory too."""
        if not self._unflushed:
            return
        for name, descriptor in self._descriptors.items():
            with self._errors("flush", name):
                os.fsync(descriptor)
        self._directory.sync()
        self._unflushed = False
        self._flushed_at = time.monotonic()

    def cut(self, name: str, size: int) -> None:
        """Shorten `name` to `size` bytes, durably."""
        descriptor = self.descriptor(name)
        with self._errors("cut", name):
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)

    def cut_torn_line(self, name: str) -> None:
        """Remove what stands after the last newline of `name`, if anything does."""
        try:
            with self._directory.reading(name) as file:
                size = whole = file.seek(0, os.SEEK_END)
                # Backwards in blocks: the file may be large, and the torn line is short.
                while whole:
                    block = min(whole, _BLOCK)
                    file.seek(whole - block)
                    newline = file.read(block).rfind(b"\n")
                    whole -= block
                    if newline >= 0:
                        whole += newline + 1
                        break
        except FileNotFoundError:
            return
        if whole < size:
            self.cut(name, whole)

    def close(self) -> None:
        """Close the files without flushing them. Never raises."""
        while self._descriptors:
            with suppress(OSError):
                os.close(self._descriptors.popitem()[1])

    @contextmanager
    def _errors(self, action: str, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(action, self._directory.path / name, error) from error
