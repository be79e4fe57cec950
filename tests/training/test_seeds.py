"""Separate seeds: each has the draws that a single seed of the same number has for its purpose."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.experiment.experiment import Seeds
from gdrun.rundir.comparing import compare
from gdrun.rundir.run import Run
from gdrun.rundir.seeds import is_seed, seed_groups

LINE = """
precision: float64
compile: graph
data: {kind: formula, inputs: {x: "uniform(-1, 1, [20, 1])"}, target: 2 * x + 1, noise: "normal(0, 0.1)"}
model: {kind: mlp, hidden: [3], activation: tanh}
loss: {kind: formula, formula: "mean((prediction - target + 0.1 * normal(0, 1))**2)"}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 12, batch_size: 5, order: shuffled}
record: {every: 1}
"""


def columns(run: Run) -> dict[str, list[float]]:
    return {name: run.metrics[name].tolist() for name in ("loss", "gradient_norm")}


def starts(lab, seed: str) -> list[np.ndarray]:
    """Return examples, initial parameters, the order of the first epoch and what the steps draw from."""
    from gdrun.assembly.parts import build_parts

    loaded = lab.load(LINE, [f"seed={seed}"])
    parts = build_parts(loaded.experiment, directory=loaded.directory)
    examples = np.concatenate([parts.data.inputs["x"], parts.data.target])
    weights = np.concatenate([np.ravel(value) for value in parts.state.parameters])
    return [examples, weights, np.append(parts.batches.indices(0), parts.setting.seed)]


def test_each_seed_draws_what_a_single_seed_draws_for_its_purpose(lab):
    apart = starts(lab, "{data: 1, initial: 2, batches: 3}")
    for position, single in enumerate((1, 2, 3)):
        np.testing.assert_array_equal(apart[position], starts(lab, str(single))[position])
    for position, other in enumerate((2, 3, 1)):
        assert not np.array_equal(apart[position], starts(lab, str(other))[position])


def test_equal_seeds_train_to_the_bits_of_a_single_one_and_a_missing_seed_is_0(lab):
    def trained(*overrides):
        return columns(lab.train(LINE, ["compile=eager", *overrides]))

    single = trained("seed=3")
    assert trained("seed={data: 3, initial: 3, batches: 3}") == single
    assert trained("seed.data=0") == trained()
    assert trained("seed.batches=3") != single


def test_a_sweep_over_one_seed_keeps_the_data_and_is_summed_up_over_it(lab):
    from gdrun.sweeping.run import sweep

    path, line = lab.folder / "line.yaml", LINE.replace(" + 0.1 * normal(0, 1)", "")
    path.write_text(line)
    swept = sweep(str(path), ["seed.initial=0,1,2", "lr=0.05,0.1"], runs_dir=lab.runs)
    lost = {(row["seed.initial"], row["optimizer.learning_rate"]): row["loss"] for row in swept.trials}
    alone = lab.train(line, ["seed.initial=2", "lr=0.05", "compile=eager"])
    assert lost[2, 0.05] == pytest.approx(alone.final["loss"], rel=1e-12)
    assert alone.info.seeds == {"data": 0, "initial": 2, "batches": 0}
    assert len({loss for (_, rate), loss in lost.items() if rate == 0.05}) == 3
    (seeds,) = [row for row in compare([swept], over="seed")["results"] if row["name"] == "seeds"]
    assert seeds["values"] == [3, 3]
    best = {row["name"]: row["best"] for row in compare([swept], over="seed")["results"]}
    assert best["loss"] is not None
    assert {best[name] for name in best if name.startswith("parameters.")} == {None}


def test_parts_of_a_seed_are_seeds():
    assert all(map(is_seed, ("seed", "data.seed", *(f"seed.{name}" for name in Seeds.model_fields))))
    assert not any(map(is_seed, ("optimizer.seeds", "data.initial", "seed_of.data.size")))
    first, second = {"lr": 0.1, "seed.data": 0, "seed.initial": 1}, {"lr": 0.1, "seed": 4}
    assert seed_groups([first, second]) == [[0, 1]]


def test_one_state_for_everything_takes_no_separate_seeds(lab):
    problem = lab.refused("random: legacy\nseed: {data: 1}\n" + LINE)
    assert problem.message == "random: legacy draws everything from one state, which has one seed"
    lab.build("random: legacy\nseed: 1\n" + LINE)


def test_a_part_of_a_seed_that_is_a_number_is_refused_with_a_mend_that_works(lab):
    problem = lab.refused("seed: 7\n" + LINE, ["seed.initial=3"])
    assert problem.message == "seed is 7 here, no mapping"
    assert problem.hint == "write seed={initial: ...} in its place"
    experiment = lab.load("seed: 7\n" + LINE, ["seed={initial: 3}"]).experiment
    assert experiment.seeds == Seeds(initial=3)
