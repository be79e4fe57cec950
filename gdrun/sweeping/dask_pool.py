"""Workers of a Dask cluster: one that is there, at tcp://HOST:PORT, or one that is started here, local:N.

Dask gives the task of a worker that died to another one, a few times. Whoever reaches a Dask scheduler can run code on
its workers, so the one that is started here listens on the loopback interface alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import tempfile
import threading
import time
from concurrent.futures import Future
from queue import Empty, Queue
from typing import Any

from gdrun.errors import ResourceError, UsageError
from gdrun.text import plural, safe_text

from .grouping import Group
from .local_pool import MAX_JOBS, Context, deaf_children, end_with, usable_cores
from .results import BlockResult
from .working import OtherVersions, Work, difference, train, versions

CONNECT_SECONDS = 6.0
"""How long a cluster has to answer, and again to have a worker."""
ANSWER_SECONDS = 2.0
"""What Dask may take more to say so."""
NO_WORKER_SECONDS = 60.0
"""How long a sweep waits when all workers have gone."""
_LOOK_SECONDS = 1.0
_ALLOWED_DEATHS = 2
"""So many workers of a local cluster may die of a group before it is given up."""
_QUICK_SECONDS = 10.0
_QUICK_DEATHS = 5
"""A worker that dies so soon after its start is not started again more often than this."""

_LOCAL = re.compile(r"local:(\d{1,6})")
_REMOTE = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}")


class DaskPool:
    """The workers of a Dask cluster.

    Args:
        address: "tcp://HOST:PORT", "tls://HOST:PORT" or "local:N".
        device: the workers'.
        threads: CPU threads of each; None: on this machine they are divided, elsewhere TensorFlow takes what it likes.
    Raises:
        UsageError: the address is none.
        ResourceError: Dask is not installed, nothing answers there, or a worker has other versions.
    """

    settled_by_pool: bool = True

    def __init__(self, address: str, device: str, threads: int | None) -> None:
        local = _LOCAL.fullmatch(address)
        if local is None and not _REMOTE.fullmatch(address):
            shown = safe_text(address, limit=100)
            raise UsageError(f"there is no cluster '{shown}'", hint="tcp://HOST:PORT of a Dask scheduler, or local:N")
        if local is not None and not 1 <= int(local[1]) <= MAX_JOBS:
            raise UsageError(f"a local cluster has 1 to {MAX_JOBS} workers, not {local[1]}")
        distributed = _distributed()
        self.deaths: tuple[type[BaseException], ...] = (distributed.KilledWorker,)
        self.device = device
        self.threads = threads
        self.versions: dict[str, str | None] | None = versions()
        self._cluster: _LocalCluster | None = None
        self._allowed: list[str] | None = None
        self._looked = self._had_worker = time.monotonic()
        self._running: set[Future[list[BlockResult]]] = set()
        if local is not None:
            self.threads = threads if threads is not None else max(1, usable_cores() // int(local[1]))
            self._cluster = _LocalCluster(distributed, int(local[1]))
            address = self._cluster.address
        try:
            self._client = _connect(distributed, address)
            try:
                # A local worker takes seconds to import what it needs; when they are all there, they are all asked.
                wanted = int(local[1]) if local is not None else 1
                self.size = len(self._welcome(address, wanted))
            except BaseException:
                self._client.close(timeout=1)
                raise
        except BaseException:
            if self._cluster is not None:
                self._cluster.close()
            raise
        self._executor = self._client.get_executor(pure=False)

    def _welcome(self, address: str, wanted: int) -> list[str]:
        """Wait for workers, check their versions, and return their addresses."""
        distributed = _distributed()
        try:
            self._client.wait_for_workers(wanted, timeout=10 * CONNECT_SECONDS if self._cluster else CONNECT_SECONDS)
        except (TimeoutError, distributed.TimeoutError):
            raise ResourceError(f"the cluster at {address} has no worker", hint=f"dask worker {address}") from None
        told = self._ask_versions()
        for worker, found in told.items():
            if different := difference(versions(), found):
                raise ResourceError(
                    f"the worker {safe_text(worker)} has {safe_text(different, limit=300)}",
                    hint="results of different versions cannot stand in one table; install the same there",
                )
        return list(told)

    def _ask_versions(self) -> dict[str, dict[str, str | None]]:
        answers = self._client.sync(
            self._client._run, version_teller(), on_error="return", callback_timeout=CONNECT_SECONDS
        )
        return {worker: {} if isinstance(found, BaseException) else found for worker, found in answers.items()}

    def submit(self, work: Work, group: Group) -> Future[list[BlockResult]]:
        """Let a worker train a group."""
        where = {} if self._allowed is None else {"workers": self._allowed}
        future: Future[list[BlockResult]] = self._executor.submit(train_here, work, group, **where)
        self._running.add(future)
        return future

    def released(self, future: Future[list[BlockResult]]) -> str:
        """A future is done; return of what its worker died, if it did."""
        self._running.discard(future)
        if future.cancelled():
            return ""
        error = future.exception()
        if isinstance(error, OtherVersions):
            # A worker that came late: from now on those that are known to be right, as long as there are any.
            found = self._ask_versions()
            self._allowed = [name for name, its in found.items() if not difference(versions(), its)] or None
        if isinstance(error, self.deaths):
            return f"{plural(_ALLOWED_DEATHS + 1, 'worker')} died of it" if self._cluster else "its workers died of it"
        return ""

    def told(self) -> list[tuple[Any, ...]]:
        """Nothing is heard from inside a group; see that there are workers.

        Raises:
            ResourceError: there have been none for a minute.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return []
        self._looked = now
        if self._cluster is not None:
            self._cluster.mend()
        with contextlib.suppress(Exception):
            # Whatever the reason for which the scheduler does not say, another second will do.
            told = self._client.sync(self._client.scheduler.identity, callback_timeout=0.5)
            if told["workers"]:
                self._had_worker = now
        if now - self._had_worker > NO_WORKER_SECONDS:
            raise ResourceError("the cluster has had no worker for a minute", hint="gdrun resume goes on, with workers")
        return []

    def close(self) -> None:
        """Take back what was given to workers, and end those that were started here."""
        for future in list(self._running):
            future.cancel()
        self._running.clear()
        if self._cluster is not None:
            self._cluster.kill()
        with contextlib.suppress(Exception):
            self._client.close(timeout=0.5)
        if self._cluster is not None:
            self._cluster.close()


