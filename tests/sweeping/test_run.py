"""A sweep from its config to its directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.errors import ConfigError, UsageError
from gdrun.rundir.run import Run
from gdrun.sweeping.run import resume, sweep
from gdrun.training.listener import Listener, Plan, Progress

pytestmark = pytest.mark.usefixtures("tensorflow")

VALLEY = """
name: valley
precision: float64
compile: graph
model: {kind: formula, formula: (x**2 + 10 * y**2) / 2, parameters: {x: 1, y: 1}}
optimizer: {kind: sgd, learning_rate: 0.1, momentum: 0}
schedule: {steps: 50}
"""
RATES = (0.01, 0.1, 0.15, 1e5, 3e9)


class Notes(Listener):
    """Notes each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def planned(self, plan: Plan) -> None:
        self.calls.append(("planned", plan.num_trials))

    def progress(self, progress: Progress) -> None:
        self.calls.append(("progress", (progress.trials_done, progress.diverged)))

    def finished(self, run: Run) -> None:
        self.calls.append(("finished", run.directory))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tensorflow: Any) -> tuple[Run, Notes]:
    """A sweep of rates, one program, and momentums, another one."""
    notes = Notes()
    root = tmp_path_factory.mktemp("runs")
    arguments = {"lr": list(RATES), "optimizer.momentum": [0, 0.5]}
    return sweep(VALLEY.encode(), arguments, runs_dir=root, listener=notes, command=["test"]), notes


def descend(rate: float, momentum: float) -> tuple[np.ndarray, np.ndarray]:
    """The path of heavy ball by numpy, (steps + 1, 2), and its losses."""
    curvature, position, velocity = np.array([1.0, 10.0]), np.ones(2), np.zeros(2)
    path = [position]
    for _ in range(50):
        velocity = momentum * velocity - rate * curvature * position
        position = position + velocity
        path.append(position)
    return np.array(path), np.array([(curvature * point**2).sum() / 2 for point in path])


def test_the_table_has_a_row_for_each_trial_with_numpys_numbers(finished):
    run, _ = finished
    assert [row["trial"] for row in run.trials] == list(range(10))
    for row in run.trials:
        rate, momentum = row["optimizer.learning_rate"], row["optimizer.momentum"]
        with np.errstate(all="ignore"):
            path, losses = descend(rate, momentum)
        if rate > 1:
            assert row["status"] == "diverged"
            assert row["diverged_at"] in (int(np.argmin(np.isfinite(losses))), int(np.argmin(np.isfinite(path[:, 1]))))
            continue
        assert row["status"] == "completed"
        assert row["steps"] == 50
        assert row["loss"] == pytest.approx(losses[-1], rel=1e-9)
        assert row["best_loss"] == pytest.approx(losses.min(), rel=1e-9)
        assert row["best_step"] == int(losses.argmin())
        assert [row["parameters.x"], row["parameters.y"]] == pytest.approx(path[-1], rel=1e-9)


def test_curves_and_parameters_are_those_of_the_table(finished):
    run, _ = finished
    assert run.curves["trial"].tolist() == list(range(10))
    assert run.curves["step"].tolist() == list(range(51))
    np.testing.assert_allclose(run.curves["loss"][2], descend(0.1, 0)[1], rtol=1e-9)
    np.testing.assert_allclose(run.parameters["y"][3], descend(0.1, 0.5)[0][-1, 1], rtol=1e-9)
    assert np.isfinite(run.parameters["x"]).all()
    assert np.isnan(run.curves["loss"][-1][-1])


def test_the_record_says_what_came_out(finished):
    run, notes = finished
    record = run.info
    losses = {row["trial"]: row["loss"] for row in run.trials if row["status"] == "completed"}
    best = min(losses, key=losses.__getitem__)
    assert (record.kind, record.status) == ("sweep", "completed")
    assert record.best["trial"] == best
    assert record.extra["trials"] == {
        "total": 10, "completed": 6, "stopped": 0, "diverged": 4, "failed": 0, "missing": 0
    }  # fmt: skip
    # 2 / 10, by the Hessian of the valley.
    assert record.extra["prediction"]["limit"] == pytest.approx(0.2, rel=1e-9)
    assert notes.calls[0] == ("planned", 10)
    assert ("progress", (10, 4)) in notes.calls
    assert notes.calls[-1] == ("finished", run.directory)
    assert not (run.directory / "parts").exists() or not list((run.directory / "parts").iterdir())


