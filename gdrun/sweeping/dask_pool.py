"""Workers of a Dask cluster: one that is running, at tcp://HOST:PORT, or one that is started here, local:N.

Dask gives the task of a worker that died to another one, a few times. Whoever reaches a Dask scheduler can run code on
its workers, so the one that is started here listens on the loopback interface alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from concurrent.futures import Future
from queue import Empty, Queue
from typing import Any

from gdrun.errors import ResourceError, UsageError
from gdrun.text import plural, safe_text

from .groups import TrialGroup
from .local_pool import MAX_JOBS, spawning, usable_cores
from .results import BlockProgress, BlockResult
from .worker import OtherVersions, Work, difference, train, versions

CONNECT_SECONDS = 6.0
"""For a cluster to answer, and again to have a worker."""
ANSWER_SECONDS = 2.0
"""What Dask may take more to say so."""
NO_WORKER_SECONDS = 60.0
"""A sweep waits so long when all workers have gone."""
_LOOK_SECONDS = 1.0
_ALLOWED_DEATHS = 2
"""So many workers of a local cluster may die of a group before it is given up."""

_LOCAL = re.compile(r"local:(\d{1,6})")
_REMOTE = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}")


class DaskPool:
    """Pool of the workers of a Dask cluster.

    Args:
        address: "tcp://HOST:PORT", "tls://HOST:PORT" or "local:N".
        device: the workers'.
        threads: CPU threads of each; None: on this machine they are divided, elsewhere TensorFlow takes what it likes.
    Raises:
        UsageError: the address is none.
        ResourceError: Dask is not installed, nothing answers there, or a worker has other versions.
    """

    loses_all_running: bool = False

    def __init__(self, address: str, device: str, threads: int | None) -> None:
        local = _LOCAL.fullmatch(address)
        if local is None and not _REMOTE.fullmatch(address):
            shown = safe_text(address, limit=100)
            raise UsageError(f"there is no cluster '{shown}'", hint="tcp://HOST:PORT of a Dask scheduler, or local:N")
        if local is not None and not 1 <= int(local[1]) <= MAX_JOBS:
            raise UsageError(f"a local cluster has 1 to {MAX_JOBS} workers, not {local[1]}")
        distributed = _distributed()
        self.worker_lost_error: type[BaseException] = distributed.KilledWorker
        self.device = device
        self.threads = threads
        self.versions: dict[str, str | None] | None = versions()
        self._allowed: list[str] | None = None
        self._looked = self._had_worker = time.monotonic()
        self._running: set[Future[list[BlockResult]]] = set()
        self._is_local = local is not None
        with contextlib.ExitStack() as started:
            if local is not None:
                count = int(local[1])
                self.threads = threads if threads is not None else max(1, usable_cores() // count)
                cluster = _local_cluster(distributed, count)
                started.callback(_close, cluster)
                address = cluster.scheduler_address
            self.client = _connect(distributed, address)
            started.callback(_close, self.client)
            if self._is_local:
                # stdout is the command's data. A plugin reaches workers that are started again, too.
                self.client.register_plugin(_stdout_plugin(distributed))
            # A local worker takes seconds to import what it needs; when they are all there, they are all asked.
            self.size = len(self._welcome(address, count if local is not None else 1))
            self._started = started.pop_all()
        self.address = address
        self._executor = self.client.get_executor(pure=False)

    def _welcome(self, address: str, least: int) -> list[str]:
        """Wait for workers, check their versions, and return their addresses."""
        distributed = _distributed()
        try:
            self.client.wait_for_workers(least, timeout=10 * CONNECT_SECONDS if self._is_local else CONNECT_SECONDS)
        except (TimeoutError, distributed.TimeoutError):
            raise ResourceError(f"the cluster at {address} has no worker", hint=f"dask worker {address}") from None
        workers = self._ask_versions()
        for worker, found in workers.items():
            if different := difference(versions(), found):
                raise ResourceError(
                    f"the worker {safe_text(worker)} has {safe_text(different, limit=300)}",
                    hint="results of different versions cannot stand in one table; install the same there",
                )
        return list(workers)

    def _ask_versions(self) -> dict[str, dict[str, str | None]]:
        answers = self.client.sync(
            self.client._run, version_function(), on_error="return", callback_timeout=CONNECT_SECONDS
        )
        return {worker: {} if isinstance(found, BaseException) else found for worker, found in answers.items()}

    def submit(self, work: Work, group: TrialGroup) -> Future[list[BlockResult]]:
        """See `executors.Pool`."""
        where = {} if self._allowed is None else {"workers": self._allowed}
        future: Future[list[BlockResult]] = self._executor.submit(train_in_dask, work, group, **where)
        self._running = {other for other in self._running if not other.done()} | {future}
        return future

    def recover(self, error: BaseException) -> str:
        """See `executors.Pool`. The scheduler has given the group to other workers, and its nannies start new ones."""
        if isinstance(error, OtherVersions):
            # A worker that came late: from now on those that are known to be right, as long as there are any.
            workers = self._ask_versions()
            self._allowed = [name for name, found in workers.items() if not difference(versions(), found)] or None
            return f"a worker has {safe_text(error, limit=200)}"
        return f"{plural(_ALLOWED_DEATHS + 1, 'worker')} died of it" if self._is_local else "its workers died of it"

    def progress(self) -> BlockProgress | None:
        """Return None: Dask says nothing of a task before it ends. Look whether there are workers.

        Raises:
            ResourceError: there have been none for a minute.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return None
        self._looked = now
        with contextlib.suppress(Exception):
            # For whatever reason the scheduler does not say, it is asked again in a second.
            if self.client.sync(self.client.scheduler.identity, callback_timeout=0.5)["workers"]:
                self._had_worker = now
        if now - self._had_worker > NO_WORKER_SECONDS:
            raise ResourceError(
                "the cluster has had no worker for a minute", hint="gdrun resume trains the rest, with workers"
            )
        return None

    def close(self) -> None:
        """See `executors.Pool`."""
        for future in self._running:
            future.cancel()
        self._running.clear()
        self._started.close()


def _local_cluster(distributed: Any, num_workers: int) -> Any:
    import dask

    settings = {"distributed.scheduler.allowed-failures": _ALLOWED_DEATHS}
    # Dask starts its workers in threads, which pass the mask of signals on.
    with dask.config.set(settings), spawning():
        return distributed.LocalCluster(
            n_workers=num_workers,
            threads_per_worker=1,
            memory_limit=0,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )


def _stdout_plugin(distributed: Any) -> Any:
    class Stdout(distributed.WorkerPlugin):  # type: ignore[misc]
        name = "gdrun-stdout"

        def setup(self, worker: Any) -> None:
            os.dup2(2, 1)

    return Stdout()


def _close(cluster: Any) -> None:
    with contextlib.suppress(Exception):
        cluster.close(timeout=1)


def train_in_dask(work: Work, group: TrialGroup) -> list[BlockResult]:
    """Train a group in a Dask worker, until the client has gone or has cancelled the task."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def should_stop() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return train(work, group, should_stop=should_stop)


def version_function() -> Any:
    """Return a function that returns the versions of where it is called, which may lack gdrun.

    It is defined within, so that it travels as code and not as a name.
    """

    def found_versions() -> dict[str, str | None]:
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

    return found_versions


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
