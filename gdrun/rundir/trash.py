"""Runs that are not wanted any more: into a trash below the runs root, back out of it, and away for good.

    runs/.trash/2026-11-23T003318-pi-7f3a/

A removed run is renamed, in one step, so it is either here or there and nothing of it is copied or lost. Nothing is
followed: a link in place of a run, of the trash or of the root's entry is refused, and a run that somebody writes is
left alone.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.text import safe_text

from . import layout
from .files import disk_error
from .lock import WriterLock, is_locked
from .pointer import LatestPointer
from .run import Run

TRASH = ".trash"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
    names = [name_below(root, run.directory if isinstance(run, Run) else Path(run)) for run in runs]
    for name in names:
        if is_locked(root / name):
            raise _busy(root / name)
    with _opened(root) as folder, _trash(root, folder, create=True) as trash:
        moved = [_move_in(root, name, folder, trash) for name in dict.fromkeys(names)]
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
            f"{safe_text(directory)} is not right below the runs root {safe_text(root)}",
            hint=f"--runs-dir {safe_text(directory.parent)} removes it",
        )
    if directory.is_symlink():
        raise RunDirectoryError(f"{safe_text(directory)} is a symbolic link, and gdrun follows none")
    if directory.name == TRASH or not layout.is_run_directory(directory):
        raise RunDirectoryError(f"{safe_text(directory)} is not a run directory")
    return directory.name


def removed(runs_root: Path | str | None = None) -> list[Run]:
    """Return the runs in the trash, oldest first."""
    folder = layout.root_of(runs_root) / TRASH
    if folder.is_symlink():
        raise RunDirectoryError(f"{safe_text(folder)} is a symbolic link, and gdrun follows none")
    return [Run(path) for path in layout.iterate_runs(folder)]


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
        raise UsageError(f"the trash of {safe_text(root)} is empty")
    names = []
    for reference in references:
        found = layout.find_run(root / TRASH, reference)
        names.append(name_below(root / TRASH, found))
    with _opened(root) as folder, _trash(root, folder) as trash:
        restored = [_move_out(root, name, folder, trash) for name in dict.fromkeys(names)]
    with suppress(OSError):
        os.rmdir(root / TRASH)  # only where nothing is left in it
    return restored


def empty_trash(runs_root: Path | str | None = None, names: Sequence[str] | None = None) -> int:
    """Delete what is in the trash for good; return how many runs it was.

    Args:
        runs_root: default $GDRUN_RUNS or `runs`.
        names: of the directories to delete; None deletes all, whatever it is.
    Raises:
        RunDirectoryError: the disk refuses.
    """
    root = layout.root_of(runs_root)
    if not os.path.lexists(root / TRASH):
        return 0
    count = 0
    with _opened(root) as folder, _trash(root, folder) as trash:
        for name in sorted(os.listdir(trash)) if names is None else names:
            try:
                # By descriptors all the way down: a link is removed, and what it points at is not.
                if stat.S_ISDIR(os.lstat(name, dir_fd=trash).st_mode):
                    shutil.rmtree(name, dir_fd=trash)
                else:
                    os.unlink(name, dir_fd=trash)
            except OSError as error:
                raise disk_error("delete", root / TRASH / name, error) from error
            count += 1
    if not os.listdir(root / TRASH):
        with suppress(OSError):
            os.rmdir(root / TRASH)
    return count


# --- moving ------------------------------------------------------------------------------------------------------


def _busy(path: Path) -> RunDirectoryError:
    return RunDirectoryError(
        f"{safe_text(path)} is busy: another process is writing it", hint="stop it first (Ctrl-C where it runs)"
    )


@contextmanager
def _opened(root: Path) -> Iterator[int]:
    # The root itself may be a link (a runs folder on another disk); nothing below it may.
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise disk_error("open", root, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _trash(root: Path, folder: int, *, create: bool = False) -> Iterator[int]:
    path = root / TRASH
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(TRASH, 0o777, dir_fd=folder)
        descriptor = os.open(TRASH, _FOLDER, dir_fd=folder)
    except OSError as error:
        raise disk_error("open", path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _move_in(root: Path, name: str, folder: int, trash: int) -> Path:
    lock = None
    try:
        try:
            # Held while it moves, so that nobody begins to write it meanwhile.
            lock = WriterLock(root / name)
        except RunDirectoryError:
            if is_locked(root / name):
                raise
        free = next(one for one in _names(name) if not _there(one, trash))
        _rename(root / name, root / TRASH / free, name, free, folder, trash)
        return root / TRASH / free
    finally:
        if lock is not None:
            lock.release()


def _move_out(root: Path, name: str, folder: int, trash: int) -> Path:
    plain = name.partition("~")[0]
    if _there(plain, folder):
        raise RunDirectoryError(f"{safe_text(root / plain)} is there already; nothing is replaced")
    _rename(root / TRASH / name, root / plain, name, plain, trash, folder)
    return root / plain


def _names(name: str) -> Iterator[str]:
    """The name, and others for a second run of that name in the trash."""
    yield name
    for number in range(1, 1 << 20):
        yield f"{name}~{number}"


def _there(name: str, folder: int) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _rename(old_path: Path, new_path: Path, old: str, new: str, old_folder: int, new_folder: int) -> None:
    try:
        if not stat.S_ISDIR(os.lstat(old, dir_fd=old_folder).st_mode):
            raise RunDirectoryError(f"{safe_text(old_path)} is not a directory any more")
        os.rename(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder)
        os.fsync(new_folder)
        os.fsync(old_folder)
    except OSError as error:
        raise disk_error("move", f"{old_path} to {new_path}", error) from error


def _repoint(root: Path, gone: set[str]) -> None:
    """Let `latest` point at the newest run that is left, if it pointed at one that has gone."""
    pointer = root / layout.LATEST
    with suppress(OSError, RunDirectoryError):
        if not pointer.is_symlink() or os.readlink(pointer) not in gone:
            return
        left = layout.run_names(root)
        if left:
            LatestPointer(root).move(left[-1])
        else:
            os.unlink(pointer)
