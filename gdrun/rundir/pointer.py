"""`runs/latest`: a symlink, for people and shells, to the run directory that was made last.

Nothing in gdrun finds a run by it. Several runs may start at once below one root; each replaces the pointer whole.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from gdrun.text import safe_text

from .files import TEMPORARY, disk_error
from .layout import LATEST, is_run_id

_WITHOUT_SYMLINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


class LatestPointer:
    """Moves `latest` of a runs root, and can take the move back."""

    def __init__(self, runs_root: Path) -> None:
        self._root = runs_root
        self._path = runs_root / LATEST
        self._before: str | None = None
        self._moved_to: str | None = None

    def move(self, run_id: str) -> list[str]:
        """Point `latest` at `run_id`; return why it was left alone, if it was.

        Raises:
            RunDirectoryError: the disk refused.
        """
        try:
            self._before = _target(self._path)
            if self._before is None and os.path.lexists(self._path):
                return [f"{safe_text(self._path)} is not gdrun's pointer and was left alone"]
            self._point_at(run_id)
            self._moved_to = run_id
            _flush(self._root)
        except OSError as error:
            raise disk_error("write", self._path, error) from error
        return []

    def restore(self) -> None:
        """Point `latest` where it pointed before `move`, unless another run has moved it since. Never raises."""
        with suppress(OSError):
            if self._moved_to is None or _target(self._path) != self._moved_to:
                return
            if self._before is None:
                os.unlink(self._path)
            else:
                self._point_at(self._before)

    def _point_at(self, target: str) -> None:
        # The temporary name is the run's own: another run may be moving the pointer at this moment.
        temporary = self._root / f"{TEMPORARY}{LATEST}-{self._moved_to or target}"
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        try:
            try:
                os.symlink(target, temporary)
            except OSError as error:
                if error.errno not in _WITHOUT_SYMLINKS:
                    raise
                _write_name(temporary, target)
            os.replace(temporary, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def _write_name(path: Path, target: str) -> None:
    """A file that holds the run's id, where the file system has no symlinks."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        os.write(descriptor, f"{target}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _target(path: Path) -> str | None:
    """Where the pointer points; None if it is not there or not one that gdrun made."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return os.readlink(path)
        if not stat.S_ISREG(mode):
            return None
        with open(path, "rb") as file:
            text = file.read(200).decode("ascii", "replace").strip()
        return text if is_run_id(text) else None
    except FileNotFoundError:
        return None


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
