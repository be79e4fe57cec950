"""Runs beside each other: which settings and results differ, and where two losses part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import UsageError
from gdrun.metric_names import higher_is_better
from gdrun.text import safe_text

from .run import Run, opened
from .seeds import SEED, Band, Member, members_of, seed_groups, spread, without_seed
from .settings import differing, flatten, read_config

if TYPE_CHECKING:
    import numpy as np

_FACTS = ("status", "steps", "epochs", "seconds", "seeds", "diverged")
_NOT_JUDGED = frozenset({"gradient_norm", "learning_rate"})
_ENVIRONMENT = ("versions", "device", "precision", "compile", "threads", "plugins", "data")
"""Keys of run.json that can change the digits of a run, beside its settings."""


def compare(runs: Sequence[Run | str | Path], *, over: str | None = None, band: Band = "quartiles") -> dict[str, Any]:
    """Return the runs' results and those of their settings that differ, side by side.

    Args:
        runs: `Run`s or directories.
        over: "seed" sums up runs, and trials of sweeps, that differ in the seed alone.
        band: of these, "quartiles" (the median and the middle half) or "deviation" (mean and standard deviation).
    Returns:
        {"runs": [id, ...], "directories", "results": [...], "settings": [...]}. Each result is {"name", "values": one a
        run, None where it has none, "best": the number of the best run or None}: status, steps, epochs, seconds, the
        best value that a metric chose, every final value, and the final parameters of few numbers, of a sweep those of
        its best trial. Each setting is {"name": its path, "values": [...]}.
        With `over`, an entry is a group: "runs" has the id of its first member, "members" all of them, `results` begins
        with "seeds" and "diverged", and each other result has "low" and "high" beside its "values".
    Raises:
        UsageError: `over` is not "seed".
    """
    loaded = [opened(run) for run in runs]
    if over is not None:
        return _compare_over(loaded, over, band)
    finals = dict.fromkeys(f"final.{name}" for run in loaded for name in run.final)
    results = [
        _result(name.removeprefix("final."), [run.get(name) for run in loaded])
        for name in (*_FACTS[:4], *finals, "best")
    ]
    metrics = {best["metric"] for run in loaded if (best := run.value("best")) and "metric" in best}
    if len(metrics) == 1:
        results[-1] = _result(f"best {metrics.pop()}", results[-1]["values"])
    parameters = [_parameters(run) for run in loaded]
    names = dict.fromkeys(name for numbers in parameters for name in numbers)
    results += [{"name": name, "values": [of.get(name) for of in parameters], "best": None} for name in names]
    settings = [run.settings for run in loaded]
    return {
        "runs": [run.id for run in loaded],
        "directories": [str(run.directory) for run in loaded],
        "results": [row for row in results if any(value is not None for value in row["values"])],
        "settings": [{"name": path, "values": [each.get(path) for each in settings]} for path in differing(settings)],
    }


def _parameters(run: Run) -> dict[str, Any]:
    """Return the numbers of a run's small final parameters, of a sweep those of its best trial."""
    from .column_parts import parameter_parts

    source = run.best_run if run.is_sweep else run
    arrays = {} if source is None else source.known_parameters
    return {name: column[0] for name, column in parameter_parts({name: a[None] for name, a in arrays.items()})}


def _compare_over(runs: Sequence[Run], over: str, band: Band) -> dict[str, Any]:
    if over != SEED:
        raise UsageError(
            f"runs are summed up over the seed alone, not over '{safe_text(over, limit=60)}'",
            hint='over="seed", --over seed',
        )
    members = [member for run in runs for member in members_of(run)]
    groups = [[members[place] for place in places] for places in seed_groups([each.settings for each in members])]
    results = [
        _result("seeds", [len(group) for group in groups]),
        _result("diverged", [sum(member.diverged for member in group) for group in groups]),
    ]
    for name in dict.fromkeys(name for member in members for name in member.results):
        parts = [_summed_up(name, group, band) for group in groups]
        if any(part is not None for part in parts):
            middle, low, high = ([None if part is None else part[place] for part in parts] for place in range(3))
            results.append(_result(name, middle) | {"low": low, "high": high})
    settings = [without_seed(group[0].settings) for group in groups]
    return {
        "runs": [group[0].id for group in groups],
        "members": [[member.id for member in group] for group in groups],
        "results": results,
        "settings": [{"name": path, "values": [each.get(path) for each in settings]} for path in differing(settings)],
    }


