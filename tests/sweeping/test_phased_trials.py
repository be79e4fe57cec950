"""Sweeps whose trials have phases. Oracle: a loop in NumPy."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import pytest

from gdrun.checking.trials import compare_trials
from gdrun.errors import ConfigError
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.verifying import verify
from gdrun.sweeping import lanes
from gdrun.sweeping.groups import group_trials
from gdrun.sweeping.plan import plan_trials
from gdrun.sweeping.run import resume, sweep
from gdrun.training.listener import Listener, Progress

ABOVE, WITHIN = "optimizer.learning_rate", "phases.1.optimizer.learning_rate"
CASE = """
data: {kind: formula, inputs: {x: "linspace(-1, 2, 7)"}, target: 3*x + 2}
model: {kind: formula, formula: w*x + b, parameters: {w: 0.5, b: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 4}
precision: float64
compile: graph
record: {every: 1}
phases:
- model: {parameters: {b: {trainable: false}}}
- optimizer: {learning_rate: 0.05}
  schedule: {steps: 3}
  record: {formulas: {slope: w}}
sweep:
  over: {optimizer.learning_rate: [0.1, 0.02], phases.1.optimizer.learning_rate: [0.05, 0.2]}
expect:
  trials:
  - {count: 4, status: completed}
  - {where: {optimizer.learning_rate: 0.1, phases.1.optimizer.learning_rate: 0.2}, status: completed}
"""


def by_hand(above: float, within: float) -> np.ndarray:
    """Return w, b and the loss before and after each step, (8, 3)."""
    x, w, b, rows = np.linspace(-1, 2, 7), 0.5, 0.0, []
    for step in range(8):
        error = w * x + b - (3 * x + 2)
        rows.append((w, b, np.mean(error**2)))
        rate, trains_b = (above, 0) if step < 4 else (within, 1)
        w, b = w - 2 * rate * np.mean(error * x), b - 2 * rate * trains_b * np.mean(error)
    return np.asarray(rows)


@pytest.fixture(scope="module")
def swept_and_traces(shared_lab: Any) -> tuple[Run, list[int]]:
    """The sweep, and how often each program that it made was traced."""
    lanes._programs.clear()
    run = sweep(shared_lab.load(CASE), runs_dir=shared_lab.runs)
    return run, [program.num_traces for program in lanes._programs.values()]


@pytest.fixture(scope="module")
def swept(swept_and_traces: tuple[Run, list[int]]) -> Run:
    return swept_and_traces[0]


def test_trials_that_differ_in_learning_rates_share_a_program_for_each_phase(swept_and_traces: Any) -> None:
    assert swept_and_traces[1] == [1, 1]


@pytest.mark.parametrize(
    ("axis", "sizes"),
    [
        ("optimizer.learning_rate=0.1,0.2", [2]),
        ("phases.1.optimizer.learning_rate=0.1,0.2", [2]),
        ("model.parameters.w=1,2", [2]),
        ("phases.1.schedule.steps=1,2", [1, 1]),
        ("optimizer.momentum=0.1,0.2", [1, 1]),
    ],
)
def test_only_trials_that_share_the_programs_of_their_phases_are_a_group(axis: str, sizes: list[int]) -> None:
    groups = group_trials(plan_trials(CASE.partition("sweep:")[0].encode(), [axis]))
    assert list(map(len, groups)) == sizes


def test_each_trial_is_the_loop_by_hand(swept: Run) -> None:
    curves = swept.arrays("curves.npz")
    np.testing.assert_array_equal(curves["step"], np.arange(8))
    assert swept.info.strategy == {"one after the other": 4, "why": ["phases"]}
    for trial, row in enumerate(swept.trials):
        rows = by_hand(row[ABOVE], row[WITHIN])
        assert (row["status"], row["stopped_by"], row["steps"]) == ("completed", "steps", 7)
        np.testing.assert_allclose(curves["loss"][trial], rows[:, 2], rtol=1e-12)
        np.testing.assert_allclose(curves["slope"][trial, 5:], rows[5:, 0], rtol=1e-12)
        assert np.isnan(curves["slope"][trial, :5]).all()
        end = swept.trial_parameters()[trial]
        np.testing.assert_allclose([end["w"], end["b"], row["loss"]], rows[-1], rtol=1e-12)
        assert row["best_loss"] == pytest.approx(rows[:, 2].min(), rel=1e-12)
        assert row["best_step"] == rows[:, 2].argmin()


def test_the_best_trial_is_a_run_with_phases(swept: Run) -> None:
    losses = [row["loss"] for row in swept.trials]
    best = Run(swept.directory / "best")
    assert swept.info.best["trial"] == np.argmin(losses)
    assert best.final["loss"] == min(losses)
    assert [phase["begins"] for phase in best.info.phases] == [0, 4]
    assert not swept.info.phases
    assert verify(best).ok
    assert verify(swept).ok


class Interrupting(Listener):
    """Sends Ctrl-C once a trial is done."""

    def progress(self, progress: Progress) -> None:
        if progress.trials_done == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_sweep_is_resumed_to_the_same_bytes(swept: Run, lab: Any) -> None:
    begun = sweep(lab.load(CASE), runs_dir=lab.runs, listener=Interrupting())
    assert begun.status is Status.INTERRUPTED
    resumed = resume(begun.directory)
    for name in ("trials.csv", "curves.npz", "parameters.npz", "best/metrics.jsonl"):
        assert (resumed.directory / name).read_bytes() == (swept.directory / name).read_bytes()


def test_a_trial_that_diverges_in_a_phase_ends_there(lab: Any) -> None:
    run = sweep(lab.load(CASE), [f"{ABOVE}=1e200,0.1"], runs_dir=lab.runs)
    assert [row["status"] for row in run.trials] == ["diverged", "completed"]
    assert run.trials[0]["steps"] < 4


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("optimizer.learning_rate=1,2", "each phase has its own 'optimizer.learning_rate'"),
        ("phases.2.optimizer.learning_rate=1,2", "phases has 2 entries"),
        ("phases.1.model.trainable=true,false", "unknown key 'trainable'"),
        ("phases.1.seed=1,2", "a phase cannot have its own 'seed'"),
        ("phases.1.schedule.steps=3,-2", "must be at least"),
    ],
)
def test_axes_that_change_nothing_or_are_nothing_are_refused(space: str, message: str) -> None:
    text = CASE.replace("- model:", "- optimizer: {learning_rate: 0.3}\n  model:")
    with pytest.raises(ConfigError) as caught:
        plan_trials(text.partition("sweep:")[0].encode(), [space])
    assert message in caught.value.problems[0].message
    assert caught.value.problems[0].place is not None


def test_expectations_of_trials_name_axes_within_phases(swept: Run, shared_lab: Any) -> None:
    results = list(compare_trials(shared_lab.load(CASE), swept))
    assert len(results) == 3
    assert all(result.ok for result in results)
