"""Checks of a sweep against `expect.trials`: the trials that are meant, and their results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gdrun.config.overrides import Override, dotted, find
from gdrun.errors import ConfigError, RunDirectoryError
from gdrun.experiment.expect import Bound, Expect, ExpectedTrials
from gdrun.experiment.loading import EXPERIMENT, LoadedConfig
from gdrun.rundir.run import Run
from gdrun.text import plural, safe_text

from .judging import Judgement, Tolerances, bound_of, judge, value_text

SAME = 1e-9
"""Relative; values of an axis that are closer are the same."""


def compare_trials(loaded: LoadedConfig, run: Run) -> Iterator[Judgement]:
    """Yield a Judgement for each thing that `expect.trials` of a config states of its sweep."""
    table = _SweepTable(loaded, run)
    for number, wanted in enumerate(loaded.experiment.expect.trials):
        yield from _compare(number, wanted, loaded.experiment.expect, table)


class _SweepTable:
    """A sweep's trials as expectations see them."""

    def __init__(self, loaded: LoadedConfig, run: Run) -> None:
        self.rows = run.trials
        self.axes = run.axes
        self.best = run.info.best.get("trial")
        self.dtype = np.dtype(run.info.precision or loaded.experiment.precision)
        self._loaded = loaded
        self._run = run

    @cached_property
    def parameters(self) -> dict[int, dict[str, np.ndarray]]:
        """The final parameters of each trial, {} where they cannot be read."""
        try:
            return self._run.trial_parameters()
        except RunDirectoryError:
            return {}

    def axis(self, key: str) -> str:
        """The column that a key of `where` or `values` means."""
        if key in self.axes:
            return key
        root = self._loaded.root
        try:
            return dotted(find(Override(key, root, root.span), root, EXPERIMENT))
        except ConfigError:
            return key

    def chosen(self, where: Any) -> list[dict[str, Any]]:
        """The rows that `where` means."""
        if where == "best":
            return [row for row in self.rows if row["trial"] == self.best]
        wanted = {self.axis(key): value for key, value in where.items()}
        return [row for row in self.rows if all(matches(row.get(key), value) for key, value in wanted.items())]


def matches(got: Any, wanted: Any) -> bool:
    """Return whether an axis's value is the one that is wanted, or within its bounds."""
    if isinstance(wanted, Bound):
        if not _is_number(got):
            return False
        inside = (wanted.below is None or got < wanted.below) and (wanted.above is None or got > wanted.above)
        slack = max(SAME * abs(got), wanted.atol or 0.0) + (wanted.rtol or 0.0) * abs(got)
        return inside and (wanted.value is None or abs(got - wanted.value) <= slack)
    if _is_number(got) and _is_number(wanted):
        return bool(abs(got - wanted) <= SAME * abs(wanted))
    if isinstance(got, tuple | list) and isinstance(wanted, tuple | list):
        return len(got) == len(wanted) and all(map(matches, got, wanted))
    return bool(got == wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compare(number: int, wanted: ExpectedTrials, expect: Expect, table: _SweepTable) -> Iterator[Judgement]:
    chosen = table.chosen(wanted.where)
    what = f"trials{_where(wanted.where) or f'[{number}]'}"
    ends = Counter(str(row["status"]) for row in chosen)
    counts = {
        "count": len(chosen),
        "completed": ends["completed"] + ends["stopped"],
        "diverged": ends["diverged"],
    }
    for name, got in counts.items():
        count = getattr(wanted, name)
        if count is not None:
            yield Judgement(f"{what}.{name}", str(count), "exact", str(got), got == count)
    by_claim: dict[str, list[tuple[int, Judgement]]] = {}
    for row in chosen:
        for one in _of_trial(wanted, expect, row, table):
            by_claim.setdefault(f"{one.what} {one.expected}", []).append((row["trial"], one))
    for rows in by_claim.values():
        yield _together(what, rows)
    stated = wanted.model_fields_set - {"where", "count", "completed", "diverged", "rtol", "atol"}
    if not chosen and stated:
        hint = "no trial has these values" if wanted.where else "there are no trials"
        yield Judgement(what, "a trial", "", "none", False, hint)


def _of_trial(wanted: ExpectedTrials, expect: Expect, row: dict[str, Any], table: _SweepTable) -> Iterator[Judgement]:
    """Yield the judgements of one trial, of what is expected of each."""
    for name in ("status", "stopped_by", "steps", "diverged_at"):
        value = getattr(wanted, name)
        if value is not None:
            shown, got = safe_text(value, limit=80), safe_text(row.get(name), limit=80)
            yield Judgement(name, shown, "exact", got, value == row.get(name))
    tolerances = Tolerances.of(wanted, expect)
    final = {name: np.asarray(value, np.float64) for name, value in row.items() if _is_number(value)}
    if wanted.loss is not None:
        yield from judge("loss", wanted.loss, final, "loss", tolerances, table.dtype)
    for name, expected in wanted.metrics.items():
        yield from judge(f"metrics.{name}", expected, final, name, tolerances, table.dtype)
    # The values of axes are those of the table, in its own precision.
    axes = {name: np.asarray(row[name]) for name in table.axes if name in row}
    for key, expected in wanted.values.items():
        yield from judge(f"values.{key}", expected, axes, table.axis(key), tolerances, np.dtype(np.float64))
    if wanted.parameters:
        parameters = table.parameters.get(row["trial"], {})
        for name, expected in wanted.parameters.items():
            yield from judge(f"parameters.{name}", expected, parameters, name, tolerances, table.dtype)


def _together(what: str, rows: Sequence[tuple[int, Judgement]]) -> Judgement:
    """One row of what was expected of several trials: the first that misses it, or the first."""
    missed = [(trial, row) for trial, row in rows if not row.ok]
    trial, row = (missed or rows)[0]
    note = row.note
    got = row.got
    if len(rows) > 1:
        got = f"trial {trial}: {got}" if missed else f"{plural(len(rows), 'trial')}: {got}, ..."
        note = "; ".join([*([note] if note else []), *([f"{len(missed)} of {len(rows)} trials"] if missed else [])])
    elif missed:
        note = "; ".join([*([note] if note else []), f"trial {trial}"])
    return Judgement(f"{what}.{row.what}", row.expected, row.bound, got, not missed, note)


def _where(where: Any) -> str:
    """ "[lr=0.2, seed<3]"; nothing where all trials are meant."""
    if where == "best":
        return "[best]"
    parts = []
    for key, value in where.items():
        bound = bound_of(value) if isinstance(value, Bound) else None
        if bound is None:
            parts.append(f"{key}={safe_text(value, limit=40)}")
            continue
        named = ((bound.value, "="), (bound.below, "<"), (bound.above, ">"))
        parts += [f"{key}{sign}{value_text(limit)}" for limit, sign in named if limit is not None]
    return f"[{safe_text(', '.join(parts), limit=80)}]" if parts else ""
