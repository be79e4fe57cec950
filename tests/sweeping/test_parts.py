"""Parts of a sweep, trained apart and gathered: the files of one process, or a refusal that says what to do."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.cli import main
from gdrun.errors import ExitCode, RunDirectoryError, UsageError
from gdrun.rundir.lock import WriterLock
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.verifying import verify
from gdrun.sweeping.groups import group_trials
from gdrun.sweeping.parts import Part
from gdrun.sweeping.plan import plan_trials
from gdrun.sweeping.run import gather, resume, sweep

FILES = ("trials.csv", "curves.npz", "parameters.npz")
CONFIG = b"""
compile: graph
data: {kind: formula, inputs: {x: "linspace(0, 1, 24)"}, target: sin(6*x), noise: "normal(0, 0.1)"}
model: {kind: formula, formula: w*x + b, parameters: {w: 0, b: 1}}
optimizer: sgd
schedule: {epochs: 2, batch_size: 8}
sweep:
  over: {optimizer.kind: [sgd, adam], lr: "log:1e-3:1e6:5"}
"""


@pytest.fixture(scope="module")
def parts(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both parts of a sweep."""
    folder = tmp_path_factory.mktemp("parts")
    for part in ("1/2", "2/2"):
        sweep(CONFIG, runs_dir=folder, part=part)
    return folder


@pytest.fixture
def copied(parts: Path, tmp_path: Path) -> list[Path]:
    """The directories of the parts, which a test may change."""
    shutil.copytree(parts, tmp_path / "parts", symlinks=True)
    return sorted((tmp_path / "parts").glob("2*"), key=lambda path: Run(path).info.extra["part"])


def test_the_parts_of_a_sweep_are_its_trials_each_once() -> None:
    groups = group_trials(plan_trials(CONFIG))
    for of in (1, 3, 10):
        trials = [Part(of, number).trials(groups) for number in range(1, of + 1)]
        assert np.array_equal(np.sort(np.concatenate(trials)), np.arange(10))
        assert {len(part) for part in trials} <= {10 // of, -(-10 // of)}


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "-1/2", "1/0", "a/b", "1/2/3", "1/999999"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="there is no part"):
        Part.read(text)


def test_a_search_and_more_parts_than_trials_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="10 trials cannot be cut in 11 parts"):
        sweep(CONFIG, runs_dir=tmp_path / "none", part="1/11")
    with pytest.raises(UsageError, match="a search cannot be cut"):
        sweep(CONFIG, ["lr=uniform:0:1"], trials=4, search="random", runs_dir=tmp_path / "none", part="1/2")
    assert not (tmp_path / "none").exists()


def test_gathered_parts_have_the_bytes_of_one_process(copied: list[Path], tmp_path: Path) -> None:
    one = sweep(CONFIG, runs_dir=tmp_path / "runs")
    for part in copied:
        assert len(Run(part).trials) == 5
        assert not verify(part).problems
        with pytest.raises(UsageError, match="every trial of"):
            resume(part)
    gathered = gather([tmp_path / "parts"], runs_dir=tmp_path / "gathered")
    for name in FILES:
        assert (gathered.directory / name).read_bytes() == (one.directory / name).read_bytes(), name
    assert gathered.info.extra["trials"] == one.info.extra["trials"]
    assert gathered.info.config_hash == one.info.config_hash
    assert not verify(gathered.directory).problems


def test_some_trials_by_their_numbers_are_a_part_that_has_those_alone(tmp_path: Path) -> None:
    some = sweep(CONFIG, runs_dir=tmp_path / "runs", part=[7, 2])
    assert [trial["trial"] for trial in some.trials] == [2, 7]
    for numbers in ([], [-1], [10]):
        with pytest.raises(UsageError, match="a part of 10 trials is some of 0 to 9"):
            sweep(CONFIG, runs_dir=tmp_path / "none", part=numbers)
    with pytest.raises(UsageError, match="no part of a sweep"):
        gather([some.directory], runs_dir=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_part_of_all_trials_is_gathered_as_others_are(tmp_path: Path) -> None:
    part = sweep(CONFIG, ["optimizer.kind=sgd", "lr=0.1,0.2"], part="1/1", runs_dir=tmp_path / "runs")
    gathered = gather([part.directory], runs_dir=tmp_path / "gathered")
    assert gathered.trials == part.trials


def test_parts_are_gathered_on_a_machine_without_their_device(copied: list[Path], tmp_path: Path) -> None:
    for part in copied:
        record = json.loads((part / "run.json").read_text())
        record["settings_of_sweep"]["device"] = "gpu"
        (part / "run.json").write_text(json.dumps(record | {"device": "gpu:0 (a card)"}))
    gathered = gather(copied, runs_dir=tmp_path / "gathered")
    assert (gathered.status, gathered.info.device) == (Status.COMPLETED, "gpu:0 (a card)")


def test_a_part_that_lost_results_is_refused_and_can_be_trained_again(copied: list[Path], tmp_path: Path) -> None:
    part = copied[1]
    (block, *_) = sorted((part / "parts").glob("0*.npz"))
    block.write_bytes(block.read_bytes()[:-100])
    with pytest.raises(RunDirectoryError, match=r"part 2/2 in .* lacks 5 trials \(parts/0") as caught:
        gather(copied, runs_dir=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    folder = part.parent
    again = f"`gdrun sweep {part} --part 2/2 --runs-dir {folder}`, then `gdrun rm {part.name} --runs-dir {folder}`"
    assert caught.value.hint == again
    for command in re.findall("`gdrun (.*?)`", again):
        assert main([*command.split(), *(["--yes"] if command.startswith("rm") else [])]) == ExitCode.DONE
    assert not part.exists()
    assert gather([folder], runs_dir=tmp_path / "gathered").status is Status.COMPLETED


def test_parts_that_are_missing_overlap_or_belong_elsewhere_are_refused(copied: list[Path], tmp_path: Path) -> None:
    def refused(*directories: Path) -> UsageError:
        with pytest.raises(UsageError) as caught:
            gather(directories, runs_dir=tmp_path / "none")
        assert not (tmp_path / "none").exists()
        return caught.value

    first, second = copied
    error = refused(first)
    assert error.message == "1 part missing: 2/2"
    assert error.hint == f"gdrun sweep {first} --part 2/2 --runs-dir {first.parent}"
    twice = shutil.copytree(second, tmp_path / "twice")
    error = refused(first, second, twice)
    assert "part 2/2 is there twice" in error.message
    assert error.hint == f"gdrun rm twice --runs-dir {tmp_path}"
    record = (twice / "run.json").read_text()
    (twice / "run.json").write_text(record.replace('"2/2"', '"2/3"'))
    assert "overlap" in refused(first, twice).message
    (twice / "run.json").write_text(record.replace(Run(second).info.config_hash or "", "0"))
    assert "parts of two sweeps: their configs differ" in refused(first, twice).message
    assert "there is no part of a sweep in" in refused(tmp_path / "nowhere").message


def test_two_gathers_at_once_are_refused(copied: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    lock = WriterLock(copied[0])
    try:
        assert main(["gather", *map(str, copied)]) == ExitCode.DISK
    finally:
        lock.release()
    assert "is busy" in capsys.readouterr().err
