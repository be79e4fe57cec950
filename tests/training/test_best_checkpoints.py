"""The best states of a run, kept by a recorded metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gdrun.errors import ConfigError
from gdrun.rundir.run import Run
from gdrun.rundir.verifying import verify
from gdrun.training.resume import continue_run, prepare_again
from gdrun.training.train import execute

from .resuming.cuts import Interrupt

SWINGING = """
data:
  {kind: formula, inputs: {x: "linspace(-1, 1, 20)"}, target: 3*x + 2, noise: "normal(0, 0.1)", validation: {last: 5}}
model: {kind: formula, formula: w*x + b, parameters: {w: 0, b: 0}}
metrics: [r2]
optimizer: {kind: sgd, learning_rate: 0.2, momentum: 0.95}
schedule: {steps: 30}
record: {every: 1, parameters: true}
checkpoint: {best: 3, every_steps: 4}
compile: graph
"""
BATCHES = ["schedule={epochs: 10, batch_size: 5}", "checkpoint={best: 2, every_steps: 6, metric: validation_r2}"]


def ranking(run: Run) -> list[dict[str, Any]]:
    return list(run.info.extra["best_checkpoints"])


def assert_best(run: Run, metric: str, steps: range, count: int, sign: int) -> None:
    """Compare what the run kept with its rows."""
    at = {int(step): row for row, step in enumerate(run.metrics["step"])}
    values = {step: run.metrics[metric][at[step]] for step in steps}
    best = sorted(values, key=lambda step: sign * values[step])[:count]
    assert [item["step"] for item in ranking(run)] == best
    assert sorted(path.name for path in (run.directory / "checkpoints").glob("best-*")) == sorted(
        item["file"].removeprefix("checkpoints/") for item in ranking(run)
    )
    for item in ranking(run):
        row = at[item["step"]]
        assert item[metric] == pytest.approx(run.metrics[metric][row], rel=1e-6)
        arrays = run.arrays(item["file"])
        assert float(arrays["w"]) == np.float32(run.metrics["parameters.w"][row])
    assert verify(run).ok


@pytest.mark.parametrize("compile", ["xla", "graph", "eager"])
def test_the_best_by_loss_are_those_of_the_rows(lab: Any, compile: str) -> None:
    run = lab.train(SWINGING, [f"compile={compile}"])
    assert_best(run, "loss", range(4, 31, 4), 3, sign=1)
    assert ranking(run)[0]["step"] != 28  # else the newest would have done


def test_more_is_better_of_a_metric_of_which_more_is_better(lab: Any) -> None:
    run = lab.train(SWINGING, BATCHES)
    assert_best(run, "validation_r2", range(6, 31, 6), 2, sign=-1)


def test_a_resumed_run_keeps_the_same(lab: Any) -> None:
    prepared = lab.prepare(SWINGING, ["name=whole"])
    whole = execute(prepared, runs_dir=lab.runs)
    begun = execute(prepared, runs_dir=lab.runs, listener=Interrupt(3))
    assert begun.info.steps < 30
    resumed = continue_run(prepare_again(begun.directory), begun.directory)
    assert ranking(resumed) == ranking(whole)
    for item in ranking(whole):
        file = item["file"]
        assert (resumed.directory / file).read_bytes() == (whole.directory / file).read_bytes()


def test_another_run_starts_from_one_of_them(lab: Any) -> None:
    run = lab.train(SWINGING)
    best = ranking(run)[0]
    again = lab.build(SWINGING, [f"model.from={run.directory / best['file']}"])
    assert np.array_equal(again.state.parameters[0], run.arrays(best["file"])["w"])


def test_a_damaged_one_is_a_finding(lab: Any) -> None:
    run = lab.train(SWINGING)
    file = run.directory / ranking(run)[1]["file"]
    file.write_bytes(file.read_bytes()[:-9])
    assert any("best-" in str(problem) for problem in verify(run).problems)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["checkpoint.every_steps=null"], "give it"),
        (["checkpoint.best=null", "checkpoint.metric=r2"], "give best, their number"),
        (["checkpoint.metric=validation_mae"], "the metric 'validation_mae' is not recorded"),
        ([*BATCHES[:1], "checkpoint.metric=validation_r2"], "known at the end of each epoch, after 3 steps"),
    ],
    ids=["no steps", "no best", "not recorded", "between epochs"],
)
def test_what_cannot_be_ranked_is_refused(lab: Any, overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        lab.train(SWINGING, overrides)
    assert not lab.runs.exists()
