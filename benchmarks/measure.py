"""Processes, repetitions and medians."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def environment() -> dict[str, str]:
    """Return the environment of every process: quiet, and with compiled bytecode, as an installation has it."""
    hidden = {"PYTHONDONTWRITEBYTECODE", "GDRUN_RUNS"}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
    return {name: value for name, value in os.environ.items() if name not in hidden} | quiet


@dataclass
class Measured:
    """All samples of one peer."""

    name: str
    ready_seconds: float = 0.0
    """Import, data and building."""
    samples: list[dict[str, float]] = field(default_factory=list)
    """Timed ones; the first, which compiles, is `first_seconds`."""
    first_seconds: float = 0.0
    missing: str = ""
    """Why it could not run."""
    clock: str = "seconds"
    """Time that is compared: "seconds" or "processor"."""

    @property
    def microseconds(self) -> float:
        """Median time a step."""
        return statistics.median(self._times)

    @property
    def spread(self) -> tuple[float, float]:
        """Fastest and slowest time a step."""
        return min(self._times), max(self._times)

    @property
    def _times(self) -> list[float]:
        return [1e6 * sample[self.clock] / sample["steps"] for sample in self.samples]

    @property
    def steps(self) -> int:
        """Steps of one sample."""
        return int(self.samples[-1]["steps"])

    @property
    def loss(self) -> float:
        """At the end of the last sample."""
        return self.samples[-1]["loss"]

    @property
    def compile_seconds(self) -> float:
        """What the first training took longer than the later ones."""
        return max(0.0, self.first_seconds - statistics.median(sample["seconds"] for sample in self.samples))


class Worker:
    """A peer in its own process, which waits, idle, while others are measured."""

    def __init__(self, workload: str, peer: str, *, quick: bool) -> None:
        command = [sys.executable, "-m", "peers.worker", workload, peer, *(["--quick"] if quick else [])]
        self.measured = Measured(peer)
        # Not a pipe: nobody reads along, and a full one would stop the peer.
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(
            command,
            cwd=HERE,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
        )

    def __enter__(self) -> Worker:
        said = self._answer()
        self.measured.missing = said.get("missing", "")
        self.measured.ready_seconds = said.get("ready", 0.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait(timeout=60)
        self.said.close()

    def train(self) -> dict[str, float]:
        """Let it train once."""
        self.process.stdin.write("\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self.said.seek(0)
            raise RuntimeError(f"the peer '{self.measured.name}' failed:\n{self.said.read()[-3000:]}")
        return json.loads(line)


def measure_peers(workload: str, peers: Sequence[str], *, rounds: int, quick: bool) -> dict[str, Measured]:
    """Return what each peer took: one training that compiles, then `rounds` of all peers in turn.

    The peers are started one after the other, so that importing one does not disturb another.
    """
    workers: list[Worker] = []
    try:
        for peer in peers:
            say(f"{workload}: {peer}: starting")
            worker = Worker(workload, peer, quick=quick).__enter__()
            workers.append(worker)
            if worker.measured.missing:
                say(f"{workload}: {peer}: left out: {worker.measured.missing}")
            else:
                worker.measured.first_seconds = worker.train()["seconds"]
        ready = [worker for worker in workers if not worker.measured.missing]
        for number in range(rounds):
            for worker in ready:
                worker.measured.samples.append(worker.train())
            say(f"{workload}: round {number + 1} of {rounds}")
    finally:
        for worker in workers:
            worker.__exit__()
    return {worker.measured.name: worker.measured for worker in workers}


def measure_commands(commands: Mapping[str, Sequence[str]], *, rounds: int) -> dict[str, list[float]]:
    """Return the wall-clock seconds of each command, one a round; all run once before, to fill caches."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            done = subprocess.run(command, env=environment(), capture_output=True, text=True)
            seconds = time.perf_counter() - began
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
            if number:
                times[name].append(seconds)
        say(f"whole processes: round {number} of {rounds}")
    return times


def peak_megabytes(command: Sequence[str]) -> float:
    """Return the largest resident size that the command's process reached, in MB (10**6 bytes)."""
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e6


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(text, file=sys.stderr, flush=True)
