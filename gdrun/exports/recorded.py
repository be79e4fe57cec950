"""Recorded rows and trials as columns of plain numbers and texts, and the settings that describe a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from gdrun.rundir.column_parts import column_parts
from gdrun.rundir.describing import written_settings
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status

MOST_TRIAL_ROWS = 1000
"""Of a trial's curve: more points are shown by none of the programs."""

_DESCRIPTIONS = ("name", "description")
_NO_RESULT = frozenset({"trial", "status", "stopped_by", "best_step", "diverged_at", "diverged", "why"})


def hyperparameters(run: Run) -> dict[str, Any]:
    """Return the settings that the user wrote, and all of the optimizer: dotted path -> number, bool or text.

    Runs of several configs have the optimizer's in common.
    """
    settings = {path: cell(value) for path, value in run.settings.items() if value is not None}
    written = written_settings(run, settings)
    chosen = {
        path: value
        for path, value in settings.items()
        if path not in _DESCRIPTIONS and (path in written or path.startswith("optimizer."))
    }
    return chosen or settings


@dataclass(frozen=True, eq=False)
class RecordedCurve:
    """Columns by name, (rows,) each, with the steps of the rows and about the times at which they were recorded."""

    columns: Mapping[str, np.ndarray]
    steps: np.ndarray
    times: np.ndarray

    def numeric(self) -> dict[str, np.ndarray]:
        """Return the columns of real numbers, without the steps and epochs that place the rows."""
        return {
            name: values
            for name, values in self.columns.items()
            if name not in ("step", "epoch") and values.dtype.kind in "iuf"
        }

    def rows(self) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Yield the step, the time and the numbers of each row; what is nan has no value there, or is that."""
        columns = {name: values.tolist() for name, values in self.numeric().items()}
        for index, (step, time) in enumerate(zip(self.steps.tolist(), self.times.tolist(), strict=True)):
            values = {name: column[index] for name, column in columns.items()}
            yield step, time, {name: value for name, value in values.items() if value == value}


@dataclass(frozen=True, eq=False)
class ExportedRun:
    """A run, a sweep or a trial of one: its settings, its results, its curve and parameters where there are any.

    Times are seconds since 1970.
    """

    id: str
    name: str
    number: int
    """Of a trial."""
    status: str
    num_steps: int
    settings: dict[str, Any]
    results: dict[str, float]
    parameters: Mapping[str, np.ndarray]
    start: float
    end: float
    curve: RecordedCurve | None = None

    @property
    def ended_well(self) -> bool:
        """True where it made its steps, or a rule stopped it."""
        return self.status in (Status.COMPLETED, Status.STOPPED)


def exported(run: Run) -> ExportedRun:
    """Return a run or a sweep without its curve."""
    info = run.info
    start = seconds_of(info.started) or 0.0
    return ExportedRun(
        run.id, run.id, 0, str(run.status), info.steps or 0, hyperparameters(run), finite_numbers(info.final),
        {} if run.is_sweep else run.known_parameters, start, seconds_of(info.finished) or start,
    )  # fmt: skip


def with_trials(run: Run) -> Iterator[ExportedRun]:
    """Yield a run with its curve; or a sweep and then its trials, their curves thinned to `MOST_TRIAL_ROWS`.

    Raises:
        RunDirectoryError: rows or trials are damaged.
    """
    whole = exported(run)
    if not run.is_sweep:
        yield replace(whole, curve=RecordedCurve(flat_columns(run), run.table.steps, _row_times(run, run.table.steps)))
        return
    yield whole
    curves = dict(run.curves)
    steps = curves.pop("step", np.zeros(0, np.int64))
    curve_rows = {number: row for row, number in enumerate(curves.pop("trial", np.zeros(0)).tolist())}
    picked = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_TRIAL_ROWS)).astype(int))
    steps = steps[picked]
    times, parameters = _row_times(run, steps), run.trial_parameters()
    for row in run.trials:
        number, curve = row["trial"], None
        if number in curve_rows:
            columns = {name: values[curve_rows[number]][picked] for name, values in curves.items()}
            curve = RecordedCurve(_flat(columns), steps, times)
        yield ExportedRun(
            f"{run.id}/{number}", f"trial {number}", number, str(row.get("status")),
            row["steps"] if isinstance(row.get("steps"), int) else 0,
            {key: cell(row[key]) for key in run.axes if row.get(key) is not None},
            finite_numbers({key: row[key] for key in row if key not in run.axes and _is_result(key)}),
            parameters.get(number, {}), whole.start, whole.end, curve,
        )  # fmt: skip


def _is_result(column: str) -> bool:
    return column not in _NO_RESULT and not column.startswith("parameters.")


def flat_columns(run: Run) -> dict[str, np.ndarray]:
    """Return a run's recorded columns, (rows,) each: "loss", "parameters.W[0,1]", "parameters.c.re".

    Numbers keep their type; nan where a row has no value. What is no number is a text (dtype object).
    """
    return _flat(run.metrics)


def _flat(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(part for name, values in columns.items() for part in parts_of(name, values))


def missing_cells(run: Run) -> dict[str, np.ndarray]:
    """Return of those of `flat_columns` that some rows do not have in which rows that is, bool (rows,)."""
    columns = run.metrics
    missing = run.table.missing.items()
    return {part: rows for name, rows in missing for part, _ in parts_of(name, columns[name])}


def parts_of(name: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, column) of each real number in a column (rows, ...)."""
    if values.dtype.kind not in "biufc":
        texts = np.empty(len(values), object)
        texts[:] = [None if value is None else cell(value) for value in values]
        yield name, texts
        return
    yield from column_parts(name, values)


def cell(value: Any) -> Any:
    """Return a value of a table as a number or a text; lists and mappings are JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, default=str)


def seconds_of(text: str | None) -> float | None:
    """Return a time of a record in seconds since 1970, None where there is none."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except (ValueError, TypeError):
        return None


def _row_times(run: Run, steps: np.ndarray) -> np.ndarray:
    """Return about the time of each step, in seconds since 1970: evenly from start to end, as nothing says more."""
    info = run.info
    start = seconds_of(info.started) or 0.0
    length = info.seconds if isinstance(info.seconds, int | float) and np.isfinite(info.seconds) else 0.0
    last = float(steps[-1]) if len(steps) and steps[-1] > 0 else 1.0
    return start + length * steps / last


def finite_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return those of some named values that are finite numbers."""
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    }
