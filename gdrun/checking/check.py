"""Checks of a run against the `expect:` of its config.

A value is met where |got - value| <= atol + rtol * |value|, the value first cast to the run's precision, so that digits
published in float32 can be asserted exactly: with both tolerances 0 (the default) it must be equal.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.config.plugins import PluginSources
from gdrun.errors import ComponentError, ConfigError, RunDirectoryError, ShapeError
from gdrun.experiment.expect import Expect, TraceRow
from gdrun.experiment.loading import load_config
from gdrun.rundir.run import Run
from gdrun.sweeping.run import sweep
from gdrun.text import safe_text
from gdrun.training.listener import Listener
from gdrun.training.predict import gradients, predict
from gdrun.training.prepare import Prepared, prepare
from gdrun.training.train import execute

from .judging import Arrays, Judgement, Tolerances, bound_of, judge, value_text
from .trials import compare_trials

Predict = Callable[[Arrays], np.ndarray | Arrays]
Gradients = Callable[[], Arrays]


@dataclass(frozen=True)
class Checked:
    """A run and the judgements of its config's expectations."""

    run: Run
    rows: tuple[Judgement, ...]
    stated: bool
    """The config states an expectation; else only the status was judged."""
    sight: Sight
    """Values of the run that expectations are about."""

    @property
    def ok(self) -> bool:
        """True where every expectation was met."""
        return all(row.ok for row in self.rows)

    @property
    def missed(self) -> tuple[Judgement, ...]:
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
    prepared = prepare(load_config(source, overrides, plugins=plugins), device=device, threads=threads)
    return check_prepared(prepared, runs_dir=runs_dir, listener=listener)


def check_prepared(prepared: Prepared, *, runs_dir: str | Path | None = None, **options: Any) -> Checked:
    """Execute what was prepared and hold its `expect:` against the run.

    Args:
        runs_dir: as in `check`.
        options: further arguments of `gdrun.training.train.execute`.
    """
    expect = prepared.loaded.experiment.expect
    run = execute(prepared, runs_dir=runs_dir, keep=runs_dir is not None, **options)
    sight = Sight(
        run,
        predict=lambda inputs: predict(prepared, run, inputs),
        gradients=lambda: gradients(prepared, run),
    )
    try:
        rows = (*compare(expect, sight), *_of_trials(prepared, runs_dir))
    except ComponentError as error:
        problem = prepared.loaded.locate(error.problem(("expect", "predictions")))
        raise ConfigError((problem,), source=prepared.loaded.source) from error
    return Checked(run, rows, bool(expect.model_fields_set - {"rtol", "atol"}), sight)


def _of_trials(prepared: Prepared, runs_dir: str | Path | None) -> tuple[Judgement, ...]:
    """Run the config's sweep and hold `expect.trials` against it; nothing where there are none."""
    loaded = prepared.loaded
    if not loaded.experiment.expect.trials:
        return ()
    with tempfile.TemporaryDirectory(prefix="gdrun-") as temporary:
        run = sweep(loaded, runs_dir=runs_dir if runs_dir is not None else temporary)
        return tuple(compare_trials(loaded, run))


class Sight:
    """Values of a run that expectations can be about: record, parameters, rows, gradients, predictions."""

    def __init__(self, run: Run, *, predict: Predict | None = None, gradients: Gradients | None = None) -> None:
        self.run = run
        self.dtype = np.dtype(run.info.precision or "float32")
        self._predict = predict
        self._gradients = gradients

    @property
    def final(self) -> dict[str, np.ndarray]:
        """Name -> final loss or metric; texts such as "nan" as numbers."""
        values = self.run.info.final.items()
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
        places = np.flatnonzero(columns.get("step", np.zeros(0)) == step)
        if not places.size:
            return None
        row = {name: np.asarray(values[places[-1]]) for name, values in columns.items()}
        for prefix in ("parameters.", "formulas.", "after.", "gradients."):
            for name in list(row):
                if name.startswith(prefix):
                    row.setdefault(name.removeprefix(prefix), row[name])
        return row

    @property
    def diverged_at(self) -> int | None:
        """The step whose values were no longer finite."""
        return (self.run.info.diverged or {}).get("step")


def compare(expect: Expect, sight: Sight) -> Iterator[Judgement]:
    """Yield a judgement of the status and of each thing that `expect` states."""
    record, status = sight.run.info, str(sight.run.status)
    allowed = (expect.status,) if expect.status else ("completed", "stopped")
    why = "" if status in allowed else safe_text(record.why or "", limit=300)
    yield Judgement("status", " or ".join(allowed), "", status, status in allowed, why)
    exact = (
        ("stopped_by", expect.stopped_by, record.stopped_by),
        ("steps", expect.steps, record.steps),
        ("diverged_at", expect.diverged_at, sight.diverged_at),
    )
    for what, value, got in exact:
        if value is not None:
            yield Judgement(what, safe_text(value, limit=80), "exact", safe_text(got, limit=80), value == got)
    if expect.loss is not None:
        yield from judge("loss", expect.loss, sight.final, "loss", expect, sight.dtype)
    for section in ("parameters", "metrics", "gradients"):
        if claims := getattr(expect, section):
            values = getattr(sight, "final" if section == "metrics" else section)
            for name, expected in claims.items():
                yield from judge(f"{section}.{name}", expected, values, name, expect, sight.dtype)
    for row in expect.trace:
        yield from _judge_row(row, expect, sight)
    if expect.predictions is not None:
        yield from _judge_predictions(expect, sight)


def _judge_row(trace: TraceRow, expect: Expect, sight: Sight) -> Iterator[Judgement]:
    row = sight.row(trace.step)
    tolerances = Tolerances.of(trace, expect)
    for name, expected in trace.values.items():
        what = f"trace[step {trace.step}].{safe_text(name, limit=64)}"
        if row is None:
            last = sight.run.info.steps
            yield Judgement(
                what, value_text(bound_of(expected).value), "", "no such row", False, f"the run ended at step {last}"
            )
        else:
            yield from judge(what, expected, row, name, tolerances, sight.dtype)


def _judge_predictions(expect: Expect, sight: Sight) -> Iterator[Judgement]:
    assert expect.predictions is not None
    got = sight.predictions(expect.predictions.inputs)
    expected = np.asarray(expect.predictions.value)
    if got.shape == (*expected.shape, 1):
        # A column of predictions may be written flat, as a column of targets may.
        got = got[..., 0]
    tolerances = Tolerances.of(expect.predictions, expect)
    yield from judge("predictions", expect.predictions.value, {"value": got}, "value", tolerances, sight.dtype)
