"""Checks of a sweep against `expect.trials`: the trials that are meant, and their results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gdrun.config.overrides import Override, dotted, find
from gdrun.config.scalars import is_number
from gdrun.errors import ConfigError
from gdrun.experiment.expect import Bound, Expect, ExpectedTrials
from gdrun.experiment.loading import EXPERIMENT, LoadedConfig
from gdrun.rundir.run import Run
from gdrun.text import plural, safe_text

from .comparison import ExpectationResult, RunValues, Tolerances, compare_value, compare_values, value_text

SAME = 1e-9
"""Relative; values of an axis that are closer are the same."""


def compare_trials(loaded: LoadedConfig, run: Run) -> Iterator[ExpectationResult]:
    """Yield a result for each thing that `expect.trials` of a config states of its sweep."""
    table = _SweepTable(loaded, run)
    for number, expected in enumerate(loaded.experiment.expect.trials):
        yield from _compare(number, expected, loaded.experiment.expect, table)


class _SweepTable:
    """A sweep's trials as expectations see them."""

    def __init__(self, loaded: LoadedConfig, run: Run) -> None:
        self._loaded = loaded
        self._run = run
        self._dtype = np.dtype(run.info.precision or loaded.experiment.precision)

    @cached_property
    def _parameters(self) -> dict[int, dict[str, np.ndarray]]:
        return self._run.trial_parameters()

    def values(self, row: dict[str, Any]) -> RunValues:
        """Return the values of a trial."""
        return RunValues.of_trial(row, self._dtype, lambda: self._parameters.get(row["trial"], {}))

    def axis_values(self, row: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return the values of the axes in a trial."""
        return {name: np.asarray(row[name]) for name in self._run.axes if name in row}

    def axis(self, key: str) -> str:
        """Return the column that a key of `where` or `values` means."""
        if key in self._run.axes:
            return key
        root = self._loaded.whole
        try:
            return dotted(find(Override(key, root, root.span), root, EXPERIMENT))
        except ConfigError:
            return key

    def chosen(self, where: Any) -> list[dict[str, Any]]:
        """Return the rows that `where` means."""
        rows = self._run.trials
        if where == "best":
            return [row for row in rows if row["trial"] == self._run.info.best.get("trial")]
        conditions = {self.axis(key): value for key, value in where.items()}
        return [row for row in rows if all(matches(row.get(key), value) for key, value in conditions.items())]


def matches(actual: Any, condition: Any) -> bool:
    """Return whether an axis's value is the one of a condition, or within its bounds."""
    if isinstance(condition, Bound):
        if not is_number(actual):
            return False
        below, above = condition.below, condition.above
        inside = (below is None or actual < below) and (above is None or actual > above)
        slack = max(SAME * abs(actual), condition.atol or 0.0) + (condition.rtol or 0.0) * abs(actual)
        return inside and (condition.value is None or abs(actual - condition.value) <= slack)
    if is_number(actual) and is_number(condition):
        return bool(abs(actual - condition) <= SAME * abs(condition))
    if isinstance(actual, tuple | list) and isinstance(condition, tuple | list):
        return len(actual) == len(condition) and all(map(matches, actual, condition))
    return bool(actual == condition)


def _compare(number: int, expected: ExpectedTrials, expect: Expect, table: _SweepTable) -> Iterator[ExpectationResult]:
    """Yield the results of one entry of `expect.trials`."""
    rows = table.chosen(expected.where)
    what = f"trials{_where(expected.where) or f'[{number}]'}"
    ends = Counter(str(row["status"]) for row in rows)
    counts = {
        "count": len(rows),
        "completed": ends["completed"] + ends["stopped"],
        "diverged": ends["diverged"],
    }
    for name, actual in counts.items():
        count = getattr(expected, name)
        if count is not None:
            yield ExpectationResult(f"{what}.{name}", str(count), "exact", str(actual), actual == count)
    tolerances = Tolerances.of(expected, expect)
    by_expectation: dict[str, list[tuple[int, ExpectationResult]]] = {}
    for row in rows:
        results = [*compare_values(expected, table.values(row), tolerances)]
        axis_values = table.axis_values(row)
        for key, value in expected.values.items():
            # The values of axes are those of the table, in its own precision.
            dtype = np.dtype(np.float64)
            results += compare_value(f"values.{key}", value, axis_values, table.axis(key), tolerances, dtype)
        for result in results:
            by_expectation.setdefault(f"{result.what} {result.expected}", []).append((row["trial"], result))
    for trials_and_results in by_expectation.values():
        yield _together(what, trials_and_results)
    of_each = expected.model_fields_set - {"where", "count", "completed", "diverged", "rtol", "atol"}
    if not rows and of_each:
        hint = "no trial has these values" if expected.where else "there are no trials"
        yield ExpectationResult(what, "a trial", "", "none", False, hint)


def _together(what: str, rows: Sequence[tuple[int, ExpectationResult]]) -> ExpectationResult:
    """Return the result of what was expected of several trials: that of the first which misses it, or the first."""
    missed = [(trial, row) for trial, row in rows if not row.ok]
    trial, row = (missed or rows)[0]
    got, which = row.got, f"trial {trial}"
    if len(rows) > 1:
        got = f"{which}: {got}" if missed else f"{plural(len(rows), 'trial')}: {got}, ..."
        which = f"{len(missed)} of {len(rows)} trials"
    note = "; ".join(filter(None, (row.note, which if missed else "")))
    return ExpectationResult(f"{what}.{row.what}", row.expected, row.bound, got, not missed, note)


def _where(where: Any) -> str:
    """Return the trials that are meant, "[lr=0.2, seed<3]"; nothing where all are."""
    if where == "best":
        return "[best]"
    parts = []
    for key, value in where.items():
        if not isinstance(value, Bound):
            parts.append(f"{key}={safe_text(value, limit=40)}")
            continue
        named = ((value.value, "="), (value.below, "<"), (value.above, ">"))
        parts += [f"{key}{sign}{value_text(limit)}" for limit, sign in named if limit is not None]
    return f"[{safe_text(', '.join(parts), limit=80)}]" if parts else ""
