"""`gdrun plot`."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from gdrun.errors import ExitCode
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

ROWS = [{"step": k, "loss": 0.5**k, "parameters.a": float(k), "parameters.b": -float(k)} for k in range(20)]


@pytest.fixture
def run() -> Run:
    return a_run("line")


def a_run(name: str, rows: list | None = None, **record) -> Run:
    with RunStore.create(Path("runs"), name) as store:
        store.write_text("config.yaml", "optimizer: {kind: sgd, learning_rate: 0.1}\n")
        if rows != []:
            append_rows(store, rows or ROWS)
        store.close("completed", steps=19, **record)
    return Run(store.directory)


@pytest.fixture
def no_matplotlib(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("gdrun.cli.plot.has_matplotlib", lambda: False)


def test_the_newest_run_is_drawn_into_its_own_directory(gdrun, run):
    result = gdrun("plot")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{run.directory}/plots/loss.png\n"
    assert (run.directory / "plots" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_several_runs_are_drawn_into_the_first_one(gdrun, run):
    other = a_run("other")
    result = gdrun("plot", run.id, other.id)
    assert result.out == f"{run.directory}/plots/loss-with-{other.id[-4:]}.png\n"


@pytest.mark.parametrize(("name", "start"), [("a.svg", "<?xml"), ("sub/b.pdf", "%PDF"), ("c.txt", "line: loss")])
def test_a_file_of_ones_own(gdrun, run, name, start):
    result = gdrun("plot", "-o", name)
    assert (result.code, result.out) == (0, f"{name}\n")
    assert Path(name).read_bytes().startswith(start.encode())
    assert not (run.directory / "plots").exists()


def test_a_folder_gets_the_picture_under_its_own_name(gdrun, run):
    Path("pictures").mkdir()
    assert gdrun("plot", "-o", "pictures", "--kind", "parameters").out == "pictures/parameters.png\n"


def test_in_the_terminal(gdrun, run):
    result = gdrun("plot", "--term", "--size", "60x15")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "line: loss"
    assert len(lines) == 15
    assert max(map(len, lines)) <= 60
    assert "\x1b" not in result.out


def test_without_matplotlib_it_is_drawn_in_the_terminal_with_a_word_on_how_to_get_it(gdrun, run, no_matplotlib):
    result = gdrun("plot")
    assert result.code == 0
    assert result.out.startswith("line: loss\n")
    assert result.err == "pictures as files need matplotlib: pip install 'gdrun[plot]'\n"
    result = gdrun("plot", "-o", "a.png")
    assert result.code == ExitCode.RESOURCE
    assert "pip install 'gdrun[plot]'" in result.err
    assert not Path("a.png").exists()
    assert gdrun("plot", "-o", "a.txt").code == 0


def test_json_is_what_is_drawn(gdrun, run):
    document = json.loads(gdrun("plot", "--json").out)
    assert document["file"] is None
    assert document["figure"]["title"] == "line: loss"
    assert document["figure"]["series"][0]["y"][:3] == [1.0, 0.5, 0.25]
    assert json.loads(gdrun("plot", "--json", "-o", "a.png").out)["file"] == "a.png"


def test_columns_kinds_and_scales(gdrun, run):
    assert gdrun("plot", "--kind", "trajectory", "-o", "a.txt").code == 0
    assert "line: trajectory" in Path("a.txt").read_text()
    document = json.loads(gdrun("plot", "--columns", "a, b", "--log-x", "--json").out)
    assert [series["label"] for series in document["figure"]["series"]] == ["a", "b"]
    assert document["figure"]["x"]["scale"] == "log"
    assert json.loads(gdrun("plot", "--linear", "--json").out)["figure"]["y"]["scale"] == "linear"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kind", "los"], "did you mean 'loss'?"),
        (["-o", "a.jpg"], "one of .png, .svg, .pdf, .txt"),
        (["-o", "a.txt", "--term"], "one of them"),
        (["--size", "large"], "is no size"),
        (["--size", "0x5"], "each from 1.5 to 40"),
        (["--size", "9999x5", "--term"], "each from 8 to 1000"),
        (["--columns", "lss"], "did you mean 'loss'?"),
        (["--x", "hour"], "step or epoch"),
        (["nowhere"], "no run 'nowhere'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(gdrun, run, arguments, words):
    result = gdrun("plot", *arguments)
    assert result.code == ExitCode.REFUSED
    assert words in result.err
    assert result.out == ""
    assert os.listdir() == ["runs"]


def test_a_run_without_rows_is_refused(gdrun):
    a_run("empty", [])
    result = gdrun("plot")
    assert result.code == ExitCode.REFUSED
    assert "no row was recorded" in result.err


def test_a_picture_that_cannot_be_written_is_disk_trouble(gdrun, run):
    Path("file").write_text("")
    result = gdrun("plot", "-o", "file/a.txt")
    assert result.code == ExitCode.DISK
    assert "cannot write file/a.txt" in result.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_run_that_is_read_only_says_what_else_to_do(gdrun, run):
    run.directory.chmod(stat.S_IRUSR | stat.S_IXUSR)
    result = gdrun("plot")
    run.directory.chmod(stat.S_IRWXU)
    assert result.code == ExitCode.DISK
    assert "-o FILE" in result.err


def test_hostile_texts_are_harmless(gdrun):
    a_run("line", [{"step": 0, "\x1b[31m\n$x$": 1.0}, {"step": 1, "\x1b[31m\n$x$": 2.0}])
    for arguments in (["--term"], ["-o", "a.png"]):
        result = gdrun("plot", "--kind", "metrics", "--title", "\x1b[2J\u202etitle", *arguments)
        assert result.code == 0
        assert "\x1b" not in result.out + result.err
        assert "\u202e" not in result.out


def test_drawing_imports_no_tensorflow(tmp_path, run):
    from .test_startup import modules_of

    for arguments in (["plot", "--term"], ["plot"]):
        loaded = modules_of(tmp_path, *arguments)
        unwanted = {"tensorflow", "keras", "matplotlib.pyplot", *(["matplotlib"] if "--term" in arguments else [])}
        assert loaded.isdisjoint(unwanted)
