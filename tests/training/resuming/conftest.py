"""Fixtures for tests of interrupted runs."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gdrun.engine import stream
from gdrun.engine.drive import Pace
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore

from .cases import line
from .cuts import SEED, Interrupt


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> random.Random:
    """Chunks of few steps, drawn; and a killed writer that says nothing at its end."""
    draw = random.Random(SEED)
    monkeypatch.setattr(Pace, "next_steps", lambda self: draw.randint(1, 9))
    monkeypatch.setattr(RunStore, "abandon", lambda self, why, *, status="": self.leave())
    monkeypatch.setattr(stream, "WINDOW_BYTES", 2000)
    return draw


@pytest.fixture
def interrupted(lab: Any, chunks: random.Random) -> Run:
    """A run that can be resumed."""
    return lab.train(line("{kind: sgd, learning_rate: 0.05}"), listener=Interrupt(2))
