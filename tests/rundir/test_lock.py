"""One writer a run directory, by a lock that the kernel holds."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir.lock import WriterLock, is_locked
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore


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
                store.append_rows([{"step": step, "loss": step / 7}])
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
