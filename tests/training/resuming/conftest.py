"""Fixtures for tests of interrupted runs."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from gdrun.engine import stream
from gdrun.engine.drive import Pace
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore

from .cases import line
from .cuts import SEED, Interrupt


def patched(monkeypatch: pytest.MonkeyPatch) -> random.Random:
    draw = random.Random(SEED)
    monkeypatch.setattr(Pace, "next_steps", lambda self: draw.randint(1, 9))
    monkeypatch.setattr(RunStore, "abandon", lambda self, why, *, status="": self.leave())
    monkeypatch.setattr(stream, "WINDOW_BYTES", 2000)
    return draw


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> random.Random:
    """Chunks of few steps, drawn; and a killed writer that says nothing at its end."""
    return patched(monkeypatch)


@pytest.fixture(scope="module")
def interrupted_once(shared_lab: Any) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patched(patch)
        return shared_lab.train(line("{kind: sgd, learning_rate: 0.05}"), listener=Interrupt(2))


@pytest.fixture
def interrupted(interrupted_once: Run, tmp_path: Path) -> Run:
    """A run that can be resumed, of the test's own."""
    return Run(shutil.copytree(interrupted_once.directory, tmp_path / interrupted_once.id))
