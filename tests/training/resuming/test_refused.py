"""What cannot end with the same bits is refused, and the run is left as it was."""

from __future__ import annotations

import hashlib
import random
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.errors import ConfigError, RunDirectoryError, UsageError
from gdrun.experiment.loading import load_config
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from gdrun.sweeping.run import resume
from gdrun.training.prepare import prepare
from gdrun.training.resume import continue_run, find_resumable, prepare_again
from gdrun.training.train import execute

from .cases import CASES, line
from .cuts import Interrupt, Kill, bits, data, edit


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"versions": {"tensorflow": "2.0.0"}}, "tensorflow was 2.0.0 and is"),
        ({"versions": {"keras": "2.0.0"}}, "keras was 2.0.0 and is"),
        ({"versions": {"gdrun": "0.0.1"}}, "gdrun was 0.0.1 and is"),
        ({"versions": {"python": "3.2.1"}}, "python was 3.2 and is"),
        ({"host": {"processor": "Another"}}, "processor was Another and is"),
        ({"variables": {"XLA_FLAGS": "--other"}}, "XLA_FLAGS was --other and is --xla"),
        ({"compile": "xla"}, "compile was xla and is graph"),
        ({"device": "cpu (another)"}, "device was"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_other_versions_or_machines_are_refused(interrupted: Run, changes: dict[str, Any], words: str) -> None:
    edit(interrupted, **changes)
    before = (interrupted.directory / "run.json").read_bytes()
    with pytest.raises(UsageError, match=words):
        resume(interrupted.directory)
    assert (interrupted.directory / "run.json").read_bytes() == before
    assert Run(interrupted.directory).status is Status.INTERRUPTED


def test_a_changed_config_is_refused(interrupted: Run) -> None:
    path = interrupted.directory / "config.yaml"
    path.write_text(path.read_text().replace("0.05", "0.06"))
    with pytest.raises(UsageError, match=r"config\.yaml was changed"):
        resume(interrupted.directory)


def test_only_more_steps_can_be_asked_for(interrupted: Run) -> None:
    with pytest.raises(UsageError, match="'lr' cannot change"):
        resume(interrupted.directory, ["lr=1"])
    with pytest.raises(UsageError, match="it can have more, but not 10"):
        resume(interrupted.directory, {"steps": 10})


def test_a_rate_that_depends_on_the_whole_length_keeps_its_length(lab: Any, chunks: random.Random) -> None:
    run = lab.train(CASES["cosine over the whole schedule"])
    with pytest.raises(UsageError, match="'cosine' is spread over the whole schedule"):
        resume(run.directory, ["steps=80"])
    fixed = lab.train(CASES["cosine over the whole schedule"], ["schedule.learning_rate_factor.length=55"])
    assert resume(fixed.directory, ["steps=80"]).info.steps == 80


def test_changed_data_are_refused(lab: Any, chunks: random.Random) -> None:
    data(lab.folder)
    run = lab.train(CASES["data on disk"], listener=Interrupt(2))
    np.savez(lab.folder / "d.npz", x=np.ones((63, 2)), y=np.ones(63))
    with pytest.raises(ConfigError, match=r"d\.npz is not the file"):
        resume(run.directory)


def test_a_run_that_somebody_writes_is_busy(interrupted: Run) -> None:
    with RunStore.open(interrupted.directory) as store:
        with pytest.raises(RunDirectoryError, match="busy"):
            continue_run(prepare_again(interrupted.directory), interrupted.directory)
        edit(interrupted, status="running")
        with pytest.raises(RunDirectoryError, match="busy"):
            resume(interrupted.directory)
        store.leave()


def test_what_has_ended_is_refused(lab: Any, chunks: random.Random) -> None:
    for case, word in (("it diverges", "diverged"), ("it stops by a rule", "stopped")):
        run = lab.train(CASES[case])
        with pytest.raises(UsageError, match=rf"has ended \({word}\)"):
            resume(run.directory, ["steps=1000"])
    with pytest.raises(UsageError, match=r"no run in .* can be resumed"):
        resume(runs_dir=lab.runs)


def test_wall_clock_stops_can_go_on(lab: Any, chunks: random.Random) -> None:
    run = lab.train(line("{kind: sgd, learning_rate: 0.05}"), ["schedule.stop.seconds=1e-9"])
    assert run.info.stopped_by == "seconds"
    step = run.info.steps
    assert resume(run.directory).info.steps > step


def test_the_latest_that_can_go_on_is_resumed(lab: Any, chunks: random.Random) -> None:
    prepared = lab.prepare(line("{kind: sgd, learning_rate: 0.05}"))
    first = execute(prepared, runs_dir=lab.runs, command=["test"], listener=Interrupt(2))
    complete = execute(prepared, runs_dir=lab.runs, command=["test"])
    assert find_resumable(runs_dir=lab.runs) == first.directory
    assert find_resumable(more=True, runs_dir=lab.runs) == complete.directory
    seconds = first.info.seconds
    resumed = resume(runs_dir=lab.runs)
    assert resumed.directory == first.directory
    assert resumed.info.seconds > seconds


def test_a_checkpoint_of_another_run_is_passed_over(lab: Any, chunks: random.Random) -> None:
    prepared = lab.prepare(line("{kind: sgd, learning_rate: 0.05}"))
    one, other = (execute(prepared, runs_dir=lab.runs, command=["test"], listener=Interrupt(after)) for after in (2, 4))
    (foreign,) = (other.directory / "checkpoints").iterdir()
    shutil.copy(foreign, one.directory / "checkpoints")
    listener = Kill(-1)
    resumed = continue_run(prepared, one.directory, listener=listener)
    assert "is not one of this run; an older checkpoint is used" in listener.said[0]
    assert bits(resumed)["metrics.jsonl"] == bits(execute(prepared, runs_dir=lab.runs))["metrics.jsonl"]


def test_the_name_of_a_checkpoint_has_the_hash_of_its_bytes(interrupted: Run) -> None:
    for path in (interrupted.directory / "checkpoints").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem.rpartition("-")[2])
        assert zlib.crc32(path.read_bytes())


