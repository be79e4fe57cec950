"""Durable files below one directory: whole or absent, flushed to the disk, never through a symlink.

Every path is taken relative to a directory that is held open, one component at a time, without following links, so
that nothing outside it can be touched even if somebody rearranges the tree meanwhile. POSIX only.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gdrun.errors import RunDirectoryError
from gdrun.text import safe_text

TEMPORARY = ".tmp-"
"""How the name of a file that is being written starts. One left behind by a crash is nobody's data."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK the open of a FIFO that somebody put there would wait forever; regular files ignore it.
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

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
    if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and os.path.islink(str(path))):
        reason = "a symbolic link is in the way, and gdrun follows none"
    return RunDirectoryError(f"cannot {action} {safe_text(path)}: {reason}", hint=_HINTS.get(error.errno or 0))


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of `data`; the system may take fewer than it is given at a time."""
    view = memoryview(data).cast("B")
    while view:
        written = os.write(descriptor, view)
        if written == 0:
            raise OSError(errno.EIO, "the system wrote nothing")
        view = view[written:]


def read_small(path: str, *, limit: int) -> bytes:
    """Return the bytes of the regular file at `path`, which must not be a symlink: `Directory.read` for the hurried.

    Raises:
        FileNotFoundError: there is no such file.
        RunDirectoryError: any other failure, or more than `limit` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _FILE)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _not_regular(path)
            if status.st_size > limit:
                raise _too_large(path, limit)
            return os.read(descriptor, status.st_size + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_error("read", path, error) from error


def _not_regular(path: object) -> RunDirectoryError:
    return RunDirectoryError(f"{safe_text(path)} is not a regular file; gdrun neither reads nor writes it")


def _too_large(path: object, limit: int) -> RunDirectoryError:
    return RunDirectoryError(f"{safe_text(path)} is larger than {limit} bytes: it is not gdrun's")


class Directory:
    """A directory held open by a descriptor, and what may be done to the files below it.

    Names are relative, with `/` between folders; `..`, absolute names and links are refused. Folders are made as they
    are needed. Every failure of the system is a RunDirectoryError with the path and the reason.
    """

    def __init__(self, path: Path) -> None:
        """Open the directory at `path`, which must not be a symlink itself."""
        self.path = path
        try:
            self._descriptor = os.open(path, _DIRECTORY)
        except OSError as error:
            raise disk_error("open", path, error) from error

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the descriptor. Nothing else may be called afterwards."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def sync(self) -> None:
        """Flush the directory's own entries (names made, replaced and removed) to the disk."""
        with self._errors("flush", self.path):
            os.fsync(self._descriptor)

    @contextmanager
    def replacing(self, name: str) -> Iterator[BinaryIO]:
        """Open a new version of file `name` for writing (seekable); it takes the old one's place as the block ends.

        Whatever happens, `name` is absent, the complete old file or the complete new one. When the block has ended
        without an error, the new one is on the disk. After an error in the block the old one stays.
        """
        with self.writing(name) as (file, names):
            names[0] = name
            yield file

    @contextmanager
    def writing(self, name: str) -> Iterator[tuple[BinaryIO, list[str]]]:
        """Do what `replacing` does where the name depends on what was written.

        The block gets the file and a list of one name; it may exchange that name for another in the same folder.
        """
        with self._errors("write", self.path / name), self._folder(name, create=True) as (folder, leaf):
            temporary = TEMPORARY + leaf
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FILE, 0o666, dir_fd=folder)
            try:
                names = [name]
                try:
                    with io.BufferedRandom(_Raw(descriptor)) as file:
                        yield file, names
                        file.flush()
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.replace(temporary, split_name(names[0])[-1], src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            except BaseException:
                # Tidying must not hide what went wrong. After the replace there is nothing left to remove.
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def append_descriptor(self, name: str) -> int:
        """Open `name` for appending, made if it is not there, and return the descriptor; the caller closes it."""
        with self._errors("write", self.path / name), self._folder(name, create=True) as (folder, leaf):
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _FILE
            return self._regular(os.open(leaf, flags, 0o666, dir_fd=folder), name)

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """Open the regular file `name` for reading.

        Raises:
            FileNotFoundError: there is no such file; the one failure that callers often expect.
            RunDirectoryError: any other failure.
        """
        with self._errors("read", self.path / name, absent=True):
            with self._folder(name) as (folder, leaf):
                descriptor = self._regular(os.open(leaf, os.O_RDONLY | _FILE, dir_fd=folder), name)
            with open(descriptor, "rb") as file:
                yield file

    def read(self, name: str, *, limit: int | None = None) -> bytes:
        """Return the bytes of the regular file `name`; one of more than `limit` bytes is refused.

        Raises: as `reading`.
        """
        with self.reading(name) as file:
            data = file.read() if limit is None else file.read(limit + 1)
        if limit is not None and len(data) > limit:
            raise _too_large(self.path / name, limit)
        return data

    def names(self, folder: str = "") -> list[str]:
        """Return the sorted names in `folder` (default: the directory itself); none where it does not exist."""
        with self._errors("list", self.path / folder):
            try:
                with self._folder(f"{folder}/x" if folder else "x") as (descriptor, _):
                    return sorted(os.listdir(descriptor))
            except FileNotFoundError:
                return []

    def remove(self, name: str) -> bool:
        """Remove the file (or the link, not its target) `name`; return whether it was there."""
        with self._errors("remove", self.path / name):
            try:
                with self._folder(name) as (folder, leaf):
                    os.unlink(leaf, dir_fd=folder)
            except FileNotFoundError:
                return False
            return True

    def remove_folder(self, name: str) -> bool:
        """Remove the empty folder `name`; return whether it could be."""
        with self._errors("remove", self.path / name):
            try:
                with self._folder(name) as (folder, leaf):
                    os.rmdir(leaf, dir_fd=folder)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
            return True

    def remove_leftovers(self, folder: str = "") -> None:
        """Remove the half-written temporary files that a killed writer left in `folder`."""
        for name in self.names(folder):
            if name.startswith(TEMPORARY):
                self.remove(f"{folder}/{name}" if folder else name)

    @contextmanager
    def _folder(self, name: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that `name` is in; give its descriptor and the last component."""
        *folders, leaf = split_name(name)
        current = os.dup(self._descriptor)
        try:
            for folder in folders:
                try:
                    inner = _open_folder(folder, current)
                except FileNotFoundError:
                    if not create:
                        raise
                    os.mkdir(folder, 0o777, dir_fd=current)
                    os.fsync(current)
                    inner = _open_folder(folder, current)
                os.close(current)
                current = inner
            yield current, leaf
        finally:
            os.close(current)

    def _regular(self, descriptor: int, name: str) -> int:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise RunDirectoryError(
            f"{safe_text(self.path / name)} is not a regular file; gdrun neither reads nor writes it"
        )

    @contextmanager
    def _errors(self, action: str, path: Path, *, absent: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if absent and isinstance(error, FileNotFoundError):
                raise
            raise disk_error(action, path, error) from error


def _open_folder(name: str, parent: int) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except NotADirectoryError as error:
        # What the system says of a link to a folder too; say which.
        if stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
        raise


def split_name(name: str) -> list[str]:
    """Return the components of a relative name; refuse one that could lead out of the directory."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise RunDirectoryError(f"'{safe_text(name, limit=200)}' does not name a file inside a run directory")
    return parts


class _Raw(io.RawIOBase):
    """A descriptor as Python's raw stream. Every byte goes through `os.write`; closing leaves the descriptor open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def, override]
        return os.readv(self._descriptor, [buffer])

    def write(self, data) -> int:  # type: ignore[no-untyped-def, override]
        write_all(self._descriptor, data)
        return memoryview(data).nbytes

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def truncate(self, size: int | None = None) -> int:
        size = self.tell() if size is None else size
        os.ftruncate(self._descriptor, size)
        return size
