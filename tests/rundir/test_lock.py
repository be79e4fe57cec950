"""One writer a run directory, by a lock that the kernel holds and a heartbeat that other machines see."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir.layout import HEARTBEAT
from gdrun.rundir.lock import SILENT_SECONDS, WriterLock, is_locked
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from gdrun.sweeping.run import resume
from tests.rows import append_rows


def in_child(action: Callable[[], object]) -> tuple[int, int]:
    """Run `action` in a forked process that then waits; return its id and the pipe that tells when it is through."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            held = action()  # noqa: F841  (a lock must stay referenced)
            os.write(write, b"y")
        except RunDirectoryError:
            os.write(write, b"busy")
        finally:
            signal.pause()
            os._exit(1)
    os.close(write)
    return child, read


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_second_writer_is_refused_and_a_reader_sees_the_first(tmp_path: Path):
    lock = WriterLock(tmp_path)
    assert is_locked(tmp_path)
    with pytest.raises(RunDirectoryError, match="busy") as caught:
        WriterLock(tmp_path)
    assert str(tmp_path) in caught.value.message
    lock.release()
    assert not is_locked(tmp_path)
    WriterLock(tmp_path).release()
    assert (tmp_path / ".lock").read_bytes() == b""


def test_another_process_is_refused_while_the_run_is_written(tmp_path: Path):
    with RunStore.create(tmp_path, "pi") as store:
        child, pipe = in_child(lambda: RunStore.open(store.directory))
        assert os.read(pipe, 10) == b"busy"
        end(child)
        os.close(pipe)
        store.close("completed")


def test_a_killed_writer_leaves_a_lost_run_that_can_be_opened(tmp_path: Path):
    child, pipe = in_child(lambda: RunStore.create(tmp_path, "pi"))
    assert os.read(pipe, 10) == b"y"
    os.close(pipe)
    (directory,) = (path for path in tmp_path.iterdir() if not path.is_symlink())
    assert Run(directory).status is Status.RUNNING
    end(child)
    assert Run(directory).status is Status.LOST
    with RunStore.open(directory) as store:
        assert Run(directory).status is Status.RUNNING
        store.close("interrupted")
    assert Run(directory).status is Status.INTERRUPTED


def test_a_forked_worker_that_outlives_the_writer_does_not_keep_the_lock(tmp_path: Path):
    lock = WriterLock(tmp_path)
    child, pipe = in_child(lambda: None)
    os.read(pipe, 10)
    lock.release()
    assert not is_locked(tmp_path)
    end(child)
    os.close(pipe)


def test_asking_whether_a_lock_is_free_needs_no_file_and_no_right_to_write(tmp_path: Path):
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not is_locked(tmp_path / "absent")


@pytest.mark.parametrize("seed", range(10))
def test_what_was_reported_before_a_real_kill_is_there_after_it(tmp_path: Path, seed: int):
    """A child appends rows and says each step; it is killed at some moment; every step that it said is in the file."""

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store = RunStore.create(tmp_path, "pi")
            for step in range(10**6):
                append_rows(store, [{"step": step, "loss": step / 7}])
                if step % 20 == 0:
                    store.checkpoints().save(step, {}, {"step_too": step})
                os.write(write, step.to_bytes(8, "big"))
        finally:
            os._exit(1)
    os.close(write)
    said = b""
    while len(said) < 8 * (7 + 40 * seed):
        said += os.read(read, 1 << 16)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(read, 1 << 16):
        said += more
    os.close(read)
    last = len(said) // 8 - 1
    (directory,) = (path for path in tmp_path.iterdir() if not path.is_symlink())
    with RunStore.open(directory) as store:
        steps = Run(directory).metrics["step"]
        assert steps.tolist() == list(range(len(steps)))
        assert len(steps) - 1 >= last
        newest = store.checkpoints().load_newest()
        assert newest is not None
        assert newest.step >= last // 20 * 20
        store.close("interrupted")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that a process of another machine is writing, whose kernel's lock is not seen here."""
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began)
    with RunStore.create(tmp_path, "pi") as store:
        name = store.directory / HEARTBEAT
        writer = json.loads(name.read_text())
        assert writer["process"] == os.getpid()
        assert writer["time"] == began
        store.close("interrupted")
    assert not name.exists()
    info = store.directory / "run.json"
    info.write_text(info.read_text().replace("interrupted", "running"))
    name.write_text(json.dumps(writer | {"host": "node7", "kernel": "another"}))
    return store.directory


