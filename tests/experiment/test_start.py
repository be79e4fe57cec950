"""Parameters that a model starts with from another run or a file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gdrun.errors import ConfigError
from gdrun.training.resume import prepare_again

LINE = """
data: {kind: values, inputs: {x: [[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]}, target: [2, 4, 6]}
model: {kind: linear}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 3}
compile: graph
"""
NETWORKS = """
data: {kind: values, inputs: {x: [[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]}, target: [2, 4, 6]}
model:
  kind: formula
  formula: a * (teacher(x) + other(x))
  parameters: {a: {value: 1, transform: exp}}
  networks: {teacher: {kind: linear, from: line.npz, trainable: false}, other: {kind: linear, kernel: 0.5}}
loss: {kind: formula, formula: "mean((prediction[:, 0] - target)**2)"}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 3}
compile: graph
"""
KERNEL, BIAS = np.array([[0.25], [-2.0]]), np.array([0.5])


@pytest.fixture
def line(lab: Any) -> Any:
    """A lab with a file of a linear model's parameters."""
    np.savez_compressed(lab.folder / "line.npz", kernel=KERNEL, bias=BIAS, more=np.ones(3))
    return lab


def test_a_model_starts_with_the_arrays_of_a_file(line: Any) -> None:
    built = line.build(LINE, ["model.from=line.npz"])
    kernel, bias = built.state.parameters
    assert np.array_equal(kernel, KERNEL)
    assert np.array_equal(bias, BIAS)


def test_a_run_from_a_run_begins_with_its_last_loss_and_records_the_file(lab: Any) -> None:
    first = lab.train(LINE)
    (lab.folder / "link").symlink_to(first.directory)
    second = lab.train(LINE, ["model.from=link", "lr=0.02"])
    assert second.metrics["loss"][0] == first.metrics["loss"][-1]
    file = str((first.directory / "parameters.npz").resolve())
    assert list(second.info.data) == [file]
    assert f"from: {first.directory.resolve()}" in (second.directory / "config.yaml").read_text()


@pytest.mark.parametrize("compile", ["xla", "graph", "eager"])
def test_a_network_starts_with_a_models_arrays_and_stays_so_when_it_is_not_trainable(line: Any, compile: str) -> None:
    run = line.train(NETWORKS, [f"compile={compile}"])
    assert np.array_equal(run.parameters["teacher.kernel"], KERNEL)
    assert not np.array_equal(run.parameters["other.kernel"], [[0.5], [0.5]])


def test_a_whole_formula_model_starts_with_values_behind_their_transforms(line: Any) -> None:
    run = line.train(NETWORKS)
    again = line.build(NETWORKS, [f"model.from={run.directory}", "model.networks.teacher.from=null"])
    values = again.objective.named(again.state.parameters, again.setting)
    for name, value in run.parameters.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-6)


def test_moving_averages_are_parameters_too(lab: Any) -> None:
    layers = [
        "model={kind: layers, layers: [{kind: batch_normalization}, {kind: dense, units: 1}]}",
    ]
    first = lab.train(LINE, layers)
    again = lab.build(LINE, [*layers, f"model.from={first.directory}"])
    state = dict(zip(again.objective.state_names, again.state.model_state, strict=True))
    names = [name for name in first.parameters if "moving" in name]
    assert len(names) == 2
    assert all(np.array_equal(state[name], first.parameters[name]) for name in names)
    assert not np.array_equal(first.parameters[names[0]], np.zeros(2))


def test_lanes_start_from_the_file_as_single_runs_do(line: Any) -> None:
    from gdrun.sweeping.run import sweep

    sweep_run = sweep(
        line.load(LINE + "sweep: {over: {lr: [0.01, 0.02]}}", ["model.from=line.npz"]), runs_dir=line.runs
    )
    alone = line.train(LINE, ["model.from=line.npz", "lr=0.02"])
    losses = [row["loss"] for row in sweep_run.trials if row["optimizer.learning_rate"] == 0.02]
    np.testing.assert_allclose(losses, [alone.final["loss"]], rtol=1e-6)


CASES = {
    "no file": (["model.from=none.npz"], ["there is no file", "none.npz"]),
    "no run": (["model.from=."], ["there is no file", "give a run directory"]),
    "a parameter is missing": (["model={kind: mlp, from: line.npz}"], ["no parameter 'dense1.kernel'", "bias, kernel"]),
    "another shape": (["model.from=line.npz", "model.outputs=2"], ["has shape (2, 1), the model's has (2, 2)"]),
    "damaged": (["model.from=damaged.npz"], ["is not a NumPy archive"]),
    "not finite": (["model.from=nan.npz"], ["'bias' in", "is not finite"]),
    "texts": (["model.from=texts.npz"], ["'bias' in", "no real numbers"]),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_cannot_be_started_from_is_refused_at_from_before_anything_is_on_disk(line: Any, case: str) -> None:
    overrides, words = CASES[case]
    np.savez(line.folder / "nan.npz", kernel=KERNEL, bias=[np.nan])
    np.savez(line.folder / "texts.npz", kernel=KERNEL, bias=["a"])
    (line.folder / "damaged.npz").write_bytes((line.folder / "line.npz").read_bytes()[:200])
    with pytest.raises(ConfigError) as caught:
        line.train(LINE, overrides)
    (problem,) = caught.value.problems
    assert problem.path == ("model", "from")
    assert all(word in f"{problem.message} {problem.hint}" for word in words), problem
    assert not line.runs.exists()


def test_another_file_is_refused_at_resume(line: Any) -> None:
    run = line.train(LINE, ["model.from=line.npz"])
    np.savez(line.folder / "line.npz", kernel=KERNEL, bias=BIAS + 1)
    before = json.loads((run.directory / "run.json").read_text())
    with pytest.raises(ConfigError, match=r"line\.npz is not the file that the run") as caught:
        prepare_again(run.directory, ["steps=5"])
    assert caught.value.problems[0].path == ("model", "from")
    assert json.loads((run.directory / "run.json").read_text()) == before
