"""Groups of trials on several processes or machines, all through the futures of `concurrent.futures`.

A worker gets one group at a time and sends back its results, which are checked here; this process alone writes. When a
worker dies, its group goes to another one; the groups of other workers do not notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gdrun.errors import GdrunError, ResourceError, UsageError
from gdrun.text import plural, safe_text

from .execute import Hooks, chunk_of, cut
from .grouping import Group
from .results import STATUSES, BlockProgress, BlockResult, failed
from .working import OtherVersions, Work

if TYPE_CHECKING:
    from .trials import SweepSpec

ATTEMPTS = 3
"""So often a group is given to a worker before its trials count as failed."""
_POLL_SECONDS = 0.05


class Pool(Protocol):
    """Workers, wherever they are."""

    size: int
    """How many there are: so many groups are at work at once."""
    device: str
    threads: int | None
    versions: dict[str, str | None] | None
    """What a worker has to have; None where it cannot have anything else."""
    deaths: tuple[type[BaseException], ...]
    """What a future raises whose worker has died."""
    settled_by_pool: bool
    """Whether such a group has been tried again already."""

    def submit(self, work: Work, group: Group) -> Future[list[BlockResult]]:
        """Let a worker train a group."""

    def released(self, future: Future[list[BlockResult]]) -> str:
        """A future is done; return of what its worker died, if it did."""

    def told(self) -> list[BlockProgress]:
        """Return the newest progress of each group that is being trained."""

    def close(self) -> None:
        """End the workers that were started here, whatever they do."""


def executor(
    *, jobs: int = 1, cluster: str | None = None, device: str | None = None, threads: int | None = None
) -> Workers:
    """Return what trains groups in other processes; those are being started.

    Args:
        jobs: worker processes on this machine.
        cluster: "tcp://HOST:PORT" of a Dask scheduler, or "local:N" for one of N workers on this machine.
        device: as for `train`.
        threads: CPU threads of each worker; None: this machine's are divided between its workers.
    Raises:
        UsageError: both kinds of workers, or an address that is none.
        ResourceError: Dask is not installed, the cluster does not answer, or its workers have other versions.
    """
    if cluster is None:
        from .local_pool import LocalPool

        return Workers(LocalPool(jobs, device or "auto", threads))
    if jobs != 1:
        raise UsageError("--jobs and --cluster are two ways to have workers", hint=f"--cluster local:{jobs}")
    from .dask_pool import DaskPool

    return Workers(DaskPool(cluster, device or "auto", threads))


@dataclass
class _Given:
    """A group that a worker has."""

    group: Group
    attempt: int


class Workers:
    """An `Executor` (see `execute`) whose trials are trained by a pool's workers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def close(self) -> None:
        """End the workers. A second call does nothing."""
        self._pool.close()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, spec: SweepSpec, groups: Sequence[Group], hooks: Hooks) -> Iterator[BlockResult]:
        """Yield the results of all groups as they come, until `hooks.should_stop()`.

        Raises:
            ResourceError: workers cannot work at all: the device is not there, or the cluster has gone.
        """
        pool = self._pool
        work = Work.of(spec, device=pool.device, threads=pool.threads, versions=pool.versions)
        waiting = [_Given(group, 1) for group in reversed(cut(groups, pool.size, partial(chunk_of, spec)))]
        running: dict[Future[list[BlockResult]], _Given] = {}
        while waiting or running:
            while waiting and len(running) < pool.size:
                given = waiting.pop()
                running[pool.submit(work, given.group)] = given
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            if hooks.should_stop():
                return
            for future in done:
                given = running.pop(future)
                death = pool.released(future)
                blocks, why = _results(future, given.group, death, pool)
                if blocks is not None:
                    yield from blocks
                elif death and pool.settled_by_pool:
                    yield failed(given.group.trials, why)
                elif given.attempt < ATTEMPTS:
                    hooks.warn(f"{why}; once more: {_trials(given.group)}")
                    waiting.append(_Given(given.group, given.attempt + 1))
                else:
                    yield failed(given.group.trials, f"{why}, {ATTEMPTS} times")
            _report(pool, hooks)


def _results(
    future: Future[list[BlockResult]], group: Group, death: str, pool: Pool
) -> tuple[list[BlockResult] | None, str]:
    """Return (a group's results, ""), or (None, why it is to be tried again)."""
    try:
        blocks = future.result()
    except pool.deaths:
        return None, death
    except OtherVersions as error:
        return None, f"a worker has {safe_text(error, limit=200)}"
    except CancelledError:
        raise ResourceError("the cluster has gone", hint="when it is there again, gdrun resume goes on") from None
    except ResourceError:
        raise
    except GdrunError as error:
        return [failed(group.trials, safe_text(error, limit=300))], ""
    told = problem(blocks, group)
    return (None, told) if told else (blocks, "")


def problem(blocks: Any, group: Group) -> str:
    """Return what is wrong with the results that a worker sent for `group`, in words; "" where nothing is.

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


def _trials(group: Group) -> str:
    if len(group) == 1:
        return f"trial {group.trials[0]}"
    return f"{plural(len(group), 'trial')} ({group.trials[0]} to {group.trials[-1]})"


def _report(pool: Pool, hooks: Hooks) -> None:
    """Report the progress of all groups that are being trained, as one."""
    running = pool.told()
    if running:
        hooks.progress(sum(running, BlockProgress()))
