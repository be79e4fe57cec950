"""The reader of run directories: what `gdrun show`, `gdrun ls`, scripts and notebooks look at.

A sweep's directory is read by the same class: it has a table of trials and their curves where a run has rows. Nothing
is read before it is asked for, and numpy is imported only for metrics and arrays: thousands of runs list fast.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.suggest import ALIASES
from gdrun.text import human_number, human_seconds, plural, safe_text

from . import layout
from .files import read_file, reading
from .lock import is_locked
from .packing import readable_root
from .run_info import RunInfo, Status, read_run_info
from .settings import config_bytes, ending_in, settings_of
from .strict_json import not_finite
from .tables import ColumnTable, RowTable
from .tail import last_row

if TYPE_CHECKING:
    import numpy as np

    from .metrics import Metrics

_FACTS = ("id", "name", "kind", "status", "why", "age", "started", "finished", "directory")
_NUMBERS = ("steps", "epochs", "seconds", "loss", "best", "best_step", "diverged_at", "num_parameters", "total_steps")
_TEXTS = ("device", "threads", "precision", "compile", "stopped_by", "description", "config_hash", "tags")

ALWAYS_KNOWN = frozenset({*_FACTS, *_NUMBERS, *_TEXTS, *ALIASES})
"""Names that `Run.get` knows for every run, even where no run has such a value."""

_TABLE_LIMIT = 1 << 30
_CELL_LIMIT = 1 << 20
_TRIAL, _STATUS = "trial", "status"
"""Columns of trials.csv: the first one, and the first one after the axes."""


class Run:
    """One run directory. What was read stays read; make a new Run to see what has changed since."""

    def __init__(self, directory: Path | str) -> None:
        """
        Args:
            directory: of the run. It is not opened yet, so a broken one can be listed; `load_run` checks it.
        """
        self.directory = directory if isinstance(directory, Path) else Path(directory)

    @property
    def id(self) -> str:
        """The directory's name, which begins with the time of its start."""
        return self.directory.name

    # --- the run info --------------------------------------------------------------------------------------------

    @cached_property
    def info(self) -> RunInfo:
        """run.json. Raises RunDirectoryError where it is missing or corrupt; `problem` is its message."""
        return read_run_info(self.directory)

    @cached_property
    def problem(self) -> str | None:
        """The reason why the run info cannot be read; None if it can."""
        try:
            _ = self.info
        except RunDirectoryError as error:
            return error.message
        return None

    @property
    def status(self) -> Status:
        """The state of the run now: LOST where it was killed, CORRUPT where its run info cannot be read."""
        if self.problem is None:
            status = Status(self.info.status)
            if status is Status.SUBMITTED and any(part.status is Status.RUNNING for part in self.parts):
                return Status.RUNNING
            return Status.LOST if status is Status.RUNNING and not is_locked(self.directory) else status
        if not (self.directory / layout.RUN_INFO).exists():
            # Claimed, and either about to write its first run info or killed before it could.
            return Status.RUNNING if is_locked(self.directory) else Status.LOST
        return Status.CORRUPT

    @property
    def is_sweep(self) -> bool:
        """True for a sweep; False for a run, and where the run info cannot be read."""
        return self.problem is None and self.info.is_sweep

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The config's settings by dotted path; from config.yaml where run.json has none; {} without either."""
        if settings := self.value("settings"):
            return settings
        try:
            return {} if self.problem else settings_of(self.directory)
        except RunDirectoryError:
            return {}

    @property
    def final(self) -> dict[str, Any]:
        """The values at the run's end by name; {} while there are none."""
        return self.value("final") or {}

    def value(self, name: str) -> Any:
        """Return the value of a key of run.json, None where there is none or the file cannot be read."""
        return self._values.get(name)

    @cached_property
    def _values(self) -> dict[str, Any]:
        return {} if self.problem else self.info.values

    def started_at(self) -> datetime | None:
        """Return when the run started, by its run info or else its id."""
        try:
            if text := self.value("started"):
                return datetime.fromisoformat(text).astimezone(UTC)
            if layout.is_run_id(self.id):
                return layout.time_of(self.id)
        except (ValueError, OverflowError):
            pass
        return None

    # --- values by name ------------------------------------------------------------------------------------------

    def names(self) -> Iterator[str]:
        """Yield the names that `get` knows for this run, for suggestions."""
        yield from ALWAYS_KNOWN
        yield from self.final
        for path in self.settings:
            yield path
            yield path.rpartition(".")[2]

    def get(self, name: str, *, now: datetime | None = None) -> Any:
        """Return the run's value of `name`, None if it has none.

        In this order: what every run has (`id`, `status`, `age` in seconds, ...); a number of its end (`steps`, `loss`,
        `best`, a metric); a setting by its path or, where one setting alone ends so, by its last word; a path in
        run.json (`versions.tensorflow`). "nan" and "inf" are numbers.

        Raises:
            UsageError: more than one setting ends in `name`.
        """
        value = self._get(name, now)
        if isinstance(value, str):
            number = not_finite(value)
            return value if number is None else number
        return None if isinstance(value, dict) else value

    def _get(self, name: str, now: datetime | None) -> Any:
        if name in _FACTS:
            return self._fact(name, now)
        if name in _NUMBERS:
            return self._number(name)
        if name in _TEXTS:
            return self.value(name)
        # The setting is meant by `learning_rate`; what a schedule made of it is `final.learning_rate`.
        if name in self.final and name != "learning_rate":
            return self.final[name]
        if (value := self.settings.get(ALIASES.get(name, name))) is not None:
            return value
        if "." not in name:
            paths = ending_in(name, self.settings)
            if len(paths) > 1:
                raise UsageError(
                    f"{name!r} is more than one setting: {', '.join(paths[:6])}", hint="give the whole path"
                )
            return self.settings[paths[0]] if paths else None
        first, *steps = name.split(".")
        value = self.value(first)
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def _fact(self, name: str, now: datetime | None) -> Any:
        if name == "id":
            return self.id
        if name == "directory":
            return str(self.directory)
        if name == "status":
            return self.status.value
        if name == "why":
            return self.problem or self.value("why")
        if name == "name":
            return self.value("name") or layout.name_in(self.id)
        if name == "age":
            started = self.started_at()
            return None if started is None else ((now or datetime.now(UTC)) - started).total_seconds()
        return self.value(name)

    def _number(self, name: str) -> Any:
        if name == "loss":
            loss = self.final.get("loss")
            return self._newest_row.get("loss") if loss is None else loss
        if name == "steps":
            # The run info of a run that goes on has the step from which it was resumed.
            return self._newest_row.get("step", self.value("steps"))
        if name in ("best", "best_step"):
            return (self.value("best") or {}).get("value" if name == "best" else "step")
        if name == "diverged_at":
            return (self.value("diverged") or {}).get("step")
        return self.value(name)

    @cached_property
    def _newest_row(self) -> dict[str, Any]:
        """The last row of a run that has not written its end: where it is now, or where it was killed."""
        return (last_row(self.directory) if self.status in (Status.RUNNING, Status.LOST) else None) or {}

    # --- other files ---------------------------------------------------------------------------------------------

    @cached_property
    def config(self) -> str:
        """The text of config.yaml: the resolved config, which `gdrun train` runs again."""
        return config_bytes(self.directory).decode("utf-8", "replace")

    @cached_property
    def table(self) -> Metrics:
        """metrics.jsonl with what is wrong in it: corrupt lines and a torn end."""
        from .metrics import read_metrics

        return read_metrics(self.directory / layout.METRICS, precision=self.value("precision") or "float64")

    @cached_property
    def metrics(self) -> ColumnTable:
        """Column -> array with an entry for each recorded row, `step` among them; nan where a row has no value."""
        return ColumnTable(self.table.columns)

    def epochs_at(self, steps: np.ndarray) -> np.ndarray | None:
        """Return the passes over the data begun at `steps`, of their shape, fractions included.

        None where the run does not say how long one is.
        """
        import numpy as np

        per_epoch = None if self.problem else self.info.extra.get("steps_per_epoch")
        if not isinstance(per_epoch, int) or per_epoch <= 0:
            return None
        epochs = steps / per_epoch
        for phase in self.info.phases[1:]:
            own = phase["epoch"] + (steps - phase["begins"]) / phase.get("steps_per_epoch", per_epoch)
            epochs = np.where(steps > phase["begins"], own, epochs)
        return epochs

    @cached_property
    def parameters(self) -> dict[str, np.ndarray]:
        """Name -> array of the final parameters. Raises RunDirectoryError where there are none (yet)."""
        return self.arrays(layout.PARAMETERS)

    @property
    def known_parameters(self) -> dict[str, np.ndarray]:
        """The final parameters; {} where there are none, or they cannot be read."""
        try:
            return self.parameters
        except RunDirectoryError:
            return {}

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
            raise _corrupt(path, str(error)) from error

    # --- sweeps --------------------------------------------------------------------------------------------------

    @cached_property
    def trials(self) -> RowTable:
        """A mapping for each trial of a sweep that is done, by number: column of trials.csv -> value.

        Numbers are int or float, lists and mappings are such; None is an empty cell. A sweep that is running has the
        trials that are done so far.

        Raises:
            RunDirectoryError: the table is damaged.
        """
        header, rows = self._trials_table
        return RowTable(dict(zip(header, map(parsed, row), strict=True)) for row in rows)

    @cached_property
    def axes(self) -> list[str]:
        """The swept keys of a sweep, as dotted paths, in the order of the table."""
        axes = self.value("axes")
        if isinstance(axes, list) and all(isinstance(axis, dict) and isinstance(axis.get("key"), str) for axis in axes):
            return [axis["key"] for axis in axes]
        header = self._trials_table[0]
        return header[1 : header.index(_STATUS)] if _STATUS in header else []

    @property
    def planned_trials(self) -> int | None:
        """The number of all trials of a sweep; None of a run, and where it is not known yet."""
        return (self.value("trials") or {}).get("total")

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """Curves of a sweep: step int64 (R,), trial int64 (T,), each recorded column (T, R); {} while there are none.

        A trial has nan where it has no row.

        Raises:
            RunDirectoryError: the file is damaged.
        """
        path = self.directory / layout.CURVES
        if not path.is_file():
            return {}
        arrays = self.arrays(layout.CURVES)
        lengths = [arrays[name].shape for name in ("trial", "step") if name in arrays]
        columns = [values for name, values in arrays.items() if name not in ("trial", "step")]
        if [len(shape) for shape in lengths] != [1, 1] or any(
            values.shape[:2] != lengths[0] + lengths[1] for values in columns
        ):
            raise _corrupt(path, "its arrays do not fit")
        return arrays

    def trial_parameters(self) -> dict[int, dict[str, np.ndarray]]:
        """Return the final parameters of a sweep's trials: number -> name -> array; {} while there are none.

        Raises:
            RunDirectoryError: the file is damaged.
        """
        if not (self.directory / layout.PARAMETERS).is_file():
            return {}
        arrays = dict(self.parameters)
        numbers = arrays.pop("trial").tolist() if "trial" in arrays else []
        by_trial: dict[int, dict[str, np.ndarray]] = {number: {} for number in numbers}
        for name, values in arrays.items():
            # Where shapes differ between trials each has an array of its own: "name@12".
            stem, separator, number = name.rpartition("@")
            if separator and number.isdigit():
                by_trial.setdefault(int(number), {})[stem] = values
            elif values.shape[:1] == (len(numbers),):
                for trial, value in zip(numbers, values, strict=True):
                    by_trial[trial][name] = value
        return by_trial

    @property
    def best_run(self) -> Run | None:
        """The run of a sweep's best trial, None while there is none."""
        directory = self.directory / layout.BEST_RUN
        return Run(directory) if (directory / layout.RUN_INFO).is_file() else None

    @property
    def parts(self) -> list[Run]:
        """The parts of a sweep that jobs have begun to train, until they are gathered."""
        return [Run(directory) for directory in layout.iterate_runs(self.directory / layout.JOBS)]

    @cached_property
    def _trials_table(self) -> tuple[list[str], list[list[str]]]:
        """The header and the rows of trials.csv, and of the parts that jobs train, as texts; nothing before there are
        any."""
        own, tables = self._read_trials(), [part._trials_table for part in self.parts if part.is_sweep]
        if not tables:
            return own
        tables = [table for table in (own, *tables) if table[0]]
        header = list(dict.fromkeys(name for names, _ in tables for name in names))
        cells = {int(row[0]): dict(zip(names, row, strict=True)) for names, rows in tables for row in rows}
        return header, [[cells[trial].get(name, "") for name in header] for trial in sorted(cells)]

    def _read_trials(self) -> tuple[list[str], list[list[str]]]:
        path = self.directory / layout.TRIALS
        try:
            text = read_file(path, limit=_TABLE_LIMIT).decode("utf-8")
        except UnicodeDecodeError as error:
            raise _corrupt(path, "it is not UTF-8") from error
        except FileNotFoundError:
            return [], []
        before = csv.field_size_limit(_CELL_LIMIT)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise _corrupt(path, str(error)) from error
        finally:
            csv.field_size_limit(before)
        if not rows or rows[0][:1] != [_TRIAL] or _STATUS not in rows[0] or len(set(rows[0])) < len(rows[0]):
            raise _corrupt(path, "it does not begin with the names of a table of trials")
        for number, row in enumerate(rows[1:], 2):
            if len(row) != len(rows[0]):
                raise _corrupt(path, f"row {number} has {len(row)} cells, not {len(rows[0])}")
        return rows[0], rows[1:]

    # --- for people ----------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Return what a line about the run says: id, status, why, steps, seconds, loss; without what is not known."""
        facts = {
            "status": self.status.value,
            "why": self.problem or self.value("why"),
            "steps": self.value("steps"),
            "seconds": self.value("seconds"),
            "loss": self.final.get("loss"),
        }
        return {"id": self.id} | {name: value for name, value in facts.items() if value is not None}

    def __repr__(self) -> str:
        facts = self.summary()
        words = [str(facts["status"])]
        if "steps" in facts:
            words.append(plural(facts["steps"], "step"))
        if isinstance(facts.get("seconds"), int | float):
            words.append(human_seconds(facts["seconds"]))
        if "loss" in facts:
            loss = facts["loss"]
            words.append(f"loss {human_number(loss, digits=6) if isinstance(loss, int | float) else safe_text(loss)}")
        return f"Run({safe_text(self.id)}: {', '.join(words)})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        from .notebook import loss_curve, run_html, sweep_curves, table_html

        facts = self.summary()
        rows = {name: facts.get(name) for name in ("status", "why", "steps")}
        if isinstance(facts.get("seconds"), int | float):
            rows["time"] = human_seconds(facts["seconds"])
        rows |= self.final
        if best := self.value("best"):
            rows["best"] = best
        try:
            curve = sweep_curves(self.curves) if self.is_sweep else loss_curve(self.metrics)
            trials = table_html(self.trials) if self.is_sweep else ""
        except RunDirectoryError:
            curve = trials = ""
        return run_html(self.id, rows | {"directory": str(self.directory)}, curve + trials)


