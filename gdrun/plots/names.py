"""Short names of runs, settings and values for legends: runs are named by the settings in which they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gdrun.rundir import settings as run_settings
from gdrun.rundir.run import Run
from gdrun.rundir.seeds import without_seed
from gdrun.text import plural

from .scales import number_text

MOST = 3
"""More settings than these are not named in a legend."""

_LONGEST = 30


def name_of(run: Run) -> str:
    """Return a run's name; its id where it has none, or its record cannot be read."""
    return run.id if run.problem else run.info.name or run.id


def title_of(run: Run, subject: str) -> str:
    """Return the title of a picture of a run or a sweep."""
    return f"{name_of(run)}: {subject}"


def heading_of(runs: Sequence[Run], subject: str) -> tuple[str, str]:
    """Return the title and the subtitle of a picture of several runs."""
    count = plural(len(runs), "run")
    if len({"" if run.problem else run.info.name for run in runs}) == 1:
        return title_of(runs[0], subject), count
    return f"{subject} of {count}", ""


def run_labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Return a label for each run, or group of runs that differ in the seed alone: "lr 0.1", or its name, or its id.

    All are different. Runs whose configs cannot be read, differ in nothing, or in too much, are called by their names.
    """
    runs = [group[0] for group in groups]
    if len(runs) < 2:
        return [""] * len(runs)
    names = [name_of(run) for run in runs]
    by_settings = _by_settings(
        [group[0].settings if len(group) == 1 else without_seed(group[0].settings) for group in groups]
    )
    labels = [text or name for text, name in zip(by_settings, names, strict=True)] if by_settings else names
    return [
        f"{text} ({run.id[-4:]})" if labels.count(text) > 1 else text for text, run in zip(labels, runs, strict=True)
    ]


def _by_settings(settings: list[Mapping[str, Any]]) -> list[str] | None:
    if not all(settings):
        return None
    paths = run_settings.differing(settings)
    # A setting that only some kinds have says no more than the kind does, unless two of that kind differ in it.
    num_values = {path: len({repr(each[path]) for each in settings if path in each}) for path in paths}
    paths = [path for path in paths if num_values[path] > 1] or paths
    if not paths or len(paths) > MOST:
        return None
    short = axis_labels(paths, [path for each in settings for path in each])
    return [", ".join(f"{short[path]} {value_text(each[path])}" for path in paths if path in each) for each in settings]


def axis_labels(paths: Sequence[str], known: Sequence[str] = ()) -> dict[str, str]:
    """Return path -> its name in a legend: lr, momentum, optimizer (for optimizer.kind)."""
    short = run_settings.labels(paths, known or paths)
    kinds = [path for path in paths if path.endswith(".kind")]
    return short | {path: path.removesuffix(".kind") for path in kinds}


def value_text(value: Any) -> str:
    """Return a setting's value in few characters."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, Mapping) and isinstance(value.get("kind"), str):
        others = ", ".join(f"{key} {value_text(item)}" for key, item in value.items() if key != "kind")
        text = f"{value['kind']} ({others})" if others else value["kind"]
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
