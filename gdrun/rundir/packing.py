"""Packed runs: a zip file of whole run directories, which commands that read runs open like a runs root."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

from . import layout
from .files import TEMPORARY, replacing, walk
from .lock import busy, is_locked

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The date of each entry: the same runs give the same bytes."""


def pack(directories: Sequence[Path], path: Path) -> None:
    """Write a zip file with run directories, of runs or sweeps; the lock and half-written files stay out.

    Raises:
        RunDirectoryError: a run is being written, or the disk refuses; `path` is then what it was.
    """
    for directory in directories:
        if is_locked(directory):
            raise busy(directory)
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for directory in directories:
            for name, status in walk(directory):
                if stat.S_ISREG(status.st_mode) and not os.path.basename(name).startswith((TEMPORARY, layout.LOCK)):
                    _add(archive, directory / name, f"{directory.name}/{name}")


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    with open(path, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target)