def silence(directory: Path, seconds: float) -> None:
    """Let a heartbeat have been silent for so long."""
    then = time.time() - seconds
    os.utime(directory / HEARTBEAT, (then, then))


def test_a_run_whose_writer_beats_on_another_machine_runs_and_is_refused(elsewhere: Path) -> None:
    before = sorted(elsewhere.iterdir())
    assert Run(elsewhere).status is Status.RUNNING
    for refused in (lambda: RunStore.open(elsewhere), lambda: resume(elsewhere)):
        with pytest.raises(RunDirectoryError) as caught:
            refused()
        assert caught.value.message == f"{elsewhere} is busy: process {os.getpid()} on node7 is writing it"
        assert "if it was killed, that shows 60 s after its last heartbeat" in (caught.value.hint or "")
    assert sorted(elsewhere.iterdir()) == before


def test_a_run_whose_writer_on_another_machine_is_silent_is_lost_and_can_be_opened(elsewhere: Path) -> None:
    silence(elsewhere, SILENT_SECONDS - 5)
    assert Run(elsewhere).status is Status.RUNNING
    silence(elsewhere, SILENT_SECONDS + 5)
    assert Run(elsewhere).status is Status.LOST
    with RunStore.open(elsewhere) as store:
        assert Run(elsewhere).status is Status.RUNNING
        store.close("interrupted")


def test_a_run_is_lost_only_when_lock_and_heartbeat_say_so(elsewhere: Path) -> None:
    silence(elsewhere, SILENT_SECONDS + 5)
    child, pipe = in_child(lambda: fcntl.flock(os.open(elsewhere / ".lock", os.O_RDWR), fcntl.LOCK_EX))
    os.read(pipe, 10)
    assert Run(elsewhere).status is Status.RUNNING
    end(child)
    os.close(pipe)
    assert Run(elsewhere).status is Status.LOST


def test_a_clock_that_is_off_decides_nothing(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    for off in (-86400, 86400):
        monkeypatch.setattr(time, "time", lambda off=off: real() + off)
        os.utime(elsewhere / HEARTBEAT)
        assert is_locked(elsewhere)
        then = real() - SILENT_SECONDS - 5
        os.utime(elsewhere / HEARTBEAT, (then, then))
        assert not is_locked(elsewhere)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"kernel": "x", "process": "y", "host": "z"}'])
def test_a_heartbeat_that_is_torn_counts_as_none(elsewhere: Path, text: str) -> None:
    (elsewhere / HEARTBEAT).write_text(text)
    assert Run(elsewhere).status is Status.LOST


def test_a_writer_touches_its_heartbeat_until_it_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gdrun.rundir.lock.BEAT_SECONDS", 0.01)
    lock = WriterLock(tmp_path)
    silence(tmp_path, 100)
    silent = (tmp_path / HEARTBEAT).stat().st_mtime_ns
    silence(tmp_path, 200)
    for _ in range(100_000):  # a hang alone comes to the end
        if (tmp_path / HEARTBEAT).stat().st_mtime_ns > silent:
            break
        time.sleep(0.01)
    assert (tmp_path / HEARTBEAT).stat().st_mtime_ns > silent
    lock.release()
    assert not (tmp_path / HEARTBEAT).exists()


def test_a_forked_worker_leaves_the_heartbeat_to_its_parent(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path)
    child, pipe = in_child(lambda: None)
    os.read(pipe, 10)
    assert (tmp_path / HEARTBEAT).exists()
    end(child)
    os.close(pipe)
    lock.release()
