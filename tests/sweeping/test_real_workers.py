"""Worker processes and Dask workers that are really there, some of them killed."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gdrun.errors import ExitCode, ResourceError
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.sweeping import dask_pool, local_pool
from gdrun.sweeping.executors import make_executor
from gdrun.sweeping.run import resume, sweep
from gdrun.training.listener import Listener, Progress

FILES = ("trials.csv", "curves.npz", "parameters.npz")

DEADLY = """
import multiprocessing, os, pathlib, signal
import gdrun.plugin as gd

HERE = pathlib.Path(__file__).parent
# Only workers die of it, and only the first one that gets here: as it takes its group up, before it imports TensorFlow,
# which would be most of the test's time.
if multiprocessing.parent_process() is not None:
    try:
        (HERE / "deadly").unlink()
    except FileNotFoundError:
        pass
    else:
        (HERE / "dead").write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)


@gd.loss("mine")
def loss(prediction, target):
    return (prediction - target) ** 2
"""

CONFIG = """
compile: graph
data: {kind: formula, inputs: {x: "linspace(0, 1, 24)"}, target: sin(6*x), noise: "normal(0, 0.1)"}
model: {kind: formula, formula: w*x + b, parameters: {w: 0, b: 1}}
loss: {kind: custom, name: mine}
optimizer: sgd
schedule: {epochs: 2, batch_size: 8}
sweep:
  over: {optimizer.kind: [sgd, adam], lr: "log:1e-3:1e6:9"}
"""


class Warnings(Listener):
    """Warnings of a sweep."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warned(self, message: str) -> None:
        self.warnings.append(message)


class Interrupting(Listener):
    """Sends Ctrl-C as soon as the first of two groups is done."""

    sent = False

    def progress(self, progress: Progress) -> None:
        if progress.trials_done >= 9 and not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("tensorflow")
def test_the_same_table_comes_out_wherever_trials_run_and_whoever_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process; in two workers and in a Dask cluster, where a worker is killed each time; begun here and, after
    a kill, resumed on the Dask cluster: the same bytes."""
    pytest.importorskip("distributed")
    config, plugin = tmp_path / "line.yaml", tmp_path / "mine.py"
    config.write_text(CONFIG)
    plugin.write_text(DEADLY)

    def run(**how: Any) -> tuple[Any, list[str]]:
        (tmp_path / "dead").unlink(missing_ok=True)
        (tmp_path / "deadly").touch()
        listener = Warnings()
        return sweep(config, runs_dir=tmp_path / "runs", plugins=[plugin], listener=listener, **how), listener.warnings

    def assert_same_after_a_death(run: Any) -> None:
        assert (tmp_path / "dead").exists()
        assert not _lives(int((tmp_path / "dead").read_text()))
        assert_same(run)

    def assert_same(run: Any) -> None:
        for name in FILES:
            assert (run.directory / name).read_bytes() == (here.directory / name).read_bytes(), name
        assert run.info.extra["trials"] == here.info.extra["trials"]

    monkeypatch.setattr(local_pool, "warm_up", operator.is_)
    here, _ = run()
    statuses = {trial["status"] for trial in here.trials}
    assert statuses == {"completed", "diverged"}
    assert not (tmp_path / "dead").exists()

    there, warnings = run(jobs=2)
    assert len(warnings) == 1
    assert "killed by SIGKILL; once more: " in warnings[0]
    assert_same_after_a_death(there)

    (tmp_path / "deadly").unlink(missing_ok=True)
    killed = sweep(config, runs_dir=tmp_path / "runs", plugins=[plugin], listener=Interrupting()).directory
    # As a kill leaves it.
    (killed / "run.json").write_text((killed / "run.json").read_text().replace('"interrupted"', '"running"'))
    assert Run(killed).status is Status.LOST

    with closing(make_executor(cluster="local:1")) as cluster:
        address = cluster.pool.address  # type: ignore[attr-defined]
        there, _ = run(cluster=address)
        assert_same_after_a_death(there)
        # A sweep that began in this process and was killed there.
        resumed = resume(killed, cluster=address, plugins=[plugin])
        assert [entry["trials"] for entry in resumed.info.resumed] == [9]
        assert_same(resumed)
        # And while there is a cluster: one that has other versions is refused, before there is a directory.
        monkeypatch.setattr(dask_pool, "versions", lambda: {"gdrun": "0.0.7"})
        with pytest.raises(ResourceError, match=r"has gdrun .* instead of 0\.0\.7") as caught:
            sweep(config, runs_dir=tmp_path / "none", plugins=[plugin], cluster=address)
    assert caught.value.exit_code == ExitCode.RESOURCE
    assert not (tmp_path / "none").exists()


SCRIPT = """
import os, sys, time
from gdrun.sweeping.executors import make_executor

pool = make_executor(**{how!r}).pool
pids = pool.client.run(os.getpid).values() if hasattr(pool, "client") else [each.pid for each in pool.processes]
print(*pids, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", [{"jobs": 2}, {"cluster": "local:2"}], ids=["jobs", "dask"])
def test_workers_ignore_ctrl_c_and_end_with_their_parent(how: dict[str, Any], tmp_path: Path) -> None:
    """The parent is a script without a `__main__` guard, which workers would run again if they imported it."""
    if "cluster" in how:
        pytest.importorskip("distributed")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(how=how))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        try:
            assert len(pids) == 2
            for pid in pids:
                os.kill(pid, signal.SIGINT)
            time.sleep(0.3)
            assert all(map(_lives, pids))
        finally:
            parent.kill()
    deadline = time.monotonic() + 60
    while any(map(_lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_lives, pids))


def _lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        # macOS has no such file, and an init that leaves no zombies.
        return sys.platform == "darwin" or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
