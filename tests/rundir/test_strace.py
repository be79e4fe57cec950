"""The same on real system calls: strace lets the n-th one fail, or kills the process at it.

A sample of calls; GDRUN_TEST_LONG=1 takes every one of them.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gdrun.rundir.listing import runs
from gdrun.rundir.metrics import read_metrics
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from gdrun.rundir.verifying import verify

from . import life

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("GDRUN_TEST_SEED", "7"))
LONG = bool(os.environ.get("GDRUN_TEST_LONG"))
PER_KIND = 1
CALLS = ("write", "fsync", "renameat,rename,renameat2", "openat", "ftruncate", "mkdir,mkdirat", "unlink,unlinkat")
FAULTS = ("error=ENOSPC", "error=EIO", "signal=KILL")


def strace(*options: str, root: Path, log: Path) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-qq", "-o", str(log), *options, sys.executable, "-m", "tests.rundir.life", str(root)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def allowed() -> bool:
    """Whether there is a strace, and it may watch."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not allowed(), reason="strace is not here, or may not watch")


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    """For each kind of call: how many there are before the run begins, and how many to its end."""
    folder = tmp_path_factory.mktemp("counted")
    done = strace("-e", f"trace={','.join(CALLS)}", root=folder / "runs", log=folder / "log")
    assert done.returncode == 0, done.stderr
    lines = (folder / "log").read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if life.MARK in line)
    found = {}
    for calls in CALLS:
        names = calls.split(",")
        of_kind = [number for number, line in enumerate(lines) if line.split("(")[0] in names]
        found[calls] = (sum(number <= begin for number in of_kind), len(of_kind))
    return found


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("calls", CALLS)
def test_at_any_call_what_was_reported_is_there(
    memory_path: Path, counted: dict[str, tuple[int, int]], calls: str, fault: str
) -> None:
    first, last = counted[calls]
    places = range(first + 1, last + 1)
    if not places:
        pytest.skip("no such call")
    chosen = (
        list(places) if LONG else random.Random(f"{SEED} {calls} {fault}").sample(places, min(PER_KIND, len(places)))
    )
    for at in chosen:
        root = memory_path / f"{at}"
        done = strace(
            *("-e", f"trace={calls}", "-e", f"inject={calls}:{fault}:when={at}"), root=root, log=memory_path / "log"
        )
        check(root, done, f"seed {SEED}: {fault} at {calls} {at - first} of {last - first}", killed="KILL" in fault)


def check(root: Path, done: subprocess.CompletedProcess[str], what: str, *, killed: bool) -> None:
    """What was printed as saved is there, and nothing is half there."""
    said = done.stdout.split("\n")
    if killed:
        # strace counts each call of a kind for itself, so that the last numbers are never reached.
        assert done.returncode != 0 or "closed" in said, what
    elif done.returncode not in (0, 5):
        # What cannot be printed is not the store's doing.
        assert "print(" in done.stderr, f"{what}\n{done.stdout}\n{done.stderr}"
    if done.returncode == 5:
        assert re.search(r"refused 5 .*(No space left|Input/output error)", done.stdout), f"{what}\n{done.stdout}"
        assert "closed" not in said, what
    for run in runs(root):
        if not (run.directory / "run.json").exists():
            assert run.status is Status.LOST, what
            continue
        assert not verify(run).problems, (what, verify(run).problems)
        if "config" in said:
            assert (run.directory / "config.yaml").read_text() == life.CONFIG, what
        if "rows 5" in said:
            assert read_metrics(run.directory / "metrics.jsonl").steps.tolist()[:4] == [0, 1, 2, 3], what
        if "closed" in said:
            assert run.status is Status.COMPLETED, what
        saved = max((int(text.split()[1]) for text in said if text.startswith("checkpoint")), default=None)
        with RunStore.open(run.directory) as store:
            newest = store.checkpoints().load_newest()
            assert saved is None or (newest is not None and newest.step >= saved), what
            store.leave()
        assert not verify(run.directory).problems, what
