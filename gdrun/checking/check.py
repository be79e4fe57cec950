"""Checks of a run against the `expect:` of its config.

A value is met where |got - value| <= atol + rtol * |value|, the value first cast to the run's precision, so that digits
published in float32 can be asserted exactly: with both tolerances 0 (the default) it must be equal.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.config.plugins import PluginSources
from gdrun.errors import ComponentError, ConfigError
from gdrun.experiment.expect import Expect, TraceRow
from gdrun.experiment.loading import load_config
from gdrun.rundir.run import Run
from gdrun.sweeping.run import sweep
from gdrun.text import safe_text
from gdrun.training.listener import Listener
from gdrun.training.predict import gradients, predict
from gdrun.training.prepare import Prepared, prepare
from gdrun.training.train import execute

from .comparison import ExpectationResult, RunValues, Tolerances, bound_of, bound_text, compare_value, compare_values
from .trials import compare_trials


@dataclass(frozen=True)
class Checked:
    """A run and the results of its config's expectations."""

    run: Run
    rows: tuple[ExpectationResult, ...]
    has_expectations: bool
    """The config states an expectation; else only the status was looked at."""
    values: RunValues
    """Values of the run that expectations are about."""

    @property
    def ok(self) -> bool:
        """True where every expectation was met."""
        return all(row.ok for row in self.rows)

    @property
    def missed(self) -> tuple[ExpectationResult, ...]:
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
    values = RunValues.of_run(
        run,
        gradients=lambda: gradients(prepared.last, run),
        predict=lambda inputs: predict(prepared.last, run, inputs),
    )
    try:
        rows = (*compare(expect, values), *_of_trials(prepared, runs_dir))
    except ComponentError as error:
        problem = prepared.loaded.locate(error.problem(("expect", "predictions")))
        raise ConfigError((problem,), source=prepared.loaded.source) from error
    return Checked(run, rows, bool(expect.model_fields_set - {"rtol", "atol"}), values)


def _of_trials(prepared: Prepared, runs_dir: str | Path | None) -> tuple[ExpectationResult, ...]:
    """Run the config's sweep and hold `expect.trials` against it; nothing where there are none."""
    loaded = prepared.loaded
    if not loaded.experiment.expect.trials:
        return ()
    with tempfile.TemporaryDirectory(prefix="gdrun-") as temporary:
        run = sweep(loaded, runs_dir=runs_dir if runs_dir is not None else temporary)
        return tuple(compare_trials(loaded, run))


def compare(expect: Expect, values: RunValues) -> Iterator[ExpectationResult]:
    """Yield the result of the status and of each thing that `expect` states."""
    if expect.status is None:
        status, allowed = values.end["status"], ("completed", "stopped")
        note = "" if status in allowed else safe_text(values.why, limit=300)
        yield ExpectationResult("status", " or ".join(allowed), "", status, status in allowed, note)
    tolerances = Tolerances(expect.rtol, expect.atol)
    yield from compare_values(expect, values, tolerances)
    if expect.gradients:
        slopes = values.gradients()
        for name, expected in expect.gradients.items():
            yield from compare_value(f"gradients.{name}", expected, slopes, name, tolerances, values.dtype)
    for row in expect.trace:
        yield from _compare_row(row, expect, values)
    if expect.predictions is not None:
        yield from _compare_predictions(expect, values)


def _compare_row(trace: TraceRow, expect: Expect, values: RunValues) -> Iterator[ExpectationResult]:
    row = values.row(trace.step)
    tolerances = Tolerances.of(trace, expect)
    for name, expected in trace.values.items():
        what = f"trace[step {trace.step}].{safe_text(name, limit=64)}"
        if row is None:
            note = f"the run ended at step {values.end['steps']}"
            yield ExpectationResult(what, bound_text(bound_of(expected)), "", "no such row", False, note)
        else:
            yield from compare_value(what, expected, row, name, tolerances, values.dtype)


def _compare_predictions(expect: Expect, values: RunValues) -> Iterator[ExpectationResult]:
    assert expect.predictions is not None
    predicted = values.predictions(expect.predictions.inputs)
    expected = np.asarray(expect.predictions.value)
    if predicted.shape == (*expected.shape, 1):
        # A column of predictions may be written flat, as a column of targets may.
        predicted = predicted[..., 0]
    tolerances = Tolerances.of(expect.predictions, expect)
    named = {"value": predicted}
    yield from compare_value("predictions", expect.predictions.value, named, "value", tolerances, values.dtype)
