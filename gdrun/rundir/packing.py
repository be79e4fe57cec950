"""Packed runs: a zip file of whole run directories, which commands that read runs open like a runs root."""

from __future__ import annotations

import atexit
import os
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gdrun.errors import RunDirectoryError

from . import layout
from .files import TEMPORARY, disk_errors, replacing, walk
from .lock import busy, is_locked

if TYPE_CHECKING:
    from zipfile import ZipFile

# shutil, tempfile and zipfile are imported where they are used: they take as long to import as a list of runs takes.

MOST_BYTES = 16 << 30
"""Bound on what a packed file may hold, unpacked: it may come from somebody else."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The date of each entry: the same runs give the same bytes."""


def pack(directories: Sequence[Path], path: Path) -> None:
    """Write a zip file with run directories, of runs or sweeps; the lock and half-written files stay out.

    Raises:
        RunDirectoryError: a run is being written, or the disk refuses; `path` is then what it was.
    """
    import zipfile

    for directory in directories:
        if is_locked(directory):
            raise busy(directory)
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for directory in directories:
            for name, status in walk(directory):
                if stat.S_ISREG(status.st_mode) and not os.path.basename(name).startswith((TEMPORARY, layout.LOCK)):
                    _add(archive, directory / name, f"{directory.name}/{name}")


def _add(archive: ZipFile, path: Path, name: str) -> None:
    import shutil
    import zipfile

    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    with open(path, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target)


def readable_root(runs_root: Path | str | None) -> Path:
    """Return the runs root that an optional argument means, to read from; a zip file is unpacked for the process.

    Raises:
        RunDirectoryError: it is a zip file that cannot be used.
    """
    root = layout.root_of(runs_root)
    return _unpacked(root) if root.suffix == ".zip" and root.is_file() else root


@lru_cache
def _unpacked(path: Path) -> Path:
    import shutil
    import tempfile
    import zipfile

    try:
        with disk_errors("read", path), zipfile.ZipFile(path) as archive:
            _refuse_strange(path, archive)
            folder = Path(tempfile.mkdtemp(prefix="gdrun-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            archive.extractall(folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise RunDirectoryError(f"{path} is no readable zip file: {error}") from error
    return folder


def _refuse_strange(path: Path, archive: ZipFile) -> None:
    for entry in archive.infolist():
        parts = Path(entry.filename).parts
        if entry.filename.startswith("/") or ".." in parts or stat.S_ISLNK(entry.external_attr >> 16):
            raise RunDirectoryError(f"{path} was not made by gdrun pack: it holds {entry.filename[:200]!r}")
    size = sum(entry.file_size for entry in archive.infolist())
    if size > MOST_BYTES:
        raise RunDirectoryError(f"{path} holds {size:,} bytes; gdrun unpacks {MOST_BYTES:,}")
