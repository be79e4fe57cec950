"""Runs and trials that differ in the seed alone, summed up: a middle, a band around it, how many diverged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from gdrun.errors import UsageError
from gdrun.suggest import did_you_mean
from gdrun.text import safe_text

from .run import Run
from .run_info import Status

if TYPE_CHECKING:
    import numpy as np

SEED = "seed"
FEWEST_SEEDS = 3
"""Curves of fewer seeds are drawn one by one: a band between two is no more than the two."""

Band = Literal["quartiles", "deviation"]
SAID: dict[Band, tuple[str, str]] = {
    "quartiles": ("the median", "the middle half"),
    "deviation": ("the mean of those that did not diverge", "one standard deviation"),
}
"""Band -> words for its middle and for what lies between low and high."""


def checked_band(name: str, *others: str) -> Band:
    """Return `name` as a band. Raises UsageError where it is none; its hint has the names of `others` too."""
    bands: tuple[Band, ...] = get_args(Band)
    if name not in bands:
        hint = did_you_mean(name, [*bands, *others], allowed="one of")
        raise UsageError(f"there is no band '{safe_text(name, limit=60)}'", hint=safe_text(hint))
    return bands[bands.index(name)]  # type: ignore[arg-type]


def is_seed(path: str) -> bool:
    """Return whether a setting is a seed: its values stand for chance, not for a choice."""
    return SEED in path.split(".")[-2:]


class Spread(NamedTuple):
    """Summary over seeds, each (...)."""

    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray


def spread(values: np.ndarray, band: Band = "quartiles", *, worst: float = float("inf")) -> Spread:
    """Return the summary of values (n, ...) over n seeds.

    Quartiles are values themselves, not means of two, since one of them may be infinite. The standard deviation is that
    of a sample, with n - 1.

    Args:
        band: "quartiles": the median and the quartiles, in which what is not finite is `worst`. "deviation": mean and
            standard deviation of what is finite.
    """
    import numpy as np

    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    if band == "quartiles":
        whole = np.where(finite, values, worst)
        # As the halves of a sum: the mean of inf and inf is inf, and two huge numbers do not overflow.
        middle = sum(np.quantile(whole, 0.5, axis=0, method=method) / 2 for method in ("lower", "higher"))
        low, high = np.quantile(whole, (0.25, 0.75), axis=0, method="nearest")
        return Spread(np.asarray(middle), low, high)
    count = finite.sum(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.where(finite, values, 0.0).sum(axis=0) / np.maximum(count, 1)
        squares = np.where(finite, values - mean, 0.0) ** 2
        deviation = np.sqrt(squares.sum(axis=0) / np.maximum(count - 1, 1))
    middle = np.where(count > 0, mean, worst)
    return Spread(middle, middle - deviation, middle + deviation)


@dataclass(frozen=True)
class Member:
    """A run, or a trial of a sweep, among others that differ in the seed."""

    id: str
    settings: Mapping[str, Any]
    results: Mapping[str, Any]
    """Final values, steps, seconds by name."""
    diverged: bool


def members_of(run: Run) -> list[Member]:
    """Return the run, or a sweep's trials that have a result.

    Raises:
        RunDirectoryError: a sweep's table is damaged.
    """
    if not run.is_sweep:
        facts = {name: run.get(name) for name in ("steps", "epochs", "seconds")} | run.final
        return [Member(run.id, run.settings, facts, run.status is Status.DIVERGED)]
    known = {"trial", "status", "stopped_by", "diverged", "diverged_at", "why", *run.axes}
    return [
        Member(
            f"{run.id}:{row['trial']}",
            {**run.settings, **{key: row[key] for key in run.axes if key in row}},
            {name: value for name, value in row.items() if name not in known and isinstance(value, int | float)},
            row["status"] == "diverged",
        )
        for row in run.trials
        if row["status"] != "failed"
    ]


def without_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are no seeds."""
    return {path: value for path, value in settings.items() if not is_seed(path)}


def seed_groups(settings: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Return the places of settings that differ in their seeds alone, together; of equal ones the last counts.

    What has no settings, since its config cannot be read, is a group of its own.
    """
    groups: dict[str, dict[str, int]] = {}
    for place, each in enumerate(settings):
        kept = without_seed(each)
        key = json.dumps(kept, sort_keys=True, default=str) if each else f"#{place}"
        seeds = {path: value for path, value in each.items() if path not in kept}
        groups.setdefault(key, {})[json.dumps(seeds, sort_keys=True, default=str)] = place
    return [list(places.values()) for places in groups.values()]
