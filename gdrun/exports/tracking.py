"""Finished runs and sweeps in MLflow's tracking store, a server's or a folder's, by MLflow's client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gdrun.errors import ResourceError, RunDirectoryError
from gdrun.extras import require
from gdrun.rundir.run import Run
from gdrun.text import safe_text

from .exporter import exporter
from .recorded import ExportedRun, with_trials

_METRICS_A_CALL, _SETTINGS_A_CALL = 1000, 100
"""What MLflow's server takes in one request."""
_LONGEST_VALUE, _LONGEST_TAG, _LONGEST_KEY = 500, 5000, 250
_FILES = ("config.yaml", "run.json", "log.txt", "parameters.npz", "parameters.json", "trials.csv", "report.html")
_STATUS = {"completed": "FINISHED", "stopped": "FINISHED", "interrupted": "KILLED", "running": "RUNNING"}


@exporter("mlflow")
def export_mlflow(runs: Sequence[Run], output: str | None) -> list[str]:
    """Log runs to MLflow's tracking store (needs mlflow).

    A sweep is a run with one nested run a trial. The experiment is called as the run's config is. Parameters are its
    settings, metrics its rows with their steps; the small files of the run directory are its artifacts.

    Args:
        output: URI of the tracking store; None: MLflow's own settings (MLFLOW_TRACKING_URI, else ./mlruns).
    Returns:
        MLflow's ids of the runs.
    Raises:
        ResourceError: mlflow is not installed, or its store cannot be reached.
        RunDirectoryError: a run is damaged.
    """
    tracking, entities = (
        require(f"mlflow.{part}", extra="mlflow", what="MLflow's store") for part in ("tracking", "entities")
    )
    try:
        client = tracking.MlflowClient(tracking_uri=output)
        return [_Log(client, entities, run).write() for run in runs]
    except (RunDirectoryError, ResourceError):
        raise
    except Exception as error:  # MLflow's, of its store, of the network: all mean that it did not take the run
        raise ResourceError(f"MLflow refused the run: {safe_text(error, limit=500)}") from error


class _Log:
    """One run or sweep, logged to MLflow."""

    def __init__(self, client: Any, entities: Any, run: Run) -> None:
        self._client, self._entities, self._run = client, entities, run
        name = run.info.name or "gdrun"
        experiment = client.get_experiment_by_name(name)
        self._experiment = experiment.experiment_id if experiment else client.create_experiment(name)

    def write(self) -> str:
        """Log it, with the trials of a sweep, and return MLflow's id of it."""
        run, info = self._run, self._run.info
        trials = with_trials(run)
        whole = next(trials)
        tags = {"gdrun.kind": info.kind, "gdrun.why": info.why or "", "mlflow.note.content": info.description or ""}
        identity = self._log(whole, tags)
        for trial in trials:
            self._finish(self._log(trial, {"mlflow.parentRunId": identity}), trial)
        for name in _FILES:
            if (run.directory / name).is_file():
                self._client.log_artifact(identity, str(run.directory / name))
        self._finish(identity, whole)
        return identity

    def _log(self, run: ExportedRun, tags: Mapping[str, str]) -> str:
        """Begin a run of MLflow's, write settings, results and rows, and return its id."""
        tags = {"gdrun.id": run.id, "gdrun.status": run.status, **tags}
        short = {key: safe_text(value, limit=_LONGEST_TAG, lines=True) for key, value in tags.items() if value}
        made = self._client.create_run(
            self._experiment, start_time=_milliseconds(run.start), tags=short, run_name=run.name
        )
        identity = str(made.info.run_id)
        self._settings(identity, run.settings)
        named = _named({f"final/{name}": value for name, value in run.results.items()})
        self._metrics(identity, [(name, value, run.end, run.num_steps) for name, value in named.items()])
        if run.curve is not None:
            rows = replace(run.curve, columns=_named(run.curve.numeric())).rows()
            self._metrics(
                identity, [(name, value, time, step) for step, time, row in rows for name, value in row.items()]
            )
        return identity

    def _finish(self, identity: str, run: ExportedRun) -> None:
        state = _STATUS.get(run.status, "FAILED")
        self._client.set_terminated(identity, state, end_time=_milliseconds(run.end))

    def _settings(self, identity: str, settings: Mapping[str, Any]) -> None:
        make = self._entities.Param
        made = [make(name, safe_text(value, limit=_LONGEST_VALUE)) for name, value in _named(settings).items()]
        for part in _parts(made, _SETTINGS_A_CALL):
            self._client.log_batch(identity, params=part)

    def _metrics(self, identity: str, metrics: Sequence[tuple[str, float, float, int]]) -> None:
        made = [self._entities.Metric(name, value, _milliseconds(at), step) for name, value, at, step in metrics]
        for part in _parts(made, _METRICS_A_CALL):
            self._client.log_batch(identity, metrics=part)


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values under names that MLflow takes: W[0,1] is W.0.1; of equal ones the second gets a number."""
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        plain = re.sub(r"[^\w\-./ ]", ".", name.replace("[", ".").replace("]", "").replace(",", "."))
        # It is a path for some stores: no part may be empty or lead upwards.
        parts = [part for part in plain.split("/") if part.strip(". ")]
        short = "/".join(parts)[:_LONGEST_KEY] or "value"
        unique, count = short, 2
        while unique in renamed:
            unique, count = f"{short}_{count}", count + 1
        renamed[unique] = value
    return renamed


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
