"""Training of a group of trials in a worker process, on this machine or another one.

TensorFlow is imported here by the first group, or before it by `warm_up`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gdrun.machine import num_nvidia_gpus

from .groups import TrialGroup
from .results import BlockProgress, BlockResult, Hooks
from .trials import SweepSpec

PROGRESS_SECONDS = 0.2
"""Between two messages of a worker's progress."""

_one_at_a_time = threading.Lock()
"""Keras keeps global state while programs are built."""


@dataclass(frozen=True)
class Work:
    """Content of a sweep that all its groups share, as it is sent to workers.

    Args:
        spec: the pickled SweepSpec.
        digest: of it.
        device: "auto", "cpu", "gpu" or "gpu:1".
        threads: CPU threads of a worker; None: as many as TensorFlow takes.
        versions: that a worker has to have, by name; None: it is this installation.
    """

    spec: bytes
    digest: str
    device: str
    threads: int | None
    versions: dict[str, str | None] | None = None

    @classmethod
    def of(cls, spec: SweepSpec, **how: Any) -> Work:
        """Return the work of a sweep."""
        # Data files are where they are, whatever folder a worker is in.
        base = replace(spec.base, directory=Path(spec.base.directory).absolute())
        data = pickle.dumps(replace(spec, base=base), protocol=pickle.HIGHEST_PROTOCOL)
        return cls(data, hashlib.sha256(data).hexdigest(), **how)


class OtherVersions(Exception):
    """A worker has other versions than the sweep; the message names both."""


def train(
    work: Work,
    group: TrialGroup,
    send: Callable[[BlockProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[BlockResult]:
    """Train a group's trials and return their results.

    Args:
        send: called now and then with the group's progress.
        should_stop: asked now and then; once it is true, the results are not all there.
    Raises:
        OtherVersions: this process may not take part.
        ResourceError: the device is not there.
        PluginError: a plugin is not what it was when the sweep was started.
    """
    with _one_at_a_time:
        if work.versions is not None and (differences := difference(work.versions, versions())):
            raise OtherVersions(differences)
        spec = _spec(work)
        from gdrun.engine.device import configure, import_tensorflow

        tf = import_tensorflow()
        name = configure(device=work.device, threads=work.threads).name
        from .lanes import run_group

        progress = _GroupProgress(send)
        hooks = Hooks(should_stop=should_stop, progress=progress.within, device=work.device)
        blocks = []
        with tf.device(name):
            for block in run_group(spec, group, hooks):
                blocks.append(block)
                progress.add(block)
        return blocks


_SPECS: dict[str, SweepSpec] = {}


def _spec(work: Work) -> SweepSpec:
    if work.digest not in _SPECS:
        _SPECS.clear()
        _SPECS[work.digest] = pickle.loads(work.spec)
    return _SPECS[work.digest]


class _GroupProgress:
    """Sends the progress of a group's blocks together, but not too often."""

    def __init__(self, send: Callable[[BlockProgress], None]) -> None:
        self._send = send
        self._sent_at = 0.0
        self._finished = BlockProgress()

    def within(self, running: BlockProgress) -> None:
        """Send the progress with that of the block that is being trained, if it is time to."""
        now = time.monotonic()
        if now - self._sent_at >= PROGRESS_SECONDS:
            self._sent_at = now
            self._send(self._finished + running)

    def add(self, block: BlockResult) -> None:
        """Count a block that is done."""
        self._finished += BlockProgress.of(block)


def warm_up(device: str, threads: int | None) -> None:
    """Import what groups need, so that the first one need not wait for it."""
    from gdrun.engine.device import configure

    configure(device=device, threads=threads)
    import gdrun.sweeping.lanes  # noqa: F401


def gpu_of_worker(number: int, gpus: Sequence[str]) -> str | None:
    """Return the GPU of worker `number`, counted from 0, round-robin; None where there is none."""
    return gpus[number % len(gpus)] if gpus else None


def use_one_gpu(number: int, device: str) -> None:
    """Let this process, worker `number` of this machine, see one GPU, before it imports TensorFlow.

    Args:
        device: what was asked for: a GPU that is named is left to all of them.
    """
    if device in ("auto", "gpu") and (gpu := gpu_of_worker(number, _gpus())) is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    return [str(number) for number in range(num_nvidia_gpus())]


def versions() -> dict[str, str | None]:
    """Return the versions that decide a result's bits: name -> version, "python" first."""
    from gdrun.rundir.environment import package_versions
    from gdrun.version import __version__

    packages = package_versions(("tensorflow", "keras", "numpy"))
    # Of Python the minor version counts, as it does when a run is resumed.
    return packages | {"python": ".".join(str(packages["python"]).split(".")[:2]), "gdrun": __version__}


def difference(needed: dict[str, str | None], found: dict[str, str | None]) -> str:
    """Return the differences of versions in words; "" where there is none."""
    return ", ".join(
        f"{name} {found.get(name) or 'nowhere'} instead of {version}"
        for name, version in needed.items()
        if found.get(name) != version
    )
