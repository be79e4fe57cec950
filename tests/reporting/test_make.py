"""The file: where it goes, and that it is whole or not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gdrun
from gdrun.cli import main
from gdrun.errors import ResourceError, RunDirectoryError
from gdrun.rundir import strict_json
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status


@pytest.fixture
def run(make_run: Callable[..., Run]) -> Run:
    return make_run({"step": np.arange(3), "loss": [3.0, 2.0, 1.0]})


def test_the_page_goes_into_the_run_directory(run: Run) -> None:
    before = gdrun.verify(run).problems
    path = gdrun.report(run)
    assert path == run.directory / "report.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert gdrun.verify(run).problems == before


def test_an_older_page_is_replaced_and_a_link_is_not_followed(run: Run, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (run.directory / "report.html").symlink_to(precious)
    path = gdrun.report(run)
    assert precious.read_text() == "mine"
    assert not path.is_symlink()


def test_another_file_may_be_named(run: Run, tmp_path: Path) -> None:
    assert gdrun.report(run.id, tmp_path / "new" / "page.html", runs_dir=run.directory.parent).is_file()
    assert not (run.directory / "report.html").exists()
    with pytest.raises(RunDirectoryError, match="directory"):
        gdrun.report(run, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_says_where_else(run: Run) -> None:
    run.directory.chmod(0o500)
    with pytest.raises(RunDirectoryError) as caught:
        gdrun.report(run)
    assert "-o" in str(caught.value.hint)


def test_the_command_prints_the_path(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run.directory)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{run.directory}/report.html\n"
    assert captured.err == ""


def test_json_says_where_and_how_large(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run.directory), "--json"]) == 0
    told = strict_json.loads(capsys.readouterr().out)
    assert told == {"file": str(run.directory / "report.html"), "bytes": (run.directory / "report.html").stat().st_size}


def test_several_runs_get_a_page_beside_the_first(run: Run, make_run: Callable[..., Run]) -> None:
    other = make_run({"step": np.arange(3), "loss": [3.0, 1.0, 0.5]})
    assert gdrun.report([run, other]) == run.directory / "comparison.html"


def test_watching_writes_the_page_until_the_run_has_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = [Status.RUNNING, Status.RUNNING, Status.COMPLETED]
    monkeypatch.setattr(Run, "status", property(lambda _: states[0]))
    pages = []

    def pause(seconds: float) -> None:
        pages.append((run.directory / "report.html").read_text())
        states.pop(0)

    monkeypatch.setattr("gdrun.cli.report.time.sleep", pause)
    assert main(["report", str(run.directory), "--watch"]) == 0
    assert len(pages) == 2
    assert all('http-equiv="refresh" content="5"' in page for page in pages)
    assert 'http-equiv="refresh"' not in (run.directory / "report.html").read_text()
    assert capsys.readouterr().out == f"{run.directory}/report.html\n"


def test_without_plotly_it_says_how_to_get_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert main(["report", str(run.directory)]) == ResourceError.exit_code
    assert "pip install 'gdrun[report]'" in capsys.readouterr().err
