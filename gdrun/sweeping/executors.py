"""Executors of a sweep: this process, or workers that are fed by the futures of `concurrent.futures`.

Each of them gives the same results, in another order: a trial's bits depend neither on the worker nor on the lanes
beside it. Workers get one group at a time and send its results back, which are checked here; this process alone writes.

    InProcess                        one group after the other
    Workers(LocalPool)               processes of this machine, for --jobs
    Workers(DaskPool)                workers of a Dask cluster, for --cluster
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gdrun.errors import GdrunError, ResourceError, UsageError
from gdrun.text import plural, safe_text

from .grouping import Group
from .results import STATUSES, BlockProgress, BlockResult, Hooks, failed
from .worker import OtherVersions, Work, train, warm_up

if TYPE_CHECKING:
    from .trials import SweepSpec

ATTEMPTS = 3
"""So often a group is given to a worker before its trials count as failed; the last time while no other is trained, so
that no group fails for another one that kills its workers."""
MAX_JOBS = 256
ALIGNMENT = 16
"""Lanes come in multiples of so many; a group is not cut finer."""
_POLL_SECONDS = 0.05
_PARENT_SECONDS = 0.5
"""Between two looks of a worker at whether its parent lives."""


class Executor(Protocol):
    """Trains groups of a sweep's trials."""

    def run(self, spec: SweepSpec, groups: Sequence[Group], hooks: Hooks) -> Iterator[BlockResult]:
        """Yield the results of all groups, in any order, until `hooks.should_stop()`.

        Raises:
            ResourceError: nothing can be trained: the device is not there, or the cluster has gone.
        """

    def close(self) -> None:
        """End the workers that were started, whatever they do. A second call does nothing."""


class InProcess:
    """Executor that trains the groups in this process, one after the other."""

    def run(self, spec: SweepSpec, groups: Sequence[Group], hooks: Hooks) -> Iterator[BlockResult]:
        """See `Executor`."""
        from .blocks import run_group

        for group in groups:
            if hooks.should_stop():
                return
            yield from run_group(spec, group, hooks)

    def close(self) -> None:
        """Do nothing."""


def make_executor(
    *, jobs: int = 1, cluster: str | None = None, device: str | None = None, threads: int | None = None
) -> Executor:
    """Return an executor; its workers, if there are any, are being started.

    Args:
        jobs: worker processes on this machine; 1: none, this process trains.
        cluster: "tcp://HOST:PORT" of a Dask scheduler, or "local:N" for one of N workers on this machine.
        device: as for `train`.
        threads: CPU threads of each worker; None: this machine's are divided between its workers.
    Raises:
        UsageError: both kinds of workers, or an address that is none.
        ResourceError: Dask is not installed, the cluster does not answer, or its workers have other versions.
    """
    if cluster is None:
        return InProcess() if jobs == 1 else Workers(LocalPool(jobs, device or "auto", threads))
    if jobs != 1:
        raise UsageError("--jobs and --cluster are two ways to have workers", hint=f"--cluster local:{jobs}")
    from .dask_pool import DaskPool

    return Workers(DaskPool(cluster, device or "auto", threads))


class Pool(Protocol):
    """Workers, each of which trains one group at a time."""

    size: int
    """Groups that are trained at the same time."""
    device: str
    threads: int | None
    versions: dict[str, str | None] | None
    """Versions that a worker has to have; None where it cannot have others."""
    death: type[BaseException]
    """Raised by a future whose worker has died."""
    dies_together: bool
    """Whether one death ends the futures of all groups; else the pool has given the group to other workers already."""

    def submit(self, work: Work, group: Group) -> Future[list[BlockResult]]:
        """Let a worker train a group."""

    def recover(self, error: BaseException) -> str:
        """Prepare for further groups after a death or OtherVersions; return the reason in words."""

    def progress(self) -> BlockProgress | None:
        """Return the progress of the groups that are being trained; None: it is not known."""

    def close(self) -> None:
        """End the workers that were started here, whatever they do."""


@dataclass(frozen=True)
class _Task:
    """A group to be trained."""

    group: Group
    attempt: int = 1


