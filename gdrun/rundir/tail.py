"""The end of a metrics.jsonl, and what comes after it, without reading the whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gdrun.errors import RunDirectoryError

from . import strict_json
from .files import reading
from .layout import METRICS
from .lock import is_locked

_BLOCK = 1 << 16


def last_row(directory: Path) -> dict[str, Any] | None:
    """Return the newest complete row of a run, None where there is none (or none in the last 64 KiB)."""
    try:
        with reading(directory / METRICS) as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _BLOCK, 0))
            lines = file.read(_BLOCK).split(b"\n")
    except (FileNotFoundError, RunDirectoryError):
        return None
    # What follows the last newline is torn; the first piece may be the end of a longer line.
    for line in reversed(lines[:-1]):
        if (row := decode_row(line)) is not None:
            return row
    return None


class Tail:
    """Reads what is appended to a run's metrics."""

    def __init__(self, directory: Path) -> None:
        """
        Args:
            directory: the run's; its metrics.jsonl need not be there yet.
        """
        self._directory = directory
        self._offset = 0

    def new_rows(self) -> list[dict[str, Any]]:
        """Return the complete rows since the last call; all of them at first. Lines that are no rows are left out.

        Raises:
            RunDirectoryError: the file cannot be read.
        """
        try:
            with reading(self._directory / METRICS) as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._offset:
                    # A resumed run has cut the rows off that it is going to record again.
                    self._offset = size
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        # The last line may still be on its way.
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [row for line in whole.split(b"\n") if line and (row := decode_row(line)) is not None]


def follow(
    directory: Path | str, *, pause_seconds: float = 0.25, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[dict[str, Any]]]:
    """Yield a run's rows as they are written, the first time all that are there; end with its writer.

    Args:
        directory: the run's.
        pause_seconds: between two looks; where nothing is new an empty list is given.
        sleep: waits so long.
    Raises:
        RunDirectoryError: the metrics cannot be read.
    """
    directory = Path(directory)
    tail = Tail(directory)
    while True:
        # Asked before reading: what is written between the two is read by the last look.
        running = is_locked(directory)
        yield tail.new_rows()
        if not running:
            return
        sleep(pause_seconds)


def decode_row(line: bytes) -> dict[str, Any] | None:
    """Return the row in one line of metrics.jsonl, None if it is not one."""
    try:
        row = strict_json.loads(line)
    except ValueError:
        return None
    return row if is_row(row) else None


def is_row(value: object) -> bool:
    """Return whether what a line says is a row: a mapping with a step, which fits into 64 bits."""
    return type(value) is dict and type(step := value.get("step")) is int and 0 <= step < 1 << 63
