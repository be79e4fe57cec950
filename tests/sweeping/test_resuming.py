"""Sweeps that were interrupted or killed, or some of whose trials failed, go on to the files of one that was not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gdrun.errors import UsageError
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.verifying import verify
from gdrun.sweeping.run import resume, sweep
from gdrun.training.listener import Listener, Plan, Progress
from gdrun.training.resume import find_resumable

pytestmark = pytest.mark.usefixtures("tensorflow")

FILES = ("trials.csv", "curves.npz", "parameters.npz")

# More than one group, and one of two seeds, which is what a part of a group is easily without.
CONFIG = """
compile: graph
data: {kind: formula, inputs: {x: "linspace(0, 1, 24)"}, target: sin(6*x), noise: "normal(0, 0.1)"}
model: {kind: formula, formula: a*tanh(w*x) + b, parameters: {a: {init: "normal(0, 1)", shape: [1]}, w: 1, b: 0}}
loss: mse
optimizer: sgd
schedule: {epochs: 2, batch_size: 8}
sweep:
  over: {optimizer.kind: [sgd, adam, rmsprop], seed: [0, 1], lr: "log:1e-3:1e6:9"}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("configs") / "line.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def whole(config: Path, tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a sweep holds that nothing interrupted."""
    return contents(sweep(config, runs_dir=tmp_path_factory.mktemp("whole")).directory)


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def interrupted_once(config: Path, tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("interrupted")
    return sweep(config, runs_dir=root, listener=Interrupting(), log=lambda: "TensorFlow at first")


@pytest.fixture
def interrupted(interrupted_once: Run, tmp_path: Path) -> Run:
    """A sweep that was interrupted after the first of its groups, alone in `tmp_path`."""
    return Run(shutil.copytree(interrupted_once.directory, tmp_path / interrupted_once.id))


class Interrupting(Listener):
    """Sends Ctrl-C as soon as a group is done."""

    def progress(self, progress: Progress) -> None:
        if progress.trials_done >= 18:
            os.kill(os.getpid(), signal.SIGINT)


def sound(directory: Path) -> bool:
    return not verify(directory).problems


def test_an_interrupted_sweep_goes_on(interrupted: Run, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Finished rows stay as they are, byte for byte, and so do their parts until the end."""
    begun = interrupted
    assert begun.status is Status.INTERRUPTED
    assert "TensorFlow at first" in (begun.directory / "log.txt").read_text()
    assert begun.info.signal == signal.SIGINT
    assert begun.info.extra["trials"]["missing"] == 36
    assert sound(begun.directory)
    rows = (begun.directory / "trials.csv").read_bytes()
    assert whole["trials.csv"].startswith(rows)
    assert find_resumable(runs_dir=tmp_path) == begun.directory
    ended = resume(begun.directory, log=lambda: "TensorFlow again")
    assert contents(ended.directory) == whole
    assert "TensorFlow again" in (ended.directory / "log.txt").read_text()
    assert ended.status is Status.COMPLETED
    assert sound(ended.directory)
    assert ended.info.signal is None
    (entry,) = ended.info.resumed
    assert list(entry) == ["when", "trials", "command"], "as of a run, which has its step in place of the trials"
    assert (entry["trials"], entry["command"]) == (18, sys.argv)
    assert not list((ended.directory / "parts").glob("*"))
    with pytest.raises(UsageError, match="no run in"):
        find_resumable(runs_dir=tmp_path)
    for refused in (find_resumable, resume):
        with pytest.raises(UsageError, match="every trial of") as caught:
            refused(begun.directory)
        assert caught.value.hint == f"gdrun show {begun.directory.name}"


def test_a_killed_sweep_goes_on_without_the_part_that_was_torn(
    config: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "gdrun", "sweep", str(config), "--runs-dir", str(tmp_path), "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while len(parts := sorted(tmp_path.glob("2*/parts/0*.npz"))) < 2 and time.monotonic() < deadline:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        process.kill()
    directory = parts[0].parent.parent
    run = Run(directory)
    assert run.status is Status.LOST
    assert sound(directory)
    first = parts[0].read_bytes()
    parts[1].write_bytes(parts[1].read_bytes()[:-100])
    (directory / "parts" / ".tmp-000009.npz").write_bytes(b"torn")
    assert find_resumable(runs_dir=tmp_path) == directory

    class Looking(Listener):
        def planned(self, plan: Plan) -> None:
            assert plan.group_sizes[0] == 18, "the torn part's trials run again"
            assert sum(plan.group_sizes) == 36, "and those of no other"

        def progress(self, progress: Progress) -> None:
            assert parts[0].read_bytes() == first

    assert contents(resume(directory, listener=Looking()).directory) == whole
    assert "parts/000001.npz is left out" in (directory / "log.txt").read_text()
    assert sound(directory)
    assert not list((directory / "parts").iterdir())


def test_trials_that_failed_run_again(config: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Until then the sweep is complete but for them, and can be resumed."""
    from gdrun.sweeping.results import failed
    from gdrun.sweeping.store import SweepStore

    # A worker that died three times, or a config that cannot be built, comes to the store as this.
    keep, runs = SweepStore.keep, tmp_path / "runs"

    def failing(self: SweepStore, block: Any) -> None:
        keep(self, failed(block.trials, "out of paper") if block.trials[0] == 18 else block)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SweepStore, "keep", failing)
        begun = sweep(config, runs_dir=runs)
    assert begun.status is Status.COMPLETED
    assert begun.info.extra["trials"]["failed"] == 18
    assert {row["why"] for row in begun.trials if row["status"] == "failed"} == {"out of paper"}
    assert sound(begun.directory)
    rows = (begun.directory / "trials.csv").read_text().splitlines()
    with pytest.raises(UsageError, match="is missing; 18 failed") as caught:
        resume(begun.directory)
    assert caught.value.hint == f"gdrun resume {begun.directory.name} --failed trains them again"
    assert find_resumable(failed=True, runs_dir=runs) == begun.directory
    ended = resume(begun.directory, failed=True)
    assert contents(ended.directory) == whole
    after = (ended.directory / "trials.csv").read_text().splitlines()
    assert [one for one, other in zip(rows, after, strict=True) if one != other] == rows[19:37]
    assert sound(ended.directory)


def test_a_sweep_is_resumed_only_in_the_environment_it_began_in(interrupted: Run) -> None:
    """For the reasons for which a run is refused: otherwise one table would hold results of two environments."""
    directory = interrupted.directory
    path = directory / "run.json"
    begun = path.read_bytes()
    for changes, words in (
        ({"versions": {"tensorflow": "2.0.0"}}, "tensorflow was 2.0.0 and is"),
        ({"versions": {"numpy": "1.0.0", "keras": "2.0.0"}}, "keras was 2.0.0 and is .*; numpy was 1.0.0 and is"),
        ({"versions": {"optuna": "1.0.0"}}, "optuna was 1.0.0 and is"),
        ({"host": {"processor": "Another"}}, "processor was Another and is"),
        ({"compile": "xla"}, "compile was xla and is graph"),
        ({"device": "cpu (another)"}, "device was"),
        ({"data": {"/d.csv": "0"}}, "its data files have changed"),
        ({"plugins": {"p.py": "0"}}, "its plugins have changed"),
    ):
        record = json.loads(begun)
        for key, value in changes.items():
            record[key] = {**record[key], **value} if isinstance(value, dict) else value
        path.write_text(json.dumps(record))
        edited = path.read_bytes()
        with pytest.raises(UsageError, match=words):
            resume(directory)
        assert path.read_bytes() == edited, "a refusal leaves the sweep as it was"
    path.write_bytes(begun)
    text = (directory / "config.yaml").read_text()
    (directory / "config.yaml").write_text(text.replace("batch_size: 8", "batch_size: 6"))
    with pytest.raises(UsageError, match=r"config\.yaml was changed"):
        resume(directory)
    (directory / "config.yaml").write_text(text)
    assert resume(directory).status is Status.COMPLETED


def test_the_processor_in_front_of_a_cluster_is_not_the_one_that_trains(tmp_path: Path) -> None:
    from gdrun.rundir.environment import describe_environment
    from gdrun.rundir.run_info import RunInfo
    from gdrun.training.resume import check_environment

    (tmp_path / "config.yaml").write_bytes(b"")
    facts = describe_environment() | {"config_hash": hashlib.sha256(b"").hexdigest()}
    record = RunInfo(**facts).updated(host={"processor": "Another"})
    check_environment(tmp_path, record, own_machine=False)
    with pytest.raises(UsageError, match="processor was Another"):
        check_environment(tmp_path, record)
