"""A sweep's directory, for reading: its table of trials, their curves, their parameters, the best of them.

Nothing is read before it is asked for. A sweep that goes on has the trials that are done so far.
"""

from __future__ import annotations

import csv
import io
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import RunDirectoryError
from gdrun.text import safe_text

from . import layout
from .run import Run

if TYPE_CHECKING:
    import numpy as np

_TABLE_LIMIT = 1 << 30
_CELL_LIMIT = 1 << 20
_FIRST, _AFTER_AXES = "trial", "status"


class SweepRun(Run):
    """One sweep's directory. What was read stays read."""

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """A mapping for each trial that is done, by number: column of trials.csv -> value.

        Numbers are int or float, lists and mappings are such; None is an empty cell.

        Raises:
            RunDirectoryError: the table is damaged.
        """
        header, rows = self._table
        return [dict(zip(header, map(parsed, row), strict=True)) for row in rows]

    @cached_property
    def axes(self) -> list[str]:
        """The swept keys, as dotted paths, in the order of the table."""
        told = None if self.problem else self.record.extra.get("axes")
        if isinstance(told, list) and all(isinstance(axis, dict) and isinstance(axis.get("key"), str) for axis in told):
            return [axis["key"] for axis in told]
        header = self._table[0]
        return header[1 : header.index(_AFTER_AXES)] if _AFTER_AXES in header else []

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """step int64 (R,), trial int64 (T,), and each recorded column (T, R); {} while there are none.

        A trial has nan where it has no row.

        Raises:
            RunDirectoryError: the file is damaged.
        """
        if not (self.directory / layout.CURVES).is_file():
            return {}
        arrays = self.arrays(layout.CURVES)
        shape = tuple(arrays[name].shape for name in ("trial", "step") if name in arrays)
        wanted = (shape[0] + shape[1]) if len(shape) == 2 else None
        odd = [name for name, values in arrays.items() if name not in ("trial", "step") and values.shape[:2] != wanted]
        if wanted is None or len(wanted) != 2 or odd:
            raise RunDirectoryError(f"{safe_text(self.directory / layout.CURVES)} is corrupt: its arrays do not fit")
        return arrays

    @property
    def best_run(self) -> Run | None:
        """The run of the best trial, None while there is none."""
        directory = self.directory / layout.BEST_RUN
        return Run(directory) if (directory / layout.RECORD).is_file() else None

    @cached_property
    def _table(self) -> tuple[list[str], list[list[str]]]:
        """The header and the rows of trials.csv, as texts; nothing where the file is not there yet."""
        path = self.directory / layout.TRIALS
        try:
            text = self._read(layout.TRIALS, limit=_TABLE_LIMIT).decode("utf-8")
        except UnicodeDecodeError as error:
            raise _corrupt(path, "it is not UTF-8") from error
        except RunDirectoryError:
            if path.exists():
                raise
            return [], []
        before = csv.field_size_limit(_CELL_LIMIT)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise _corrupt(path, str(error)) from error
        finally:
            csv.field_size_limit(before)
        if not rows or rows[0][:1] != [_FIRST] or _AFTER_AXES not in rows[0] or len(set(rows[0])) < len(rows[0]):
            raise _corrupt(path, "it does not begin with the names of a table of trials")
        for number, row in enumerate(rows[1:], 2):
            if len(row) != len(rows[0]):
                raise _corrupt(path, f"row {number} has {len(row)} cells, not {len(rows[0])}")
        return rows[0], rows[1:]


def parsed(cell: str) -> Any:
    """Return what a cell of trials.csv says: a number, a bool, a list, a mapping, a text; None where it is empty."""
    if cell == "":
        return None
    for read in (int, float):
        try:
            # Python reads 1_000 as a number too, which nobody wrote as one.
            return cell if "_" in cell else read(cell)
        except ValueError:
            continue
    if cell[0] in "[{" or cell in ("true", "false", "null"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def load_sweep(directory: Path | str) -> SweepRun:
    """Return the sweep in a directory.

    Raises:
        RunDirectoryError: its record cannot be read, or it is no sweep's.
    """
    sweep = SweepRun(directory)
    if sweep.record.kind != "sweep":
        raise RunDirectoryError(f"{safe_text(directory)} is not a sweep")
    return sweep


def _corrupt(path: Path, reason: str) -> RunDirectoryError:
    return RunDirectoryError(f"{safe_text(path)} is corrupt: {safe_text(reason, limit=200)}")
