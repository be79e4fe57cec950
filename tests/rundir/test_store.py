"""The writer of a run directory: what it makes, refuses and takes back."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import Interrupted, RunDirectoryError
from gdrun.rundir import layout
from gdrun.rundir.lock import is_locked
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

from .faults import Faults, count_calls, outcome

NOON = datetime(2026, 11, 23, 0, 33, 18, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path):
    with RunStore.create(tmp_path / "runs", "pi", now=NOON, kind="train") as store:
        yield store
        if not store._closed:
            store.close("completed")


def test_create_claims_a_locked_directory_with_a_record_and_points_latest_at_it(tmp_path: Path, store: RunStore):
    assert store.directory.parent == tmp_path / "runs"
    assert store.directory.name.startswith("2026-11-23T003318-pi-")
    assert is_locked(store.directory)
    record = json.loads((store.directory / "run.json").read_text())
    assert record["schema_version"] == 1
    assert (record["id"], record["name"], record["status"]) == (store.directory.name, "pi", "running")
    assert record["started"] == "2026-11-23T00:33:18.000Z"
    assert os.readlink(tmp_path / "runs" / "latest") == store.directory.name
    assert Run(store.directory).status is Status.RUNNING


def test_close_writes_the_status_last_and_frees_the_lock(store: RunStore):
    append_rows(store, [{"step": 0, "loss": float("nan")}])
    store.close("diverged", steps=3, diverged={"step": 3, "quantity": "loss"}, final={"loss": float("inf")})
    run = Run(store.directory)
    assert run.status is Status.DIVERGED
    assert run.info.steps == 3
    assert run.info.finished is not None
    assert json.loads((store.directory / "run.json").read_text())["final"] == {"loss": "inf"}
    assert not is_locked(store.directory)


def test_two_runs_of_one_second_get_two_directories(tmp_path: Path):
    stores = [RunStore.create(tmp_path, "pi", now=NOON) for _ in range(20)]
    assert len({store.directory for store in stores}) == 20
    for store in stores:
        store.close("completed")


def test_files_are_written_into_folders_that_are_made_as_needed(store: RunStore):
    store.write_text("source/deep/er.yaml", "a: 1\n")
    store.write_json("best/run.json", {"loss": np.float32(0.1), "z": 1j})
    assert (store.directory / "source/deep/er.yaml").read_text() == "a: 1\n"
    assert json.loads((store.directory / "best/run.json").read_text()) == {"loss": 0.1, "z": {"re": 0.0, "im": 1.0}}


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "", ".", "a//b", "a/", "a\0b", ".lock", ".tmp-x", "a/.tmp-x", "log.txt"]
)
def test_a_name_that_leads_elsewhere_or_is_the_stores_own_is_refused(store: RunStore, name: str):
    before = sorted(path.name for path in store.directory.rglob("*"))
    with pytest.raises(RunDirectoryError):
        store.write_text(name, "x")
    assert sorted(path.name for path in store.directory.rglob("*")) == before
    store.write_text("ok", "still usable")


def test_a_file_that_is_replaced_takes_the_place_of_a_link_and_leaves_its_target_alone(tmp_path: Path, store: RunStore):
    (tmp_path / "mine").write_text("precious")
    (store.directory / "config.yaml").symlink_to(tmp_path / "mine")
    store.write_text("config.yaml", "the run's")
    assert not (store.directory / "config.yaml").is_symlink()
    assert (tmp_path / "mine").read_text() == "precious"


def test_open_refuses_a_foreign_directory_and_leaves_it_alone(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        RunStore.open(tmp_path)
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        RunStore.open(tmp_path / "absent")


def test_a_reopened_run_goes_on_where_it_was_cut(store: RunStore):
    append_rows(store, [{"step": step, "loss": float(step)} for step in range(10)])
    store.close("interrupted", steps=9)
    with RunStore.open(store.directory) as again:
        assert again.info.steps == 9
        again.cut_rows(after_step=5)
        again.append_columns({"step": np.arange(6, 8), "loss": np.array([6.0, 7.0])})
        again.close("completed")
    assert Run(store.directory).metrics["step"].tolist() == list(range(8))


def test_an_error_before_the_record_was_changed_leaves_the_run_and_after_it_fails_the_run(store: RunStore):
    store.close("interrupted")
    before = (store.directory / "run.json").read_bytes()
    with pytest.raises(ZeroDivisionError), RunStore.open(store.directory):
        _ = 1 / 0
    assert (store.directory / "run.json").read_bytes() == before
    assert not is_locked(store.directory)

    def fail(again: RunStore) -> None:
        with again:
            again.update_info(status="running")
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail(RunStore.open(store.directory))
    assert Run(store.directory).info.why == "division by zero"
    assert Run(store.directory).status is Status.FAILED
    assert not is_locked(store.directory)


def test_cut_rows_keeps_rows_without_later_steps_and_works_without_a_file(store: RunStore):
    store.cut_rows(after_step=5)
    assert not (store.directory / "metrics.jsonl").exists()
    append_rows(store, [{"step": 0}, {"step": 5}])
    store.cut_rows(after_step=5)
    assert Run(store.directory).metrics["step"].tolist() == [0, 5]
    store.cut_rows(after_step=-1)
    assert (store.directory / "metrics.jsonl").read_bytes() == b""


def test_discard_leaves_no_trace(tmp_path: Path):
    root = tmp_path / "a" / "b" / "runs"
    store = RunStore.create(root, "pi")
    store.write_text("config.yaml", "x")
    store.write_text("source/deep/parent.yaml", "x")
    store.log("hello")
    append_rows(store, [{"step": 0}])
    store.discard()
    assert os.listdir(tmp_path) == []


def test_discard_gives_latest_back_to_the_run_before(tmp_path: Path):
    first = RunStore.create(tmp_path, "pi")
    first.close("completed")
    second = RunStore.create(tmp_path, "pi")
    assert os.readlink(tmp_path / "latest") == second.directory.name
    second.discard()
    assert os.readlink(tmp_path / "latest") == first.directory.name
    assert sorted(os.listdir(tmp_path)) == sorted(["latest", first.directory.name])


def test_discard_leaves_latest_to_a_run_that_came_after(tmp_path: Path):
    first, second = RunStore.create(tmp_path, "pi"), RunStore.create(tmp_path, "pi")
    first.discard()
    assert os.readlink(tmp_path / "latest") == second.directory.name
    second.close("completed")


def test_discard_keeps_what_somebody_else_put_there(tmp_path: Path):
    store = RunStore.create(tmp_path, "pi")
    (store.directory / "notes.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match="not empty"):
        store.discard()
    assert (store.directory / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", ["full", "broken", "read-only"])
def test_a_create_that_fails_anywhere_leaves_nothing_behind(memory_path: Path, kind: str):
    def create(root: Path) -> RunStore:
        return RunStore.create(root, "pi")

    made: list[RunStore] = []
    calls = count_calls(lambda: made.append(create(memory_path / "counted")))
    made[0].discard()
    reasons = {"full": "No space left", "broken": "Input/output error", "read-only": "Read-only file system"}
    for at in range(1, calls + 1):
        root = memory_path / "runs"
        with pytest.MonkeyPatch.context() as monkeypatch:
            faults = Faults(monkeypatch, at, kind)
            error = outcome(lambda: create(root).discard())  # noqa: B023
        if error is None:
            assert faults.hit == "unlink"
        else:
            assert reasons[kind] in error.message
            assert str(root) in error.message
        assert os.listdir(memory_path) == [], f"after a failed {faults.hit} (call {at})"


def test_a_read_only_root_is_told_with_path_reason_and_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Faults(monkeypatch, 1, "read-only", ("mkdir",))
    with pytest.raises(RunDirectoryError) as caught:
        RunStore.create(tmp_path, "pi")
    assert caught.value.exit_code == 5
    assert str(tmp_path) in caught.value.message
    assert "Read-only file system" in caught.value.message
    assert "--runs-dir" in (caught.value.hint or "")


def test_a_root_that_is_a_file_is_told(tmp_path: Path):
    (tmp_path / "runs").write_text("x")
    with pytest.raises(RunDirectoryError, match="cannot make"):
        RunStore.create(tmp_path / "runs", "pi")
    with pytest.raises(RunDirectoryError, match="cannot make"):
        RunStore.create(tmp_path / "runs" / "deeper", "pi")


def test_a_folder_called_latest_is_left_alone_and_said(tmp_path: Path):
    (tmp_path / "latest").mkdir()
    with RunStore.create(tmp_path, "pi") as store:
        assert "left alone" in store.warnings[0]
        store.close("completed")
    assert (tmp_path / "latest").is_dir()


def test_an_error_in_the_block_is_recorded_as_failed_and_an_interrupt_as_interrupted(tmp_path: Path):
    for error, status in (
        (ValueError("boom \x1b[31m"), Status.FAILED),
        (KeyboardInterrupt(), Status.INTERRUPTED),
        (Interrupted("stop"), Status.INTERRUPTED),
    ):
        with pytest.raises(type(error)), RunStore.create(tmp_path, "pi") as store:
            raise error
        run = Run(store.directory)
        assert run.status is status
        assert "\x1b" not in (run.info.why or "")
        assert not is_locked(store.directory)


def test_an_unknown_field_or_status_is_refused_and_unknown_keys_go_into_extra(store: RunStore):
    with pytest.raises(TypeError):
        store.update_info(setps=3)
    with pytest.raises(ValueError, match="lost"):
        store.update_info(status="lost")
    store.update_info(extra={"custom": 1})
    store.update_info(extra={"other": 2})
    assert json.loads((store.directory / "run.json").read_text())["custom"] == 1


def test_few_parameters_are_written_for_people_too(store: RunStore):
    store.write_parameters({"dense1.kernel": np.array([[0.1, 0.2]], np.float32), "a": np.float64(np.pi)})
    text = (store.directory / "parameters.json").read_text()
    assert json.loads(text) == {"dense1.kernel": [[0.1, 0.2]], "a": np.pi}
    store.remove("parameters.json")
    store.write_parameters({"w": np.zeros(1001)})
    assert not (store.directory / "parameters.json").exists()
    assert Run(store.directory).parameters["w"].shape == (1001,)


def test_arrays_of_objects_are_refused_and_the_old_file_stays(store: RunStore):
    store.write_arrays("curves.npz", {"a": np.arange(3)})
    with pytest.raises(TypeError):
        store.write_arrays("curves.npz", {"a": np.array([{}], object)})
    assert Run(store.directory).arrays("curves.npz")["a"].tolist() == [0, 1, 2]


def test_the_log_takes_whole_lines(store: RunStore):
    store.log("one")
    store.log("two")
    store.log("three\n")
    assert (store.directory / layout.LOG).read_text() == "one\ntwo\nthree\n"


def test_appended_rows_are_flushed_when_they_have_grown_old(store: RunStore, monkeypatch: pytest.MonkeyPatch):
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    append_rows(store, [{"step": 0}])
    assert not flushed
    store._appended._flushed_at -= 2
    append_rows(store, [{"step": 1}])
    assert len(flushed) == 2  # the file and its directory
