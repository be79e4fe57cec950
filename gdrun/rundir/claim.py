"""Claims on new run directories: a fresh name by mkdir, its lock, the pointer `latest`, and all of it undone.

`runs/latest` is a symlink, for people and shells, to the run directory that was made last. Nothing in gdrun finds a run
by it. Several runs may start at once below one root; each replaces the pointer whole.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gdrun.errors import RunDirectoryError

from .files import TEMPORARY, disk_error, disk_errors, flush_folder
from .layout import LATEST, LOCK, is_run_id, new_run_id
from .lock import WriterLock

_ATTEMPTS = 100
_WITHOUT_SYMLINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


@dataclass(frozen=True)
class Claim:
    """A new, locked run directory."""

    path: Path
    lock: WriterLock
    parents: tuple[Path, ...]
    """Folders above it that had to be made, outermost first."""
    pointer: LatestPointer

    def take_back(self) -> None:
        """Remove the lock file, the directory, the folders made for it, and the move of `latest`.

        Raises:
            RunDirectoryError: the directory is not empty.
        """
        with disk_errors("remove", self.path):
            with suppress(FileNotFoundError):
                os.unlink(self.path / LOCK)
            os.rmdir(self.path)
        self.pointer.restore()
        _remove_empty(self.parents)


def claim(runs_root: Path, name: str, now: datetime) -> Claim:
    """Make and lock a new run directory below `runs_root`, which is made too if it is not there.

    Raises:
        RunDirectoryError: the disk refused; nothing is left behind.
    """
    parents = tuple(folder for folder in (*reversed(runs_root.parents), runs_root) if not os.path.lexists(folder))
    path = None
    try:
        with disk_errors("make", runs_root):
            if parents:
                runs_root.mkdir(parents=True, exist_ok=True)
        path = _make_directory(runs_root, name, now)
        return Claim(path, WriterLock(path), parents, LatestPointer(runs_root))
    except BaseException:
        if path is not None:
            with suppress(OSError):
                os.unlink(path / LOCK)
            _remove_empty([path])
        _remove_empty(parents)
        raise


def _make_directory(runs_root: Path, name: str, now: datetime) -> Path:
    for _ in range(_ATTEMPTS):
        path = runs_root / new_run_id(name, now)
        try:
            # mkdir is the claim: of several processes that draw one name, one succeeds.
            os.mkdir(path)
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise disk_error("make a run directory in", runs_root, error) from error
    raise RunDirectoryError(f"cannot make a run directory in {runs_root}: {_ATTEMPTS} names were all taken")


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):
            os.rmdir(folder)


class LatestPointer:
    """The pointer `latest` of a runs root; a move of it can be taken back."""

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
        with disk_errors("write", self._path):
            self._before = _target(self._path)
            if self._before is None and os.path.lexists(self._path):
                return [f"{self._path} is not gdrun's pointer and was left alone"]
            self._point_at(run_id)
            self._moved_to = run_id
            flush_folder(self._root)
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
                # A file that holds the run's id, where the file system has no symlinks.
                temporary.write_text(f"{target}\n")
            os.replace(temporary, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def _target(path: Path) -> str | None:
    """Return the run id that the pointer names; None if it is not there or not one that gdrun made."""
    if path.is_symlink():
        return os.readlink(path)
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        text = file.read(200).decode("ascii", "replace").strip()
    return text if is_run_id(text) else None
