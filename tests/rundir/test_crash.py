"""Whatever system call fails or is the last one, each file is absent, complete-old or complete-new."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir import strict_json
from gdrun.rundir.files import TEMPORARY
from gdrun.rundir.listing import runs
from gdrun.rundir.metrics import decode_rows
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import RunInfo, Status
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

from .faults import CALLS, Faults, Killed, count_calls, outcome


def script(root: Path, reported: list[str]) -> None:
    """A whole life of a run; what it has been told is saved goes into `reported`."""
    with RunStore.create(root, "pi", kind="train") as store:
        store.write_text("config.yaml", "version: 1\n" * 50)
        store.write_bytes("source/parent.yaml", b"x" * 100)
        reported.append("config 1")
        append_rows(store, [{"step": step, "loss": 0.1 * step} for step in range(5)])
        store.log("hello")
        store.sync()
        reported.append("rows 5")
        checkpoints = store.checkpoints()
        for step in (1, 2, 3):
            checkpoints.save(step, {"a": np.full(100, step, np.float32)}, {"epoch": step})
            reported.append(f"checkpoint {step}")
        store.write_text("config.yaml", "version: 2\n" * 50)
        reported.append("config 2")
        store.cut_rows(after_step=2)
        store.append_columns({"step": np.arange(3, 6), "loss": np.arange(3.0)})
        store.write_parameters({"a": np.float32(3.14)})
        store.close("completed", steps=5)
        reported.append("closed")


def check_files(directory: Path, reported: list[str]) -> None:
    for path in directory.rglob("*"):
        if path.is_dir() or path.name.startswith(TEMPORARY) or path.name.startswith(".lock"):
            continue
        data = path.read_bytes()
        if path.suffix == ".json":
            strict_json.loads(data)
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert {name: arrays[name].shape for name in arrays if name != "meta.json"} in (
                    {"a": ()},
                    {"a": (100,)},
                )
        elif path.suffix == ".jsonl":
            rows, corrupt, _ = decode_rows(data)
            assert not corrupt
            steps = [row["step"] for row in rows]
            # A kill in the middle of a write may leave its first lines; after the cut, steps 0..2 are left.
            assert steps == list(range(len(steps)))
            assert "rows 5" not in reported or len(steps) >= 3
        elif path.name == "config.yaml":
            versions = {b"version: 1\n" * 50: 1, b"version: 2\n" * 50: 2}
            assert versions[data] == 2 or "config 2" not in reported
        elif path.name == "parent.yaml":
            assert data == b"x" * 100
    if "config 1" in reported:
        assert (directory / "config.yaml").exists()


def check_usable(root: Path, reported: list[str]) -> None:
    for run in runs(root):
        check_files(run.directory, reported)
        if not (run.directory / "run.json").exists():
            assert run.status is Status.LOST
            continue
        with RunStore.open(run.directory) as store:
            saved = [int(text.split()[1]) for text in reported if text.startswith("checkpoint")]
            newest = store.checkpoints().load_newest()
            assert (newest.step if newest else 0) >= max(saved, default=0)
            assert newest is None or (newest.arrays["a"] == newest.step).all()
            assert not Run(run.directory).table.torn
            append_rows(store, [{"step": 100, "loss": 1.0}])
            store.close("completed")
        assert Run(run.directory).table.corrupt_lines == ()
        assert not [path for path in run.directory.rglob("*") if path.name.startswith(TEMPORARY)]


def test_a_kill_at_any_system_call_leaves_whole_files(memory_path: Path):
    hits = set()
    for at in range(1, count_calls(lambda: script(memory_path / "counted", [])) + 1):
        root, reported = memory_path / f"runs{at}", list[str]()
        with pytest.MonkeyPatch.context() as monkeypatch:
            faults = Faults(monkeypatch, at, "kill")
            with pytest.raises(Killed):
                script(root, reported)
        hits.add(faults.hit)
        check_usable(root, reported)
    assert hits == set(CALLS), "the script must exercise every kind of call"


@pytest.mark.parametrize("kind", ["full", "broken"])
def test_an_error_at_any_system_call_is_reported_and_leaves_whole_files(memory_path: Path, kind: str):
    for at in range(1, count_calls(lambda: script(memory_path / "counted", [])) + 1):
        root, reported = memory_path / f"{kind}{at}", list[str]()
        with pytest.MonkeyPatch.context() as monkeypatch:
            faults = Faults(monkeypatch, at, kind)
            error = outcome(lambda: script(root, reported))  # noqa: B023
        if error is None:
            # Only what is tidied in passing may fail unnoticed.
            assert faults.hit == "unlink", f"a failed {faults.hit} was reported as success"
        else:
            assert error.exit_code == 5
            assert str(root) in error.message
            assert "closed" not in reported
        check_usable(root, reported)


def test_a_failed_flush_is_never_tried_again(tmp_path: Path):
    store = RunStore.create(tmp_path, "pi")
    append_rows(store, [{"step": 0, "loss": 1.0}])
    with pytest.MonkeyPatch.context() as monkeypatch:
        faults = Faults(monkeypatch, 1, "broken", ("fsync",))
        with pytest.raises(RunDirectoryError, match="cannot flush"):
            store.sync()
        for call in (store.sync, lambda: append_rows(store, [{"step": 1}]), lambda: store.close("completed")):
            with pytest.raises(RunDirectoryError, match="cannot flush"):
                call()
        assert faults.count == 1
    assert Run(store.directory).status is Status.LOST


def test_a_broken_store_still_tries_to_record_that_it_failed(tmp_path: Path):
    store = RunStore.create(tmp_path, "pi")

    def fail() -> None:
        with store:
            append_rows(store, [{"step": 0, "loss": 1.0}])
            with pytest.MonkeyPatch.context() as monkeypatch:
                Faults(monkeypatch, 1, "full", ("write",))
                append_rows(store, [{"step": 1, "loss": 1.0}])

    assert outcome(fail) is not None
    run = Run(store.directory)
    assert run.status is Status.FAILED
    assert "No space left on device" in (run.info.why or "")
    assert run.metrics["step"].tolist() == [0]
    assert not run.table.torn


def test_a_full_disk_takes_back_the_part_of_a_row_that_it_took(tmp_path: Path):
    store = RunStore.create(tmp_path, "pi")
    append_rows(store, [{"step": 0, "loss": 1.0}])
    before = (store.directory / "metrics.jsonl").read_bytes()
    with pytest.MonkeyPatch.context() as monkeypatch:
        Faults(monkeypatch, 1, "full", ("write",))
        with pytest.raises(RunDirectoryError, match="No space left") as caught:
            append_rows(store, [{"step": 1, "loss": 1.0}])
    assert "free some space" in (caught.value.hint or "")
    assert (store.directory / "metrics.jsonl").read_bytes() == before
    store.abandon("full")


def test_short_writes_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, memoryview(data)[:7]))
    with RunStore.create(tmp_path, "pi") as store:
        append_rows(store, [{"step": 0, "loss": 0.123456789}])
        store.write_arrays("parameters.npz", {"a": np.arange(100.0)})
        store.close("completed")
    run = Run(store.directory)
    assert run.metrics["loss"].tolist() == [0.123456789]
    assert run.parameters["a"].tolist() == list(range(100))


@pytest.mark.parametrize("cut", range(0, 70, 3))
def test_a_torn_last_line_is_skipped_and_then_cut(tmp_path: Path, cut: int):
    with RunStore.create(tmp_path, "pi") as store:
        append_rows(store, [{"step": step, "loss": 1.0} for step in range(3)])
        store.close("interrupted")
    path = store.directory / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - min(cut, len(whole))])
    left = path.read_bytes().count(b"\n")
    assert len(Run(store.directory).table) == left
    with RunStore.open(store.directory) as again:
        assert path.read_bytes() == b"".join(whole.splitlines(True)[:left])
        again.close("interrupted")


def test_a_torn_line_longer_than_a_block_is_cut(tmp_path: Path):
    with RunStore.create(tmp_path, "pi") as store:
        append_rows(store, [{"step": 0, "loss": 1.0}])
        store.close("interrupted")
    path = store.directory / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 200_000)
    with RunStore.open(store.directory) as again:
        assert path.read_bytes() == whole
        again.close("interrupted")


def test_a_record_that_is_cut_anywhere_is_reported_as_corrupt(tmp_path: Path):
    text = RunInfo(id="x", name="pi").to_text().encode().rstrip()
    directory = tmp_path / "2026-11-23T003318-pi-7f3a"
    directory.mkdir()
    for size in range(len(text)):
        (directory / "run.json").write_bytes(text[:size])
        assert Run(directory).status is Status.CORRUPT
        assert "corrupt" in (Run(directory).problem or "")
        with pytest.raises(RunDirectoryError):
            RunStore.open(directory)
    assert not (directory / ".lock").exists()


def test_a_file_is_flushed_before_it_takes_its_name_and_the_name_after(tmp_path: Path):
    with pytest.MonkeyPatch.context() as monkeypatch:
        faults = Faults(monkeypatch, -1, "kill", ("write", "fsync", "replace", "mkdir", "symlink", "ftruncate"))
        with RunStore.create(tmp_path, "pi") as store:
            # The first record, then the pointer; the root's flush makes the run directory's own name durable too.
            assert faults.taken() == ["mkdir", "write", "fsync", "replace", "fsync", "symlink", "replace", "fsync"]
            store.write_text("config.yaml", "x")
            assert faults.taken() == ["write", "fsync", "replace", "fsync"]
            store.write_text("source/config.yaml", "x")
            assert faults.taken() == ["mkdir", "fsync", "write", "fsync", "replace", "fsync"]
            append_rows(store, [{"step": 0}, {"step": 1}])
            store.cut_rows(after_step=0)
            assert faults.taken() == ["write", "ftruncate", "fsync"]
            store.close("completed")
            # The rows and their file's name before the record says "completed".
            assert faults.taken() == ["fsync", "fsync", "write", "fsync", "replace", "fsync"]


def test_what_a_killed_writer_left_half_written_is_written_over(tmp_path: Path):
    with RunStore.create(tmp_path, "pi") as store:
        (store.directory / "plots").mkdir()
        (store.directory / "plots" / f"{TEMPORARY}loss.svg").write_text("half a pic")
        store.write_text("plots/loss.svg", "a picture")
        assert os.listdir(store.directory / "plots") == ["loss.svg"]
        store.close("completed")
