"""The page is whole in itself, says what the files say, and nothing on it can do harm."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gdrun.plots.html_page import PLOTLY_FILE, plotly_script
from gdrun.reporting.page import comparison_html, report_html
from gdrun.rundir.run import Run
from tests.plots.fake_sweeps import write_sweep

from .conftest import HOSTILE
from .pages import Page

RATES = np.geomspace(0.01, 2, 12).tolist()


@pytest.fixture
def line(make_run: Callable[..., Run]) -> Run:
    """A run of 50 steps."""
    losses = 0.9 ** np.arange(51)
    return make_run(
        {"step": np.arange(51), "loss": losses, "learning_rate": np.full(51, 0.1), "accuracy": 1 - losses},
        parameters={"a": np.float64(2.5), "W": np.arange(600.0).reshape(20, 30)},
        source={"line.yaml": "optimizer: {kind: sgd, learning_rate: 0.125}\n"},
        description="a line through points",
        why="the schedule's end",
        final={"loss": float(losses[-1])},
        warnings=("be careful",),
        versions={"tensorflow": "2.21.0"},
    )


def test_a_page_has_all_that_is_known_of_a_run(line: Run) -> None:
    page = Page(report_html(line))
    for words in (
        line.id,
        "a line through points",
        "completed",
        "the schedule's end",
        "be careful",
        "learning_rate: 0.125",
        "tensorflow 2.21.0",
        "metrics.jsonl",
        "2.5",
        "20x30",
    ):
        assert words in page.text, words
    assert page.y_labels == ["loss", "accuracy"]


def test_a_page_of_a_sweep_has_its_trials_and_pictures(tmp_path: Path) -> None:
    axes = {"optimizer.learning_rate": RATES, "optimizer.momentum": [0.0, 0.5, 0.9]}
    sweep = write_sweep(tmp_path / "2026-11-23T003318-quadratic-7f3a", axes)
    page = Page(report_html(sweep))
    assert page.y_labels[:2] == ["final loss", "momentum"]
    assert [trace["type"] for trace in page.figures[1]["data"]] == ["heatmap", "scatter"]
    assert "diverged" in page.text
    (trials,) = (attributes for tag, attributes in page.tags if tag == "table" and attributes.get("class"))
    assert trials["class"] == "sortable"
    numbers = [float(str(at["data-sort"])) for tag, at in page.tags if tag == "td" and "data-sort" in at]
    best = min(row["loss"] for row in sweep.trials)
    assert best in numbers


def test_a_long_table_of_trials_is_cut_and_says_so(tmp_path: Path) -> None:
    rates = np.linspace(0.01, 0.4, 600).tolist()
    page = Page(report_html(write_sweep(tmp_path / "s", {"optimizer.learning_rate": rates})))
    assert "The best 500 of 600 trials" in page.text
    assert page.count("tr") < 600


def test_the_best_trials_come_first(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", {"optimizer.learning_rate": [0.01, 0.3, 0.1, 3.0]})
    text = report_html(sweep)
    body = text[text.index('class="sortable"') :]
    shown = [int(found) for found in re.findall(r'<tr><td class="n" data-sort="(\d+)">', body)]
    finite = sorted((row for row in sweep.trials if row["status"] != "diverged"), key=lambda row: row["loss"])
    assert shown[: len(finite)] == [row["trial"] for row in finite]


def test_nothing_is_loaded_from_anywhere(line: Run, tmp_path: Path) -> None:
    for run in (line, write_sweep(tmp_path / "s", {"optimizer.learning_rate": RATES})):
        text = report_html(run)
        for tag, attributes in Page(text).tags:
            assert tag not in ("link", "iframe", "object", "embed", "img", "base", "form")
            assert not {"src", "action", "style", "srcset", "data"} & attributes.keys(), (tag, attributes)
            assert (attributes.get("href") or "#").startswith("#")
            assert not any(name.startswith("on") for name in attributes)
        # plotly's maps would load from the network; the policy forbids what nothing here draws.
        own = text.replace(plotly_script(), "")
        assert len(own) < 200_000
        assert not re.search(r"https?://|@import|url\((?!#)|\bfetch\(|XMLHttpRequest|\bimport\(", own)


def test_links_lead_to_sections(line: Run) -> None:
    page = Page(report_html(line))
    anchors = {attributes["id"] for tag, attributes in page.tags if tag == "section"}
    links = {str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"}
    assert links == anchors


def test_only_the_own_scripts_may_run(line: Run) -> None:
    text = report_html(line)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src 'none';")
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    (allowed,) = re.findall(r"script-src ([^;]+)", policy)
    assert "unsafe" not in allowed


def test_hostile_texts_stay_texts(make_run: Callable[..., Run], line: Run) -> None:
    steps = np.arange(20)
    run = make_run(
        {"step": steps, "loss": 1.0 / (1 + steps), HOSTILE: steps * 1.0, f"parameters.{HOSTILE}": steps * 2.0},
        parameters={HOSTILE: np.arange(500.0)},
        source={"a&b<i>.yaml": HOSTILE},
        status="diverged",
        description=HOSTILE,
        why=HOSTILE,
        warnings=(HOSTILE,),
        final={"loss": 0.1, HOSTILE: HOSTILE},
        settings={HOSTILE: HOSTILE, "lr": 0.1},
        versions={HOSTILE: HOSTILE},
        command=(HOSTILE,),
    )
    text = report_html(run)
    page = Page(text)
    assert page.count("script") == 3
    assert page.count("img") == page.count("b") - len(page.figures) == 0
    assert "<img src=x onerror=alert(1)>" in page.text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert {label[:15] for label in page.y_labels} >= {"&lt;/script&gt;"}


def test_a_broken_run_gets_a_page_that_says_so(tmp_path: Path, make_run: Callable[..., Run]) -> None:
    empty = tmp_path / "2026-11-23T003318-empty-7f3a"
    empty.mkdir()
    torn = tmp_path / "2026-11-23T003318-torn-7f3b"
    torn.mkdir()
    (torn / "run.json").write_text('{"schema_version": 1, "stat')
    assert "lost" in Page(report_html(Run(empty))).text
    assert "corrupt" in Page(report_html(Run(torn))).text
    odd = make_run({"step": [0, 1], "loss": [1.0, 0.5]}, final={"loss": "nine"}, seconds=None)
    (odd.directory / "parameters.npz").write_bytes(b"no archive")
    (odd.directory / "metrics.jsonl").write_text('{"step":0,"loss":"x"}\n{"step":[]}\nrubbish\n')
    assert "parameters.npz is corrupt" in Page(report_html(Run(odd.directory))).text


def test_several_runs_are_compared_by_results_and_settings_that_differ(make_run: Callable[..., Run]) -> None:
    runs = [
        make_run(
            {"step": np.arange(9), "loss": rate ** np.arange(9)},
            settings={"optimizer.learning_rate": rate, "seed": 0},
            final={"loss": rate**8},
        )
        for rate in (0.5, 0.25)
    ]
    page = Page(comparison_html(runs))
    assert [trace["name"] for trace in page.figures[0]["data"]] == ["lr 0.5", "lr 0.25"]
    assert "optimizer.learning_rate 0.5 0.25" in page.text
    assert "seed" not in page.text
    assert "0.0039062" in page.text


def test_a_run_without_rows_has_no_curves(make_run: Callable[..., Run]) -> None:
    page = Page(report_html(make_run({})))
    assert page.figures == []
    assert "No row was recorded" in page.text


def test_a_hundred_thousand_rows_make_a_page_below_a_megabyte(make_run: Callable[..., Run]) -> None:
    steps = np.arange(100_000)
    noise = np.random.default_rng(0).normal(size=(100_000, 4)).astype(np.float32)
    columns = {"step": steps, "loss": np.exp(noise[:, 0]), "parameters.W": noise}
    assert len(report_html(make_run(columns, precision="float32"), plotly=PLOTLY_FILE)) < 1_000_000


def test_making_a_page_starts_neither_tensorflow_nor_matplotlib(line: Run) -> None:
    code = (
        "import sys, gdrun.reporting.page as page; from gdrun.rundir.run import Run;"
        f"page.report_html(Run({str(line.directory)!r}));"
        "print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
