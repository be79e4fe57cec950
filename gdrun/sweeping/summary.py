"""Summary of a sweep's table: the best settings, seeds summed up, and the learning rates that begin to diverge."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.rundir.seeds import is_seed, spread

from .results import HAS_RESULT

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

RATE = "learning_rate"


@dataclass(frozen=True)
class Ranked:
    """A setting and what came out of it.

    Args:
        trial: its number; of several seeds, the first one's.
        values: axis -> value, without the seed where seeds are summed up.
        value: the metric; of several seeds their median, in which a diverged one is worst. None: none is finite.
        low, high: of several seeds, the first and third quartile.
        count, diverged: how many trials this is, and how many of them diverged.
        row: the trial's row of the table.
        medians: of several seeds, column -> median, first and third quartile of those that did not diverge, for each
            result and each parameter of the table.
    """

    trial: int
    values: dict[str, Any]
    value: float | None
    low: float | None
    high: float | None
    count: int
    diverged: int
    row: dict[str, Any]
    medians: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class DivergenceEdge:
    """Edge of divergence along the learning rate, at one setting of everything else.

    Args:
        axis: the learning rate's key. values: the other axes' values, without seeds.
        largest: the largest rate at which no trial diverged. smallest: the smallest one at which one did.
    """

    axis: str
    values: dict[str, Any]
    largest: float | None
    smallest: float | None


@dataclass(frozen=True)
class SweepSummary:
    """Summary of a sweep's table.

    Args:
        metric: the column by which trials are ranked. maximize: whether more of it is better.
        axes: the swept keys. seeds: whether trials that differ in the seed alone are summed up.
        ranked: settings, best first; those without any finite value are not among them.
        edges: one for each setting of the other axes, where anything diverged.
        counts: "total", "completed", "stopped", "diverged", "failed", "missing" -> trials.
        prediction: the predicted limit of the learning rate, as the record has it.
    """

    metric: str
    maximize: bool
    axes: tuple[str, ...]
    seeds: bool
    ranked: tuple[Ranked, ...]
    edges: tuple[DivergenceEdge, ...]
    counts: dict[str, int]
    prediction: dict[str, Any] | None


def summarize(run: Run, *, most: int = 5) -> SweepSummary:
    """Return the summary of a sweep's table, as far as it goes.

    Args:
        most: settings that are ranked.
    Raises:
        RunDirectoryError: the directory cannot be read.
    """
    rows, axes, extra = run.trials, tuple(run.axes), run.info.extra
    metric = str(extra.get("metric") or "loss")
    if extra.get("value") == "best" and rows and f"best_{metric}" in rows[0]:
        metric = f"best_{metric}"
    maximize = extra.get("direction") == "maximize"
    varied = [axis for axis in axes if is_seed(axis) and len({row.get(axis) for row in rows}) > 1]
    settings = tuple(axis for axis in axes if axis not in varied)
    ranked = [_ranked(group, settings, metric, maximize) for group in _grouped(rows, settings)]
    finite = [one for one in ranked if one.value is not None]
    finite.sort(key=lambda one: (-one.value if maximize else one.value, one.trial))  # type: ignore[operator]
    prediction = extra.get("prediction")
    return SweepSummary(
        metric,
        maximize,
        axes,
        bool(varied),
        tuple(finite[:most]),
        tuple(_edges(rows, settings)),
        _counts(rows, extra),
        prediction if isinstance(prediction, dict) else None,
    )


def _grouped(rows: Sequence[dict[str, Any]], axes: Sequence[str]) -> list[list[dict[str, Any]]]:
    """Return the rows of trials that have a result, those of equal values together, in the table's order."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("status") in HAS_RESULT:
            groups.setdefault(_key(row, axes), []).append(row)
    return list(groups.values())


def _key(row: dict[str, Any], axes: Sequence[str]) -> str:
    return json.dumps([row.get(axis) for axis in axes], default=str)


def _ranked(group: Sequence[dict[str, Any]], axes: Sequence[str], metric: str, maximize: bool) -> Ranked:
    worst = -math.inf if maximize else math.inf
    values = np.array([_value(row, metric, worst) for row in group])
    middle, low, high = map(float, spread(values, worst=worst))
    several = len(group) > 1
    return Ranked(
        group[0]["trial"],
        {axis: group[0].get(axis) for axis in axes},
        middle if math.isfinite(middle) else None,
        low if several else None,
        high if several else None,
        len(group),
        sum(row["status"] == "diverged" for row in group),
        group[0],
        _medians(group, axes) if several else {},
    )


def _medians(group: Sequence[dict[str, Any]], axes: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    rows = [row for row in group if row["status"] != "diverged" and row.get("stopped_by") != "pruned"]
    medians = {}
    for name in group[0].keys() - {"trial", "diverged_at", *axes}:
        if is_seed(name):
            continue
        values = [value for row in rows if isinstance(value := row[name], int | float) and math.isfinite(value)]
        if values:
            low, high = np.quantile(values, (0.25, 0.75), method="nearest")
            medians[name] = (float(np.median(values)), float(low), float(high))
    return {name: medians[name] for name in group[0] if name in medians}


def _value(row: dict[str, Any], metric: str, worst: float) -> float:
    value = row.get(metric)
    whole = row["status"] != "diverged" and row.get("stopped_by") != "pruned"
    finite = isinstance(value, int | float) and math.isfinite(value) and whole
    return float(value) if finite else worst  # type: ignore[arg-type]


def _edges(rows: Sequence[dict[str, Any]], axes: Sequence[str]) -> list[DivergenceEdge]:
    rates = [axis for axis in axes if axis.rpartition(".")[2] == RATE]
    if not rates or not any(row.get("status") == "diverged" for row in rows):
        return []
    rate, others = rates[0], [axis for axis in axes if axis != rates[0]]
    found = []
    for group in _grouped(rows, others):
        numbers = {row[rate] for row in group if isinstance(row.get(rate), int | float)}
        if len(numbers) < 2:
            continue  # no line to have an edge on: a rate of its own at each setting, as where several axes are drawn
        diverged = {row[rate] for row in group if row["status"] == "diverged"} & numbers
        kept = numbers - diverged
        found.append(
            DivergenceEdge(
                rate,
                {axis: group[0].get(axis) for axis in others},
                max(kept, default=None),
                min(diverged, default=None),
            )
        )
    return found


def _counts(rows: Sequence[dict[str, Any]], extra: dict[str, Any]) -> dict[str, int]:
    seen = Counter(str(row.get("status")) for row in rows)
    recorded = extra.get("trials")
    total = recorded.get("total") if isinstance(recorded, dict) else None
    total = total if isinstance(total, int) else len(rows)
    counts = {status: seen.get(status, 0) for status in (*HAS_RESULT, "failed")}
    return {"total": total, **counts, "missing": max(0, total - sum(counts.values()))}
