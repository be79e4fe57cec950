"""All runs as a folder: an index and a page each, written anew only where something changed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gdrun.cli import main
from gdrun.reporting.page import report_html
from gdrun.reporting.site import write_site
from gdrun.rundir.listing import runs as all_runs
from gdrun.rundir.run import Run

from .conftest import HOSTILE
from .pages import Page


@pytest.fixture
def three(make_run: Callable[..., Run]) -> list[Run]:
    """Runs that differ in their rate."""
    for rate in (0.1, 0.2, 0.5):
        losses = (1 - rate) ** np.arange(9)
        settings = {"optimizer.learning_rate": rate, "optimizer.kind": "sgd"}
        last = make_run({"step": np.arange(9), "loss": losses}, settings=settings, final={"loss": float(losses[-1])})
    return all_runs(last.directory.parent)


def test_the_index_has_a_row_for_each_run_with_what_differs(three: list[Run], tmp_path: Path) -> None:
    report = write_site(tmp_path / "site", three)
    assert (report.written, report.kept, report.removed) == (3, 0, 0)
    page = Page(report.file.read_text())
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == [f"runs/{run.id}.html" for run in reversed(three)]
    assert all((report.file.parent / str(link)).is_file() for link in links)
    assert "lr" in page.text
    assert "optimizer.kind" not in page.text  # it is the same in all
    assert {run.final["loss"] for run in three} <= {
        float(str(attributes["data-sort"])) for tag, attributes in page.tags if "data-sort" in attributes
    }


def test_plotly_is_there_once(three: list[Run], tmp_path: Path) -> None:
    write_site(tmp_path, three)
    assert len(list(tmp_path.rglob("plotly.min.js"))) == 1
    for run in three:
        page = Page((tmp_path / "runs" / f"{run.id}.html").read_text())
        assert [attributes["src"] for tag, attributes in page.tags if "src" in attributes] == ["../plotly.min.js"]
        assert ("a", {"href": "../index.html"}) in page.tags


def test_only_what_changed_is_written_and_what_is_gone_is_removed(three: list[Run], tmp_path: Path) -> None:
    write_site(tmp_path, three)
    assert write_site(tmp_path, three)[1:] == (0, 3, 0)
    record = three[1].directory / "run.json"
    os.utime(record, (record.stat().st_atime, record.stat().st_mtime + 5))
    assert write_site(tmp_path, three)[1:] == (1, 2, 0)
    shutil.rmtree(three[0].directory)
    assert write_site(tmp_path, three[1:])[1:] == (0, 2, 1)
    assert not (tmp_path / "runs" / f"{three[0].id}.html").exists()
    (tmp_path / ".gdrun-site.jsonl").write_text("rubbish")
    assert write_site(tmp_path, three[1:]).written == 2


def test_a_call_that_is_killed_keeps_the_pages_that_it_wrote(
    three: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(run: Run, **_: object) -> str:
        if run.id == three[2].id:
            raise KeyboardInterrupt
        return report_html(run)

    with monkeypatch.context() as patch:
        patch.setattr("gdrun.reporting.site.report_html", killed)
        with pytest.raises(KeyboardInterrupt):
            write_site(tmp_path, three)
    with (tmp_path / ".gdrun-site.jsonl").open("a") as stamps:
        stamps.write('["torn')
    assert write_site(tmp_path, three)[1:] == (1, 2, 0)
    assert write_site(tmp_path, three)[1:] == (0, 3, 0)


def test_another_version_writes_all_pages_and_removes_what_is_gone(
    three: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_site(tmp_path, three)
    monkeypatch.setattr("gdrun.reporting.site.__version__", "another")
    assert write_site(tmp_path, three[1:])[1:] == (2, 0, 1)
    assert write_site(tmp_path, three[1:])[1:] == (0, 2, 0)


def test_a_corrupt_run_has_its_row_with_the_reason_and_stops_nothing(
    three: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (three[1].directory / "run.json").write_text("{")
    root = three[0].directory.parent
    assert main(["report", "--all", "-o", str(tmp_path / "site"), "--runs-dir", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 3
    page = Page((tmp_path / "site" / "index.html").read_text())
    assert "run.json is corrupt" in page.text
    assert page.text.count("completed") == 2


def test_what_runs_give_the_comparison_is_data_whatever_their_texts(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run({"step": [0, 1], "loss": [1.0, np.inf]}, settings={"a": HOSTILE}, final={"loss": 0.5})
    write_site(tmp_path, [run])
    script = (tmp_path / "runs" / f"{run.id}.js").read_text()
    (text,) = re.fullmatch(r"gdrunRun\((.*)\);\n", script).groups()
    data = json.loads(text)
    assert data["trace"] == {"x": [0, 1], "y": [1, None]}
    assert data["values"]["loss"] == "0.5"
    assert "<" not in Page((tmp_path / "index.html").read_text()).text.replace("</script>", "").partition("a ")[0]


def test_names_and_all_exclude_each_other(three: list[Run], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["report", "--all", three[0].id]) == 2
    assert "one of them" in capsys.readouterr().err
    assert main(["report", "--all", "--runs-dir", str(tmp_path / "none")]) == 2
    assert "no runs in" in capsys.readouterr().err
