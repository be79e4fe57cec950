"""Description of one run as plain data: all that `gdrun show` prints."""

from __future__ import annotations

import itertools
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gdrun.errors import ConfigError, RunDirectoryError
from gdrun.metric_names import higher_is_better
from gdrun.suggest import ALIASES

from . import layout
from .files import names_in, read_file, walk
from .settings import NOT_SETTINGS, ending_in, flatten

if TYPE_CHECKING:
    import numpy as np

    from .run import Run

_SOURCE_LIMIT = 1 << 20
_MOST_FILES = 10_000
_ENVIRONMENT = ("device", "precision", "compile", "threads", "command", "versions", "host", "git", "seeds", "plugins")


def describe_run(run: Run) -> dict[str, Any]:
    """Return all that is known of a run, with a JSON form. What cannot be read is None or left out, and in `problems`.

    Keys: id, name, kind, status, why, directory, started, ...; `settings` (the resolved config by path), `written`
    (which of them the user wrote; the rest are defaults); `final`, `best`, `metrics` (a summary of each column),
    `environment`, `files`; for a sweep `axes`, `trials`, `prediction`.
    """
    problems = [run.problem] if run.problem else []
    names = ("id", "name", "kind", "status", "why", "stopped_by", "directory", "description", "started", "finished")
    values: dict[str, Any] = {name: run.get(name) for name in (*names, "seconds", "steps", "epochs", "loss")}
    settings = run.settings
    values |= {"settings": settings, "written": sorted(written_settings(run, settings))}
    values |= {"final": run.final} | {name: run.value(name) or {} for name in ("best", "data")}
    values |= {"diverged": run.value("diverged"), "warnings": list(run.value("warnings") or [])}
    values |= {name: list(run.value(name) or ()) for name in ("tags", "notes", "phases")}
    values["num_parameters"] = run.value("num_parameters")
    try:
        columns = run.metrics
        values["rows"] = len(columns.get("step", ()))
        values["metrics"] = {
            name: summary for name, array in columns.items() if (summary := column_summary(name, array, columns))
        }
        if run.table.corrupt_lines or run.table.torn:
            lines = run.table.corrupt_lines
            problems.append(f"{layout.METRICS}: {len(lines)} corrupt lines" + ", a torn end" * run.table.torn)
    except RunDirectoryError as error:
        problems.append(error.message)
    values["environment"] = {name: run.value(name) for name in _ENVIRONMENT}
    values["files"] = dict(files_of(run))
    if run.is_sweep:
        values |= {name: run.value(name) for name in ("metric", "direction", "axes", "trials", "prediction")}
        if run.parts:
            # Its jobs do not write its run.json.
            ended = Counter(row["status"] for row in run.trials)
            total = values["trials"]["total"]
            values["trials"] |= ended | {"missing": total - ended.total()}
    return values | {"problems": problems}


def written_settings(run: Run, settings: Mapping[str, Any]) -> set[str]:
    """Return those of a run's settings that the user wrote, in a file or an override; the others are defaults.

    A value that stands for a whole section (`loss: mse`) counts as its kind.
    """
    from gdrun.config.document import read_document

    written: set[str] = set()
    try:
        folder = run.directory / layout.SOURCE
        sources = {
            name: read_file(folder / name, limit=_SOURCE_LIMIT)
            for name in names_in(folder)
            if name.endswith((".yaml", ".yml")) or name == "overrides.txt"
        }
    except (RunDirectoryError, FileNotFoundError):
        return written
    for name, data in sources.items():
        if name == "overrides.txt":
            keys = [line.partition("=")[0].strip() for line in data.decode("utf-8", "replace").splitlines()]
        else:
            try:
                tree = read_document(data, name).plain()
            except ConfigError:
                continue
            keys = list(flatten(tree)) if isinstance(tree, dict) else []
        for key in keys:
            written |= _meant(ALIASES.get(key, key), settings)
    return written


def _meant(key: str, settings: Mapping[str, Any]) -> set[str]:
    if key in settings:
        return {key}
    if key.partition(".")[0] in NOT_SETTINGS:
        return set()
    for shorthand in (f"{key}.kind", f"{key}.value"):
        if shorthand in settings:
            return {shorthand}
    whole = {path for path in settings if path.startswith(f"{key}.")}
    if whole or "." in key:
        return whole
    return set(ending_in(key, settings))


def column_summary(name: str, values: np.ndarray, columns: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """Return first, last, best (least, or most where more is better) with its step, of a column of real numbers.

    None for a column of anything else, and for the steps themselves.
    """
    import numpy as np

    if values.ndim != 1 or values.dtype.kind not in "iuf" or name in ("step", "epoch") or not len(values):
        return None
    known = values[~np.isnan(values)]
    finite = np.flatnonzero(np.isfinite(values))
    summary: dict[str, Any] = {"first": known[0] if len(known) else None, "last": known[-1] if len(known) else None}
    if len(finite):
        most = higher_is_better(name)
        best = finite[np.argmax(values[finite]) if most else np.argmin(values[finite])]
        best_is = "greatest" if most else "least"
        summary |= {"best": values[best], "best_is": best_is, "best_step": columns["step"][best]}
    return summary | {"count": len(known)}


def files_of(run: Run) -> Iterator[tuple[str, int]]:
    """Yield (name, bytes) of the regular files in a run directory, at most 10,000; links are not followed."""
    sizes = (
        (name, status.st_size)
        for name, status in walk(run.directory)
        if stat.S_ISREG(status.st_mode) and not name.rpartition("/")[2].startswith(layout.LOCK)
    )
    return itertools.islice(sizes, _MOST_FILES)
