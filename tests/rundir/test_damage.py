"""Any file of a run cut anywhere, or with any bit turned, is told or harmless; no reader ends in a bug."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir.run import Run
from gdrun.rundir.verifying import verify

from . import life

FILES = ("run.json", "metrics.jsonl", "parameters.npz", "parameters.json", "config.yaml", "checkpoint")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory in which all is well."""
    root = tmp_path_factory.mktemp("whole")
    life.live(root)
    (directory,) = root.glob("2*")
    assert not verify(directory).problems
    return directory


def read_all(directory: Path) -> dict[str, np.ndarray] | None:
    """Read everything; return the parameters, None where they are refused."""
    run = Run(directory)
    assert run.status.value in repr(run)
    for read in (lambda: run.info, lambda: run.config, lambda: run.table, lambda: run.best, lambda: run.parameters):
        with suppress(RunDirectoryError):
            last = read()
            continue
        last = None
    return last


@pytest.mark.parametrize("name", FILES)
def test_it_is_told(whole: Path, memory_path: Path, name: str) -> None:
    directory = memory_path / whole.name
    shutil.copytree(whole, directory)
    path = directory / name if name != "checkpoint" else sorted((directory / "checkpoints").iterdir())[-1]
    data, draw = path.read_bytes(), random.Random(7)
    step = max(1, len(data) // 120)
    silent = []
    for cut in range(0, len(data), step):
        path.write_bytes(data[:cut])
        read_all(directory)
        if not verify(directory).problems:
            silent.append(f"cut at {cut} of {len(data)}")
    for _ in range(120):
        position, bit = draw.randrange(len(data)), draw.randrange(8)
        damaged = bytearray(data)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        parameters = read_all(directory)
        if not verify(directory).problems:
            if name == "parameters.npz":
                # A zip has dates and sizes that nobody reads.
                assert parameters is not None
                assert parameters["a"].tolist() == [0, 1, 2]
                continue
            silent.append(f"bit {bit} of byte {position}, {data[position]:c}")
    # A torn end is what a kill leaves; a digit that became another one nobody can see without a hash of the file.
    bearable = {"metrics.jsonl": 240, "run.json": 120, "parameters.json": 120}
    assert len(silent) <= bearable.get(name, 0), silent[:10]