def _summed_up(name: str, group: Sequence[Member], band: Band) -> tuple[float, float, float] | None:
    """Return the middle of a result over seeds, and its band; None where a member that did not diverge has none."""
    import numpy as np

    worst = -math.inf if higher_is_better(name.removeprefix("best_")) else math.inf
    values = [worst if member.diverged and _is_judged(name) else member.results.get(name) for member in group]
    if not all(isinstance(value, int | float) for value in values):
        return None
    middle, low, high = spread(np.array(values, np.float64), band, worst=worst)
    return float(middle), float(low), float(high)


def _result(name: str, values: list[Any]) -> dict[str, Any]:
    return {"name": name, "values": values, "best": _best(name, values)}


def _is_judged(name: str) -> bool:
    """Return whether one value of it is better than another."""
    return name not in _FACTS and name not in _NOT_JUDGED and not name.endswith("step") and "parameters." not in name


def _best(name: str, values: list[Any]) -> int | None:
    """Return the number of the run whose value is better than each other's; None where there is no such run."""
    metric = name.removeprefix("best ").removeprefix("best_")
    numbers = {
        index: value for index, value in enumerate(values) if isinstance(value, int | float) and math.isfinite(value)
    }
    if not _is_judged(metric) or len(numbers) < 2:
        return None
    best = max(numbers.values()) if higher_is_better(metric) else min(numbers.values())
    winners = [index for index, value in numbers.items() if value == best]
    return winners[0] if len(winners) == 1 else None


def diff(a: Run | str | Path, b: Run | str | Path) -> dict[str, Any]:
    """Return in what two runs differ.

    Returns:
        {"runs": [id, id], "directories", "settings": [{"name", "a", "b"}], "environment": [...], "losses": {...}}; a
        value that one run has not is None. `losses` is as `parting` returns it.
    Raises:
        RunDirectoryError: a run has no config, or its files are damaged.
    """
    first, second = opened(a), opened(b)
    configs = [flatten(read_config(run.directory), most=None) for run in (first, second)]
    environments = [_environment(run) for run in (first, second)]
    return {
        "runs": [first.id, second.id],
        "directories": [str(first.directory), str(second.directory)],
        "settings": _pairs(*configs),
        "environment": _pairs(*environments),
        "losses": parting(first.metrics, second.metrics),
    }


def _environment(run: Run) -> dict[str, Any]:
    info = run.info
    host, git = info.host, info.git or {}
    values = {"processor": host.get("processor"), "machine": host.get("name")}
    values |= {f"git.{name}": git.get(name) for name in ("commit", "dirty")}
    return flatten({name: getattr(info, name) for name in _ENVIRONMENT} | values, most=None)


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

    difference: dict[str, Any] = {"column": column, "rows": 0, "same": None, "first": None, "greatest": None}
    if column not in a or column not in b:
        return difference
    steps, at_a, at_b = np.intersect1d(a["step"], b["step"], return_indices=True)
    x, y = a[column][at_a], b[column][at_b]
    apart = np.flatnonzero((x != y) & ~(np.isnan(x) & np.isnan(y)))
    difference |= {"rows": len(steps), "same": not len(apart) if len(steps) else None}
    if len(apart):
        with np.errstate(invalid="ignore", over="ignore"):
            distances = np.abs(x[apart].astype(np.float64) - y[apart].astype(np.float64))
        worst = apart[np.argmax(np.where(np.isnan(distances), np.inf, distances))]
        difference |= {"first": _place(steps, x, y, apart[0]), "greatest": _place(steps, x, y, worst)}
    return difference


def _place(steps: np.ndarray, x: np.ndarray, y: np.ndarray, index: int) -> dict[str, Any]:
    a, b = float(x[index]), float(y[index])
    distance = abs(a - b)
    scale = max(abs(a), abs(b))
    relative = distance / scale if scale and math.isfinite(scale) else None
    return {"step": int(steps[index]), "a": x[index], "b": y[index], "absolute": distance, "relative": relative}
