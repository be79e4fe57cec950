"""Durable files: replaced whole, or only ever appended to; both flushed to the disk. POSIX only.

Files that the user names outside of run directories are written as other programs write them.
"""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gdrun.errors import RunDirectoryError, UsageError

TEMPORARY = ".tmp-"
"""Beginning of the name of a file that is being written. One left behind by a crash may be deleted."""

FLUSH_SECONDS = 1.0
"""Age of an appended line at which it is flushed to the disk.

A line is with the system as soon as it is appended, so a killed process loses none; only a power cut can take what was
not flushed. A flush costs milliseconds, as much as thousands of steps: one an append would slow short runs down, one a
second bounds both the cost (below 1 %) and the loss."""

_BLOCK = 1 << 16
_SPACE = "free some space, or choose another place with --runs-dir"
_WRITABLE = "choose a writable place with --runs-dir"
_HINTS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EROFS: _WRITABLE,
    errno.EACCES: _WRITABLE,
    errno.EPERM: _WRITABLE,
}


def disk_error(action: str, path: object, error: OSError) -> RunDirectoryError:
    """Return the RunDirectoryError for an operation that the system refused.

    Args:
        action: what was tried, e.g. "write"; the message is "cannot write PATH: REASON".
        path: what it was tried on.
        error: the system's answer.
    """
    reason = error.strerror or str(error) or type(error).__name__
    return RunDirectoryError(f"cannot {action} {path}: {reason}", hint=_HINTS.get(error.errno or 0))


@contextmanager
def disk_errors(action: str, path: object) -> Iterator[None]:
    """Turn an OSError of the block into `disk_error`."""
    try:
        yield
    except OSError as error:
        raise disk_error(action, path, error) from error


# --- reading -----------------------------------------------------------------------------------------------------


@contextmanager
def reading(path: Path | str, *, buffering: int = -1) -> Iterator[BinaryIO]:
    """Open a file for reading; `buffering` as `open` takes it.

    Raises:
        FileNotFoundError: there is no such file; the one failure that callers often expect.
        RunDirectoryError: any other failure.
    """
    try:
        with open(path, "rb", buffering) as file:
            yield file
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_error("read", path, error) from error


