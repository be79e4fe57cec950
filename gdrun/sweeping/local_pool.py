"""Worker processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from typing import Any

from gdrun.errors import UsageError
from gdrun.machine import usable_cores

from .groups import TrialGroup
from .results import BlockProgress, BlockResult
from .worker import Work, train, use_one_gpu, warm_up

MAX_JOBS = 256
_PARENT_SECONDS = 0.5
"""Between two looks of a worker at whether its parent lives."""


class LocalPool:
    """Worker processes of this machine: one ProcessPoolExecutor, and another one when a process has died.

    Processes end with this one, however it ends, and do not get the terminal's Ctrl-C: the sweep ends them.

    Args:
        jobs: how many.
        device: theirs.
        threads: CPU threads of each; None: the machine's are divided between them.
    """

    versions: dict[str, str | None] | None = None
    worker_lost_error: type[BaseException] = BrokenProcessPool
    loses_all_running: bool = True

    def __init__(self, jobs: int, device: str, threads: int | None) -> None:
        if jobs > MAX_JOBS:
            raise UsageError(f"{jobs} worker processes are too many; {MAX_JOBS} can be had")
        self.size = jobs
        self.device = device
        self.threads: int | None = threads if threads is not None else max(1, usable_cores() // jobs)
        self.processes: set[BaseProcess] = set()
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        # One queue for all, and a new one with new processes: one that was killed may have held its lock.
        self._queue: SimpleQueue[tuple[int, BlockProgress]] = context.SimpleQueue()
        self._newest: dict[int, BlockProgress] = {}
        self._running: dict[Future[list[BlockResult]], int] = {}
        numbers: SimpleQueue[int] = context.SimpleQueue()
        for number in range(self.size):
            numbers.put(number)
        arguments = (os.getpid(), self._queue, numbers, self.device)
        self._executor = ProcessPoolExecutor(self.size, context, _set_up, arguments)
        self.processes = set()
        with contextlib.suppress(BrokenProcessPool):
            for _ in range(self.size):
                self._submit(warm_up, self.device, self.threads)

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        # A submission may start a process.
        before = set(multiprocessing.active_children())
        with spawning():
            future = self._executor.submit(function, *arguments)
        self.processes |= set(multiprocessing.active_children()) - before
        return future

    def submit(self, work: Work, group: TrialGroup) -> Future[list[BlockResult]]:
        """See `executors.Pool`."""
        try:
            future = self._submit(_train, work, group)
        except BrokenProcessPool as error:
            # A process died while it had nothing to do.
            self.recover(error)
            future = self._submit(_train, work, group)
        self._newest.pop(int(group.trials[0]), None)
        self._running[future] = int(group.trials[0])
        return future

    def recover(self, error: BaseException) -> str:
        """Start other processes in the place of those that a broken executor has ended; see `executors.Pool`."""
        code = self._exit_code()
        self.close()
        self._start()
        if code is not None and code < 0:
            return f"a worker process was killed by {signal.Signals(-code).name}"
        return f"a worker process ended with exit code {code}"

    def _exit_code(self) -> int | None:
        """Return the exit code of the process that died first; a broken executor ends the others by SIGTERM."""
        deadline = time.monotonic() + 1
        codes: list[int | None] = []
        while None in (codes := [process.exitcode for process in self.processes]) and time.monotonic() < deadline:
            time.sleep(0.01)
        ended = [code for code in codes if code is not None]
        return next((code for code in ended if code != -signal.SIGTERM), next(iter(ended), None))

    def progress(self) -> BlockProgress | None:
        """See `executors.Pool`."""
        while not self._queue.empty():
            first, progress = self._queue.get()
            self._newest[first] = progress
        self._running = {future: first for future, first in self._running.items() if not future.done()}
        running = [self._newest[first] for first in self._running.values() if first in self._newest]
        return sum(running, BlockProgress()) if running else None

    def close(self) -> None:
        """See `executors.Pool`."""
        for process in self.processes:
            process.kill()
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in self.processes:
            process.join(1)


@contextlib.contextmanager
def spawning() -> Iterator[None]:
    """Start processes meanwhile that have SIGINT blocked and do not import this process's main module.

    Threads and programs inherit the mask from their first instruction on; a handler that a process sets itself would
    come too late for a Ctrl-C while it starts. The main module may be a script without a guard, which would run again.
    """
    # The tracker unblocks the signal when it is started, which the first process does.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_progress_queue: SimpleQueue[tuple[int, BlockProgress]] | None = None
"""Of a worker process: (number of the group's first trial, its progress)."""


def _set_up(parent: int, queue: SimpleQueue[tuple[int, BlockProgress]], numbers: SimpleQueue[int], device: str) -> None:
    """Set a worker process up, as the one of the next of `numbers`."""
    global _progress_queue
    _progress_queue = queue
    # stdout is the command's data.
    os.dup2(2, 1)
    use_one_gpu(numbers.get(), device)

    def end_with_parent() -> None:
        # An executor's processes wait for work for ever when their parent was killed.
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True, name="parent watch").start()


def _train(work: Work, group: TrialGroup) -> list[BlockResult]:
    queue, first = _progress_queue, int(group.trials[0])
    assert queue is not None
    return train(work, group, lambda progress: queue.put((first, progress)))