class _LocalCluster:
    """A scheduler in this process and worker processes, which end with it and do not hear Ctrl-C.

    They are not Dask's own: those run this process's main module again and take seconds to end.
    """

    def __init__(self, distributed: Any, num_workers: int) -> None:
        import dask

        self._folder = tempfile.TemporaryDirectory(prefix="gdrun-dask-", ignore_cleanup_errors=True)
        settings = {"distributed.scheduler.allowed-failures": _ALLOWED_DEATHS}
        # Threads that are started here pass the mask on to what they start.
        with dask.config.set(settings), deaf_children():
            self._scheduler = distributed.LocalCluster(
                n_workers=0, host="127.0.0.1", dashboard_address=None, silence_logs=logging.CRITICAL
            )
        self.address: str = self._scheduler.scheduler_address
        self._context = Context()
        self._born: dict[Any, float] = {}
        self._quick = 0
        for _ in range(num_workers):
            self._start()

    def _start(self) -> None:
        process = self._context.Process(target=_serve, args=(os.getpid(), self.address, self._folder.name), daemon=True)
        process.start()
        self._born[process] = time.monotonic()

    def mend(self) -> None:
        """Start another worker for each that has died."""
        for process, born in list(self._born.items()):
            if process.exitcode is not None:
                del self._born[process]
                self._quick += time.monotonic() - born < _QUICK_SECONDS
                if self._quick <= _QUICK_DEATHS:
                    self._start()

    def kill(self) -> None:
        """End the workers."""
        for process in self._born:
            process.kill()
        for process in self._born:
            process.join(1)

    def close(self) -> None:
        """End everything."""
        self.kill()
        with contextlib.suppress(Exception):
            self._scheduler.close(timeout=1)
        self._folder.cleanup()


def _serve(parent: int, address: str, folder: str) -> None:
    """Be a worker of the scheduler at `address`."""
    end_with(parent)
    os.dup2(2, 1)
    from distributed import Worker

    logging.getLogger("distributed").setLevel(logging.CRITICAL)

    async def work() -> None:
        async with Worker(
            address, nthreads=1, memory_limit=0, dashboard=False, local_directory=folder, host="127.0.0.1"
        ) as worker:
            await worker.finished()

    asyncio.run(work())


def train_here(work: Work, group: Group) -> list[BlockResult]:
    """Train a group in a Dask worker, until the one who asked for it has gone or does not want it any more."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def should_stop() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return train(work, group, should_stop=should_stop)


def version_teller() -> Any:
    """Return a function that tells the versions of where it runs, where gdrun may not be.

    It is defined within, so that it travels as code and not as a name.
    """

    def tell() -> dict[str, str | None]:
        import platform
        from importlib import metadata

        found: dict[str, str | None] = {"python": ".".join(platform.python_version_tuple()[:2])}
        for package in ("tensorflow", "keras"):
            try:
                found[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                found[package] = None
        try:
            from gdrun.version import __version__

            found["gdrun"] = __version__
        except Exception:
            found["gdrun"] = None
        return found

    return tell


def _connect(distributed: Any, address: str) -> Any:
    """Return a client of the scheduler at `address`."""
    shown = safe_text(address, limit=100)
    outcome: Queue[Any] = Queue()

    def connect() -> None:
        try:
            outcome.put(distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False))
        except Exception as error:
            outcome.put(error)

    # In a thread, because Dask waits for ever for what accepts connections and says nothing.
    threading.Thread(target=connect, daemon=True, name="connecting").start()
    try:
        client = outcome.get(timeout=CONNECT_SECONDS + ANSWER_SECONDS)
    except Empty:
        client = TimeoutError("it says nothing")
    if isinstance(client, Exception):
        why = safe_text((str(client) or type(client).__name__).splitlines()[0], limit=200)
        hint = "`dask scheduler` starts one; local:N needs none"
        raise ResourceError(f"the cluster at {shown} does not answer: {why}", hint=hint) from client
    return client


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ResourceError("clusters need Dask, which is not installed", hint="pip install 'gdrun[dask]'") from None
    return distributed
