"""A run that is killed or interrupted anywhere, any number of times, ends with the bits of one that never was."""

from __future__ import annotations

import random
import shutil
import signal
from typing import Any

import pytest

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from gdrun.sweeping.run import resume
from gdrun.training.resume import continue_run, find_resumable, prepare_again
from gdrun.training.train import execute

from .cases import CASES
from .cuts import SEED, Interrupt, Kill, bits, data, killed, killing

PREPARED_AGAIN = {
    "momentum in float64",
    "an old random state",
    "values kept from step to step",
    "a network as a value, beside one from a file",
    "data on disk",
}
"""Kinds whose draws or reads before the first step differ; others go on in the program that was interrupted."""


@pytest.mark.parametrize("case", CASES)
def test_killed_and_resumed_it_ends_with_the_same_bits(lab: Any, chunks: random.Random, case: str) -> None:
    data(lab.folder)
    draw = random.Random(f"{SEED} {case}")
    every = draw.choice(["checkpoint.every_seconds=1e-9", "checkpoint.every_steps=5", "checkpoint.every_steps=4"])
    prepared = lab.prepare(CASES[case], [every])
    whole = execute(prepared, runs_dir=lab.folder / "whole", command=["test"])
    first, second = draw.randint(1, 3), draw.randint(1, 3)
    print(f"seed {SEED}: {every}, killed after {first} chunks, then after {second}")
    killed(lambda: execute(prepared, runs_dir=lab.runs, command=["test"], listener=Kill(first)))
    directory = find_resumable(runs_dir=lab.runs)
    assert Run(directory).status is Status.LOST
    again = prepare_again(directory) if case in PREPARED_AGAIN else prepared
    killed(lambda: continue_run(again, directory, listener=Kill(second)))
    resumed = continue_run(again, directory)
    assert bits(resumed) == bits(whole)
    assert [entry["step"] for entry in resumed.info.resumed] == sorted(e["step"] for e in resumed.info.resumed)


@pytest.mark.parametrize(
    "case", ["shuffled batches with a smaller one", "draws in the loss and a formula for the rate"]
)
def test_interrupted_in_steps_that_have_no_row_it_ends_with_the_same_bits(
    lab: Any, chunks: random.Random, case: str
) -> None:
    prepared = lab.prepare(CASES[case], ["record.every=[0, 3, 50]"])
    whole = execute(prepared, runs_dir=lab.folder / "whole", command=["test"])
    run = execute(prepared, runs_dir=lab.runs, command=["test"], listener=Interrupt(2))
    again = prepare_again(run.directory)
    for number in (signal.SIGTERM, signal.SIGINT):
        assert run.status is Status.INTERRUPTED
        assert int(run.metrics["step"][-1]) == run.info.steps
        run = continue_run(again, run.directory, listener=Interrupt(2, number))
    run = continue_run(again, run.directory)
    assert bits(run) == bits(whole)
    assert len(run.info.resumed) == 3


@pytest.mark.parametrize("case", ["adam, averaged and accumulated", "shuffled batches with a smaller one"])
def test_a_complete_run_goes_on_with_more_steps(lab: Any, chunks: random.Random, case: str) -> None:
    length = "epochs=25" if "epochs" in CASES[case] else "steps=83"
    whole = lab.train(CASES[case], [length, "record.every=10"])
    run = execute(lab.prepare(CASES[case], ["record.every=10"]), runs_dir=lab.folder / "other", command=["test"])
    steps = run.info.steps
    resumed = resume(run.directory, [length])
    assert bits(resumed) == bits(whole)
    assert list(resumed.info.resumed[0]) == ["when", "step", "command"]
    assert resumed.info.resumed[0]["step"] == steps
    with pytest.raises(UsageError, match="is complete"):
        resume(run.directory)
    with pytest.raises(UsageError, match="complete with"):
        resume(run.directory, [length])


def test_a_run_goes_on_without_a_checkpoint_and_says_that_it_starts_again(lab: Any, chunks: random.Random) -> None:
    prepared = lab.prepare(CASES["momentum in float64"])
    whole = execute(prepared, runs_dir=lab.folder / "whole", command=["test"])
    killed(lambda: execute(prepared, runs_dir=lab.runs, command=["test"], listener=Kill(3)))
    listener = Kill(-1)
    resumed = continue_run(prepared, find_resumable(runs_dir=lab.runs), listener=listener)
    assert listener.said == ["there is no checkpoint yet; the run starts again"]
    assert bits(resumed) == bits(whole)


def test_a_damaged_checkpoint_is_passed_over_and_without_any_the_run_starts_again(
    lab: Any, chunks: random.Random
) -> None:
    prepared = lab.prepare(CASES["momentum in float64"], ["checkpoint.every_steps=10"])
    whole = execute(prepared, runs_dir=lab.folder / "whole", command=["test"])
    run = execute(prepared, runs_dir=lab.runs, command=["test"], listener=Interrupt(9))
    files = sorted((run.directory / "checkpoints").iterdir())
    assert len(files) == 2
    kept = lab.folder / "kept"
    shutil.copytree(run.directory, kept)
    for damaged, phrase in ((files[1:], "an older checkpoint is used"), (files, "the run starts again")):
        shutil.rmtree(run.directory)
        shutil.copytree(kept, run.directory)
        for path in damaged:
            path.write_bytes(path.read_bytes()[:-7] + b"x" * 7)
        listener = Kill(-1)
        resumed = continue_run(prepared, run.directory, listener=listener)
        assert listener.said[-1].endswith(phrase)
        assert all("damaged" in text for text in listener.said)
        assert bits(resumed) == bits(whole)


def test_rows_that_are_damaged_are_not_thrown_away(lab: Any, chunks: random.Random) -> None:
    run = lab.train(CASES["momentum in float64"], listener=Interrupt(5))
    path = run.directory / "metrics.jsonl"
    lines = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join([*lines[:2], b"x" + lines[2], *lines[3:]]))
    before = {item: item.read_bytes() for item in run.directory.rglob("*") if item.is_file()}
    with pytest.raises(RunDirectoryError, match="damaged in line 3"):
        resume(run.directory)
    assert {item: item.read_bytes() for item in run.directory.rglob("*") if item.is_file()} == before


def test_a_kill_between_the_last_checkpoint_and_the_end_loses_nothing(
    lab: Any, chunks: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gdrun.training.recorder import Recorder

    prepared = lab.prepare(CASES["shuffled batches with a smaller one"])
    whole = execute(prepared, runs_dir=lab.folder / "whole", command=["test"])
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "finish", lambda *_, **__: killing())
        killed(lambda: execute(prepared, runs_dir=lab.runs, command=["test"]))
    directory = find_resumable(runs_dir=lab.runs)
    assert Run(directory).status is Status.LOST
    assert bits(continue_run(prepared, directory)) == bits(whole)


def test_a_kill_between_the_record_and_the_config_of_a_longer_run_leaves_one_that_goes_on(
    lab: Any, chunks: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CASES["momentum in float64"]
    whole = lab.train(text, ["steps=80"])
    run = execute(lab.prepare(text), runs_dir=lab.folder / "other", command=["test"])
    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "write_text", lambda *_: killing())
        killed(lambda: resume(run.directory, ["steps=80"]))
    assert bits(resume(run.directory, ["steps=80"])) == bits(whole)
