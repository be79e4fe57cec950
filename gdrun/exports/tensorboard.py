"""Finished runs and sweeps as TensorBoard's event files: curves, histograms of parameters, hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.text import safe_text

from .events import EventFile, require_tensorboard
from .flat import (
    cell,
    finite_numbers,
    flat_columns,
    is_sweep,
    parts_of,
    row_times,
    seconds_of,
    trial_parameters,
)
from .hyperparameters import hyperparameters

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

MOST_TRIAL_ROWS = 1000
"""Of a trial's curve: so many points TensorBoard shows of any."""

GOOD = ("completed", "stopped")
_NOT_SCALARS = ("step", "epoch")
_NO_RESULT = ("trial", "status", "stopped_by", "steps", "best_step", "diverged_at", "diverged", "why")


def write_events(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write event files of runs and sweeps into `folder`/ID, of sweeps into `folder`/ID/TRIAL; return the folders.

    Raises:
        ResourceError: tensorboard is not installed.
        UsageError: there are event files already.
        RunDirectoryError: a run is damaged, or the disk refuses.
    """
    require_tensorboard()
    targets = [folder / run.id for run in runs]
    for target in targets:
        if target.exists():
            raise UsageError(f"{safe_text(target)} exists; it is not replaced", hint="name another folder with -o")
    for run, target in zip(runs, targets, strict=True):
        if is_sweep(run):
            _write_sweep(run, target)
        else:
            _write_run(run, target)
    return targets


def _write_run(run: Run, target: Path) -> None:
    columns = flat_columns(run)
    steps = run.table.steps
    times = row_times(run, steps)
    start = float(times[0]) if len(times) else seconds_of(run.info.started) or 0.0
    with EventFile(target, now=start) as file:
        file.begin(hyperparameters(run), name=run.id, at=start)
        _write_rows(file, columns, steps, times)
        finish(file, run)


def finish(file: EventFile, run: Run) -> None:
    """Write what a run ended with: final values, the distribution of each parameter, how it ended."""
    end = seconds_of(run.info.finished) or seconds_of(run.info.started) or 0.0
    step = run.info.steps or 0
    file.scalars({f"final/{name}": value for name, value in finite_numbers(run.info.final).items()}, step=step, at=end)
    try:
        parameters = run.parameters
    except RunDirectoryError:
        parameters = {}
    _write_histograms(file, parameters, step, end)
    file.end(at=end, good=str(run.status) in GOOD)


def _write_histograms(file: EventFile, parameters: Mapping[str, np.ndarray], step: int, at: float) -> None:
    for name, array in parameters.items():
        whole = {".re": array.real, ".im": array.imag} if array.dtype.kind == "c" else {"": array}
        for ending, part in whole.items():
            if part.dtype.kind in "iuf":
                file.histogram(f"parameters/{name}{ending}", part, step=step, at=at)


def _write_rows(file: EventFile, columns: Mapping[str, np.ndarray], steps: np.ndarray, times: np.ndarray) -> None:
    """A value where a row has one; a column that has values in some rows only is nan in the others."""
    numeric = {
        name: values.tolist()
        for name, values in columns.items()
        if name not in _NOT_SCALARS and values.dtype.kind in "iuf"
    }
    for at, (step, time) in enumerate(zip(steps.tolist(), times.tolist(), strict=True)):
        row = {name: values[at] for name, values in numeric.items() if values[at] == values[at]}
        file.scalars(row, step=step, at=time)


def _write_sweep(sweep: Run, target: Path) -> None:
    curves = sweep.curves
    steps = curves.get("step", np.zeros(0, np.int64))
    places = {number: at for at, number in enumerate(curves["trial"].tolist())} if "trial" in curves else {}
    parameters = trial_parameters(sweep)
    every = max(-(-len(steps) // MOST_TRIAL_ROWS), 1)
    picked = np.unique(np.append(np.arange(0, len(steps), every), len(steps) - 1)) if len(steps) else np.zeros(0, int)
    times = row_times(sweep, steps[picked])
    start = seconds_of(sweep.info.started) or 0.0
    axes = sweep.axes
    width = len(str(max((row["trial"] for row in sweep.trials), default=0)))
    for row in sweep.trials:
        number = row["trial"]
        with EventFile(target / f"{number:0{width}d}", now=start) as file:
            settings = {key: cell(row[key]) for key in axes if row.get(key) is not None}
            file.begin(settings, name=f"{sweep.id}/{number}", at=start)
            if number in places:
                own = {name: values[places[number]] for name, values in curves.items() if name not in ("step", "trial")}
                flat = {name: part[picked] for key, values in own.items() for name, part in parts_of(key, values)}
                _write_rows(file, flat, steps[picked], times)
            _end_trial(file, row, axes, parameters.get(number, {}), seconds_of(sweep.info.finished) or start)


def _end_trial(
    file: EventFile, row: Mapping[str, Any], axes: Sequence[str], parameters: Mapping[str, np.ndarray], at: float
) -> None:
    step = row["steps"] if isinstance(row.get("steps"), int) else 0
    results = {key: value for key, value in row.items() if key not in _NO_RESULT and key not in axes}
    file.scalars({f"final/{name}": value for name, value in finite_numbers(results).items()}, step=step, at=at)
    _write_histograms(file, parameters, step, at)
    file.end(at=at, good=row.get("status") in GOOD)
