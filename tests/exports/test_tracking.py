"""What is logged to MLflow, told to a stand-in with the methods that MLflow documents for its client."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.errors import ResourceError
from gdrun.rundir.run import Run
from tests.plots.fake_sweeps import write_sweep

NAME = re.compile(r"[\w\-./ ]{1,250}")
"""What MLflow takes for the name of a metric or a parameter."""


@dataclass
class Logged:
    """One run in the stand-in's store."""

    name: str
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    status: str = "RUNNING"


class Client:
    """Refuses what MLflow's server refuses."""

    store: dict[str, Logged]
    uri: str | None

    def __init__(self, tracking_uri: str | None = None) -> None:
        Client.uri, Client.store = tracking_uri, {}

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return f"experiment {name}"

    def create_run(
        self, experiment_id: str, start_time: int | None = None, tags: Any = None, run_name: str | None = None
    ) -> Any:
        assert experiment_id.startswith("experiment ")
        assert isinstance(start_time, int)
        assert all(isinstance(value, str) for value in tags.values())
        identity = f"id{len(self.store)}"
        self.store[identity] = Logged(str(run_name), dict(tags))
        return SimpleNamespace(info=SimpleNamespace(run_id=identity))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        assert len(metrics) <= 1000
        assert len(params) <= 100
        run = self.store[run_id]
        for key, value in params:
            assert NAME.fullmatch(key), key
            assert key not in run.params
            assert len(value) <= 500
            run.params[key] = value
        for key, value, at, step in metrics:
            assert NAME.fullmatch(key), key
            assert isinstance(at, int)
            run.metrics.append((key, value, at, step))

    def log_artifact(self, run_id: str, local_path: str) -> None:
        assert Path(local_path).is_file()
        self.store[run_id].artifacts.append(Path(local_path).name)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        assert status in ("FINISHED", "FAILED", "KILLED", "RUNNING")
        assert isinstance(end_time, int)
        self.store[run_id].status = status


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Logged]]:
    """Put the stand-in in MLflow's place; return what gives its runs."""
    mlflow, tracking, entities = ModuleType("mlflow"), ModuleType("mlflow.tracking"), ModuleType("mlflow.entities")
    tracking.MlflowClient = Client  # type: ignore[attr-defined]
    entities.Metric = lambda key, value, timestamp, step: (key, value, timestamp, step)  # type: ignore[attr-defined]
    entities.Param = lambda key, value: (key, value)  # type: ignore[attr-defined]
    mlflow.entities, mlflow.tracking = entities, tracking  # type: ignore[attr-defined]
    for name, module in (("mlflow", mlflow), ("mlflow.tracking", tracking), ("mlflow.entities", entities)):
        monkeypatch.setitem(sys.modules, name, module)
    return lambda: list(Client.store.values())


def test_a_run_has_its_settings_rows_and_files(
    make_run: Callable[..., Run], store: Callable[[], list[Logged]]
) -> None:  # fmt: skip
    steps = np.arange(1500)
    run = make_run(
        {"step": steps, "loss": 0.99**steps, "accuracy": np.where(steps % 10, np.nan, 0.5)},
        parameters={"a": np.ones(2)},
        settings={"optimizer.learning_rate": 0.1},
        final={"loss": 0.5},
        status="interrupted",
        description="a line",
    )
    assert gdrun.export(run, "mlflow", "http://127.0.0.1:1") == ["id0"]
    assert Client.uri == "http://127.0.0.1:1"
    (logged,) = store()
    assert (logged.name, logged.status, logged.tags["gdrun.id"]) == (run.id, "KILLED", run.id)
    assert logged.params == {"optimizer.learning_rate": "0.1"}
    losses = [(step, value) for key, value, _, step in logged.metrics if key == "loss"]
    assert losses == list(zip(steps.tolist(), (0.99**steps).tolist(), strict=True))
    assert sum(key == "accuracy" for key, *_ in logged.metrics) == 150
    assert {"config.yaml", "run.json", "parameters.npz"} <= set(logged.artifacts)


def test_a_sweep_has_a_nested_run_for_each_trial(tmp_path: Path, store: Callable[[], list[Logged]]) -> None:
    sweep = write_sweep(tmp_path / "s", {"optimizer.learning_rate": [0.1, 0.9]})
    gdrun.export(sweep, "mlflow")
    parent, good, bad = store()
    assert "mlflow.parentRunId" not in parent.tags
    for trial, rate, status in ((good, "0.1", "FINISHED"), (bad, "0.9", "FAILED")):
        assert trial.tags["mlflow.parentRunId"] == "id0"
        assert (trial.params, trial.status) == ({"optimizer.learning_rate": rate}, status)
        assert any(key == "loss" for key, *_ in trial.metrics)
        assert any(key == "final/loss" for key, *_ in trial.metrics)


def test_names_that_mlflow_refuses_are_changed(make_run: Callable[..., Run], store: Callable[[], list[Logged]]) -> None:
    columns = {"step": [0], "parameters.W": np.ones((1, 1, 2)), "../a:b": [1.0], "../a;b": [2.0], "é<b>": [3.0]}
    gdrun.export(make_run(columns), "mlflow")
    names = [key for key, *_ in store()[0].metrics]
    assert "parameters.W.0.1" in names
    assert len(set(names)) == len(names) == 5
    assert not any(name.startswith(("/", "..")) for name in names)


def test_what_mlflow_raises_is_told(
    make_run: Callable[..., Run], store: Callable[[], list[Logged]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Client, name: str) -> None:
        raise RuntimeError("no such server")

    monkeypatch.setattr(Client, "get_experiment_by_name", refuse)
    with pytest.raises(ResourceError, match="no such server"):
        gdrun.export(make_run({}), "mlflow")


def test_without_mlflow_the_extra_is_named(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ResourceError) as caught:
        gdrun.export(make_run({}), "mlflow")
    assert caught.value.hint == "pip install 'gdrun[mlflow]'"
