"""Training on data that stays on disk gives the bits of training on the same data in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gdrun.assembly import data as build_data
from gdrun.engine import stream
from gdrun.engine.state import Batch
from gdrun.errors import ConfigError, UsageError
from gdrun.schedules.batches import Batches
from gdrun.training.predict import gradients
from gdrun.training.prepare import prepare
from gdrun.training.train import train

SETTINGS = """\
data: {{kind: npz, path: d.npz, inputs: [x, z], target: y, memory: {memory}, {data}}}
model: {{kind: mlp, hidden: [5], activation: tanh, outputs: {outputs}}}
loss: {loss}
metrics: {metrics}
optimizer: adam
precision: {precision}
compile: {compile}
schedule: {{{schedule}}}
record: {{every: 7}}
"""
USUAL = {
    "data": "validation: {last: 13}",
    "outputs": 1,
    "loss": "mse",
    "metrics": "[r2]",
    "precision": "float32",
    "compile": "graph",
    "schedule": "epochs: 5, batch_size: 8",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data set of 103 examples, read in windows of few steps."""
    monkeypatch.setattr(stream, "WINDOW_BYTES", 2000)
    random = np.random.default_rng(0)
    x = random.normal(size=(103, 3))
    y = x @ [1, 2, 3] + 0.1 * random.normal(size=103)
    z, w, label = random.normal(size=103), random.uniform(size=103), random.integers(0, 3, 103)
    np.savez(tmp_path / "d.npz", x=x, y=y, z=z, w=w, label=label)
    return tmp_path


def write(folder: Path, memory: str, **settings: Any) -> Path:
    path = folder / f"{memory}.yaml"
    path.write_text(SETTINGS.format(memory=memory, **{**USUAL, **settings}))
    return path


def both(folder: Path, **settings: Any) -> tuple[Any, Any]:
    in_memory, mapped = (train(write(folder, memory, **settings), runs_dir=folder) for memory in ("all", "mapped"))
    return in_memory, mapped


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "epochs: 5, batch_size: 8, order: sequential", "precision": "float64"},
        {"compile": "xla", "schedule": "epochs: 5, batch_size: 8, order: shuffled"},
        {
            "schedule": "epochs: 3, batch_size: 7, order: sampled",
            "data": "validation: 0.1, scale: {inputs: minmax, target: 2.5}, example_weights: w",
        },
        {
            "schedule": "epochs: 9, batch_size: 60, order: shuffled, drop_remainder: true",
            "data": "target: label, validation: {last: 3}, classes: 3, class_weights: balanced",
            "outputs": 3,
            "loss": "{kind: categorical_crossentropy, from_logits: true}",
            "metrics": "[accuracy]",
        },
        {
            "schedule": "epochs: 40, batch_size: 8, stop: {patience: {epochs: 2, restore_best: true}}, "
            "learning_rate_factor: {kind: cosine}",
            "loss": "{kind: mse, reduction: sum, penalty: {l2: 0.1}}",
        },
        {"schedule": "steps: 0, batch_size: 8"},
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_it_has_the_bits_of_training_in_memory(folder, settings):
    if "target: label" in settings.get("data", ""):
        settings = {**settings, "data": settings["data"].replace("target: label, ", "")}
        arrays = dict(np.load(folder / "d.npz"))
        np.savez(folder / "d.npz", **{**arrays, "y": arrays["label"]})
    in_memory, mapped = both(folder, **settings)
    for name, value in in_memory.parameters.items():
        np.testing.assert_array_equal(mapped.parameters[name], value)
    for name in ("step", "loss", "gradient_norm", "validation_loss"):
        np.testing.assert_array_equal(mapped.metrics[name], in_memory.metrics[name])
    # Put together from batches: the same up to rounding.
    np.testing.assert_allclose(mapped.info.final["loss"], in_memory.info.final["loss"], rtol=1e-5)
    assert mapped.info.final["validation_loss"] == in_memory.info.final["validation_loss"]


def test_csv_too(folder):
    random = np.random.default_rng(1)
    rows = random.normal(size=(50, 3))
    np.savetxt(folder / "d.csv", rows, delimiter=",", header="a,b,y", comments="", fmt="%.17g")
    runs = []
    for memory in ("all", "mapped"):
        text = f"""
data: {{kind: csv, path: d.csv, inputs: {{x: [a, b]}}, target: y, memory: {memory}}}
model: {{kind: linear, outputs: 1}}
optimizer: {{kind: sgd, learning_rate: 0.05}}
schedule: {{epochs: 4, batch_size: 16}}
compile: graph
"""
        (folder / "c.yaml").write_text(text)
        runs.append(train(folder / "c.yaml", runs_dir=folder))
    np.testing.assert_array_equal(runs[0].parameters["kernel"], runs[1].parameters["kernel"])


def test_no_more_than_a_window_is_read_at_a_time(folder, monkeypatch):
    taken = []
    take = build_data.Dataset.take

    def noted(self, rows):
        result = take(self, rows)
        if isinstance(rows, np.ndarray):
            taken.append(sum(array.nbytes for array in result.arrays().values()))
        return result

    monkeypatch.setattr(build_data.Dataset, "take", noted)
    train(write(folder, "mapped"), runs_dir=folder)
    # float64 in the file is twice what the window holds.
    assert max(taken) <= 2 * stream.WINDOW_BYTES
    assert len(taken) > 8


def test_windows_hold_the_batches_of_their_steps():
    batches = Batches(10, 4, order="shuffled")
    reads = []

    def read(index):
        reads.append(len(index))
        return Batch({"x": tf.constant(index, tf.float32)}, None)

    windows = stream.Stream(batches, read, total_steps=100)
    windows.num_steps = 3
    for step in range(20):
        first, data = windows.first_step(step), windows.examples(step)
        assert first <= step < first + 2
        for inside in range(3):
            seen = batches.batch(first + inside)
            np.testing.assert_array_equal(data.inputs["x"][4 * inside : 4 * inside + len(seen)], seen)
    assert reads == [1] + [12] * 10


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"schedule": "epochs: 5"}, ("schedule",), "each step would see all examples at once"),
        ({"schedule": "epochs: 5, batch_size: 90"}, ("schedule", "batch_size"), "each step would see all"),
        ({"data": "validation: {share: 0.2, shuffle: true}"}, ("data", "validation", "shuffle"), "held out from"),
        ({"data": "validation: {index: [1, 5]}"}, ("data", "validation", "index"), "held out from anywhere"),
        ({"data": "validation: 0.2, scale: standardize"}, ("data", "scale", "inputs"), "a deviation is of all"),
        ({"data": "validation: 0.2, scale: {inputs: minmax, fit: all}"}, ("data", "scale", "fit"), "only fit: train"),
        ({"data": "scale: 1"}, ("metrics",), "metrics are of all training examples at once"),
    ],
)
def test_what_needs_all_examples_is_refused_with_their_size(folder, settings, path, message):
    with pytest.raises(ConfigError, match=message) as caught:
        train(write(folder, "mapped", **settings), runs_dir=folder / "runs")
    (problem,) = caught.value.problems
    assert problem.path == path
    assert "examples (" in problem.message
    assert "are not kept in memory" in problem.message
    assert not (folder / "runs").exists()


def test_the_gradient_over_all_examples_is_refused(folder):
    path = write(folder, "mapped", schedule="steps: 1, batch_size: 8")
    run = train(path, runs_dir=folder)
    from gdrun.experiment.loading import load_config

    with pytest.raises(UsageError, match="not in memory"):
        gradients(prepare(load_config(path)), run)
