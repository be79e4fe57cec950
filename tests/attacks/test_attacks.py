"""Hostile inputs end soon, small and in one of gdrun's own errors, in a process without TensorFlow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from . import places, texts
from .case import EITHER, Case
from .runner import SECONDS

ROOT = Path(__file__).resolve().parents[2]
CASES = [*texts.cases(), *places.cases()]
MEGABYTES = 512


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of every case, by its name; all are met in one process of its own."""
    folder = tmp_path_factory.mktemp("attacks")
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacks.runner"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    (folder / "stderr").write_text(done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["name"]: row for row in rows}


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 300
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub(r"\W+", "-", case.name)[:50])
def test_it_ends_well(case: Case, met: dict[str, Any]) -> None:
    row = met[case.name]
    assert row["outcome"] in ("accepted", "refused"), row["said"]
    if case.outcome != EITHER:
        assert row["outcome"] == case.outcome, row["said"]
    if row["outcome"] == "refused":
        assert row["code"] in (2, 5)
        assert row["said"].strip()
    assert re.search(case.says, row["said"]), row["said"]
    assert row["seconds"] < SECONDS
    assert row["megabytes"] < MEGABYTES
    assert not row["events"], "something was run"


def test_nothing_of_it_needs_much_memory(met: dict[str, Any]) -> None:
    assert sum(row["megabytes"] for row in met.values()) < MEGABYTES
