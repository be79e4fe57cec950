"""A run's rows and a sweep's trials as columns of plain numbers and texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.rundir.run import Run

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


def flat_columns(run: Run) -> dict[str, np.ndarray]:
    """Return a run's recorded columns, (rows,) each: "loss", "parameters.W[0,1]", "parameters.c.re".

    Numbers keep their type; nan where a row has no value. What is no number is a text (dtype object).
    """
    return {name: part for column, values in run.metrics.items() for name, part in parts_of(column, values)}


def parts_of(name: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, column) of each real number in a column (rows, ...)."""
    if values.dtype.kind not in "biufc":
        texts = np.empty(len(values), object)
        texts[:] = [None if value is None else cell(value) for value in values]
        yield name, texts
        return
    flat = values.reshape(len(values), -1)
    for index, element in enumerate(np.ndindex(values.shape[1:])):
        label = f"{name}[{','.join(map(str, element))}]" if element else name
        if values.dtype.kind == "c":
            yield f"{label}.re", flat[:, index].real
            yield f"{label}.im", flat[:, index].imag
        else:
            yield label, flat[:, index]


def cell(value: Any) -> Any:
    """Return a value of a table as a number or a text; lists and mappings are JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, default=str)


def is_sweep(run: Run) -> bool:
    """Return whether a run is a sweep. Raises RunDirectoryError where its run info cannot be read."""
    return run.info.kind == "sweep"


def trial_parameters(sweep: Run) -> dict[int, dict[str, np.ndarray]]:
    """Return the final parameters of each trial, {} where the sweep kept none."""
    if not (sweep.directory / "parameters.npz").is_file():
        return {}
    arrays = dict(sweep.parameters)
    numbers = arrays.pop("trial", np.zeros(0, np.int64)).tolist()
    found: dict[int, dict[str, np.ndarray]] = {number: {} for number in numbers}
    for name, values in arrays.items():
        # Where shapes differ between trials each has an array of its own: "name@12".
        plain, at, number = name.rpartition("@")
        if at and number.isdigit():
            found.setdefault(int(number), {})[plain] = values
        elif len(values) == len(numbers):
            for trial, value in zip(numbers, values, strict=True):
                found[trial][name] = value
    return found


def seconds_of(text: str | None) -> float | None:
    """Return a time of a record in seconds since 1970, None where there is none."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except (ValueError, TypeError):
        return None


def row_times(run: Run, steps: np.ndarray) -> np.ndarray:
    """Return about when each step was done, in seconds since 1970: evenly from start to end, as nothing says more."""
    record = run.info
    start = seconds_of(record.started) or 0.0
    length = record.seconds if isinstance(record.seconds, int | float) and np.isfinite(record.seconds) else 0.0
    last = float(steps[-1]) if len(steps) and steps[-1] > 0 else 1.0
    return start + length * steps / last


def finite_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return those of some named values that are finite numbers."""
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    }
