"""Reading sweeps: whole, begun, damaged and hostile ones."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir.arrays import write_arrays
from gdrun.rundir.run import Run, parsed
from gdrun.rundir.run_info import RunInfo

HEADER = "trial,optimizer.learning_rate,model.hidden,status,steps,loss,diverged_at,why\n"


@pytest.fixture
def sweep(tmp_path: Path) -> Run:
    directory = tmp_path / "s"
    directory.mkdir()
    table = HEADER + '0,0.1,"[4, 4]",completed,10,0.25,,\n1,1e3,"[8]",diverged,3,inf,3,"a ""word"",\nand more"\n'
    (directory / "trials.csv").write_text(table)
    axes = [{"key": "optimizer.learning_rate", "values": None}, {"key": "model.hidden", "values": None}]
    (directory / "run.json").write_text(RunInfo(kind="sweep", status="completed", axes=axes).to_text())
    with (directory / "curves.npz").open("wb") as file:
        write_arrays(file, {"step": np.arange(3), "trial": np.arange(2), "loss": np.ones((2, 3))})
    return Run(directory)


def test_cells_are_what_they_say(sweep):
    assert sweep.trials == [
        {"trial": 0, "optimizer.learning_rate": 0.1, "model.hidden": [4, 4], "status": "completed", "steps": 10,
         "loss": 0.25, "diverged_at": None, "why": None},
        {"trial": 1, "optimizer.learning_rate": 1000.0, "model.hidden": [8], "status": "diverged", "steps": 3,
         "loss": math.inf, "diverged_at": 3, "why": 'a "word",\nand more'},
    ]  # fmt: skip
    assert sweep.axes == ["optimizer.learning_rate", "model.hidden"]
    assert sweep.curves["loss"].shape == (2, 3)
    assert sweep.best_run is None


@pytest.mark.parametrize(
    ("cell", "value"),
    [("", None), ("3", 3), ("-0.5", -0.5), ("1e-3", 1e-3), ("inf", math.inf), ("sgd", "sgd"), ("1_000", "1_000"),
     ('{"kind": "adam"}', {"kind": "adam"}), ("[broken", "[broken"), ("true", True), ("[" * 5000, "[" * 5000)],
)  # fmt: skip
def test_a_cell(cell, value):
    assert parsed(cell) == value


def test_without_a_record_the_axes_are_those_of_the_table(sweep):
    (sweep.directory / "run.json").unlink()
    assert Run(sweep.directory).axes == ["optimizer.learning_rate", "model.hidden"]


def test_a_sweep_that_has_just_begun_has_no_trials(sweep):
    for name in ("trials.csv", "curves.npz"):
        (sweep.directory / name).unlink()
    begun = Run(sweep.directory)
    assert begun.trials == []
    assert begun.curves == {}


@pytest.mark.parametrize(
    "table",
    [b"", b"nonsense\n1\n", b"trial,status\n0\n", b"trial,status,status\n0,a,b\n", b"trial,status\n0,\xff\n",
     b'trial,status\n0,"open\n'],
)  # fmt: skip
def test_a_damaged_table_is_told(sweep, table):
    (sweep.directory / "trials.csv").write_bytes(table)
    with pytest.raises(RunDirectoryError, match=r"trials\.csv is corrupt"):
        _ = Run(sweep.directory).trials


def test_curves_that_do_not_fit_are_told(sweep):
    with (sweep.directory / "curves.npz").open("wb") as file:
        write_arrays(file, {"step": np.arange(3), "trial": np.arange(2), "loss": np.ones((3, 3))})
    with pytest.raises(RunDirectoryError, match="do not fit"):
        _ = Run(sweep.directory).curves


def test_the_parameters_of_trials_are_read_in_both_forms(sweep):
    """An array of all trials, or where shapes differ one of each: "name@12"."""
    assert sweep.trial_parameters() == {}
    arrays = {
        "trial": np.array([0, 12]),
        "w": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "v@12": np.ones(3),
        "odd": np.ones(5),
    }
    with open(sweep.directory / "parameters.npz", "wb") as file:
        write_arrays(file, arrays)
    parameters = Run(sweep.directory).trial_parameters()
    assert {trial: list(values) for trial, values in parameters.items()} == {0: ["w"], 12: ["w", "v"]}
    np.testing.assert_array_equal(parameters[12]["w"], [3.0, 4.0])
    (sweep.directory / "parameters.npz").write_bytes(b"torn")
    with pytest.raises(RunDirectoryError, match="corrupt"):
        Run(sweep.directory).trial_parameters()
