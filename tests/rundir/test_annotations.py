"""Tags and notes of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.rundir.annotations import note, tag
from gdrun.rundir.listing import runs
from gdrun.rundir.lock import WriterLock
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from gdrun.rundir.verifying import verify


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with RunStore.create(tmp_path, "line") as store:
        store.write_text("config.yaml", "name: line\n")
        store.close(status="completed", why="the schedule's end", steps=10)
    return Run(store.directory)


def test_tags_are_added_once_kept_in_order_and_removed(run: Run) -> None:
    assert tag(run, ["b", "a", "b"]) == ("b", "a")
    assert tag(run, ["c"], ["b"]) == ("a", "c")
    assert Run(run.directory).info.tags == ("a", "c")


def test_a_tagged_run_is_found_by_each_of_its_tags_and_by_no_other(run: Run) -> None:
    tag(run, ["baseline", "paper"])
    root = run.directory.parent
    assert [found.id for found in runs(root, filter="tags == paper")] == [run.id]
    assert [found.id for found in runs(root, filter="tags in (x, baseline)")] == [run.id]
    assert runs(root, filter="tags == base") == []
    assert runs(root, filter="tags != paper") == []


def test_nothing_but_the_tags_and_notes_changes(run: Run) -> None:
    before = run.info.to_json()
    tag(run, ["a"])
    note(run, "first\nsecond line")
    after = Run(run.directory).info.to_json()
    assert {key for key in after if after[key] != before[key]} == {"tags", "notes"}
    assert [entry["text"] for entry in after["notes"]] == ["first\nsecond line"]
    assert "run.json" not in {finding.file for finding in verify(run.directory).problems}


@pytest.mark.parametrize("word", ["", "two words", "-x", "a/b", "x" * 65, "\x1b[31m"])
def test_what_cannot_be_a_tag_is_refused_and_nothing_is_written(run: Run, word: str) -> None:
    with pytest.raises(UsageError, match="cannot be a tag"):
        tag(run, ["good", word])
    assert Run(run.directory).info.tags == ()


def test_a_tag_that_it_does_not_have_cannot_be_removed(run: Run) -> None:
    tag(run, ["a"])
    with pytest.raises(UsageError, match="has no tag 'b'") as refused:
        tag(run, remove=["b"])
    assert refused.value.hint == "its tags: a"


@pytest.mark.parametrize("text", ["", "  \n", "x" * 10_001])
def test_an_empty_or_endless_note_is_refused(run: Run, text: str) -> None:
    with pytest.raises(UsageError, match="a note has"):
        note(run, text)


def test_a_run_that_is_being_written_is_left_alone(run: Run) -> None:
    lock = WriterLock(run.directory)
    try:
        with pytest.raises(RunDirectoryError, match="busy"):
            tag(run, ["a"])
    finally:
        lock.release()
    assert Run(run.directory).info.tags == ()
