"""Event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gdrun
from gdrun.errors import ResourceError, UsageError
from gdrun.rundir.arrays import write_arrays
from gdrun.rundir.run import Run
from tests.plots.fake_sweeps import descend, write_sweep

from .records import events, histograms, scalars, session

SETTINGS = {"optimizer.kind": "sgd", "optimizer.learning_rate": 0.1, "optimizer.nesterov": False, "data.kind": "csv"}


@pytest.fixture
def run(make_run: Callable[..., Run]) -> Run:
    return make_run(
        {"step": [0, 1, 2], "loss": [4.0, 2.0, 1.0], "accuracy": [0.5, np.nan, 1.0], "parameters.W": np.eye(3, 2)},
        parameters={"W": np.arange(10.0), "c": np.array([1 + 2j, 3 + 4j])},
        final={"loss": 1.0, "word": "none"},
        settings=SETTINGS,
        seconds=10.0,
    )


def test_curves_have_their_steps_and_values(run: Run, tmp_path: Path) -> None:
    (folder,) = gdrun.export(run, "tensorboard", tmp_path / "tb")
    assert Path(folder) == tmp_path / "tb" / run.id
    found = scalars(Path(folder))
    assert found["loss"] == [(0, 4.0), (1, 2.0), (2, 1.0)]
    assert found["accuracy"] == [(0, 0.5), (2, 1.0)]
    assert found["parameters.W[1]"] == [(0, 0.0), (1, 1.0), (2, 0.0)]
    assert found["final/loss"] == [(2, 1.0)]


def test_times_go_from_the_start_to_the_end(run: Run, tmp_path: Path) -> None:
    (folder,) = gdrun.export(run, "tensorboard", tmp_path)
    times = [event.wall_time for event in events(Path(folder)) for value in event.summary.value if value.tag == "loss"]
    assert np.allclose(np.diff(times), 5.0)


def test_histograms_count_every_number(run: Run, tmp_path: Path) -> None:
    (folder,) = gdrun.export(run, "tensorboard", tmp_path)
    found = histograms(Path(folder))
    assert set(found) == {"parameters/W", "parameters/c.re", "parameters/c.im"}
    assert found["parameters/W"][:, 2].sum() == 10
    assert (found["parameters/W"][0, 0], found["parameters/W"][-1, 1]) == (0, 9)


def test_hyperparameters_are_those_of_the_optimizer_and_those_written(run: Run, tmp_path: Path) -> None:
    (folder,) = gdrun.export(run, "tensorboard", tmp_path)
    settings, status = session(Path(folder))
    assert settings == {name: value for name, value in SETTINGS.items() if name != "data.kind"}
    assert status == 1  # STATUS_SUCCESS


def test_a_sweep_is_a_session_for_each_trial(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", {"optimizer.learning_rate": [0.1, 0.2, 0.9]})
    with (sweep.directory / "parameters.npz").open("wb") as file:
        write_arrays(file, {"trial": np.arange(3), "w": np.arange(6.0).reshape(3, 2), "v@1": np.ones(4)})
    gdrun.export(sweep, "tensorboard", tmp_path / "tb")
    for number, rate in enumerate([0.1, 0.2, 0.9]):
        folder = tmp_path / "tb" / "s" / str(number)
        settings, status = session(folder)
        assert settings == {"optimizer.learning_rate": rate}
        assert status == (2 if rate > 0.5 else 1)
        curve = descend(rate).curve
        found = np.array([value for _, value in scalars(folder)["loss"]])
        assert np.array_equal(found, curve[np.isfinite(curve)].astype(np.float32))
        assert set(histograms(folder)) == {"parameters/w"} | ({"parameters/v"} if number == 1 else set())


def test_nothing_is_replaced(run: Run, tmp_path: Path) -> None:
    gdrun.export(run, "tensorboard", tmp_path)
    with pytest.raises(UsageError, match="exists"):
        gdrun.export(run, "tensorboard", tmp_path)


def test_tensorflow_is_not_started(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    code = (
        f"import sys, gdrun; gdrun.export({str(run.directory)!r}, 'tensorboard', {str(tmp_path / 'tb')!r});"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "False"


def test_without_tensorboard_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    for act in (lambda: gdrun.export(run, "tensorboard", tmp_path), lambda: gdrun.TensorBoardListener(tmp_path)):
        with pytest.raises(ResourceError) as caught:
            act()
        assert caught.value.hint == "pip install 'gdrun[tensorboard]'"
    assert list(tmp_path.glob("*events*")) == []
