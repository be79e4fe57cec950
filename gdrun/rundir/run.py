"""A finished, running or broken run, for reading: what `gdrun show`, scripts and notebooks look at.

Nothing is read before it is asked for, and numpy is imported only for metrics and arrays: thousands of runs list fast.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import RunDirectoryError
from gdrun.text import human_number, human_seconds, plural, safe_text

from . import layout
from .files import read_file, reading
from .lock import is_locked
from .record import RunRecord, Status, read_record

if TYPE_CHECKING:
    import numpy as np

    from .metrics import Metrics

_CONFIG_LIMIT = 64 << 20


class Run:
    """One run directory. What was read stays read; make a new Run to see what has changed since."""

    def __init__(self, directory: Path | str) -> None:
        """
        Args:
            directory: of the run. It is not opened yet, so a broken one can be listed; `load_run` checks it.
        """
        self.directory = Path(directory)

    @property
    def id(self) -> str:
        """The directory's name, which begins with the time of its start."""
        return self.directory.name

    @cached_property
    def record(self) -> RunRecord:
        """run.json. Raises RunDirectoryError where it is missing or corrupt; `problem` tells without raising."""
        return read_record(self.directory)

    @cached_property
    def problem(self) -> str | None:
        """Why the record cannot be read; None if it can."""
        try:
            _ = self.record
        except RunDirectoryError as error:
            return error.message
        return None

    @property
    def status(self) -> Status:
        """What the run has come to, now: LOST where it was killed, CORRUPT where its record cannot be read."""
        if self.problem is None:
            status = Status(self.record.status)
            return Status.LOST if status is Status.RUNNING and not is_locked(self.directory) else status
        if not (self.directory / layout.RECORD).exists():
            # Claimed, and either about to write its first record or killed before it could.
            return Status.RUNNING if is_locked(self.directory) else Status.LOST
        return Status.CORRUPT

    @cached_property
    def config(self) -> str:
        """The text of config.yaml: the resolved config, which `gdrun train` runs again."""
        return self._read(layout.CONFIG, limit=_CONFIG_LIMIT).decode("utf-8", "replace")

    @cached_property
    def table(self) -> Metrics:
        """metrics.jsonl with what is wrong in it: corrupt lines and a torn end."""
        from .metrics import read_metrics

        precision = "float64" if self.problem else self.record.precision or "float64"
        try:
            data = self._read(layout.METRICS)
        except RunDirectoryError:
            if (self.directory / layout.METRICS).exists():
                raise
            data = b""
        return read_metrics(data, precision=precision)

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """Column -> array with an entry for each recorded row, `step` among them; nan where a row has no value."""
        return self.table.columns

    @cached_property
    def parameters(self) -> dict[str, np.ndarray]:
        """Name -> array of the final parameters. Raises RunDirectoryError where there are none (yet)."""
        return self.arrays(layout.PARAMETERS)

    @cached_property
    def best(self) -> dict[str, np.ndarray] | None:
        """Name -> array of the best parameters, None unless a metric chose some."""
        return self.arrays(layout.BEST) if (self.directory / layout.BEST).is_file() else None

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays in the .npz file `name` of the run directory.

        Raises:
            RunDirectoryError: it is missing or damaged.
        """
        from .arrays import ArraysError, read_arrays

        path = self.directory / name
        try:
            with reading(path) as file:
                return read_arrays(file)[0]
        except FileNotFoundError as error:
            raise RunDirectoryError(f"the run has no {path}") from error
        except ArraysError as error:
            raise RunDirectoryError(f"{path} is corrupt: {error}") from error

    def _read(self, name: str, *, limit: int | None = None) -> bytes:
        try:
            return read_file(self.directory / name, limit=limit)
        except FileNotFoundError as error:
            raise RunDirectoryError(f"the run has no {self.directory / name}") from error

    def summary(self) -> dict[str, Any]:
        """Return what a line about the run says: id, status, why, steps, seconds, loss; without what is not known."""
        record = RunRecord() if self.problem else self.record
        facts = {
            "status": self.status.value,
            "why": self.problem or record.why,
            "steps": record.steps,
            "seconds": record.seconds,
            "loss": record.final.get("loss"),
        }
        return {"id": self.id} | {name: value for name, value in facts.items() if value is not None}

    def __repr__(self) -> str:
        return f"Run({safe_text(self.id)}: {', '.join(self._words())})"

    def _words(self) -> list[str]:
        facts = self.summary()
        words = [str(facts["status"])]
        if "steps" in facts:
            words.append(plural(facts["steps"], "step"))
        if "seconds" in facts and isinstance(facts["seconds"], int | float):
            words.append(human_seconds(facts["seconds"]))
        if "loss" in facts:
            loss = facts["loss"]
            words.append(f"loss {human_number(loss, digits=6) if isinstance(loss, int | float) else safe_text(loss)}")
        return words

    def _repr_html_(self) -> str:
        """For notebooks."""
        from .notebook import run_html

        return run_html(self)


def load_run(reference: Path | str, runs_root: Path | str | None = None) -> Run:
    """Return the run that `reference` means.

    Args:
        reference: a path, an id or a unique prefix of one, "latest" or "latest~1".
        runs_root: where ids are looked up; default $GDRUN_RUNS or `runs`.
    Raises:
        UsageError: there is no such run, or more than one.
        RunDirectoryError: it is not a run directory. (A corrupt one can be loaded, and says so when it is read.)
    """
    if isinstance(reference, Path) and "/" not in str(reference):
        reference = f"./{reference}"
    return Run(layout.find_run(_root(runs_root), str(reference)))


def runs(
    runs_root: Path | str | None = None,
    *,
    filter: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
) -> list[Run]:
    """Return the runs below `runs_root` (default $GDRUN_RUNS or `runs`), oldest first, broken ones included.

    Args:
        filter: a condition, e.g. "lr >= 0.1 and loss < 1 and status == completed" (see `gdrun.rundir.filter`).
        sort: a name as in filters; "-loss" begins with the largest. Runs without such a value come last.
        limit: the most to return: the first ones where they are sorted, the newest where they are not.
    Raises:
        UsageError: the filter cannot be read, or names what no run has.
    """
    if filter is None and sort is None:
        found = [Run(path) for path in layout.iterate_runs(_root(runs_root))]
        return found if limit is None else found[max(len(found) - limit, 0) :]
    from .listing import entries, select

    chosen = select(entries(_root(runs_root)), filter=filter, sort=sort, limit=limit)
    return [Run(entry.directory) for entry in chosen]


def _root(runs_root: Path | str | None) -> Path:
    return layout.default_runs_root() if runs_root is None else Path(runs_root)