def test_the_best_trial_is_a_run_that_trains_again_to_the_same_numbers(finished, tmp_path):
    run, _ = finished
    best = run.best_run
    assert best is not None
    trial = run.info.best["trial"]
    assert best.info.name == "valley"
    assert best.info.final["loss"] == pytest.approx(run.trials[trial]["loss"], rel=1e-12)
    np.testing.assert_array_equal(best.metrics["loss"], run.curves["loss"][trial])
    again = gdrun.train(best.directory, runs_dir=tmp_path)
    np.testing.assert_allclose(again.metrics["loss"], best.metrics["loss"], rtol=1e-9)
    assert again.parameters["x"] == pytest.approx(best.parameters["x"], rel=1e-9)


def test_directories_of_sweeps_and_of_their_best_verify(finished):
    run, _ = finished
    for directory in (run.directory, run.directory / "best"):
        verdict = gdrun.verify(directory)
        assert verdict.ok, verdict.problems


def test_a_finished_sweep_is_not_resumed(finished):
    with pytest.raises(UsageError, match="has its result"):
        resume(finished[0].directory)


def test_the_same_sweep_gives_the_same_bytes(finished, tmp_path):
    run, _ = finished
    again = sweep(run.directory, runs_dir=tmp_path, command=["test"])
    for name in ("trials.csv", "curves.npz", "parameters.npz", "config.yaml"):
        assert (again.directory / name).read_bytes() == (run.directory / name).read_bytes(), name


def test_a_sweep_whose_first_trial_cannot_be_built_leaves_no_trace(tmp_path):
    text = VALLEY.replace("x: 1,", "x: {init: glorot_uniform, shape: [2, 2]},")
    with pytest.raises(ConfigError):
        sweep(text.encode(), {"lr": [0.1, 0.2]}, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_trial_that_cannot_be_built_fails_alone_and_runs_again_on_resume(tmp_path, monkeypatch):
    """The file of the third one is gone between the look before the sweep, left out here, and the trial."""
    monkeypatch.setattr("gdrun.sweeping.run._check_groups", lambda *arguments: None)
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", x=np.arange(6.0), y=2 * np.arange(6.0))
    path = tmp_path / "short.yaml"
    path.write_text("""
compile: graph
data: {kind: npz, path: a.npz, inputs: [x], target: y}
model: {kind: formula, formula: a * x, parameters: {a: 0}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 10}
""")
    run = sweep(path, {"data.path": ["a.npz", "b.npz", "c.npz"]}, runs_dir=tmp_path / "runs")
    assert [row["status"] for row in run.trials] == ["completed", "completed", "failed"]
    assert "c.npz" in run.trials[2]["why"]
    before = (run.directory / "trials.csv").read_text().splitlines()
    np.savez(tmp_path / "c.npz", x=np.arange(9.0), y=2 * np.arange(9.0))
    again = resume(run.directory, failed=True)
    after = (run.directory / "trials.csv").read_text().splitlines()
    assert [row["status"] for row in again.trials] == ["completed"] * 3
    assert after[1:3] == before[1:3]


def test_what_only_data_show_is_told_of_every_program_before_anything_runs(tmp_path):
    text = VALLEY.replace(
        "model: {kind: formula, formula: (x**2 + 10 * y**2) / 2, parameters: {x: 1, y: 1}}",
        """
data: {kind: formula, inputs: {t: "linspace(0, 1, 12)"}, target: 2 * t}
model: {kind: formula, formula: x * t, parameters: {x: 1}}""",
    )
    with pytest.raises(ConfigError, match="trial 2: batch_size 500 is larger"):
        sweep(text.encode(), {"batch_size": [4, 6, 500], "schedule.order": ["sampled"]}, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_run_json_is_strict(finished):
    run, _ = finished
    text = (Path(run.directory) / "run.json").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["kind"] == "sweep"
