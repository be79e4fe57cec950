"""Comparison of numbers, and of the values of runs and trials, with what is expected of them.

A value is met where |got - value| <= atol + rtol * |value|, the value first cast to the run's precision, so that digits
published in float32 can be asserted exactly: with both tolerances 0 (the default) it must be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrun.config.scalars import is_number
from gdrun.errors import FormulaError, RunDirectoryError, ShapeError
from gdrun.experiment.expect import Bound, Expect, ExpectedTrials
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse
from gdrun.rundir.run import Run
from gdrun.text import human_number, safe_text

Arrays = Mapping[str, np.ndarray]
Predict = Callable[[Arrays], np.ndarray | Arrays]

_MOST_SHOWN = 8
"""Numbers of an array that are shown in full."""


@dataclass(frozen=True)
class ExpectationResult:
    """Result of one expectation: met or missed."""

    what: str
    """The key below `expect`: "loss", "parameters.a", "trace[step 100].loss"."""
    expected: str
    bound: str
    """How near: "exact", "rtol 0.0001", ..."""
    got: str
    ok: bool
    note: str = ""
    """Of a missed one, the reason beyond the numbers."""


@dataclass(frozen=True)
class Tolerances:
    """Tolerances of an expected number."""

    rtol: float
    atol: float

    @classmethod
    def of(cls, inner: Any, outer: Any) -> Tolerances:
        """Return the tolerances of `inner`, where it gives none those of `outer`."""
        return cls(
            outer.rtol if inner.rtol is None else inner.rtol,
            outer.atol if inner.atol is None else inner.atol,
        )


def bound_of(expected: Any) -> Bound:
    """Return what is expected as a value with bounds."""
    return expected if isinstance(expected, Bound) else Bound.model_construct(value=expected)


def compare_value(
    what: str, expected: Any, values: Arrays, name: str, outer: Any, dtype: np.dtype
) -> Iterator[ExpectationResult]:
    """Yield the rows of one expected number or array: its value, and its bounds."""
    what = safe_text(what, limit=100)
    bound = bound_of(expected)
    values = _with_parts(values, name)
    if name not in values or values[name] is None:
        known = ", ".join(safe_text(key, limit=64) for key in list(values)[:20]) or "nothing"
        note = f"the run has no '{safe_text(name, limit=64)}' here; it has {known}"
        yield ExpectationResult(what, bound_text(bound), "", "none", False, note)
        return
    got = np.asarray(values[name])
    if bound.value is not None:
        yield _compare_number(what, bound.value, got, Tolerances.of(bound, outer), dtype)
    for limit, met, sign in ((bound.below, np.less, "<"), (bound.above, np.greater, ">")):
        if limit is not None:
            ok = bool(got.size and np.all(met(got, limit)))
            yield ExpectationResult(what, f"{sign} {human_number(limit)}", "", value_text(got), ok)


def _with_parts(values: Arrays, name: str) -> Arrays:
    """Return `values` with the value of `name`, where that is a formula of them: W[0, 1], norm(dense1.kernel)."""
    if name in values:
        return values
    try:
        expression = parse(name)
        if not expression.names <= values.keys() or any(values[used] is None for used in expression.names):
            return values
        return {**values, name: numpy_ops.number(evaluate(expression, Scope(values, ops=numpy_ops.table())))}
    except FormulaError:
        return values


def _compare_number(
    what: str, value: Any, got: np.ndarray, tolerances: Tolerances, dtype: np.dtype
) -> ExpectationResult:
    with np.errstate(over="ignore"):
        expected = np.asarray(value, np.float64).astype(dtype)
        # Final values come from JSON as float64 with the digits of the run's precision.
        if got.dtype.kind == "f":
            got = got.astype(dtype)
    if got.dtype.kind not in "fiubc":
        return ExpectationResult(
            what, value_text(expected), _near(tolerances), value_text(got), False, "it is no number"
        )
    if got.shape != expected.shape:
        if expected.ndim or got.size != 1:
            note = f"the shapes differ: expected {_shape(expected)}, got {_shape(got)}"
            return ExpectationResult(what, value_text(expected), _near(tolerances), value_text(got), False, note)
        got = got.reshape(())
    with np.errstate(invalid="ignore", over="ignore"):
        exact = expected.astype(np.float64)
        off = np.abs(got.astype(np.complex128 if got.dtype.kind == "c" else np.float64) - exact)
        met = (got == expected) | (off <= tolerances.atol + tolerances.rtol * np.abs(exact))
    ok = bool(np.all(met))
    note = "" if ok else _worst(expected, got, off, met)
    return ExpectationResult(what, value_text(expected), _near(tolerances), value_text(got), ok, note)


def _worst(expected: np.ndarray, got: np.ndarray, off: np.ndarray, met: np.ndarray) -> str:
    """Return the distance from the expected numbers, of an array at the worst place."""
    ranked = np.where(met, -1.0, np.where(np.isnan(off), np.inf, off))
    index = np.unravel_index(int(np.argmax(ranked)), ranked.shape)
    by = f"off by {human_number(float(off[index]), digits=3)}"
    if not expected.ndim:
        return by
    place = ", ".join(str(int(i)) for i in index)
    missed = int(np.size(met) - np.count_nonzero(met))
    most = f"most at [{place}]: {value_text(got[index])} for {value_text(expected[index])}, {by}"
    return f"{missed} of {met.size} numbers are off, {most}"


def _near(tolerances: Tolerances) -> str:
    named = ((name, getattr(tolerances, name)) for name in ("rtol", "atol"))
    return ", ".join(f"{name} {human_number(value)}" for name, value in named if value) or "exact"


def bound_text(bound: Bound) -> str:
    """Return the expected value, or else its bounds, for a person to read."""
    if bound.value is not None:
        return value_text(bound.value)
    limits = ((bound.below, "<"), (bound.above, ">"))
    return ", ".join(f"{sign} {human_number(limit)}" for limit, sign in limits if limit is not None)


def _shape(array: np.ndarray) -> str:
    return "a number" if array.ndim == 0 else f"shape {array.shape}"


def value_text(value: Any) -> str:
    """Return a number or a small array with all its digits; a large array by its shape."""
    if value is None:
        return "none"
    array = np.asarray(value)
    if array.size > _MOST_SHOWN:
        return f"array of {_shape(array)}"
    if array.ndim:
        return "[" + ", ".join(value_text(item) for item in array) + "]"
    return human_number(array[()]) if array.dtype.kind in "fiub" else safe_text(array[()], limit=80)


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
        for prefix in ("parameters.", "formulas.", "after.", "gradients.", "state."):
            for name in list(row):
                if name.startswith(prefix):
                    row.setdefault(name.removeprefix(prefix), row[name])
        return row


def compare_values(
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
