"""Executors of a sweep: this process, or workers that are fed by the futures of `concurrent.futures`.

Each of them gives the same results, in another order: a trial's bits depend neither on the worker nor on the lanes
beside it. Groups are cut into pieces of some seconds. A worker sends back the results of each piece when it ends, they
are checked here, and this process alone writes: whatever ends a worker or this process costs the pieces at work.

    InProcess                        one group after the other
    Workers(LocalPool)               processes of this machine, for --jobs
    Workers(DaskPool)                workers of a Dask cluster, for --cluster
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from gdrun.errors import GdrunError, ResourceError, UsageError
from gdrun.text import plural, safe_text

from .groups import TrialGroup
from .local_pool import LocalPool
from .results import STATUSES, BlockProgress, BlockResult, Hooks, failed, trials_of
from .trials import SweepSpec
from .worker import OtherVersions, Work

ATTEMPTS = 3
"""So often a group is given to a worker before its trials count as failed; the last time while no other is trained, so
that no group fails for another one that kills its workers."""
ALIGNMENT = 16
"""Lanes come in multiples of so many; a group is not cut finer."""
_POLL_SECONDS = 0.05


class Executor(Protocol):
    """Trains groups of a sweep's trials."""

    def run(self, spec: SweepSpec, groups: Sequence[TrialGroup], hooks: Hooks) -> Iterator[BlockResult]:
        """Yield the results of all groups, in any order, until `hooks.should_stop()`.

        Raises:
            ResourceError: nothing can be trained: the device is not there, or the cluster has gone.
        """

    def close(self) -> None:
        """End the workers that were started, whatever they do. A second call does nothing."""


class InProcess:
    """Executor that trains the groups in this process, one after the other.

    Args:
        in_pieces: cut them as for workers, so that a job that is stopped loses one piece and not a group.
    """

    def __init__(self, *, in_pieces: bool = False) -> None:
        self._in_pieces = in_pieces

    def run(self, spec: SweepSpec, groups: Sequence[TrialGroup], hooks: Hooks) -> Iterator[BlockResult]:
        """See `Executor`."""
        from .lanes import run_group

        if self._in_pieces:
            groups = cut(groups, partial(piece_size, spec, len(spec)))
        for group in groups:
            if hooks.should_stop():
                return
            yield from run_group(spec, group, hooks)

    def close(self) -> None:
        """Do nothing."""


def make_executor(
    *,
    jobs: int = 1,
    cluster: str | None = None,
    wait: float | None = None,
    device: str | None = None,
    threads: int | None = None,
    warn: Callable[[str], None] = lambda message: None,
    in_pieces: bool = False,
) -> Executor:
    """Return an executor; its workers, if there are any, are being started.

    Args:
        jobs: worker processes on this machine; 1: none, this process trains.
        cluster: "tcp://HOST:PORT" of a Dask scheduler, or "local:N" for one of N workers on this machine.
        wait: seconds that the cluster may be without a worker; None: as long as it takes.
        device: as for `train`.
        threads: CPU threads of each worker; None: this machine's are divided between its workers.
        warn: called with what is being waited for.
        in_pieces: cut groups where this process trains, too.
    Raises:
        UsageError: both kinds of workers, or an address that is none.
        ResourceError: Dask is not installed, the cluster does not answer, or its workers have other versions.
    """
    if cluster is None:
        return InProcess(in_pieces=in_pieces) if jobs == 1 else Workers(LocalPool(jobs, device or "auto", threads))
    if jobs != 1:
        raise UsageError("--jobs and --cluster are two ways to have workers", hint=f"--cluster local:{jobs}")
    from .dask_pool import DaskPool

    return Workers(DaskPool(cluster, device or "auto", threads, wait, warn))


class Pool(Protocol):
    """Workers, each of which trains one group at a time."""

    @property
    def size(self) -> int:
        """Number of groups it may be given at the same time. It is asked before each: workers come and go."""

    device: str
    threads: int | None
    versions: dict[str, str | None] | None
    """Versions that a worker has to have; None where it cannot have others."""
    worker_lost_error: type[BaseException]
    """Raised by a future whose worker has died."""
    loses_all_running: bool
    """True where one lost worker ends the futures of all groups."""

    def submit(self, work: Work, group: TrialGroup) -> Future[list[BlockResult]]:
        """Let a worker train a group."""

    def recover(self, error: BaseException) -> str:
        """Prepare for further groups after a lost worker or OtherVersions; return the reason in words."""

    def progress(self) -> BlockProgress | None:
        """Return the progress of the groups that are being trained; None: it is not known."""

    def close(self) -> None:
        """End the workers that were started here, whatever they do."""


@dataclass(frozen=True)
class _Task:
    """A group to be trained."""

    group: TrialGroup
    attempt: int = 1


