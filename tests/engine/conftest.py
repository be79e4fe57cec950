"""Other ways to run what the builder built: another guard, other chunks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def chunks_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make chunks of so many steps, whatever time they take."""
    from gdrun.engine.drive import Pace

    return lambda steps: monkeypatch.setattr(Pace, "next_steps", lambda self: steps)


@pytest.fixture(scope="session")
def with_guard() -> Callable[[Any, str], Any]:
    """(built, guard) -> the same experiment under another guard."""
    from gdrun.engine.loop import Program

    def changed(built: Any, guard: str) -> Any:
        step = dataclasses.replace(built.step, guard=guard)
        assess = built.assess if built.rows.assess else None
        if assess is not None:
            assess = dataclasses.replace(assess, loss=False)
        program = Program(step, built.program.feed, assess=assess, compile=built.compile)
        program.prepare(built.state, built.setting, built.data, built.windows.at(0))
        return dataclasses.replace(built, step=step, program=program)

    return changed
