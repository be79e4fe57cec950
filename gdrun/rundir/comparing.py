"""Runs beside each other: which settings and results differ, and where two losses part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import RunDirectoryError
from gdrun.metrics.names import higher_is_better

from .differing import differing
from .entry import Entry
from .run import Run
from .settings import flatten, read_config

if TYPE_CHECKING:
    import numpy as np

_FACTS = ("status", "steps", "epochs", "seconds")
_NOT_JUDGED = frozenset({"gradient_norm", "learning_rate"})
_ENVIRONMENT = ("device", "precision", "compile", "threads", "plugins", "data")
"""What can change the digits of a run, beside its settings and the versions."""


def compare(runs: Sequence[Run | str | Path]) -> dict[str, Any]:
    """Return the runs' results and those of their settings that differ, side by side.

    Args:
        runs: `Run`s or directories.
    Returns:
        {"runs": [id, ...], "directories", "results": [...], "settings": [...]}. Each result is {"name", "values": one a
        run, None where it has none, "best": the number of the best run or None}: status, steps, epochs, seconds, the
        best value that a metric chose, and every final value. Each setting is {"name": its path, "values": [...]}.
    """
    entries = [Entry(run.directory if isinstance(run, Run) else run) for run in runs]
    results = [_result(name, [entry.get(name) for entry in entries]) for name in _FACTS]
    finals = dict.fromkeys(name for entry in entries for name in entry.final)
    results += [_result(name, [entry.get(f"final.{name}") for entry in entries]) for name in finals]
    chosen = {entry.value("best").get("metric") for entry in entries if isinstance(entry.value("best"), dict)} - {None}
    if any(entry.get("best") is not None for entry in entries):
        name = f"best {chosen.pop()}" if len(chosen) == 1 else "best"
        results.append(_result(name, [entry.get("best") for entry in entries]))
    settings = [entry.settings for entry in entries]
    return {
        "runs": [entry.id for entry in entries],
        "directories": [entry.directory for entry in entries],
        "results": [row for row in results if any(value is not None for value in row["values"])],
        "settings": [{"name": path, "values": [one.get(path) for one in settings]} for path in differing(settings)],
    }


def _result(name: str, values: list[Any]) -> dict[str, Any]:
    return {"name": name, "values": values, "best": _best(name, values)}


def _best(name: str, values: list[Any]) -> int | None:
    """The number of the run whose value is better than each other's; None where there is no such thing."""
    metric = name.removeprefix("best ")
    numbers = {at: value for at, value in enumerate(values) if isinstance(value, int | float) and math.isfinite(value)}
    if name in _FACTS or metric in _NOT_JUDGED or len(numbers) < 2:
        return None
    best = max(numbers.values()) if higher_is_better(metric) else min(numbers.values())
    winners = [at for at, value in numbers.items() if value == best]
    return winners[0] if len(winners) == 1 else None


def diff(a: Run | str | Path, b: Run | str | Path) -> dict[str, Any]:
    """Return in what two runs differ.

    Returns:
        {"runs": [id, id], "directories", "settings": [{"name", "a", "b"}], "environment": [...], "losses": {...}}; a
        value that one run has not is None. `losses` is as `parting` returns it.
    Raises:
        RunDirectoryError: a run has no config, or its files are damaged.
    """
    first, second = (run if isinstance(run, Run) else Run(run) for run in (a, b))
    configs = [_config(run) for run in (first, second)]
    environments = [_environment(Entry(run.directory)) for run in (first, second)]
    return {
        "runs": [first.id, second.id],
        "directories": [str(first.directory), str(second.directory)],
        "settings": _pairs(*configs),
        "environment": _pairs(*environments),
        "losses": parting(first.metrics, second.metrics),
    }


def _config(run: Run) -> dict[str, Any]:
    return flatten(read_config(run.directory), most=None)


def _environment(entry: Entry) -> dict[str, Any]:
    if entry.problem:
        raise RunDirectoryError(entry.problem)
    known = {name: entry.value(name) for name in ("versions", "host", "git", *_ENVIRONMENT)}
    host = known.pop("host") or {}
    git = known.pop("git") or {}
    values = {"processor": host.get("processor"), "machine": host.get("name"), "git.commit": git.get("commit")}
    return flatten(known | values, most=None)


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": path, "a": a.get(path), "b": b.get(path)} for path in differing([a, b])]


def parting(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], column: str = "loss") -> dict[str, Any]:
    """Return where two runs' values of a column part, over the steps that both recorded; nan equals nan.

    Args:
        a, b: columns as `Run.metrics` gives them.
    Returns:
        {"column", "rows": steps that both have, "same": whether none of them differs, "first": the first that does,
        "greatest": the one with the greatest difference}; a place is {"step", "a", "b", "absolute", "relative"},
        relative to the larger of the two; None where there is none.
    """
    import numpy as np

    found: dict[str, Any] = {"column": column, "rows": 0, "same": None, "first": None, "greatest": None}
    if column not in a or column not in b:
        return found
    steps, at_a, at_b = np.intersect1d(a["step"], b["step"], return_indices=True)
    x, y = a[column][at_a], b[column][at_b]
    apart = np.flatnonzero((x != y) & ~(np.isnan(x) & np.isnan(y)))
    found |= {"rows": len(steps), "same": not len(apart) if len(steps) else None}
    if len(apart):
        with np.errstate(invalid="ignore", over="ignore"):
            distances = np.abs(x[apart].astype(np.float64) - y[apart].astype(np.float64))
        worst = apart[np.argmax(np.where(np.isnan(distances), np.inf, distances))]
        found |= {"first": _place(steps, x, y, apart[0]), "greatest": _place(steps, x, y, worst)}
    return found


def _place(steps: np.ndarray, x: np.ndarray, y: np.ndarray, at: int) -> dict[str, Any]:
    a, b = float(x[at]), float(y[at])
    distance = abs(a - b)
    scale = max(abs(a), abs(b))
    relative = distance / scale if scale and math.isfinite(scale) else None
    return {"step": int(steps[at]), "a": x[at], "b": y[at], "absolute": distance, "relative": relative}
