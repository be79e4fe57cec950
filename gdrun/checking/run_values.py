"""Values of a run, or of a trial of a sweep, and their comparison with what is expected of either."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrun.errors import RunDirectoryError, ShapeError
from gdrun.experiment.expect import Expect, ExpectedTrials
from gdrun.rundir.run import Run
from gdrun.sweeping.axis import is_number
from gdrun.text import safe_text

from .comparison import Arrays, ExpectationResult, Tolerances, compare_value

Predict = Callable[[Arrays], np.ndarray | Arrays]


@dataclass(frozen=True)
class RunValues:
    """Values of a run or a trial that expectations can be about."""

    end: Mapping[str, Any]
    """`status`, `stopped_by`, `steps` and `diverged_at`, the step whose values were no longer finite."""
    why: str
    """Reason of the end in words."""
    final: Arrays
    """Name -> final loss or metric."""
    dtype: np.dtype
    """Of the run's numbers."""
    read_parameters: Callable[[], Arrays]
    columns: Callable[[], Arrays] = dict
    """Columns of metrics.jsonl."""
    gradients: Callable[[], Arrays] = dict
    """Gradients at the final parameters, by name."""
    predict: Predict | None = None

    @classmethod
    def of_run(cls, run: Run, *, gradients: Callable[[], Arrays] = dict, predict: Predict | None = None) -> RunValues:
        """Return the values of a run; what has to be computed is where a prepared experiment gives the functions."""
        info = run.info
        end = {
            "status": str(run.status),
            "stopped_by": info.stopped_by,
            "steps": info.steps,
            "diverged_at": (info.diverged or {}).get("step"),
        }
        # Texts such as "nan" are numbers.
        final = {
            name: np.asarray(float(value), np.float64)
            for name, value in info.final.items()
            if isinstance(value, int | float | str)
        }
        dtype = np.dtype(info.precision or "float32")
        return cls(end, info.why or "", final, dtype, lambda: run.parameters, lambda: run.metrics, gradients, predict)

    @classmethod
    def of_trial(cls, row: Mapping[str, Any], dtype: np.dtype, read_parameters: Callable[[], Arrays]) -> RunValues:
        """Return the values of the trial that has this row of trials.csv."""
        end = {name: row.get(name) for name in ("status", "stopped_by", "steps", "diverged_at")}
        final = {name: np.asarray(value, np.float64) for name, value in row.items() if is_number(value)}
        return cls(end, row.get("why") or "", final, dtype, read_parameters)

    @property
    def parameters(self) -> Arrays:
        """Final parameters by name; none where the run could not write any."""
        try:
            return self.read_parameters()
        except RunDirectoryError:
            return {}

    def predictions(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """Return the trained model's predictions at `inputs`.

        Raises:
            ShapeError: the inputs are not the model's, or it has several outputs.
        """
        assert self.predict is not None, "only a prepared run can predict"
        predicted = self.predict({name: np.asarray(value, np.float64) for name, value in inputs.items()})
        if isinstance(predicted, Mapping):
            if len(predicted) > 1:
                names = ", ".join(predicted)
                raise ShapeError(f"the model has several outputs ({names}); expect.predictions can hold only one")
            predicted = next(iter(predicted.values()))
        return np.asarray(predicted)

    def row(self, step: int) -> dict[str, np.ndarray] | None:
        """Return the recorded row of `step`, parameters by their bare names too; None if there is none."""
        columns = self.columns()
        places = np.flatnonzero(columns.get("step", np.zeros(0)) == step)
        if not places.size:
            return None
        row = {name: np.asarray(values[places[-1]]) for name, values in columns.items()}
        for prefix in ("parameters.", "formulas.", "after.", "gradients."):
            for name in list(row):
                if name.startswith(prefix):
                    row.setdefault(name.removeprefix(prefix), row[name])
        return row


def compare_run_values(
    expected: Expect | ExpectedTrials, values: RunValues, tolerances: Tolerances
) -> Iterator[ExpectationResult]:
    """Yield the results of what may be expected of a run and of a trial: its end, final values and parameters."""
    for name, actual in values.end.items():
        stated = getattr(expected, name)
        if stated is not None:
            is_met = stated == actual
            note = safe_text(values.why, limit=300) if name == "status" and not is_met else ""
            yield ExpectationResult(
                name, safe_text(stated, limit=80), "exact", safe_text(actual, limit=80), is_met, note
            )
    if expected.loss is not None:
        yield from compare_value("loss", expected.loss, values.final, "loss", tolerances, values.dtype)
    for section in ("parameters", "metrics"):
        if stated := getattr(expected, section):
            actual = values.parameters if section == "parameters" else values.final
            for name, value in stated.items():
                yield from compare_value(f"{section}.{name}", value, actual, name, tolerances, values.dtype)
