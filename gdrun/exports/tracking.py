"""Finished runs and sweeps in MLflow's tracking store, a server's or a folder's, by MLflow's client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import ResourceError, RunDirectoryError
from gdrun.text import safe_text

from .flat import cell, finite_numbers, flat_columns, is_sweep, parts_of, row_times, seconds_of
from .hyperparameters import hyperparameters

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

MOST_TRIAL_ROWS = 1000
_METRICS_A_CALL, _SETTINGS_A_CALL = 1000, 100
"""What MLflow's server takes in one request."""
_LONGEST_VALUE, _LONGEST_TAG, _LONGEST_KEY = 500, 5000, 250
_FILES = ("config.yaml", "run.json", "log.txt", "parameters.npz", "parameters.json", "trials.csv", "report.html")
_STATUS = {"completed": "FINISHED", "stopped": "FINISHED", "interrupted": "KILLED", "running": "RUNNING"}
_NOT_METRICS = ("step", "epoch")
_NO_RESULT = ("trial", "status", "stopped_by", "best_step", "diverged_at", "diverged", "why")


def log_to_mlflow(runs: Sequence[Run], uri: str | None = None) -> list[str]:
    """Log runs after the fact and return MLflow's ids of them; a sweep is a run with one nested run a trial.

    The experiment is called as the run's config is. Parameters are its settings, metrics its rows with their steps;
    the small files of the run directory are its artifacts.

    Args:
        uri: of the tracking store; None: what MLflow's own settings say (MLFLOW_TRACKING_URI, else ./mlruns).
    Raises:
        ResourceError: mlflow is not installed, or its store cannot be reached.
        RunDirectoryError: a run is damaged.
    """
    try:
        from mlflow import entities
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise ResourceError("mlflow is not installed", hint="pip install 'gdrun[mlflow]'") from error
    try:
        client = MlflowClient(tracking_uri=uri)
        return [_Log(client, entities, run).write() for run in runs]
    except (RunDirectoryError, ResourceError):
        raise
    except Exception as error:  # MLflow's, of its store, of the network: all mean that it did not take the run
        raise ResourceError(f"MLflow refused the run: {safe_text(error, limit=500)}") from error


class _Log:
    """One run or sweep on its way into MLflow."""

    def __init__(self, client: Any, entities: Any, run: Run) -> None:
        self._client, self._entities, self._run = client, entities, run
        self._start = seconds_of(run.info.started) or 0.0
        self._end = seconds_of(run.info.finished) or self._start
        name = run.info.name or "gdrun"
        experiment = client.get_experiment_by_name(name)
        self._experiment = experiment.experiment_id if experiment else client.create_experiment(name)

    def write(self) -> str:
        """Log it and return MLflow's id of it."""
        run, record = self._run, self._run.info
        told = {"gdrun.id": run.id, "gdrun.status": str(run.status), "gdrun.kind": record.kind}
        told |= {"gdrun.why": record.why or "", "mlflow.note.content": record.description or ""}
        identity = self._begin(run.id, told)
        self._settings(identity, hyperparameters(run))
        self._metrics(identity, {f"final/{key}": value for key, value in finite_numbers(record.final).items()})
        if is_sweep(run):
            self._trials(run, identity)
        else:
            steps = run.table.steps
            self._rows(identity, flat_columns(run), steps, row_times(run, steps))
        for name in _FILES:
            if (run.directory / name).is_file() and not (run.directory / name).is_symlink():
                self._client.log_artifact(identity, str(run.directory / name))
        self._finish(identity, _STATUS.get(str(run.status), "FAILED"))
        return identity

    def _trials(self, sweep: Run, parent: str) -> None:
        curves = sweep.curves
        steps = curves.get("step", np.zeros(0, np.int64))
        places = {number: at for at, number in enumerate(curves["trial"].tolist())} if "trial" in curves else {}
        picked = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_TRIAL_ROWS)).astype(int))
        times = row_times(sweep, steps[picked])
        for row in sweep.trials:
            number, status = row["trial"], str(row.get("status"))
            told = {"mlflow.parentRunId": parent, "gdrun.id": f"{sweep.id}/{number}", "gdrun.status": status}
            identity = self._begin(f"trial {number}", told)
            self._settings(identity, {key: cell(row[key]) for key in sweep.axes if row.get(key) is not None})
            results = {key: value for key, value in row.items() if key not in (*_NO_RESULT, *sweep.axes)}
            self._metrics(identity, {f"final/{key}": value for key, value in finite_numbers(results).items()})
            if number in places:
                own = {key: values[places[number]] for key, values in curves.items() if key not in ("step", "trial")}
                flat = {name: part[picked] for key, values in own.items() for name, part in parts_of(key, values)}
                self._rows(identity, flat, steps[picked], times)
            self._finish(identity, _STATUS.get(status, "FAILED"))

    def _begin(self, name: str, tags: Mapping[str, str]) -> str:
        short = {key: safe_text(value, limit=_LONGEST_TAG, lines=True) for key, value in tags.items() if value}
        made = self._client.create_run(
            self._experiment, start_time=_milliseconds(self._start), tags=short, run_name=name
        )  # fmt: skip
        return str(made.info.run_id)

    def _finish(self, identity: str, status: str) -> None:
        self._client.set_terminated(identity, status, end_time=_milliseconds(self._end))

    def _settings(self, identity: str, settings: Mapping[str, Any]) -> None:
        make = self._entities.Param
        made = [make(name, safe_text(value, limit=_LONGEST_VALUE)) for name, value in _named(settings).items()]
        for part in _parts(made, _SETTINGS_A_CALL):
            self._client.log_batch(identity, params=part)

    def _metrics(self, identity: str, values: Mapping[str, float]) -> None:
        make, step, at = self._entities.Metric, self._run.info.steps or 0, _milliseconds(self._end)
        made = [make(name, value, at, step) for name, value in _named(values).items()]
        for part in _parts(made, _METRICS_A_CALL):
            self._client.log_batch(identity, metrics=part)

    def _rows(self, identity: str, columns: Mapping[str, np.ndarray], steps: np.ndarray, times: np.ndarray) -> None:
        make: Callable[..., Any] = self._entities.Metric
        made: list[Any] = []
        for name, values in _named(columns).items():
            if name in _NOT_METRICS or values.dtype.kind not in "iuf":
                continue
            for value, step, at in zip(values.tolist(), steps.tolist(), times.tolist(), strict=True):
                if value == value:
                    made.append(make(name, value, _milliseconds(at), step))
        for part in _parts(made, _METRICS_A_CALL):
            self._client.log_batch(identity, metrics=part)


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same under names that MLflow takes: W[0,1] is W.0.1; of two that become the same one gets a number."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        plain = re.sub(r"[^\w\-./ ]", ".", name.replace("[", ".").replace("]", "").replace(",", "."))
        # It is a path for some stores: no part may be empty or lead upwards.
        parts = [part for part in plain.split("/") if part.strip(". ")]
        short = "/".join(parts)[:_LONGEST_KEY] or "value"
        unique, count = short, 2
        while unique in found:
            unique, count = f"{short}_{count}", count + 1
        found[unique] = value
    return found


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
