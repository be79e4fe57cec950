"""A short life of a run, as a program that strace can watch: python life.py ROOT. Prints what it was told is saved."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from gdrun.errors import RunDirectoryError
from gdrun.rundir import (
    checkpoint,  # noqa: F401  (nothing is imported once faults are counted)
    metrics,  # noqa: F401  (nothing is imported once faults are counted)
)
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

MARK = "/gdrun-begins-here"
CONFIG = """\
model: {kind: formula, formula: a**2, parameters: {a: 1.0}}
optimizer: sgd
schedule: {steps: 3}
"""


def live(root: Path) -> None:
    """Write a run."""
    with RunStore.create(root, "pi", config_hash=hashlib.sha256(CONFIG.encode()).hexdigest()) as store:
        store.write_text("config.yaml", CONFIG)
        store.write_text("source/config.yaml", CONFIG)
        print("config", flush=True)
        append_rows(store, [{"step": step, "loss": 0.5} for step in range(5)])
        store.sync()
        print("rows 5", flush=True)
        for step in (1, 2, 3):
            store.checkpoints().save(step, {"a": np.full(100, step)}, {})
            print(f"checkpoint {step}", flush=True)
        store.cut_rows(after_step=3)
        store.write_parameters({"a": np.arange(3.0)})
        store.close("completed", steps=3)
        print("closed", flush=True)


if __name__ == "__main__":
    # A call that strace's log shows: what comes before is Python's own.
    with suppress(FileNotFoundError):
        os.close(os.open(MARK, os.O_RDONLY))
    try:
        live(Path(sys.argv[1]))
    except RunDirectoryError as error:
        print(f"refused {int(error.exit_code)} {error.message}", flush=True)
        sys.exit(int(error.exit_code))
