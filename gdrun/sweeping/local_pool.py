"""Worker processes on this machine: a `ProcessPoolExecutor` each, so that one that dies takes no other with it.

Workers end with this process, whatever ends it, and do not hear the terminal's Ctrl-C: who started them ends them.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from gdrun.errors import UsageError

from .grouping import Group
from .results import BlockProgress, BlockResult
from .working import Work, train, warm_up

MAX_JOBS = 256
_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that this process gets when the thread that started it ends."""
_PARENT_SECONDS = 0.5
"""How often a worker looks whether its parent lives, where the kernel does not tell it."""


class LocalPool:
    """So many worker processes of this machine.

    Args:
        jobs: how many.
        device: theirs.
        threads: CPU threads of each; None: the machine's are divided between them.
    """

    settled_by_pool: bool = False
    versions: dict[str, str | None] | None = None
    deaths: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, jobs: int, device: str, threads: int | None) -> None:
        if jobs > MAX_JOBS:
            raise UsageError(f"{jobs} worker processes are too many; {MAX_JOBS} can be had")
        self.size = jobs
        self.device = device
        threads = threads if threads is not None else max(1, usable_cores() // jobs)
        self.threads: int | None = threads
        self._workers = [_Worker(device, threads) for _ in range(jobs)]
        self._busy: dict[Future[list[BlockResult]], _Worker] = {}
        for worker in self._workers:
            worker.start()

    def submit(self, work: Work, group: Group) -> Future[list[BlockResult]]:
        """Let a worker that is free train a group."""
        worker = next(worker for worker in self._workers if worker not in self._busy.values())
        try:
            future = worker.submit(work, group)
        except BrokenProcessPool:
            # It died while it had nothing to do.
            worker.start()
            future = worker.submit(work, group)
        self._busy[future] = worker
        return future

    def released(self, future: Future[list[BlockResult]]) -> str:
        """A future is done: its worker is free. If it died, return of what, and start another in its place."""
        worker = self._busy.pop(future)
        return worker.buried() if isinstance(future.exception(), self.deaths) else ""

    def told(self) -> list[BlockProgress]:
        """Return what each worker that is at work said last of how far it is."""
        return [said for worker in self._busy.values() if (said := worker.said()) is not None]

    def close(self) -> None:
        """End all workers at once, whatever they do."""
        for worker in self._workers:
            worker.kill()


@dataclass(eq=False)
class _Worker:
    """One worker process, and the next one when it has died."""

    device: str
    threads: int
    _pool: ProcessPoolExecutor | None = None
    _context: Context = field(default_factory=lambda: Context())
    _ear: Connection | None = None
    _last: BlockProgress | None = None

    def start(self) -> None:
        """Start the process; it goes on importing what it needs."""
        self.kill()
        self._context = Context()
        self._ear, mouth = multiprocessing.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(1, self._context, _begin, (os.getpid(), mouth))
        with contextlib.suppress(BrokenProcessPool):
            self._pool.submit(warm_up, self.device, self.threads)
        mouth.close()

    def submit(self, work: Work, group: Group) -> Future[list[BlockResult]]:
        """Train a group."""
        assert self._pool is not None
        self._last = None
        return self._pool.submit(_train, work, group)

    def said(self) -> BlockProgress | None:
        """What it said last."""
        with contextlib.suppress(EOFError, OSError):
            while self._ear is not None and self._ear.poll():
                self._last = self._ear.recv()
        return self._last

    def buried(self) -> str:
        """Start another process in the place of one that died, and return of what it did."""
        code = self._exit_code()
        self.start()
        if code is not None and code < 0:
            return f"its worker process was killed by {signal.Signals(-code).name}"
        return f"its worker process ended with exit code {code}"

    def _exit_code(self) -> int | None:
        # The executor's own thread may be the one that hears of it first.
        deadline = time.monotonic() + 1
        while self._context.started and time.monotonic() < deadline:
            if (code := self._context.started[-1].exitcode) is not None:
                return code
            time.sleep(0.01)
        return None

    def kill(self) -> None:
        """End the process."""
        for process in self._context.started:
            process.kill()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        for process in self._context.started:
            process.join(1)
        if self._ear is not None:
            self._ear.close()
            self._ear = None


class _Process(SpawnProcess):
    """A process that is deaf to Ctrl-C from its first instruction and does not import this one's main module."""

    def start(self) -> None:
        """Start it."""
        # Starting the tracker, which the first process needs, unblocks the signal.
        resource_tracker.ensure_running()
        with deaf_children(), _without_main():
            super().start()


class Context(SpawnContext):
    """Spawns processes and knows them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **named: Any) -> SpawnProcess:  # type: ignore[override]
        """Return a process that is to be started."""
        self.started.append(_Process(*args, **named))
        return self.started[-1]


@contextlib.contextmanager
def deaf_children() -> Iterator[None]:
    """What is started meanwhile has SIGINT blocked for good: the mask passes to threads and programs."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Spawned processes would run the script again that this one was started with; workers need nothing of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


_mouth: Connection | None = None
"""Of a worker: where it tells how far it is."""


def _begin(parent: int, mouth: Connection) -> None:
    """Set a new worker process up."""
    global _mouth
    _mouth = mouth
    end_with(parent)
    # stdout is the command's data.
    os.dup2(2, 1)


def _train(work: Work, group: Group) -> list[BlockResult]:
    assert _mouth is not None
    return train(work, group, _mouth.send)


def end_with(parent: int) -> None:
    """Let this process end as soon as its parent has, however that ends, and not by Ctrl-C.

    For Linux's kernel the first is one call.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent watch").start()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