PLUGIN = """
import gdrun.plugin as gd
import tensorflow as tf


@gd.loss("half")
def half(target, prediction):
    return tf.reduce_mean((target - prediction) ** 2) / 2
"""


def test_a_changed_plugin_is_refused_and_the_same_one_goes_on(lab: Any, chunks: random.Random) -> None:
    plugin = lab.folder / "half.py"
    plugin.write_text(PLUGIN)
    path = lab.folder / "case.yaml"
    path.write_text(line("{kind: sgd, learning_rate: 0.05}", more="loss: {kind: custom, name: half}"))
    prepared = prepare(load_config(path, plugins=[str(plugin)]))
    whole = execute(prepared, runs_dir=lab.folder / "whole", command=["test"])
    run = execute(prepared, runs_dir=lab.runs, command=["test"], listener=Interrupt(2))
    with pytest.raises(ConfigError, match="none is loaded"):
        resume(run.directory)
    plugin.write_text(PLUGIN.replace("/ 2", "/ 3"))
    with pytest.raises(ConfigError, match="is not the plugin that the run"):
        resume(run.directory, plugins=[str(plugin)])
    plugin.write_text(PLUGIN)
    assert bits(resume(run.directory, plugins=[str(plugin)])) == bits(whole)


@pytest.mark.parametrize("failed", [0, 2])
def test_a_sweep_goes_on_while_a_trial_has_no_result(tmp_path: Path, failed: int) -> None:
    counts = {"total": 5, "completed": 5 - failed, "failed": failed, "missing": 0}
    with RunStore.create(tmp_path, "pi", kind="sweep") as store:
        store.close("completed", extra={"trials": counts})
    if failed:
        assert find_resumable(runs_dir=tmp_path) == store.directory
        with pytest.raises(UsageError, match="a resumed sweep cannot be changed"):
            resume(store.directory, ["epochs=3"])
    else:
        with pytest.raises(UsageError, match="can be resumed"):
            find_resumable(runs_dir=tmp_path)
        with pytest.raises(UsageError, match="every trial of"):
            resume(store.directory)
