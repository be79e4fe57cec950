"""The end of a metrics.jsonl, and what comes after it, without reading the whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gdrun.errors import RunDirectoryError
from gdrun.rundir.files import Directory
from gdrun.rundir.layout import METRICS

_BLOCK = 1 << 16


def last_row(directory: Path) -> dict[str, Any] | None:
    """Return the newest complete row of a run, None where there is none (or none in the last 64 KiB)."""
    try:
        with Directory(directory) as files, files.reading(METRICS) as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _BLOCK, 0))
            lines = file.read(_BLOCK).split(b"\n")
    except (FileNotFoundError, RunDirectoryError):
        return None
    # What follows the last newline is torn; the first piece may be the end of a longer line.
    for line in reversed(lines[:-1]):
        if (row := _row(line)) is not None:
            return row
    return None


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None
