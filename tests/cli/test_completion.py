"""What the shell offers after Tab, through the variables that bash sets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gdrun.rundir.store import RunStore


@pytest.fixture
def complete(gdrun, monkeypatch):
    """Return what is offered for the last of the words."""

    def offered(*words: str) -> list[str]:
        monkeypatch.setenv("_GDRUN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("gdrun", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        return gdrun().out.split()

    return offered


@pytest.fixture
def two_runs() -> list[str]:
    for second, name in enumerate(("pi", "moons")):
        with RunStore.create(Path("runs"), name, now=datetime(2026, 11, 23, 0, 0, second, tzinfo=UTC)) as store:
            store.close("completed")
    return sorted(path.name for path in Path("runs").iterdir() if path.name != "latest")


def test_commands_and_options_are_offered(complete):
    assert complete("com") == ["compare"]
    assert complete("ls", "--fil") == ["--filter"]


def test_runs_are_offered_newest_first_by_their_beginning_or_their_short_end(complete, two_runs):
    assert complete("show", "") == ["latest", *two_runs[::-1]]
    assert complete("compare", "latest", two_runs[0][:19]) == [two_runs[0]]
    assert complete("rm", "mo") == [f"moons-{two_runs[1][-4:]}"]
    assert complete("show", "--runs-dir", "elsewhere", "") == []


def test_config_files_are_offered_unless_folders_fit_too(complete, config):
    config("line")
    Path("notes.txt").write_text("")
    assert complete("train", "l") == ["line.yaml"]
    assert complete("validate", "./l") == ["./line.yaml"]
    assert complete("train", "n") == []
    Path("lines").mkdir()
    assert complete("train", "l") == [], "bash completes folders better"


def test_names_of_the_gallery_are_offered_in_full_and_behind_the_colon_that_bash_splits_off(complete, config):
    assert complete("train", "gallery:quad") == ["gallery:quadratic-minimum"]
    assert complete("train", "gallery", ":", "quad") == ["quadratic-minimum"]
    assert {"pi", "moons"} < set(complete("stability", "gallery", ":"))
    assert "gallery:pi" in complete("validate", "g")
    assert complete("init", "quad") == ["quadratic-minimum"]
    Path("games").mkdir()
    assert complete("validate", "g") == [], "bash completes folders better"
    assert "lr=" in complete("train", "gallery", ":", "pi", "l")
    assert "lr=" in complete("train", "gallery:pi", "l")


def test_no_run_is_offered_behind_a_colon(complete, two_runs):
    assert complete("grad", "gallery", ":", "moons") == ["moons"]


def test_keys_of_the_config_on_the_line_are_offered(complete, config):
    config("line")
    assert "lr=" in complete("train", "line.yaml", "")
    assert "learning_rate=" in complete("train", "line.yaml", "learning_")
    keys = complete("validate", "line.yaml", "optimizer.m")
    assert keys == ["optimizer.momentum="], "adam's keys are not sgd's"
    assert complete("train", "line.yaml", "lr", "=") == []
    assert complete("train", "line.yaml", "lr", "=", "0") == []


def test_nothing_is_offered_and_nothing_said_where_the_config_is_broken(complete, gdrun, config):
    config("line", more="\nnonsense: [")
    assert complete("train", "line.yaml", "l") == []
