"""Workers of a Dask cluster: one that is running, at tcp://HOST:PORT, or one that is started here, local:N.

Workers may come and leave while the sweep runs; Dask gives the task of one that died to another. Whoever reaches a Dask
scheduler can run code on its workers, so the one that is started here listens on the loopback interface alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from gdrun.errors import ResourceError, UsageError
from gdrun.extras import require
from gdrun.machine import usable_cores
from gdrun.text import safe_text

from .groups import TrialGroup
from .local_pool import MAX_JOBS, spawning
from .results import BlockProgress, BlockResult
from .worker import OtherVersions, Work, difference, train, use_one_gpu, versions

CONNECT_SECONDS = 6.0
"""For a cluster to answer."""
START_SECONDS = 60.0
"""For the workers of a local cluster to be there."""
ANSWER_SECONDS = 2.0
"""What Dask may take more to say so."""
SILENT_SECONDS = 60.0
"""A sweep waits so long for a scheduler that does not answer any more."""
_LOOK_SECONDS = 1.0
_LEAST_GIVEN = 4
"""So many groups are given to a cluster of one worker or of none, which may start others when it has work for them."""
_ALLOWED_DEATHS = 2
"""So many workers of a local cluster may die of a group before it is given up."""

_RESUME = "gdrun resume trains the rest, on this cluster or with --jobs"
_LOCAL = re.compile(r"local:(\d{1,6})")
_REMOTE = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}")


class DaskPool:
    """Pool of the workers of a Dask cluster.

    Args:
        address: "tcp://HOST:PORT", "tls://HOST:PORT" or "local:N".
        device: the workers'.
        threads: CPU threads of each; None: on this machine they are divided, elsewhere TensorFlow takes what it likes.
        wait: seconds that it may be without a worker; None: as long as it takes.
        warn: called with what is being waited for.
    Raises:
        UsageError: the address is none.
        ResourceError: Dask is not installed, nothing answers there, no worker comes, or one has other versions.
    """

    loses_all_running: bool = False

    def __init__(
        self,
        address: str,
        device: str,
        threads: int | None,
        wait: float | None = None,
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        local = _LOCAL.fullmatch(address)
        if local is None and not _REMOTE.fullmatch(address):
            shown = safe_text(address, limit=100)
            raise UsageError(f"there is no cluster '{shown}'", hint="tcp://HOST:PORT of a Dask scheduler, or local:N")
        if local is not None and not 1 <= int(local[1]) <= MAX_JOBS:
            raise UsageError(f"a local cluster has 1 to {MAX_JOBS} workers, not {local[1]}")
        distributed = require("distributed", extra="dask", what="a cluster")
        self.worker_lost_error: type[BaseException] = distributed.KilledWorker
        self.device = device
        self.threads = threads
        self.versions: dict[str, str | None] | None = versions()
        self._wait, self._warn = wait, warn
        self._workers: list[str] = []
        self._other_versions: set[str] = set()
        self._answered = self._had_worker = time.monotonic()
        self._looked = -math.inf
        self._warned = False
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
                # A plugin reaches workers that are started again, too.
                self.client.register_plugin(_set_up_plugin(distributed, device))
                # A local worker takes seconds to import what it needs; when they are all there, they are all asked.
                self.client.wait_for_workers(count, timeout=START_SECONDS)
            self.address = address
            self._welcome()
            self._started = started.pop_all()
        self._executor = self.client.get_executor(pure=False)

    def _welcome(self) -> None:
        """Wait for the first worker, and check the versions of those that are there."""
        # A cluster that grows with its work starts a worker when there is some.
        first = self.client.submit(version_function(), pure=False)
        try:
            while not first.done():
                with contextlib.suppress(TimeoutError):
                    first.result(timeout=_LOOK_SECONDS)
                self._look()
        finally:
            first.cancel()
        for worker, worker_versions in self._ask_versions().items():
            if different := difference(versions(), worker_versions):
                raise ResourceError(
                    f"the worker {safe_text(worker)} has {safe_text(different, limit=300)}",
                    hint="results of different versions cannot stand in one table; install the same there",
                )

    @property
    def size(self) -> int:
        """See `executors.Pool`. Each worker has a group in reserve, so that none waits for this process."""
        self._look()
        return max(_LEAST_GIVEN, 2 * len(self._workers))

    def _look(self) -> None:
        """Look which workers there are, at most once a second.

        Raises:
            ResourceError: there have been none for too long, or the scheduler does not answer any more.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            self._workers = list(self.client.sync(self.client.scheduler.identity, callback_timeout=0.5)["workers"])
        except Exception:
            # For whatever reason the scheduler does not say, it is asked again in a second.
            if now - self._answered > SILENT_SECONDS:
                raise ResourceError("the cluster does not answer any more", hint=_RESUME) from None
            return
        self._answered = now
        if self._workers:
            self._had_worker, self._warned = now, False
        elif self._wait is not None and now - self._had_worker >= self._wait:
            hint = f"`dask worker {self.address}` starts one; a longer --wait, or none, waits for it"
            raise ResourceError(f"the cluster at {self.address} has had no worker for {self._wait:g} s", hint=hint)
        elif not self._warned:
            self._warned = True
            limit = "" if self._wait is None else f", {self._wait:g} s at most"
            self._warn(f"the cluster at {self.address} has no worker; waiting for one{limit}")

    def _ask_versions(self) -> dict[str, dict[str, str | None]]:
        try:
            answers = self.client.sync(
                self.client._run, version_function(), on_error="return", callback_timeout=CONNECT_SECONDS
            )
        except TimeoutError:
            # Each worker compares them again before it trains.
            return {}
        return {worker: found for worker, found in answers.items() if not isinstance(found, BaseException)}

    def submit(self, work: Work, group: TrialGroup) -> Future[list[BlockResult]]:
        """See `executors.Pool`."""
        # Dask has no list of workers that are not to get a task, only one of those that may.
        allowed = [worker for worker in self._workers if worker not in self._other_versions]
        chosen = {"workers": allowed} if self._other_versions and allowed else {}
        future: Future[list[BlockResult]] = self._executor.submit(train_in_dask, work, group, **chosen)
        self._running = {other for other in self._running if not other.done()} | {future}
        return future

    def recover(self, error: BaseException) -> str:
        """See `executors.Pool`. The scheduler has given the group to other workers, and its nannies start new ones."""
        if isinstance(error, OtherVersions):
            self._other_versions |= {
                worker for worker, found in self._ask_versions().items() if difference(versions(), found)
            }
            return f"a worker has {safe_text(error, limit=200)}"
        return "its workers died"

    def progress(self) -> BlockProgress | None:
        """Return None: Dask says nothing of a task before it ends.

        Raises:
            ResourceError: as `_look`.
        """
        self._look()
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


def _set_up_plugin(distributed: Any, device: str) -> Any:
    class SetUp(distributed.WorkerPlugin):  # type: ignore[misc]
        name = "gdrun-set-up"

        def setup(self, worker: Any) -> None:
            # stdout is the command's data.
            os.dup2(2, 1)
            use_one_gpu(worker.name if isinstance(worker.name, int) else 0, device)

    return SetUp()


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


def address_in(path: Path) -> str:
    """Return the address in the file that `dask scheduler --scheduler-file` wrote.

    Raises:
        UsageError: there is no such file, or no address in it.
    """
    try:
        return str(json.loads(path.read_bytes())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no address is in it"
        raise UsageError(
            f"{safe_text(path)} is no file of a Dask scheduler: {why}", hint="dask scheduler --scheduler-file FILE"
        ) from None


def version_function() -> Any:
    """Return a function that returns the versions of where it is called, which may lack gdrun.

    It is defined within, so that it travels as code and not as a name.
    """

    def found_versions() -> dict[str, str | None]:
        import platform
        from importlib import metadata

        found: dict[str, str | None] = {"python": ".".join(platform.python_version_tuple()[:2])}
        for package in ("tensorflow", "keras", "numpy"):
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
