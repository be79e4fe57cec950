"""The trash of a runs root: runs moved into it, restored from it, and deleted for good.

    runs/.trash/2026-11-23T003318-pi-7f3a/

A removed run is renamed, in one step, so it is either here or there and nothing of it is copied or lost. A run that a
process writes is left alone. A link in place of a run or of the trash is refused: what is deleted for good has to lie
below the runs root.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gdrun.errors import RunDirectoryError, UsageError

from . import layout
from .claim import LatestPointer
from .files import disk_errors, flush_folder
from .lock import WriterLock, busy, is_locked
from .run import Run, opened

TRASH = ".trash"


def remove(runs: Sequence[Run | str | Path], runs_root: Path | str | None = None) -> list[Path]:
    """Put runs into the trash of their runs root; return where they are now, in the order given.

    Args:
        runs: `Run`s or directories right below the runs root.
        runs_root: default $GDRUN_RUNS or `runs`.
    Raises:
        UsageError: one is not a run right below the runs root.
        RunDirectoryError: one is being written, or the disk refuses. Those before it have been moved.
    """
    root = layout.root_of(runs_root)
    names = [name_below(root, opened(run).directory) for run in runs]
    for name in names:
        if is_locked(root / name):
            raise busy(root / name, hint="stop it first (Ctrl-C where it runs)")
    trash = _trash_of(root)
    with disk_errors("make", trash):
        trash.mkdir(exist_ok=True)
    moved = [_move_in(root / name, trash) for name in dict.fromkeys(names)]
    _repoint(root, set(names))
    return moved


def name_below(root: Path, directory: Path) -> str:
    """Return the name of a run directory right below `root`.

    Raises:
        UsageError: it is somewhere else, or nothing.
        RunDirectoryError: it is a link, or no run directory.
    """
    try:
        same = os.path.samefile(directory.parent, root)
    except OSError:
        same = False
    if not same or directory.name in ("", ".", ".."):
        raise UsageError(
            f"{directory} is not right below the runs root {root}", hint=f"--runs-dir {directory.parent} removes it"
        )
    if directory.is_symlink():
        raise RunDirectoryError(f"{directory} is a symbolic link; name the run that it points at")
    if directory.name == TRASH or not layout.is_run_directory(directory):
        raise RunDirectoryError(f"{directory} is not a run directory")
    return directory.name


def removed(runs_root: Path | str | None = None) -> list[Run]:
    """Return the runs in the trash, oldest first."""
    return [Run(path) for path in layout.iterate_runs(_trash_of(layout.root_of(runs_root)))]


def restore(references: Sequence[str], runs_root: Path | str | None = None) -> list[Path]:
    """Take runs out of the trash; return where they are.

    Args:
        references: ids, unique beginnings of them, or `latest`: of what is in the trash.
        runs_root: default $GDRUN_RUNS or `runs`.
    Raises:
        UsageError: there is no such run in the trash.
        RunDirectoryError: a run of that name is there again, or the disk refuses.
    """
    root = layout.root_of(runs_root)
    if not removed(root):
        raise UsageError(f"the trash of {root} is empty")
    trash = root / TRASH
    names = [name_below(trash, layout.find_run(trash, reference)) for reference in references]
    restored = []
    for name in dict.fromkeys(names):
        path = root / name.partition("~")[0]
        if os.path.lexists(path):
            raise RunDirectoryError(f"{path} is there already; nothing is replaced")
        _rename(trash / name, path)
        restored.append(path)
    with suppress(OSError):
        trash.rmdir()  # only where nothing is left in it
    return restored


def empty_trash(runs_root: Path | str | None = None) -> int:
    """Delete what is in the trash for good, whatever it is; return how many runs it was.

    Args:
        runs_root: default $GDRUN_RUNS or `runs`.
    Raises:
        RunDirectoryError: the disk refuses.
    """
    trash = _trash_of(layout.root_of(runs_root))
    if not trash.exists():
        return 0
    paths = sorted(trash.iterdir())
    for path in paths:
        with disk_errors("delete", path):
            # A link is removed, and what it points at is not; rmtree follows none either.
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    with suppress(OSError):
        trash.rmdir()
    return len(paths)


def _trash_of(root: Path) -> Path:
    trash = root / TRASH
    if trash.is_symlink():
        raise RunDirectoryError(f"{trash} is a symbolic link; remove it, and gdrun makes a folder")
    return trash


def _move_in(path: Path, trash: Path) -> Path:
    lock = None
    try:
        try:
            # Held while it moves, so that nobody begins to write it meanwhile.
            lock = WriterLock(path)
        except RunDirectoryError:
            if is_locked(path):
                raise
        # A second run of a name gets a number behind it.
        names = itertools.chain([path.name], (f"{path.name}~{number}" for number in itertools.count(1)))
        target = next(trash / name for name in names if not os.path.lexists(trash / name))
        _rename(path, target)
        with suppress(OSError):
            (target / layout.HEARTBEAT).unlink()
        return target
    finally:
        if lock is not None:
            lock.release()


def _rename(old: Path, new: Path) -> None:
    with disk_errors("move", f"{old} to {new}"):
        os.rename(old, new)
        flush_folder(new.parent)
        flush_folder(old.parent)


def _repoint(root: Path, gone: set[str]) -> None:
    """Point `latest` at the newest run that is left, if it pointed at one that has gone."""
    pointer = root / layout.LATEST
    with suppress(OSError, RunDirectoryError):
        if not pointer.is_symlink() or os.readlink(pointer) not in gone:
            return
        if left := layout.run_names(root):
            LatestPointer(root).move(left[-1])
        else:
            os.unlink(pointer)