def parsed(cell: str) -> Any:
    """Return what a cell of trials.csv says: a number, a bool, a list, a mapping, a text; None where it is empty."""
    if cell == "":
        return None
    for read in (int, float):
        try:
            # Python reads 1_000 as a number too, which nobody wrote as one.
            return cell if "_" in cell else read(cell)
        except ValueError:
            continue
    if cell[0] in "[{" or cell in ("true", "false", "null"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def _corrupt(path: Path, reason: str) -> RunDirectoryError:
    return RunDirectoryError(f"{path} is corrupt: {reason}")


def load_run(reference: Path | str, runs_root: Path | str | None = None) -> Run:
    """Return the run that `reference` means.

    Args:
        reference: a path, an id or a unique prefix of one, "latest" or "latest~1".
        runs_root: where ids are looked up, a folder or what `gdrun pack` wrote; default $GDRUN_RUNS or `runs`.
    Raises:
        UsageError: there is no such run, or more than one.
        RunDirectoryError: it is not a run directory. (A corrupt one can be loaded, and says so when it is read.)
    """
    if isinstance(reference, Path) and "/" not in str(reference):
        reference = f"./{reference}"
    return Run(layout.find_run(readable_root(runs_root), str(reference)))


Runs = Run | str | Path | Sequence[Run | str | Path]
"""One or several: `Run`s, paths, ids, the beginnings of ids, "latest"."""


def load_runs(runs: Runs, runs_root: Path | str | None = None) -> list[Run]:
    """Return the runs that are named. Raises: as `load_run`; UsageError where none is named."""
    references = [runs] if isinstance(runs, Run | str | Path) else runs
    if not references:
        raise UsageError("no run is named")
    return [run if isinstance(run, Run) else load_run(run, runs_root) for run in references]


def opened(run: Run | Path | str) -> Run:
    """Return a run that is given as such or by its directory."""
    return run if isinstance(run, Run) else Run(run)
