"""Output of `gdrun check --update`: the `expect:` of a config with the values of its run."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdrun.checking.comparison import RunValues
from gdrun.experiment.dump import dump_values
from gdrun.experiment.expect import Bound, Expect
from gdrun.rundir.strict_json import plain

FEW_NUMBERS = 20
"""Where nothing was expected yet, parameters are proposed up to so many numbers."""

_TOLERANCES = ("rtol", "atol")


def propose(expect: Expect, run_values: RunValues) -> str:
    """Return the YAML of an `expect:` block that the run meets.

    What `expect` states is stated again with the run's values and its own tolerances; bounds (`below`, `above`) stay as
    they are. Where it states nothing, the status, the steps, the loss and the parameters, while they are few, are.
    """
    values = _restated(expect, run_values) if expect.model_fields_set - {*_TOLERANCES} else _first(run_values)
    return dump_values({"expect": plain(values)})


def _first(run_values: RunValues) -> dict[str, Any]:
    parameters = run_values.parameters
    few = sum(array.size for array in parameters.values()) <= FEW_NUMBERS
    values: dict[str, Any] = {name: run_values.end[name] for name in ("status", "steps")}
    if run_values.end["diverged_at"] is not None:
        values["diverged_at"] = run_values.end["diverged_at"]
    elif "loss" in run_values.final:
        values["loss"] = run_values.final["loss"]
    return values | ({"parameters": dict(parameters)} if few and parameters else {})


def _restated(expect: Expect, run_values: RunValues) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(expect, name) for name in _TOLERANCES if getattr(expect, name)}
    if run_values.end["status"] == "diverged":
        values["status"] = "diverged"
    values |= {name: value for name, value in run_values.end.items() if getattr(expect, name) is not None}
    if expect.loss is not None:
        values["loss"] = _with_bounds(expect.loss, run_values.final.get("loss"))
    sections = {"parameters": run_values.parameters, "metrics": run_values.final}
    if expect.gradients:
        sections["gradients"] = run_values.gradients()
    for section, results in sections.items():
        if stated := getattr(expect, section):
            values[section] = {name: _with_bounds(item, results.get(name)) for name, item in stated.items()}
    if expect.trace:
        values["trace"] = [_trace_row(row, run_values) for row in expect.trace]
    if expect.predictions is not None:
        stated = expect.predictions
        predicted = run_values.predictions(stated.inputs)
        shape = np.shape(stated.value)
        predicted = predicted[..., 0] if predicted.shape == (*shape, 1) else predicted
        tolerances = {name: getattr(stated, name) for name in _TOLERANCES if getattr(stated, name) is not None}
        values["predictions"] = {**stated.inputs, "value": predicted, **tolerances}
    return values


def _trace_row(row: Any, run_values: RunValues) -> dict[str, Any]:
    recorded = run_values.row(row.step) or {}
    values = {name: _with_bounds(item, recorded.get(name)) for name, item in row.values.items()}
    tolerances = {name: getattr(row, name) for name in _TOLERANCES if getattr(row, name) is not None}
    return {"step": row.step, **values, **tolerances}


def _with_bounds(stated: Any, got: Any) -> Any:
    """Return the value that came out in the form that was stated; repeat bounds alone."""
    if not isinstance(stated, Bound):
        return got
    values = {name: getattr(stated, name) for name in ("rtol", "atol", "below", "above")}
    bounds = {name: value for name, value in values.items() if value is not None}
    return bounds if stated.value is None else {"value": got, **bounds}
