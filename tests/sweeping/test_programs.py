"""Programs that a search's batches, and pieces of a sweep, share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.experiment.texts import LINE

pytest.importorskip("optuna")

from gdrun.engine.lane_drive import LaneProgram
from gdrun.rundir.run import Run
from gdrun.sweeping import lanes
from gdrun.sweeping.run import sweep

LINE_WITH_OFFSET = LINE.replace(
    "parameters: {a: 1.0}", "parameters: {a: 1.0, b: {value: 0.5, trainable: false}}"
).replace("a * x", "a * x + b")


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Run, int]]:
    """Search in three batches of eight: search(*space) -> (the sweep, how many programs it made)."""
    made: list[LaneProgram] = []
    make = lanes.lane_program
    monkeypatch.setattr(lanes, "lane_program", lambda *arguments: made.append(make(*arguments)) or made[-1])

    def run(*space: str, keep: bool = True, text: str = LINE_WITH_OFFSET) -> tuple[Run, int]:
        made.clear()
        lanes._programs.clear()
        with pytest.MonkeyPatch.context() as patch:
            if not keep:
                patch.setattr(lanes, "_shared_program", lambda spec, group, inputs, make: make())
            block = "compile: graph\nsweep: {trials: 24, search: {kind: tpe, batch: 8}}\n"
            return sweep((text + block).encode(), space, runs_dir=tmp_path), len(made)

    return run


def test_batches_that_differ_in_numbers_share_a_program_and_have_the_same_bits(search):
    space = ("lr=loguniform:1e-3:1", "momentum=uniform:0.1:0.9", "model.parameters.b=uniform:-1:1")
    shared, one = search(*space)
    anew, three = search(*space, keep=False)
    assert (one, three) == (1, 3)
    for name in ("trials.csv", "curves.npz", "parameters.npz"):
        assert (shared.directory / name).read_bytes() == (anew.directory / name).read_bytes()


def test_another_program_is_another_one(search):
    kinds, made = search("lr=loguniform:1e-3:1", "optimizer.kind=sgd,adam")
    assert made == 2
    assert {row["status"] for row in kinds.trials} <= {"completed", "diverged"}


def test_data_of_their_own_is_nothing_to_share(search):
    _, made = search("lr=loguniform:1e-3:1", "seed=0,1,2,3")
    assert made == 3


def test_trials_one_after_the_other_run_in_the_program_of_an_earlier_piece(tmp_path):
    lanes._programs.clear()
    runs = [sweep(LINE.encode(), ["lr=0.1,0.2"], lanes="off", runs_dir=tmp_path) for _ in range(2)]
    (program,) = lanes._programs.values()
    assert program.single.num_traces == 1
    assert (runs[0].directory / "parameters.npz").read_bytes() == (runs[1].directory / "parameters.npz").read_bytes()


def test_few_programs_are_kept(monkeypatch):
    monkeypatch.setattr(lanes, "_programs", lanes.OrderedDict())
    for number in range(20):
        lanes._kept((number,), object)
    assert list(lanes._programs) == [(number,) for number in range(12, 20)]
