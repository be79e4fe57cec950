"""Short runs of what can run for hours: scripts/fuzz.py and scripts/kill_loop.py."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from tests.hang import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[1]
SEED = int(os.environ.get("GDRUN_TEST_SEED", "7"))


def script(name: str) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_mutated_configs_end_in_refusals_or_are_what_they_say() -> None:
    trace = sys.gettrace()
    try:
        counts, wrong = script("fuzz").fuzz(seconds=HANG_SECONDS, seed=SEED, at_most=150)
    finally:
        sys.settrace(trace)
    assert not wrong, wrong[:3]
    assert counts["refused"] > 50
    assert counts["accepted"] > 5


def test_killed_processes_resume_to_the_same_bits() -> None:
    assert script("kill_loop").loop(trials=1, seed=SEED, kills=1, epochs=1000) >= 1