def read_file(path: Path | str, *, limit: int | None = None) -> bytes:
    """Return the bytes of a file; one of more than `limit` bytes is refused. Raises: as `reading`."""
    # Without a buffer, which saves a fifth of the time: lists read ten thousand small files.
    with reading(path, buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise RunDirectoryError(f"{path} is larger than {limit} bytes: gdrun did not write it")
        return file.read()


def names_in(folder: Path) -> list[str]:
    """Return the sorted names in a folder; none where it does not exist."""
    with disk_errors("list", folder):
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []


def walk(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield (name, status) of everything but folders below a directory, sorted; links are not followed."""
    for folder, folders, files in os.walk(directory):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted(files + links):
            path = os.path.join(folder, name)
            with suppress(FileNotFoundError):  # a writer may have removed or renamed it meanwhile
                yield os.path.relpath(path, directory), os.lstat(path)


# --- files that are replaced whole -------------------------------------------------------------------------------


class _Descriptor(io.FileIO):
    """A raw file that writes by `os.write`, which the tests of crashes replace by one that fails or kills."""

    def write(self, data) -> int:  # type: ignore[no-untyped-def, override]
        return os.write(self.fileno(), data)


class NewFile(io.BufferedRandom):
    """A file that is being written; complete, it takes the place of `path`, which may change until then."""

    def __init__(self, raw: io.FileIO, path: Path) -> None:
        super().__init__(raw)
        self.path = path


@contextmanager
def replacing(path: Path) -> Iterator[NewFile]:
    """Open a new version of a file for writing (seekable); it takes the old one's place as the block ends.

    Whatever happens, `path` is absent, the complete old file or the complete new one. When the block has ended without
    an error, the new one is on the disk. After an error in the block the old one stays. Missing folders are made.

    Raises:
        RunDirectoryError: the disk refused.
    """
    temporary = path.parent / f"{TEMPORARY}{path.name}"
    with disk_errors("write", path):
        make_folder(path.parent)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            with NewFile(_Descriptor(descriptor, "r+"), path) as file:
                yield file
                file.flush()
                # Before the rename: otherwise a power cut could leave the new name with no content.
                os.fsync(descriptor)
            os.replace(temporary, file.path)
            flush_folder(path.parent)
        except BaseException:
            # Tidying must not hide what went wrong. After the replace there is nothing left to remove.
            with suppress(OSError):
                os.unlink(temporary)
            raise


def write_whole(path: Path, data: bytes | str) -> Path:
    """Write a file, a text as UTF-8, by `replacing`; return its path."""
    with replacing(path) as file:
        file.write(data if isinstance(data, bytes) else data.encode("utf-8", "backslashreplace"))
    return path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each flushed into the one that holds it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        os.mkdir(folder)
        flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Flush a folder's own entries (names made, replaced and removed) to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_file(path: Path) -> bool:
    """Remove a file; return whether it was there."""
    with disk_errors("remove", path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        return True


def remove_leftovers(folder: Path) -> None:
    """Remove the half-written temporary files that a killed writer left in a folder."""
    for name in names_in(folder):
        if name.startswith(TEMPORARY):
            remove_file(folder / name)


# --- files of the user's ------------------------------------------------------------------------------------------


def refuse_existing(path: Path, what: str = "file") -> None:
    """Raise UsageError where there is something of this name; `what` is what to name instead."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists; it is not replaced", hint=f"name another {what} with -o")


def write_file(path: Path, data: bytes, *, new: bool = False) -> Path:
    """Write a file that the user named, which may be a device or a link, and return its path; make folders above it.

    Args:
        new: refuse to replace a file.
    Raises:
        UsageError: `new`, and there is one.
        RunDirectoryError: the disk refuses.
    """
    if new:
        refuse_existing(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x" closes the gap between looking and writing.
        with path.open("xb" if new else "wb") as file:
            file.write(data)
    except OSError as error:
        raise RunDirectoryError(f"cannot write {path}: {error.strerror}") from error
    return path


# --- files that only grow ----------------------------------------------------------------------------------------


class AppendOnlyFiles:
    """Append-only files of one directory: lines added in one write each, flushed on request or when they grow old.

    Only the last line of such a file can be torn, by a kill in the middle of a write or a power cut. Readers skip it,
    and the next writer cuts it off before it appends. Each file is kept open from its first use until `close`. Every
    method but `close` raises RunDirectoryError when the disk refuses.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptors: dict[str, int] = {}
        self._unflushed = False
        self._flushed_at = time.monotonic()

    def descriptor(self, name: str) -> int:
        """Return the descriptor of `name`, open for appending; made if the file is not there. It stays ours."""
        if name not in self._descriptors:
            path = self._directory / name
            with disk_errors("write", path):
                self._descriptors[name] = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._unflushed = True
        return self._descriptors[name]

    def append(self, name: str, data: bytes) -> None:
        """Add `data`, whole lines, to the end of `name`; flush everything if the last flush was long ago."""
        if data:
            descriptor = self.descriptor(name)
            self._unflushed = True
            with disk_errors("write", self._directory / name):
                size = os.fstat(descriptor).st_size
                try:
                    # The system may take fewer bytes than it is given at a time.
                    view = memoryview(data)
                    while view:
                        view = view[os.write(descriptor, view) :]
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
            with disk_errors("flush", self._directory / name):
                os.fsync(descriptor)
        with disk_errors("flush", self._directory):
            flush_folder(self._directory)
        self._unflushed = False
        self._flushed_at = time.monotonic()

    def cut(self, name: str, size: int) -> None:
        """Shorten `name` to `size` bytes, durably."""
        descriptor = self.descriptor(name)
        with disk_errors("cut", self._directory / name):
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)

    def cut_torn_line(self, name: str) -> None:
        """Remove what stands after the last newline of `name`, if anything does."""
        try:
            with reading(self._directory / name) as file:
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
