"""Runs roots to read from: folders, and zip files of packed runs, which are unpacked for the process."""

from __future__ import annotations

import atexit
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gdrun.errors import RunDirectoryError

from . import layout
from .files import disk_errors

if TYPE_CHECKING:
    from zipfile import ZipFile

MOST_BYTES = 16 << 30
"""Bound on what a packed file may hold, unpacked: it may come from somebody else."""


def readable_root(runs_root: Path | str | None) -> Path:
    """Return the runs root that an optional argument means, to read from.

    Raises:
        RunDirectoryError: it is a zip file that cannot be used.
    """
    root = layout.root_of(runs_root)
    return _unpacked(root) if root.suffix == ".zip" and root.is_file() else root


@lru_cache
def _unpacked(path: Path) -> Path:
    # Only here: these three take as long to import as a list of runs takes.
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
