"""Rows as CSV and as Parquet: of runs a row a recorded step, of sweeps a row a trial."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gdrun.errors import UsageError
from gdrun.extras import require
from gdrun.rundir.digits import shortest_texts
from gdrun.rundir.run import Run

from .exporter import exporter, write_new
from .recorded import cell, flat_columns, missing_cells, parts_of


@exporter("csv")
def export_csv(runs: Sequence[Run], output: str | None) -> list[str]:
    """Write a table: of runs a row a recorded step, of sweeps a row a trial."""
    return write_new(runs, output, ".csv", lambda: csv_text(runs).encode("utf-8", "backslashreplace"))


@exporter("curves")
def export_curves(runs: Sequence[Run], output: str | None) -> list[str]:
    """Write the curves of sweeps as CSV, a row a trial and recorded step."""
    return write_new(runs, output, "-curves.csv", lambda: curves_text(runs).encode("utf-8", "backslashreplace"))


@exporter("parquet")
def export_parquet(runs: Sequence[Run], output: str | None) -> list[str]:
    """Write the same table with types (needs pyarrow)."""
    return write_new(runs, output, ".parquet", lambda: parquet_bytes(runs))


def csv_text(runs: Sequence[Run]) -> str:
    """Return runs as CSV; several have their id in the first column.

    Numbers have the digits that give them back in the run's own precision. A cell is empty where a row has no value,
    and nan where that is its value.

    Raises:
        UsageError: runs and sweeps together.
        RunDirectoryError: a directory is damaged.
    """
    return _csv(_of_runs(runs))


def curves_text(sweeps: Sequence[Run]) -> str:
    """Return the curves of sweeps as CSV: trial, swept values, step, recorded columns; several begin with their id.

    A trial has the recorded steps up to its end. nan: the value is that, or the trial has none at this step.

    Raises:
        UsageError: a run is among them, or a sweep has no curves.
        RunDirectoryError: a directory is damaged.
    """
    if any(not run.is_sweep for run in sweeps):
        raise UsageError("curves are of sweeps, and a run is among them", hint="--to csv writes the rows of runs")
    return _csv(part for sweep in sweeps for part in _of_trials(sweep, several=len(sweeps) > 1))


def _of_trials(sweep: Run, *, several: bool) -> Iterator[_TablePart]:
    """Yield the curve of each trial of a sweep."""
    curves = dict(sweep.curves)
    if not curves:
        raise UsageError(f"{sweep.id} has no curves; they are written at its end")
    steps, trials = curves.pop("step"), curves.pop("trial").tolist()
    by_number = {row["trial"]: row for row in sweep.trials}
    parts = {part: values for name, columns in curves.items() for part, values in _trial_parts(name, columns)}
    for place, trial in enumerate(trials):
        row = by_number[trial]
        reached = np.flatnonzero(steps <= row["steps"])
        same = ({"sweep": sweep.id} if several else {}) | {"trial": trial} | {key: cell(row[key]) for key in sweep.axes}
        columns = {name: [value] * len(reached) for name, value in same.items()}
        columns |= {"step": steps[reached]} | {name: values[place][reached] for name, values in parts.items()}
        yield _TablePart(columns, len(reached))


def _trial_parts(name: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, (T, R)) of each number in a column of curves (T, R, ...)."""
    num_trials, num_steps = values.shape[:2]
    for part, column in parts_of(name, values.reshape(num_trials * num_steps, *values.shape[2:])):
        yield part, column.reshape(num_trials, num_steps)


def parquet_bytes(runs: Sequence[Run]) -> bytes:
    """Return runs as a Parquet file, columns as in CSV with their types; null where a row has no such value.

    Raises:
        ResourceError: pyarrow is not installed.
        UsageError, RunDirectoryError: as `csv_text`.
    """
    pyarrow = require("pyarrow", extra="parquet", what="Parquet")
    require("pyarrow.parquet", extra="parquet", what="Parquet")
    tables = [
        pyarrow.table({name: pyarrow.array(_typed(values), mask=missing.get(name)) for name, values in columns.items()})
        for columns, _, missing in _of_runs(runs)
    ]
    whole = pyarrow.concat_tables(tables, promote_options="permissive")
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(whole, buffer, compression="zstd")
    return buffer.getvalue()


class _TablePart(NamedTuple):
    """The rows of one run, sweep or trial: columns of `size` each, and in which rows some have no value, bool."""

    columns: dict[str, Any]
    size: int
    missing: Mapping[str, np.ndarray] = {}


def _of_runs(runs: Sequence[Run]) -> Iterator[_TablePart]:
    """Yield the rows of each run, or the trials of each sweep; those of several have its id in the first column."""
    if len({run.is_sweep for run in runs}) > 1:
        raise UsageError("runs have a row a step and sweeps a row a trial: they do not go into one table")
    for run in runs:
        rows = run.trials if run.is_sweep else []
        columns: dict[str, Any] = {name: [cell(row[name]) for row in rows] for name in (rows[0] if rows else ())}
        columns = columns if run.is_sweep else dict(flat_columns(run))
        size = len(next(iter(columns.values()), ()))
        ids = {"sweep" if run.is_sweep else "run": [run.id] * size} if len(runs) > 1 else {}
        yield _TablePart(ids | columns, size, {} if run.is_sweep else missing_cells(run))


def _csv(parts: Iterable[_TablePart]) -> str:
    parts = list(parts)
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for columns, size, missing in parts:
        texts = [_texts(columns[name], missing.get(name)) if name in columns else [""] * size for name in names]
        writer.writerows(zip(*texts, strict=True))
    return file.getvalue()


def _texts(values: Any, missing: np.ndarray | None = None) -> Sequence[str]:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        texts = [text.strip('"') for text in shortest_texts(values)]
        return texts if missing is None else ["" if no else text for text, no in zip(texts, missing, strict=True)]
    return ["" if value is None else _text(value) for value in values]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _typed(values: Any) -> Any:
    """Return a column whose entries are all of one type: numbers, bools, or texts."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} or kinds <= {bool} or kinds <= {str}:
        return list(values)
    if kinds <= {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else _text(value) for value in values]
