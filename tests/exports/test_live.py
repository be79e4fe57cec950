"""Event files that grow while a run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.exports.live import TensorBoardListener, numbers_in
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from gdrun.training.listener import Listener, Plan
from tests.rows import append_rows

from .records import histograms, scalars, session

pytest.importorskip("tensorboard")


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.calls: list[str] = []

    def planned(self, plan: Plan) -> None:
        self.calls.append("planned")

    def progress(self, progress: Any) -> None:
        self.calls.append("progress")

    def warned(self, message: str) -> None:
        self.said.append(message)

    def finished(self, run: Run) -> None:
        self.calls.append("finished")

    def close(self) -> None:
        self.calls.append("close")


def plan(store: RunStore, first_step: int = 0) -> Plan:
    return Plan("line", "", 10, 1, 1, ("a",), "cpu", "xla", "float64", store.directory, first_step)


def test_rows_are_written_as_they_come(tmp_path: Path) -> None:
    inner = Heard()
    listener = TensorBoardListener(tmp_path / "tb", inner)
    with RunStore.create(tmp_path / "runs", "line", settings={"optimizer.learning_rate": 0.5}) as store:
        folder = tmp_path / "tb" / store.directory.name
        listener.planned(plan(store))
        append_rows(store, [{"step": 0, "loss": 2.0}, {"step": 1, "loss": float("nan")}])
        listener.progress(None)  # type: ignore[arg-type]
        assert [step for step, _ in scalars(folder)["loss"]] == [0, 1]
        append_rows(store, [{"step": 2, "loss": 1.0, "parameters.c": 1 + 2j}])
        store.write_parameters({"a": np.arange(3.0)})
        store.close("completed", final={"loss": 1.0}, steps=2)
    listener.finished(Run(store.directory))
    listener.close()
    found = scalars(folder)
    assert [step for step, _ in found["loss"]] == [0, 1, 2]
    assert found["parameters.c.im"] == [(2, 2.0)]
    assert found["final/loss"] == [(2, 1.0)]
    assert set(histograms(folder)) == {"parameters/a"}
    assert session(folder) == ({"optimizer.learning_rate": 0.5}, 1)
    assert inner.calls == ["planned", "progress", "finished", "close"]


def test_a_resumed_run_adds_only_what_is_new(tmp_path: Path) -> None:
    listener = TensorBoardListener(tmp_path / "tb")
    with RunStore.create(tmp_path / "runs", "line") as store:
        append_rows(store, [{"step": 0, "loss": 2.0}])
        listener.planned(plan(store, first_step=1))
        append_rows(store, [{"step": 1, "loss": 1.0}])
        listener.progress(None)  # type: ignore[arg-type]
        store.close("completed")
    listener.close()
    assert scalars(tmp_path / "tb" / store.directory.name)["loss"] == [(1, 1.0)]


def test_a_disk_that_refuses_ends_the_event_file_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "tb").write_text("a file, not a folder")
    inner = Heard()
    listener = TensorBoardListener(tmp_path / "tb", inner)
    with RunStore.create(tmp_path / "runs", "line") as store:
        listener.planned(plan(store))
        listener.progress(None)  # type: ignore[arg-type]
        store.close("completed")
    listener.finished(Run(store.directory))
    assert len(inner.said) == 1
    assert "TensorBoard" in inner.said[0]
    assert inner.calls == ["planned", "progress", "finished"]


def test_numbers_are_found_in_whatever_a_row_has() -> None:
    row = {
        "step": 3,
        "loss": "inf",
        "W": [[1, 2], [3, 4.5]],
        "c": [{"re": 1, "im": 2}],
        "word": "none",
        "g": {"value": None, "reason": "unused"},
        "flag": True,
        "huge": 10**400,
    }
    found = numbers_in(row)
    assert found == {
        "loss": np.inf,
        "W[0,0]": 1,
        "W[0,1]": 2,
        "W[1,0]": 3,
        "W[1,1]": 4.5,
        "c[0].re": 1,
        "c[0].im": 2,
        "huge": np.inf,
    }


def test_a_run_that_is_trained_has_all_its_rows(tmp_path: Path, tensorflow: Any) -> None:
    config = tmp_path / "line.yaml"
    config.write_text(
        'data: {kind: formula, inputs: {x: "linspace(0, 1, 5)"}, target: 2 * x}\n'
        "model: {kind: formula, formula: a * x, parameters: {a: 0}}\n"
        "optimizer: {kind: sgd, learning_rate: 0.1}\nschedule: {steps: 12}\ncompile: graph\n"
    )
    run = gdrun.train(config, runs_dir=tmp_path / "runs", listener=gdrun.TensorBoardListener(tmp_path / "tb"))
    found = scalars(tmp_path / "tb" / run.id)["loss"]
    assert [step for step, _ in found] == run.metrics["step"].tolist()
    assert np.array_equal(np.array([value for _, value in found], np.float32), run.metrics["loss"].astype(np.float32))
