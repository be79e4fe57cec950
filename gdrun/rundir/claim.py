"""Claiming a new run directory: a fresh name by mkdir, its lock, the pointer to it, and all of it taken back."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gdrun.errors import RunDirectoryError
from gdrun.text import safe_text

from .files import disk_error
from .layout import LOCK, new_run_id
from .lock import WriterLock
from .pointer import LatestPointer

_ATTEMPTS = 100


@dataclass(frozen=True)
class Claim:
    """A new, locked run directory."""

    path: Path
    lock: WriterLock
    parents: tuple[Path, ...]
    """Folders above it that had to be made, outermost first."""
    pointer: LatestPointer

    def point(self) -> list[str]:
        """Point `latest` at the directory; return what is to be said about it. Raises: as LatestPointer.move."""
        return self.pointer.move(self.path.name)

    def release(self) -> None:
        """Give everything back: for a claim whose directory nothing was written into."""
        self.lock.release()
        self.take_back()

    def take_back(self) -> None:
        """Remove the lock file, the directory, the folders made for it, and the move of `latest`.

        Raises:
            RunDirectoryError: the directory is not empty.
        """
        try:
            with suppress(FileNotFoundError):
                os.unlink(self.path / LOCK)
            os.rmdir(self.path)
        except OSError as error:
            raise disk_error("remove", self.path, error) from error
        self.pointer.restore()
        _remove_empty(self.parents)


def claim(runs_root: Path, name: str, now: datetime) -> Claim:
    """Make and lock a new run directory below `runs_root`, which is made too if it is not there.

    Raises:
        RunDirectoryError: the disk refused; nothing is left behind.
    """
    parents = tuple(folder for folder in (*reversed(runs_root.parents), runs_root) if not os.path.lexists(folder))
    try:
        if parents:
            runs_root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_empty(parents)
        raise disk_error("make", runs_root, error) from error
    path = None
    try:
        path = _make_directory(runs_root, name, now)
        return Claim(path, WriterLock(path), parents, LatestPointer(runs_root))
    except BaseException:
        if path is not None:
            with suppress(OSError):
                os.unlink(path / LOCK)
            _remove_empty((path,))
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
    raise RunDirectoryError(f"cannot make a run directory in {safe_text(runs_root)}: {_ATTEMPTS} names were all taken")


def _remove_empty(folders: tuple[Path, ...]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):
            os.rmdir(folder)
