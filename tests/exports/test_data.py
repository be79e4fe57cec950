"""Which file comes out of which command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import gdrun
from gdrun.cli import main
from gdrun.errors import UsageError
from gdrun.rundir.run import Run


@pytest.fixture
def run(make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run({"step": [0, 1], "loss": [2.0, 1.0]})


TABLE = "step,loss\n0,2.0\n1,1.0\n"


def test_the_file_is_called_as_the_run(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["export", "latest", "--to", "csv"]) == 0
    assert capsys.readouterr().out == "line.csv\n"
    assert (tmp_path / "line.csv").read_text() == TABLE


def test_nothing_is_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "line.csv").write_text("mine")
    assert main(["export", "latest", "--to", "csv"]) == 2
    assert (tmp_path / "line.csv").read_text() == "mine"
    (tmp_path / "dangling.csv").symlink_to("nowhere")
    with pytest.raises(UsageError, match="exists"):
        gdrun.export(run, "csv", "dangling.csv")


def test_csv_can_be_printed(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["export", "latest", "--to", "csv", "-o", "-"]) == 0
    assert capsys.readouterr().out == TABLE
    assert not (tmp_path / "-").exists()


def test_a_run_that_is_named_twice_is_one(run: Run) -> None:
    (path,) = gdrun.export([run.id, run.directory, run], "csv", runs_dir=run.directory.parent)
    assert Path(path).read_text() == TABLE


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "--to csv"),
        (["--to", "csv", "--model", "npz"], "--model npz"),
        (["--to", "cvs"], "csv"),
        (["--to", "parquet", "-o", "-"], "-o"),
        (["--to", "csv", "--device", "cpu"], "--device"),
        (["--model", "onnx"], "npz"),
    ],
)
def test_a_command_line_that_makes_no_sense_says_what_does(
    run: Run, arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "latest", *arguments]) == 2
    assert hint in capsys.readouterr().err


def test_a_model_is_of_one_run(run: Run, make_run: Callable[..., Run]) -> None:
    assert main(["export", "latest", "latest~1", "--model", "npz"]) == 2


def test_events_of_a_run_that_is_not_kept_are_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--smoke", "--dry-run"):
        assert main(["train", "none.yaml", option, "--tensorboard", "tb"]) == 2
        assert "keep none" in capsys.readouterr().err
