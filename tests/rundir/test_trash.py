"""Removing, restoring and pruning: nothing outside the root, nothing through a link, nothing that is written."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.rundir.pruning import plan_pruning, prune
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from gdrun.rundir.trash import empty_trash, remove, removed, restore

START = datetime(2026, 11, 23, tzinfo=UTC)


def make(root: Path, second: int, name: str = "pi", status: str = "completed", **fields: Any) -> Run:
    with RunStore.create(root, name, now=START + timedelta(seconds=second), **fields) as store:
        store.write_text("config.yaml", "name: pi\n")
        store.close(status)
    return Run(store.directory)


def names(root: Path) -> list[str]:
    """What lies in a folder, but for the trash."""
    return sorted(path.name for path in root.iterdir() if path.name != ".trash")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def test_a_removed_run_is_in_the_trash_whole_and_comes_back(root: Path):
    first, second = make(root, 0), make(root, 1)
    config = second.directory / "config.yaml"
    moved = remove([second], root)
    assert moved == [root / ".trash" / second.id]
    assert not config.exists()
    assert os.readlink(root / "latest") == first.id, "latest points at what is left"
    assert [run.id for run in removed(root)] == [second.id]
    assert restore([second.id[:17]], root) == [second.directory]
    assert config.read_text() == "name: pi\n"
    assert removed(root) == []


def test_the_last_run_takes_the_pointer_with_it(root: Path):
    run = make(root, 0)
    remove([run], root)
    assert names(root) == []
    restore(["latest"], root)
    assert names(root) == [run.id]


def test_a_run_that_is_written_is_refused_and_nothing_moves(root: Path):
    done = make(root, 0)
    with RunStore.create(root, "live", now=START + timedelta(seconds=5)) as store:
        with pytest.raises(RunDirectoryError, match="busy"):
            remove([done, Run(store.directory)], root)
        assert done.directory.exists()
        store.close("completed")


@pytest.mark.parametrize("kind", ["elsewhere", "inside", "link", "file", "trash", "foreign", "dots"])
def test_only_runs_right_below_the_root_are_removed(root: Path, tmp_path: Path, kind: str):
    run, other = make(root, 0), make(tmp_path / "others", 1)
    make(root / run.id, 2)
    inner = next(path for path in run.directory.iterdir() if path.is_dir())
    (root / "link").symlink_to(other.directory)
    (root / "file").write_text("")
    (root / ".trash").mkdir()
    (root / "foreign").mkdir()
    path = {
        "elsewhere": other.directory, "inside": inner, "link": root / "link", "file": root / "file",
        "trash": root / ".trash", "foreign": root / "foreign", "dots": root / run.id / "..",
    }[kind]  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((UsageError, RunDirectoryError)):
        remove([path], root)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_trash_that_is_a_link_is_refused(root: Path, tmp_path: Path):
    run = make(root, 0)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data").write_text("data")
    (root / ".trash").symlink_to(tmp_path / "precious")
    for act in (
        lambda: remove([run], root),
        lambda: empty_trash(root),
        lambda: removed(root),
        lambda: restore(["x"], root),
    ):
        with pytest.raises(RunDirectoryError, match="symbolic link"):
            act()
    assert (tmp_path / "precious" / "data").read_text() == "data"
    assert run.directory.exists()


def test_emptying_the_trash_deletes_links_and_not_what_they_point_at(root: Path, tmp_path: Path):
    run = make(root, 0)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data").write_text("data")
    (run.directory / "way-out").symlink_to(tmp_path / "precious")
    remove([run], root)
    (root / ".trash" / "another-way").symlink_to(tmp_path / "precious")
    assert empty_trash(root) == 2
    assert not (root / ".trash").exists()
    assert (tmp_path / "precious" / "data").read_text() == "data"
    assert empty_trash(root) == 0


def test_nothing_is_replaced_in_either_direction(root: Path):
    run = make(root, 0)
    remove([run], root)
    (root / run.id).mkdir()
    with pytest.raises(RunDirectoryError, match="is there already"):
        restore([run.id], root)
    (root / run.id).rmdir()
    again = root / run.id
    again.mkdir()
    (again / "run.json").write_text("{}")
    moved = remove([again], root)
    assert moved == [root / ".trash" / f"{run.id}~1"]
    assert (root / ".trash" / run.id / "config.yaml").exists()


def test_what_is_not_in_the_trash_cannot_be_restored(root: Path):
    with pytest.raises(UsageError, match="empty"):
        restore(["latest"], root)
    remove([make(root, 0)], root)
    with pytest.raises(UsageError, match="no run 'other'"):
        restore(["other"], root)


def seconds(plan: Any) -> list[int]:
    return [int(entry.id[11:17]) for entry in plan.chosen]


def test_pruning_takes_what_fits_all_conditions(root: Path):
    for second, (status, loss) in enumerate(
        [
            ("completed", 3.0),
            ("diverged", 0.1),
            ("completed", 1.0),
            ("stopped", 2.0),
            ("failed", None),
            ("completed", "nan"),
        ]
    ):
        make(root, second, status=status, final={} if loss is None else {"loss": loss}, steps=1)
    make(root, 10, "other", final={"loss": 9.0})
    now = START + timedelta(days=1)
    assert seconds(plan_pruning(root, status="diverged,failed")) == [1, 4]
    assert seconds(plan_pruning(root, keep_best=2)) == [0, 1, 4, 5], "of each name, among those that ended well"
    assert seconds(plan_pruning(root, keep_best=1, filter="status == completed")) == [0, 5]
    assert seconds(plan_pruning(root, older="86397s", now=now)) == [0, 1, 2]
    assert seconds(plan_pruning(root, older="86397s", status="completed", keep_best=1, now=now)) == [0]
    assert plan_pruning(root, keep_best=2).kept == 3


def test_the_best_by_a_metric_that_should_rise_is_the_greatest(root: Path):
    for second, accuracy in enumerate([0.5, 0.9, 0.7]):
        make(root, second, final={"loss": 1.0, "accuracy": accuracy})
    assert seconds(plan_pruning(root, keep_best=1, metric="accuracy")) == [0, 2]
    with pytest.raises(UsageError, match="accurac"):
        plan_pruning(root, keep_best=1, metric="accurac")


def test_running_runs_stay(root: Path):
    with RunStore.create(root, "live", now=START) as store:
        plan = plan_pruning(root, older="0s")
        assert (plan.chosen, [entry.id for entry in plan.busy]) == ((), [store.directory.name])
        assert prune(root, older="0s") == []
        store.close("completed")
    assert [path.name for path in prune(root, older="0s")] == [store.directory.name]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({}, "nothing says"),
        ({"older": "soon"}, "no duration"),
        ({"status": "good"}, "no status"),
        ({"status": ","}, "no status"),
    ],
)
def test_what_cannot_be_meant_is_refused(root: Path, conditions: dict[str, str], message: str):
    make(root, 0)
    with pytest.raises(UsageError, match=message):
        plan_pruning(root, **conditions)
