"""Logs for Weights & Biases, given to a stand-in with the functions that its client documents."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.errors import ResourceError
from gdrun.rundir.run import Run
from tests.plots.fake_sweeps import write_sweep


class Logged:
    """One run of the stand-in; steps may not go back, as in the client."""

    url = None

    def __init__(self, **given: Any) -> None:
        self.given, self.summary, self.exit_code = given, {}, None
        self.dir = f"{given['dir']}/offline-run-{given['name']}/files"
        self.history: list[tuple[int, dict[str, float]]] = []

    def log(self, values: dict[str, float], step: int) -> None:
        assert not self.history or step >= self.history[-1][0]
        self.history.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> list[Logged]:
    """Put the stand-in in the client's place; return its runs."""
    logged: list[Logged] = []

    def init(**given: Any) -> Logged:
        logged.append(Logged(**given))
        return logged[-1]

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Settings=dict))
    return logged


def test_a_run_has_its_settings_rows_and_final_values(
    make_run: Callable[..., Run], store: list[Logged], tmp_path: Path
) -> None:
    steps = np.arange(30)
    run = make_run(
        {"step": steps, "loss": 0.5**steps, "accuracy": np.where(steps % 10, np.nan, 0.5)},
        settings={"optimizer.learning_rate": 0.1},
        final={"loss": 0.25},
        status="interrupted",
        description="a line",
    )
    (place,) = gdrun.export(run, "wandb", tmp_path / "out")
    assert place == str(tmp_path / "out" / f"offline-run-{run.id}")
    (logged,) = store
    assert (logged.given["mode"], logged.given["name"], logged.given["notes"]) == ("offline", run.id, "a line")
    assert logged.given["config"] == {"optimizer.learning_rate": 0.1}
    assert [(step, values["loss"]) for step, values in logged.history] == [(step, 0.5**step) for step in range(30)]
    assert [step for step, values in logged.history if "accuracy" in values] == [0, 10, 20]
    assert (logged.summary, logged.exit_code) == ({"status": "interrupted", "final/loss": 0.25}, 1)


def test_a_sweep_is_a_group_with_a_run_for_each_trial(tmp_path: Path, store: list[Logged]) -> None:
    sweep = write_sweep(tmp_path / "s", {"optimizer.learning_rate": [0.1, 0.9]})
    assert len(gdrun.export(sweep, "wandb")) == 3
    own, good, bad = store
    assert {logged.given["group"] for logged in store} == {own.given["name"]} == {sweep.id}
    assert own.given["mode"] is None  # the client's settings decide
    for trial, rate, code in ((good, 0.1, 0), (bad, 0.9, 1)):
        assert (trial.given["config"], trial.exit_code) == ({"optimizer.learning_rate": rate}, code)
        assert "loss" in trial.history[0][1]


def test_what_the_client_raises_is_an_error_with_the_mend(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**given: Any) -> None:
        raise RuntimeError("no API key")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=refuse, Settings=dict))
    with pytest.raises(ResourceError, match="no API key") as caught:
        gdrun.export(make_run({}), "wandb")
    assert "-o FOLDER" in str(caught.value.hint)


def test_without_the_client_the_extra_is_named(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ResourceError) as caught:
        gdrun.export(make_run({}), "wandb", tmp_path / "out")
    assert caught.value.hint == "pip install 'gdrun[wandb]'"
    assert not (tmp_path / "out").exists()
