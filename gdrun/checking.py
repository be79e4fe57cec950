"""`expect:` held against a run: what a config says must come out, and what came out.

A value is met where |got - value| <= atol + rtol * |value|, the value first cast to the run's precision, so that digits
published in float32 can be asserted exactly: with both tolerances 0 (the default) it must be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import ComponentError, ConfigError, RunDirectoryError, ShapeError
from gdrun.text import human_number, safe_text

if TYPE_CHECKING:
    from gdrun.config.expect import Bound, Expect, TraceRow
    from gdrun.config.plugins import PluginSources
    from gdrun.rundir.run import Run
    from gdrun.training import Listener, Prepared

Arrays = Mapping[str, np.ndarray]
Predict = Callable[[Arrays], np.ndarray | Arrays]
Gradients = Callable[[], Arrays]

_MOST_SHOWN = 8
"""Numbers of an array that are shown in full."""


@dataclass(frozen=True)
class Row:
    """One expectation and what became of it."""

    what: str
    """The key below `expect`: "loss", "parameters.a", "trace[step 100].loss"."""
    expected: str
    bound: str
    """How near: "exact", "rtol 0.0001", ..."""
    got: str
    ok: bool
    note: str = ""
    """For a missed one, what is wrong beyond the numbers."""


@dataclass(frozen=True)
class Checked:
    """A run and what became of its config's expectations."""

    run: Run
    rows: tuple[Row, ...]
    stated: bool
    """Whether the config states any expectation; else only the status was looked at."""
    sight: Sight
    """The run as expectations see it."""

    @property
    def ok(self) -> bool:
        """Whether every expectation was met."""
        return all(row.ok for row in self.rows)

    @property
    def missed(self) -> tuple[Row, ...]:
        """The expectations that were not met."""
        return tuple(row for row in self.rows if not row.ok)


def check(
    source: str | Path,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    runs_dir: str | Path | None = None,
    device: str | None = None,
    threads: int | None = None,
    listener: Listener | None = None,
    plugins: PluginSources = (),
) -> Checked:
    """Train the experiment in `source` and hold its `expect:` against the run.

    Args:
        source, overrides, device, threads, listener, plugins: as in `gdrun.train`.
        runs_dir: where the run directory is made; None: a temporary one, removed with the returned run.
    Raises:
        as `gdrun.train`. A missed expectation is no error.
    """
    from gdrun.config.loading import load_config
    from gdrun.training import prepare

    prepared = prepare(load_config(source, overrides, plugins=plugins), device=device, threads=threads)
    return check_prepared(prepared, runs_dir=runs_dir, listener=listener)


def check_prepared(prepared: Prepared, *, runs_dir: str | Path | None = None, **options: Any) -> Checked:
    """Execute what was prepared and hold its `expect:` against the run.

    Args:
        runs_dir: as in `check`.
        options: further arguments of `gdrun.training.execute`.
    """
    from gdrun.prediction import gradients, predict
    from gdrun.training import execute

    expect = prepared.loaded.experiment.expect
    run = execute(prepared, runs_dir=runs_dir, keep=runs_dir is not None, **options)
    sight = Sight(
        run,
        predict=lambda inputs: predict(prepared, run, inputs),
        gradients=lambda: gradients(prepared, run),
    )
    try:
        rows = tuple(compare(expect, sight))
    except ComponentError as error:
        problem = prepared.loaded.locate(error.problem(("expect", "predictions")))
        raise ConfigError((problem,), source=prepared.loaded.source) from error
    return Checked(run, rows, bool(expect.model_fields_set - {"rtol", "atol"}), sight)