class Workers:
    """Executor whose groups are trained by the workers of a pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def close(self) -> None:
        """See `Executor`."""
        self.pool.close()

    def run(self, spec: SweepSpec, groups: Sequence[Group], hooks: Hooks) -> Iterator[BlockResult]:
        """See `Executor`."""
        pool = self.pool
        work = Work.of(spec, device=pool.device, threads=pool.threads, versions=pool.versions)
        waiting = [_Task(group) for group in reversed(cut(groups, pool.size, partial(chunk_of, spec)))]
        running: dict[Future[list[BlockResult]], _Task] = {}
        while waiting or running:
            while waiting and len(running) < _room(pool.size, waiting[-1], running.values()):
                task = waiting.pop()
                running[pool.submit(work, task.group)] = task
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            if hooks.should_stop():
                return
            errors = {future: _error(future) for future in done}
            death = next((error for error in errors.values() if isinstance(error, pool.death)), None)
            if death is not None and pool.dies_together:
                done, _ = wait(running)
                errors = {future: _error(future) for future in done}
            reason = pool.recover(death) if death is not None else ""
            again: dict[str, list[Group]] = {}
            for future, error in errors.items():
                task = running.pop(future)
                group = task.group
                if error is None:
                    blocks = future.result()
                    why = problem(blocks, group)
                    if not why:
                        yield from blocks
                        continue
                elif isinstance(error, pool.death):
                    why = reason
                    if not pool.dies_together:
                        yield failed(group.trials, why)
                        continue
                elif isinstance(error, OtherVersions):
                    why = pool.recover(error)
                elif isinstance(error, GdrunError) and not isinstance(error, ResourceError):
                    yield failed(group.trials, safe_text(error, limit=300))
                    continue
                else:
                    raise error
                if task.attempt == ATTEMPTS:
                    yield failed(group.trials, f"{why}, {ATTEMPTS} times")
                else:
                    again.setdefault(why, []).append(group)
                    waiting.append(_Task(group, task.attempt + 1))
            for why, lost in again.items():
                hooks.warn(f"{why}; once more: {_trials(lost)}")
            if (progress := pool.progress()) is not None:
                hooks.progress(progress)


def _room(size: int, task: _Task, running: Iterable[_Task]) -> int:
    """Return how many groups may be trained while `task` is, itself included."""
    alone = any(one.attempt == ATTEMPTS for one in (task, *running))
    return 1 if alone else size


def _error(future: Future[Any]) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError:
        return ResourceError("the cluster has gone", hint="when it is there again, gdrun resume goes on")


def problem(blocks: Any, group: Group) -> str:
    """Return the problem of the results that a worker sent for `group`, in words; "" where there is none.

    Each trial of the group, and no other, has to have one row.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, BlockResult) for block in blocks):
        return "a worker sent what is no result"
    trials = np.sort(np.concatenate([np.zeros(0, np.int64), *(block.trials for block in blocks)]))
    if not np.array_equal(trials, group.trials):
        return "a worker sent results of other trials"
    for block in blocks:
        columns = [block.status, block.stopped_by, block.steps, block.diverged_at, block.diverged, block.why]
        columns += [*block.values.values(), *block.parameters.values(), *block.curves.values()]
        if any(len(column) != len(block) for column in columns) or not set(block.status) <= set(STATUSES):
            return "a worker sent results that are not whole"
    return ""


def _trials(groups: Sequence[Group]) -> str:
    trials = np.sort(np.concatenate([group.trials for group in groups]))
    if len(trials) == 1:
        return f"trial {trials[0]}"
    return f"{plural(len(trials), 'trial')} ({trials[0]} to {trials[-1]})"


def cut(groups: Sequence[Group], pieces: int, chunk: Callable[[Group], int] = lambda group: ALIGNMENT) -> list[Group]:
    """Return the groups, the large ones cut, so that about `pieces` workers have something to do.

    Where a group is cut changes no result: a lane's bits do not depend on how many there are.

    Args:
        chunk: in multiples of how many trials a group may be cut.
    """
    share = -(-sum(map(len, groups)) // max(1, pieces))
    result = []
    for group in groups:
        multiple = chunk(group)
        size = len(group) if group.whole else max(1, -(-share // multiple)) * multiple
        for begin in range(0, len(group), size):
            result.append(replace(group, trials=group.trials[begin : begin + size]))
    return result


def chunk_of(spec: SweepSpec, group: Group) -> int:
    """Return in multiples of how many trials a group may be cut: 1 where they run one after the other, as far as the
    config alone shows that."""
    if len(group) == 1:
        return 1
    experiment = spec.load(int(group.trials[0])).experiment
    return 1 if experiment.compile == "eager" or experiment.model.convolves else ALIGNMENT


class LocalPool:
    """Worker processes of this machine: one ProcessPoolExecutor, and another one when a process has died.

    Processes end with this one, however it ends, and do not get the terminal's Ctrl-C: the sweep ends them.

    Args:
        jobs: how many.
        device: theirs.
        threads: CPU threads of each; None: the machine's are divided between them.
    """

    versions: dict[str, str | None] | None = None
    death: type[BaseException] = BrokenProcessPool
    dies_together: bool = True

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
        self._executor = ProcessPoolExecutor(self.size, context, _set_up, (os.getpid(), self._queue))
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

    def submit(self, work: Work, group: Group) -> Future[list[BlockResult]]:
        """See `Pool`."""
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
        """Start other processes in the place of those that a broken executor has ended; see `Pool`."""
        code = self._exit_code()
        self.close()
        self._start()
        if code is not None and code < 0:
            return f"a worker process was killed by {signal.Signals(-code).name}"
        return f"a worker process ended with exit code {code}"

    def _exit_code(self) -> int | None:
        """The exit code of the process that died first; a broken executor ends the others by SIGTERM."""
        deadline = time.monotonic() + 1
        codes: list[int | None] = []
        while None in (codes := [process.exitcode for process in self.processes]) and time.monotonic() < deadline:
            time.sleep(0.01)
        ended = [code for code in codes if code is not None]
        return next((code for code in ended if code != -signal.SIGTERM), next(iter(ended), None))

    def progress(self) -> BlockProgress | None:
        """See `Pool`."""
        while not self._queue.empty():
            first, progress = self._queue.get()
            self._newest[first] = progress
        self._running = {future: first for future, first in self._running.items() if not future.done()}
        running = [self._newest[first] for first in self._running.values() if first in self._newest]
        return sum(running, BlockProgress()) if running else None

    def close(self) -> None:
        """See `Pool`."""
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


def _set_up(parent: int, queue: SimpleQueue[tuple[int, BlockProgress]]) -> None:
    """Set a worker process up."""
    global _progress_queue
    _progress_queue = queue
    # stdout is the command's data.
    os.dup2(2, 1)

    def end_with_parent() -> None:
        # An executor's processes wait for work for ever when their parent was killed.
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True, name="parent watch").start()


def _train(work: Work, group: Group) -> list[BlockResult]:
    queue, first = _progress_queue, int(group.trials[0])
    assert queue is not None
    return train(work, group, lambda progress: queue.put((first, progress)))


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
