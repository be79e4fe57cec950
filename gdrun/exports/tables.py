"""Rows as CSV and as Parquet: of runs a row a recorded step, of sweeps a row a trial."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

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
    tables = [(run, _columns(run)) for run in _alike(runs)]
    names = list(dict.fromkeys(name for _, columns in tables for name in columns))
    first = _id_column(runs)
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*first, *names])
    for run, columns in tables:
        size = len(next(iter(columns.values()), ()))
        missing = {} if run.is_sweep else missing_cells(run)
        texts = [_texts(columns[name], missing.get(name)) if name in columns else [""] * size for name in names]
        ids = [[run.id] * size] * len(first)
        writer.writerows(zip(*ids, *texts, strict=True))
    return file.getvalue()


def curves_text(sweeps: Sequence[Run]) -> str:
    """Return the curves of sweeps as CSV: trial, swept values, step, recorded columns; several begin with their id.

    A trial has the recorded steps up to its end. nan: the value is that, or the trial has none at this step.

    Raises:
        UsageError: a run is among them, or a sweep has no curves.
        RunDirectoryError: a directory is damaged.
    """
    if any(not run.is_sweep for run in sweeps):
        raise UsageError("curves are of sweeps, and a run is among them", hint="--to csv writes the rows of runs")
    tables = []
    for sweep in sweeps:
        curves = dict(sweep.curves)
        if not curves:
            raise UsageError(f"{sweep.id} has no curves; they are written at its end")
        steps, trials = curves.pop("step"), curves.pop("trial").tolist()
        by_number = {row["trial"]: row for row in sweep.trials}
        parts = {part: values for name, columns in curves.items() for part, values in _trial_parts(name, columns)}
        for place, trial in enumerate(trials):
            row = by_number[trial]
            reached = np.flatnonzero(steps <= row["steps"])
            fixed = {"trial": trial} | {key: cell(row[key]) for key in sweep.axes}
            columns = {name: [value] * len(reached) for name, value in fixed.items()}
            columns |= {"step": steps[reached]} | {name: values[place][reached] for name, values in parts.items()}
            tables.append(({"sweep": sweep.id} if len(sweeps) > 1 else {}, columns, len(reached)))
    names = list(dict.fromkeys(name for ids, columns, _ in tables for name in (*ids, *columns)))
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for ids, columns, size in tables:
        whole = {name: [value] * size for name, value in ids.items()} | columns
        writer.writerows(zip(*(_texts(whole[name]) if name in whole else [""] * size for name in names), strict=True))
    return file.getvalue()


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
    tables = []
    for run in _alike(runs):
        columns = _columns(run)
        size = len(next(iter(columns.values()), ()))
        missing = {} if run.is_sweep else missing_cells(run)
        arrays = {name: pyarrow.array(_typed(values), mask=missing.get(name)) for name, values in columns.items()}
        ids = {name: pyarrow.array([run.id] * size, pyarrow.string()) for name in _id_column(runs)}
        tables.append(pyarrow.table(ids | arrays))
    whole = pyarrow.concat_tables(tables, promote_options="permissive")
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(whole, buffer, compression="zstd")
    return buffer.getvalue()


def _alike(runs: Sequence[Run]) -> Sequence[Run]:
    if len({run.is_sweep for run in runs}) > 1:
        raise UsageError("runs have a row a step and sweeps a row a trial: they do not go into one table")
    return runs


def _id_column(runs: Sequence[Run]) -> list[str]:
    if len(runs) == 1:
        return []
    return ["sweep" if runs[0].is_sweep else "run"]


def _columns(run: Run) -> dict[str, Any]:
    if not run.is_sweep:
        return dict(flat_columns(run))
    rows = run.trials
    return {name: [cell(row[name]) for row in rows] for name in (rows[0] if rows else ())}


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