class Sight:
    """What expectations can be about, read from a run once: record, parameters, rows, gradients, predictions."""

    def __init__(self, run: Run, *, predict: Predict | None = None, gradients: Gradients | None = None) -> None:
        self.run = run
        self.dtype = np.dtype(run.record.precision or "float32")
        self._predict = predict
        self._gradients = gradients

    @property
    def final(self) -> dict[str, np.ndarray]:
        """Name -> final loss or metric; texts such as "nan" as numbers."""
        values = self.run.record.final.items()
        return {
            name: np.asarray(float(value), np.float64) for name, value in values if isinstance(value, int | float | str)
        }

    @property
    def parameters(self) -> Arrays:
        """Final parameters by name; none where the run could not write any."""
        try:
            return self.run.parameters
        except RunDirectoryError:
            return {}

    @property
    def gradients(self) -> Arrays:
        """Gradients at the final parameters, by name."""
        return self._gradients() if self._gradients else {}

    def predictions(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """The trained model's predictions at `inputs`.

        Raises:
            ShapeError: the inputs are not the model's, or it has several outputs.
        """
        assert self._predict is not None, "only a prepared run can predict"
        predicted = self._predict({name: np.asarray(value, np.float64) for name, value in inputs.items()})
        if isinstance(predicted, Mapping):
            if len(predicted) > 1:
                names = ", ".join(predicted)
                raise ShapeError(f"the model has several outputs ({names}); expect.predictions can hold only one")
            predicted = next(iter(predicted.values()))
        return np.asarray(predicted)

    def row(self, step: int) -> dict[str, np.ndarray] | None:
        """The recorded row of `step`, parameters by their bare names too; None if there is none."""
        columns = self.run.metrics
        found = np.flatnonzero(columns.get("step", np.zeros(0)) == step)
        if not found.size:
            return None
        row = {name: np.asarray(values[found[-1]]) for name, values in columns.items()}
        for prefix in ("parameters.", "formulas.", "after.", "gradients."):
            for name in list(row):
                if name.startswith(prefix):
                    row.setdefault(name.removeprefix(prefix), row[name])
        return row

    @property
    def diverged_at(self) -> int | None:
        """The step whose values were no longer finite."""
        return (self.run.record.diverged or {}).get("step")


def compare(expect: Expect, sight: Sight) -> Iterator[Row]:
    """Yield a Row for the status and for each thing that `expect` states."""
    record, status = sight.run.record, str(sight.run.status)
    allowed = (expect.status,) if expect.status else ("completed", "stopped")
    why = "" if status in allowed else safe_text(record.why or "", limit=300)
    yield Row("status", " or ".join(allowed), "", status, status in allowed, why)
    exact = (
        ("stopped_by", expect.stopped_by, record.stopped_by),
        ("steps", expect.steps, record.steps),
        ("diverged_at", expect.diverged_at, sight.diverged_at),
    )
    for what, wanted, got in exact:
        if wanted is not None:
            yield Row(what, safe_text(wanted, limit=80), "exact", safe_text(got, limit=80), wanted == got)
    if expect.loss is not None:
        yield from _judge("loss", expect.loss, sight.final, "loss", expect, sight.dtype)
    for section in ("parameters", "metrics", "gradients"):
        wanted = getattr(expect, section)
        if wanted:
            values = getattr(sight, "final" if section == "metrics" else section)
            for name, expected in wanted.items():
                yield from _judge(f"{section}.{name}", expected, values, name, expect, sight.dtype)
    for row in expect.trace:
        yield from _judge_row(row, expect, sight)
    if expect.predictions is not None:
        yield from _judge_predictions(expect, sight)


def _judge_row(wanted: TraceRow, expect: Expect, sight: Sight) -> Iterator[Row]:
    row = sight.row(wanted.step)
    tolerances = _Tolerances.of(wanted, expect)
    for name, expected in wanted.values.items():
        what = f"trace[step {wanted.step}].{safe_text(name, limit=64)}"
        if row is None:
            last = sight.run.record.steps
            yield Row(what, _text(_bound(expected).value), "", "no such row", False, f"the run ended at step {last}")
        else:
            yield from _judge(what, expected, row, name, tolerances, sight.dtype)


def _judge_predictions(expect: Expect, sight: Sight) -> Iterator[Row]:
    assert expect.predictions is not None
    got = sight.predictions(expect.predictions.inputs)
    wanted = np.asarray(expect.predictions.value)
    if got.shape == (*wanted.shape, 1):
        # A column of predictions may be written flat, as a column of targets may.
        got = got[..., 0]
    tolerances = _Tolerances.of(expect.predictions, expect)
    yield from _judge("predictions", expect.predictions.value, {"value": got}, "value", tolerances, sight.dtype)


@dataclass(frozen=True)
class _Tolerances:
    rtol: float
    atol: float

    @classmethod
    def of(cls, inner: Any, outer: Any) -> _Tolerances:
        """The tolerances of `inner`, where it gives none those of `outer`."""
        return cls(
            outer.rtol if inner.rtol is None else inner.rtol,
            outer.atol if inner.atol is None else inner.atol,
        )


def _bound(expected: Any) -> Bound:
    from gdrun.config.expect import Bound

    return expected if isinstance(expected, Bound) else Bound.model_construct(value=expected)


def _judge(what: str, expected: Any, values: Arrays, name: str, outer: Any, dtype: np.dtype) -> Iterator[Row]:
    """Yield the rows of one expected number or array: its value, and its bounds."""
    what = safe_text(what, limit=100)
    bound = _bound(expected)
    if name not in values or values[name] is None:
        known = ", ".join(safe_text(key, limit=64) for key in list(values)[:20]) or "nothing"
        wanted = _text(bound.value) if bound.value is not None else _limits(bound)
        yield Row(what, wanted, "", "none", False, f"the run has no '{safe_text(name, limit=64)}' here; it has {known}")
        return
    got = np.asarray(values[name])
    if bound.value is not None:
        yield _judge_value(what, bound.value, got, _Tolerances.of(bound, outer), dtype)
    for limit, met, sign in ((bound.below, np.less, "<"), (bound.above, np.greater, ">")):
        if limit is not None:
            ok = bool(got.size and np.all(met(got, limit)))
            yield Row(what, f"{sign} {human_number(limit)}", "", _text(got), ok)


def _judge_value(what: str, value: Any, got: np.ndarray, tolerances: _Tolerances, dtype: np.dtype) -> Row:
    with np.errstate(over="ignore"):
        wanted = np.asarray(value, np.float64).astype(dtype)
        # Final values come from JSON as float64 with the digits of the run's precision.
        if got.dtype.kind == "f":
            got = got.astype(dtype)
    if got.dtype.kind not in "fiubc":
        return Row(what, _text(wanted), _near(tolerances), _text(got), False, "it is no number")
    if got.shape != wanted.shape:
        if wanted.ndim or got.size != 1:
            note = f"the shapes differ: expected {_shape(wanted)}, got {_shape(got)}"
            return Row(what, _text(wanted), _near(tolerances), _text(got), False, note)
        got = got.reshape(())
    with np.errstate(invalid="ignore", over="ignore"):
        exact = wanted.astype(np.float64)
        off = np.abs(got.astype(np.complex128 if got.dtype.kind == "c" else np.float64) - exact)
        met = (got == wanted) | (off <= tolerances.atol + tolerances.rtol * np.abs(exact))
    ok = bool(np.all(met))
    return Row(what, _text(wanted), _near(tolerances), _text(got), ok, "" if ok else _worst(wanted, got, off, met))


def _worst(wanted: np.ndarray, got: np.ndarray, off: np.ndarray, met: np.ndarray) -> str:
    """How far off, and for an array where most."""
    ranked = np.where(met, -1.0, np.where(np.isnan(off), np.inf, off))
    at = np.unravel_index(int(np.argmax(ranked)), ranked.shape)
    by = f"off by {human_number(float(off[at]), digits=3)}"
    if not wanted.ndim:
        return by
    place = ", ".join(str(int(i)) for i in at)
    missed = int(np.size(met) - np.count_nonzero(met))
    return f"{missed} of {met.size} numbers are off, most at [{place}]: {_text(got[at])} for {_text(wanted[at])}, {by}"


def _near(tolerances: _Tolerances) -> str:
    named = ((name, getattr(tolerances, name)) for name in ("rtol", "atol"))
    return ", ".join(f"{name} {human_number(value)}" for name, value in named if value) or "exact"


def _limits(bound: Bound) -> str:
    limits = ((bound.below, "<"), (bound.above, ">"))
    return ", ".join(f"{sign} {human_number(limit)}" for limit, sign in limits if limit is not None)


def _shape(array: np.ndarray) -> str:
    return "a number" if array.ndim == 0 else f"shape {array.shape}"


def _text(value: Any) -> str:
    """A number or a small array with all its digits; a large array by its shape."""
    if value is None:
        return "none"
    array = np.asarray(value)
    if array.size > _MOST_SHOWN:
        return f"array of {_shape(array)}"
    if array.ndim:
        return "[" + ", ".join(_text(item) for item in array) + "]"
    return human_number(array[()]) if array.dtype.kind in "fiub" else safe_text(array[()], limit=80)
