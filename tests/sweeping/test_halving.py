"""Successive halving: who is dropped at a rung, and that nobody else notices."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gdrun.rundir.run import Run
from gdrun.sweeping.halving import Halving, rung_steps
from tests.experiment.texts import LINE


def report(step: int, active: Any = None, lanes: Any = None, **records: Any) -> Any:
    columns = {name: np.asarray(values, np.float64)[None] for name, values in records.items()}
    count = next(iter(columns.values())).shape[1]
    return SimpleNamespace(
        step=step,
        lanes=np.arange(count) if lanes is None else np.asarray(lanes),
        active=np.ones(count, bool) if active is None else np.asarray(active, bool),
        records=columns,
    )


def kept(halving: Halving, report: Any) -> list[int]:
    mask = halving.keep(report)
    assert mask is not None
    return np.flatnonzero(mask & report.active).tolist()


def test_rungs_halve_down_to_sixteen_lanes_and_lie_at_ends_of_epochs():
    assert rung_steps(16, 1000) == ()
    assert rung_steps(31, 1000) == ()
    assert rung_steps(32, 1000) == (500,)
    assert rung_steps(64, 1000) == (250, 500)
    assert rung_steps(64, 1000, steps_per_epoch=30) == (270, 510)
    assert rung_steps(1024, 20, steps_per_epoch=7) == (7, 14)
    assert rung_steps(4096, 1) == ()


def test_between_rungs_all_go_on():
    halving = Halving(32, 100, maximize=False)
    assert halving.rungs == (50,)
    assert halving.keep(report(49, loss=np.arange(32))) is None


def test_at_a_rung_the_better_half_goes_on():
    losses = np.random.default_rng(0).permutation(32)
    halving = Halving(32, 100, maximize=False)
    assert kept(halving, report(50, loss=losses)) == np.flatnonzero(losses < 16).tolist()
    assert halving.pruned.tolist() == (losses >= 16).tolist()


def test_more_of_a_metric_can_be_better():
    scores = np.random.default_rng(0).permutation(32)
    halving = Halving(32, 100, metric="accuracy", maximize=True)
    assert kept(halving, report(50, accuracy=scores, loss=-scores)) == np.flatnonzero(scores >= 16).tolist()


def test_of_mini_batches_the_mean_over_the_epoch_decides():
    means = np.random.default_rng(0).permutation(32)
    halving = Halving(32, 100, steps_per_epoch=10, maximize=False)
    assert kept(halving, report(50, loss=-means, loss_epoch=means)) == np.flatnonzero(means < 16).tolist()


def test_of_equals_the_first_trials_go_on_wherever_they_are_in_the_program():
    lanes = np.random.default_rng(1).permutation(32)
    halving = Halving(32, 100, maximize=False)
    reported = report(50, lanes=lanes, loss=np.zeros(32))
    assert sorted(lanes[kept(halving, reported)]) == list(range(16))


def test_lanes_that_are_done_count_as_dropped():
    active = np.arange(32) >= 10
    halving = Halving(32, 100, maximize=False)
    assert len(kept(halving, report(50, active=active, loss=np.arange(32)))) == 16
    assert int(halving.pruned.sum()) == 6
    few = Halving(32, 100, maximize=False)
    assert len(kept(few, report(50, active=np.arange(32) >= 20, loss=np.arange(32)))) == 12
    assert not few.pruned.any()


def test_what_is_not_finite_is_worst():
    losses = np.where(np.arange(32) % 2, np.nan, np.arange(32))
    halving = Halving(32, 100, maximize=False)
    assert kept(halving, report(50, loss=losses)) == list(range(0, 32, 2))


def search(tmp_path: Any, name: str, *, prune: bool, text: str = LINE) -> Run:
    from gdrun.sweeping.run import sweep

    pytest.importorskip("optuna")
    block = f"sweep: {{trials: 64, search: {{kind: random, batch: 64, prune: {str(prune).lower()}}}}}\n"
    space = ("lr=loguniform:1e-4:1", "momentum=uniform:0:0.9")
    return sweep((text + block).encode(), space, runs_dir=tmp_path, name=name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: Any) -> tuple[Run, Run]:
    """The same 64 trials, pruned and not."""
    directory = tmp_path_factory.mktemp("halving")
    return search(directory, "pruned", prune=True), search(directory, "whole", prune=False)


def test_survivors_have_the_bits_that_they_have_without_pruning(runs):
    pruned, whole = runs
    went_on = [row["trial"] for row in pruned.trials if row["stopped_by"] != "pruned"]
    assert 16 <= len(went_on) < 64
    assert [pruned.trials[trial] for trial in went_on] == [whole.trials[trial] for trial in went_on]
    for name, values in pruned.parameters.items():
        assert np.array_equal(values[went_on], whole.parameters[name][went_on])
    assert np.array_equal(pruned.curves["loss"][went_on], whole.curves["loss"][went_on], equal_nan=True)


def test_those_that_are_dropped_had_the_largest_losses_at_the_rung(runs):
    pruned, whole = runs
    losses, going_on = whole.curves["loss"], np.arange(64)
    ended = np.asarray([row["steps"] for row in whole.trials])
    for rung, wanted in ((3, 32), (5, 16)):
        going_on = going_on[ended[going_on] >= rung]
        at = int(np.searchsorted(whole.curves["step"], rung))
        order = going_on[np.argsort(losses[going_on, at], kind="stable")]
        dropped = {row["trial"] for row in pruned.trials if row["stopped_by"] == "pruned" and row["steps"] == rung}
        assert dropped == set(order[wanted:].tolist())
        going_on = order[:wanted]


def test_a_trial_that_is_dropped_says_so_and_holds_its_state_at_the_rung(runs):
    pruned, whole = runs
    rows = [row for row in pruned.trials if row["stopped_by"] == "pruned"]
    assert {(row["status"], row["steps"]) for row in rows} == {("stopped", 3), ("stopped", 5)}
    for row in rows:
        at = int(np.searchsorted(whole.curves["step"], row["steps"]))
        assert row["loss"] == pytest.approx(whole.curves["loss"][row["trial"], at], rel=1e-5)
        assert np.isnan(pruned.curves["loss"][row["trial"], at + 1 :]).all()


def test_a_dropped_trial_is_never_the_best(runs):
    pruned, _ = runs
    assert pruned.trials[pruned.info.best["trial"]]["status"] == "completed"


def test_neither_the_length_of_chunks_nor_smaller_programs_change_a_bit(runs, tmp_path, monkeypatch):
    from gdrun.engine import lane_drive

    compiled, sizes = lane_drive.LaneProgram.compiled, set()

    def counting(self: Any, feed: Any, inputs: Any, window: Any) -> Any:
        sizes.add(inputs.count)
        return compiled(self, feed, inputs, window)

    def slow(self: Any, *_: object) -> None:
        # So that a chunk has one step, and each smaller program pays.
        self.seconds_per_step = 1e9

    monkeypatch.setattr(lane_drive.LaneProgram, "compiled", counting)
    monkeypatch.setattr(lane_drive.Pace, "took", slow)
    again = search(tmp_path, "again", prune=True)
    assert sizes == {64, 32, 16}
    for name in ("trials.csv", "curves.npz", "parameters.npz"):
        assert (again.directory / name).read_bytes() == (runs[0].directory / name).read_bytes()
