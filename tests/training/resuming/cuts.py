"""What tests of interrupted runs share: runs that are cut, and all that has to be the same."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.rundir.checkpoint import Checkpoints
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.training.listener import Listener

SEED = int(os.environ.get("GDRUN_TEST_SEED", "7"))
"""Of the places where runs are cut; printed by the tests that draw."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing that the run would do at its end is done."""


class Kill(Listener):
    """Kills the run after a number of chunks; what was said is kept."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.said: list[str] = []

    def progress(self, progress: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def warned(self, message: str) -> None:
        self.said.append(message)


class Interrupt(Kill):
    """Sends a signal instead."""

    def __init__(self, after: int, number: int = signal.SIGINT) -> None:
        super().__init__(after)
        self.number = number

    def progress(self, progress: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def killed(start: Any) -> None:
    with pytest.raises(Killed):
        start()


def newest(run: Run) -> dict[str, bytes]:
    """The bytes of all arrays of the newest checkpoint."""
    loaded = Checkpoints(run.directory).load_newest()
    return {} if loaded is None else {name: value.tobytes() for name, value in loaded.arrays.items()}


def bits(run: Run) -> dict[str, Any]:
    """All that has to be the same."""
    names = ("metrics.jsonl", "parameters.npz", "parameters.json", "best.npz", "config.yaml")
    files = {name: (run.directory / name).read_bytes() for name in names if (run.directory / name).exists()}
    record = run.info
    facts = {
        name: getattr(record, name)
        for name in ("status", "stopped_by", "why", "steps", "epochs", "final", "best", "diverged", "config_hash")
    }
    goes_on = run.status is Status.COMPLETED
    return {**files, **facts, "state": newest(run) if goes_on else None, "settings": record.settings}


def data(folder: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(63, 2))
    np.savez(folder / "d.npz", x=x, y=x @ [1, 2])
    np.savez(folder / "w.npz", kernel=[[0.5]], bias=[0.1])


def edit(run: Run, **changes: Any) -> None:
    path = run.directory / "run.json"
    record = json.loads(path.read_text())
    for key, value in changes.items():
        record[key] = {**record[key], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(record))


def killing() -> None:
    raise Killed
