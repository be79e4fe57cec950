"""Any order of writing, killing, tearing, flipping bits, resuming and a second writer leaves what was promised."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gdrun.errors import RunDirectoryError
from gdrun.rundir import lock
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from gdrun.rundir.verifying import verify
from tests.rows import append_rows

FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Store(RuleBasedStateMachine):
    """One run directory and what is known of it: the rows and the checkpoints that were reported as saved."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="gdrun-", dir=FOLDER))
        self.store: RunStore | None = None
        self.directory = Path()
        self.rows: list[int] = []
        self.saved: list[int] = []
        self.damaged: set[int] = set()

    @initialize()
    def create(self) -> None:
        self.store = RunStore.create(self.root, "pi")
        self.store.write_text("config.yaml", "a: 1\n")
        self.directory = self.store.directory

    @precondition(lambda self: self.store is not None)
    @rule(count=st.integers(1, 5))
    def append(self, count: int) -> None:
        assert self.store is not None
        first = self.rows[-1] + 1 if self.rows else 0
        append_rows(self.store, [{"step": step, "loss": 1 / (1 + step)} for step in range(first, first + count)])
        self.rows += range(first, first + count)

    @precondition(lambda self: self.store is not None and self.rows and self.rows[-1] > max(self.saved, default=0))
    @rule()
    def checkpoint(self) -> None:
        assert self.store is not None
        self.store.sync()
        step = self.rows[-1]
        self.store.checkpoints().save(step, {"a": np.full(5, step)}, {"epoch": 1})
        self.saved = [*[old for old in self.saved if old != step], step][-2:]
        self.damaged &= set(self.saved)

    @precondition(lambda self: self.store is not None)
    @rule()
    def kill(self) -> None:
        """The lock goes, nothing else is done."""
        assert self.store is not None
        self.store.leave()
        self.store = None

    @precondition(lambda self: self.store is None)
    @rule(text=st.binary(min_size=1, max_size=60).filter(lambda data: b"\n" not in data))
    def tear(self, text: bytes) -> None:
        """The killed writer was in the middle of a row."""
        path = self.directory / "metrics.jsonl"
        if path.exists():
            path.write_bytes(path.read_bytes() + b'{"step": 99999999, "x": "' + text)

    @precondition(lambda self: self.store is None and len(set(self.saved) - self.damaged) > 1)
    @rule(where=st.integers(0, 1 << 30), bit=st.integers(0, 7))
    def flip(self, where: int, bit: int) -> None:
        """A bit of the newest checkpoint turns."""
        path = sorted((self.directory / "checkpoints").glob("step-*"))[-1]
        data = bytearray(path.read_bytes())
        data[where % len(data)] ^= 1 << bit
        path.write_bytes(data)
        self.damaged.add(self.saved[-1])

    @precondition(lambda self: self.store is None)
    @rule()
    def resume(self) -> None:
        self.store = RunStore.open(self.directory)
        checkpoints = self.store.checkpoints()
        loaded = checkpoints.load_newest() if self.saved else None
        good = [step for step in self.saved if step not in self.damaged]
        assert (loaded.step if loaded else None) == max(good, default=None)
        if loaded is not None:
            assert (loaded.arrays["a"] == loaded.step).all()
        step = loaded.step if loaded else -1
        self.store.cut_rows(after_step=step)
        self.rows = [row for row in self.rows if row <= step]

    @precondition(lambda self: self.store is not None)
    @rule()
    def second_writer(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            # The lock is held for good: its patience with a reader would be most of the test's time.
            patch.setattr(lock, "_PATIENCE_SECONDS", 0)
            with pytest.raises(RunDirectoryError, match="busy"):
                RunStore.open(self.directory)

    @invariant()
    def what_was_reported_is_there(self) -> None:
        if not self.directory.parts:
            return
        table = Run(self.directory).table
        assert table.corrupt_lines == ()
        assert table.steps.tolist() == self.rows

    @invariant()
    def verify_tells_damage_and_nothing_else(self) -> None:
        if not self.directory.parts:
            return
        told = {finding.file for finding in verify(self.directory).problems if finding.file.startswith("checkpoints/")}
        assert {int(name.split("-")[1]) for name in told} == self.damaged

    def teardown(self) -> None:
        if self.store is not None:
            self.store.leave()
        shutil.rmtree(self.root)


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