class Workers:
    """Executor whose groups are trained by the workers of a pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def close(self) -> None:
        """See `Executor`."""
        self.pool.close()

    def run(self, spec: SweepSpec, groups: Sequence[TrialGroup], hooks: Hooks) -> Iterator[BlockResult]:
        """See `Executor`."""
        pool = self.pool
        work = Work.of(spec, device=pool.device, threads=pool.threads, versions=pool.versions)
        share = -(-sum(map(len, groups)) // max(1, pool.size))
        waiting = [_Task(group) for group in reversed(cut(groups, partial(piece_size, spec, share)))]
        running: dict[Future[list[BlockResult]], _Task] = {}
        while waiting or running:
            while waiting and len(running) < _max_running(pool.size, waiting[-1], running.values()):
                task = waiting.pop()
                running[pool.submit(work, task.group)] = task
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            if hooks.should_stop():
                return
            errors = {future: _error(future) for future in done}
            lost = next((error for error in errors.values() if isinstance(error, pool.worker_lost_error)), None)
            if lost is not None and pool.loses_all_running:
                done, _ = wait(running)
                errors = {future: _error(future) for future in done}
            reason = pool.recover(lost) if lost is not None else ""
            again: dict[str, list[TrialGroup]] = {}
            for future, error in errors.items():
                task = running.pop(future)
                group = task.group
                if error is None:
                    blocks = future.result()
                    why = problem(blocks, group)
                    if not why:
                        yield from blocks
                        continue
                elif isinstance(error, pool.worker_lost_error):
                    why = reason
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
            for why, retried in again.items():
                hooks.warn(f"{why}; once more: {_trials(retried)}")
            if (progress := pool.progress()) is not None:
                hooks.progress(progress)


def _max_running(size: int, task: _Task, running: Iterable[_Task]) -> int:
    """Return how many groups may be trained while `task` is, itself included."""
    alone = any(one.attempt == ATTEMPTS for one in (task, *running))
    return 1 if alone else size


def _error(future: Future[Any]) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError:
        return ResourceError("the cluster has gone", hint="gdrun resume trains the rest when it is there again")


def problem(blocks: Any, group: TrialGroup) -> str:
    """Return the problem of the results that a worker sent for `group`, in words; "" where there is none.

    Each trial of the group, and no other, has to have one row.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, BlockResult) for block in blocks):
        return "a worker sent what is no result"
    if not np.array_equal(trials_of(blocks), group.trials):
        return "a worker sent results of other trials"
    for block in blocks:
        columns = [block.status, block.stopped_by, block.steps, block.diverged_at, block.diverged, block.why]
        columns += [*block.values.values(), *block.parameters.values(), *block.curves.values()]
        if any(len(column) != len(block) for column in columns) or not set(block.status) <= set(STATUSES):
            return "a worker sent results that are not whole"
    return ""


def _trials(groups: Sequence[TrialGroup]) -> str:
    trials = np.sort(np.concatenate([group.trials for group in groups]))
    if len(trials) == 1:
        return f"trial {trials[0]}"
    return f"{plural(len(trials), 'trial')} ({trials[0]} to {trials[-1]})"


def cut(groups: Sequence[TrialGroup], size: Callable[[TrialGroup], int]) -> list[TrialGroup]:
    """Return the groups, those cut that may be.

    Where a group is cut changes no result: a lane's bits do not depend on how many there are.

    Args:
        size: returns how many trials a piece of a group may have.
    """
    return [
        replace(group, trials=group.trials[begin : begin + length])
        for group in groups
        for length in [len(group) if group.indivisible else size(group)]
        for begin in range(0, len(group), length)
    ]


PIECE_OPERATIONS = 1e10
"""Floating-point operations of a piece, by estimate: some seconds of a core."""
_LANE_STEP, _SINGLE_STEP = 1e3, 2e5
"""Costs of a step besides its arithmetic, in operations: as one of many lanes, and for itself."""


def piece_size(spec: SweepSpec, share: int, group: TrialGroup) -> int:
    """Return how many trials a piece of a group may have: what takes some seconds, at most `share`, by whole vectors of
    lanes."""
    multiple = chunk_of(spec, group)
    step = spec.step_operations + (_SINGLE_STEP if multiple == 1 else _LANE_STEP)
    size = min(share, int(PIECE_OPERATIONS / (step * max(1, spec.steps_per_trial))))
    return max(1, -(-size // multiple)) * multiple


def chunk_of(spec: SweepSpec, group: TrialGroup) -> int:
    """Return in multiples of how many trials a group may be cut: 1 where they run one after the other, as far as the
    config alone shows that."""
    if len(group) == 1:
        return 1
    experiment = spec.load(int(group.trials[0])).experiment
    apart = experiment.compile == "eager" or experiment.model.convolves or experiment.sweep.lanes == "off"
    return 1 if apart or spec.base.phases else ALIGNMENT
