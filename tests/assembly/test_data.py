"""Data of a config as the engine gets it: weights, classes, scaling. The oracle for weighted losses is Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from gdrun.errors import ConfigError, ResourceError
from gdrun.experiment.inputs import build_data, random_source
from gdrun.experiment.loading import load_config
from gdrun.training.train import train

X = np.array([[0.5, -1.0], [1.5, 0.3], [-0.7, 0.8], [0.1, 0.2], [2.0, -0.4]])
NUMBERS = [1.0, 2.5, -0.5, 0.7, 3.0]
BINARY = [0, 1, 1, 0, 1]
CLASSES = [0, 2, 1, 0, 2]
WEIGHTS = [1.0, 0.0, 2.5, 0.3, 4.0]


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """Write a config and load it."""

    def load(text: str, **overrides: Any) -> Any:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return load_config(path, overrides)

    return load


def datasets(loaded: Any) -> Any:
    experiment = loaded.experiment
    return build_data(experiment, {}, random_source(experiment), loaded.directory)


def data_of(config: Any, data: str) -> Any:
    text = f"data: {data}\nmodel: {{kind: linear, outputs: 1}}\noptimizer: sgd\nschedule: {{steps: 1}}\n"
    return datasets(config(text))


LOSSES: list[tuple[str, Any, list[float], int]] = [
    ("mse", "mean_squared_error", NUMBERS, 1),
    ("huber", "huber", NUMBERS, 1),
    (
        "{kind: binary_crossentropy, from_logits: true}",
        keras.losses.BinaryCrossentropy(from_logits=True),
        BINARY,
        1,
    ),
    (
        "{kind: sparse_categorical_crossentropy, from_logits: true}",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        CLASSES,
        3,
    ),
]


def by_keras(loss: Any, target: list[float], outputs: int, *, epochs: int, batch_size: int, **weights: Any) -> Any:
    """Weights and losses after each epoch of Keras's own fit, in float64."""
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(outputs, dtype="float64")])
    start = np.linspace(-0.5, 0.5, 2 * outputs).reshape(2, outputs)
    model.layers[0].set_weights([start, np.zeros(outputs)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True)
    target = np.asarray(target, np.float64)
    history = model.fit(X, target, epochs=epochs, batch_size=batch_size, shuffle=False, verbose=0, **weights)
    return model.get_weights(), history.history


def by_gdrun(tmp_path: Path, loss: str, target: list[float], outputs: int, extra: str, **schedule: Any) -> Any:
    start = np.linspace(-0.5, 0.5, 2 * outputs).reshape(2, outputs).tolist()
    text = f"""
data:
  kind: values
  inputs: {{x: {X.tolist()}}}
  target: {target}
  {extra}
model: {{kind: linear, outputs: {outputs}, kernel: {start}}}
loss: {loss}
optimizer: {{kind: sgd, learning_rate: 0.1}}
schedule: {{epochs: {schedule["epochs"]}, batch_size: {schedule["batch_size"]}, order: sequential}}
precision: float64
compile: eager
record: {{every: epoch}}
"""
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return train(path, runs_dir=tmp_path / "runs")


@pytest.mark.parametrize(("loss", "keras_loss", "target", "outputs"), LOSSES, ids=[row[0][:12] for row in LOSSES])
def test_example_weights_are_keras_sample_weight(tmp_path, loss, keras_loss, target, outputs):
    run = by_gdrun(tmp_path, loss, target, outputs, f"example_weights: {WEIGHTS}", epochs=2, batch_size=2)
    (kernel, bias), history = by_keras(
        keras_loss, target, outputs, epochs=2, batch_size=2, sample_weight=np.array(WEIGHTS)
    )
    np.testing.assert_allclose(run.parameters["kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(run.parameters["bias"], bias, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(run.metrics["loss_epoch"][-1], history["loss"][-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("written", "weights"),
    [
        ("[1, 2.5, 0.5]", {0: 1.0, 1: 2.5, 2: 0.5}),
        ("{1: 3}", {1: 3.0}),
        ("balanced", {0: 5 / 6, 1: 5 / 3, 2: 5 / 6}),
    ],
)
def test_class_weights_are_numbers_of_classes(config, written, weights):
    data = f"{{kind: values, inputs: {{x: {X.tolist()}}}, target: {CLASSES}, class_weights: {written}}}"
    expected = [weights.get(number, 1.0) for number in CLASSES]
    np.testing.assert_allclose(data_of(config, data).train.weights, expected, rtol=1e-15)


def test_class_weights_are_keras_class_weight(tmp_path):
    loss, keras_loss, target, outputs = LOSSES[-1]
    run = by_gdrun(tmp_path, loss, target, outputs, "class_weights: balanced", epochs=2, batch_size=2)
    (kernel, _), history = by_keras(
        keras_loss, target, outputs, epochs=2, batch_size=2, class_weight={0: 5 / 6, 1: 5 / 3, 2: 5 / 6}
    )
    np.testing.assert_allclose(run.parameters["kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(run.metrics["loss_epoch"][-1], history["loss"][-1], rtol=1e-6)


def test_a_part_held_out_keeps_its_example_weights_and_has_no_class_weights(tmp_path):
    extra = f"example_weights: {WEIGHTS}\n  validation: {{last: 2}}\n  class_weights: {{1: 7}}"
    run = by_gdrun(tmp_path, LOSSES[2][0], BINARY, 1, extra, epochs=1, batch_size=3)
    kernel, bias = run.parameters["kernel"], run.parameters["bias"]
    logits, target, weights = (X @ kernel + bias)[3:, 0], np.array(BINARY[3:]), np.array(WEIGHTS[3:])
    by_hand = np.mean(weights * (np.log1p(np.exp(logits)) - target * logits))
    np.testing.assert_allclose(run.metrics["validation_loss"][-1], by_hand, rtol=1e-12)


def test_a_formula_sees_the_weights(tmp_path):
    text = """
data: {kind: values, inputs: {x: [1, 2, 3]}, target: [1, 1, 1], example_weights: [1, 0, 4]}
model: {kind: formula, formula: a * x, parameters: {a: 2.0}}
loss: {kind: formula, formula: "sum(example_weights * (prediction - target)**2)"}
metrics: [{name: heaviest, formula: max(example_weights)}, mse]
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 0}
compile: graph
"""
    (tmp_path / "c.yaml").write_text(text)
    run = train(tmp_path / "c.yaml", runs_dir=tmp_path)
    assert run.info.final["loss"] == 1 + 4 * 25
    assert run.info.final["heaviest"] == 4
    np.testing.assert_allclose(run.info.final["mse"], (1 + 9 + 25) / 3, rtol=1e-6)


def test_validation_examples_without_weights_count_alike_in_formulas(tmp_path):
    text = """
data: {kind: values, inputs: {x: [1, 2, 3, 4]}, target: [1, 0, 1, 1], class_weights: {0: 9}, validation: {last: 2}}
model: {kind: formula, formula: a * x, parameters: {a: 2.0}}
loss: {kind: formula, formula: "mean(example_weights * (prediction - target)**2)"}
optimizer: sgd
schedule: {steps: 0}
compile: graph
"""
    (tmp_path / "c.yaml").write_text(text)
    final = train(tmp_path / "c.yaml", runs_dir=tmp_path).info.final
    assert final["loss"] == (1 + 9 * 16) / 2
    assert final["validation_loss"] == (25 + 49) / 2


def test_gauss_newton_solves_weighted_least_squares_in_one_step(tmp_path):
    target, weights = np.array(NUMBERS), np.array([1.0, 0.2, 2.5, 0.3, 4.0])
    text = f"""
data: {{kind: values, inputs: {{x: {X.tolist()}}}, target: {NUMBERS}, example_weights: {weights.tolist()}}}
model: {{kind: linear, outputs: 1}}
optimizer: gauss_newton
schedule: {{steps: 1}}
precision: float64
compile: eager
"""
    (tmp_path / "c.yaml").write_text(text)
    run = train(tmp_path / "c.yaml", runs_dir=tmp_path)
    design, root = np.c_[X, np.ones(5)], np.sqrt(weights)
    solution, *_ = np.linalg.lstsq(root[:, None] * design, root * target, rcond=None)
    np.testing.assert_allclose(run.parameters["kernel"][:, 0], solution[:2], rtol=1e-9)
    np.testing.assert_allclose(run.parameters["bias"][0], solution[2], rtol=1e-9)


class TestLegacy:
    """Configs say what a notebook says after np.random.seed, and get its numbers. The oracle is numpy."""

    def test_data_noise_split_initial_values_and_batches_come_in_this_order(self, tmp_path):
        np.random.seed(42)
        x = 2 * np.random.rand(100, 1)
        y = 4 + 3 * x + np.random.randn(100, 1)
        index = np.random.permutation(100)
        training, held_out = index[:80], index[80:]
        theta = np.random.randn(2, 1)
        bias = np.random.uniform(-1, 1)
        start = theta.copy(), bias
        for _epoch in range(3):
            order = np.random.permutation(80)
            for first in range(0, 80, 20):
                rows = training[order[first : first + 20]]
                design = np.c_[x[rows], x[rows] ** 2]
                error = design @ theta + bias - y[rows]
                theta, bias = theta - 0.01 * design.T @ error / 20, bias - 0.01 * error.mean()
        text = """
random: legacy
seed: 42
precision: float64
compile: graph
data:
  kind: formula
  inputs: {x: "2 * uniform(0, 1, [100, 1])"}
  target: 4 + 3 * x
  noise: normal(0, 1)
  validation: {share: 0.2, shuffle: true}
model:
  kind: formula
  parameters:
    theta: {init: "normal(0, 1)", shape: [2, 1]}
    bias: uniform(-1, 1)
  formula: concat([x, x**2], axis=1) @ theta + bias
loss: half_mse
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {epochs: 3, batch_size: 20}
record: {every: epoch, parameters: true}
"""
        (tmp_path / "c.yaml").write_text(text)
        run = train(tmp_path / "c.yaml", runs_dir=tmp_path)
        np.testing.assert_array_equal(np.array(run.metrics["parameters.theta"][0]), start[0])
        assert run.metrics["parameters.bias"][0] == start[1]
        np.testing.assert_allclose(run.parameters["theta"], theta, rtol=1e-12)
        np.testing.assert_allclose(run.parameters["bias"], bias, rtol=1e-12)
        design = np.c_[x[held_out], x[held_out] ** 2]
        by_hand = np.mean((design @ theta + bias - y[held_out]) ** 2) / 2
        np.testing.assert_allclose(run.info.final["validation_loss"], by_hand, rtol=1e-12)

    def test_draws_have_numpys_shapes_and_order(self, config):
        np.random.seed(7)
        a, b, c = np.random.rand(6, 2), np.random.uniform(-3, 5, 6), np.random.normal(1.0, 2.0, (6, 3))
        d = np.random.randn(6)
        text = """
random: legacy
seed: 7
data:
  kind: formula
  inputs: {a: "uniform(0, 1, [6, 2])", b: "uniform(-3, 5, 6)", c: "normal(1, 2, [6, 3])"}
  target: normal(0, 1, 6)
model: {kind: linear, outputs: 1}
optimizer: sgd
schedule: {steps: 1}
"""
        data = datasets(config(text)).train
        for array, drawn in zip((a, b, c, d), data.arrays().values(), strict=True):
            np.testing.assert_array_equal(array, drawn)

    def test_scikit_learn_draws_from_the_same_state(self, config):
        sets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is an extra")
        np.random.seed(3)
        features, labels = sets.make_moons(n_samples=20, noise=0.1)
        order = np.random.permutation(20)
        text = """
random: legacy
seed: 3
data: {kind: sklearn, name: make_moons, settings: {n_samples: 20, noise: 0.1}, validation: {count: 5, shuffle: true}}
model: {kind: linear, outputs: 1}
optimizer: sgd
schedule: {steps: 1}
"""
        found = datasets(config(text))
        np.testing.assert_array_equal(found.train.inputs["x"], features[order[:15]])
        np.testing.assert_array_equal(found.validation.target, labels[order[15:]])


class TestFiles:
    """Files of a config: separators, a second file for validation, labels that both share."""

    def test_tabs_a_second_file_and_its_labels(self, config, tmp_path):
        (tmp_path / "train.tsv").write_text("a\tb\tkind\tw\n1\t2\tdog\t1\n3\t4\tcat\t2\n5\t6\tant\t1\n")
        (tmp_path / "test.tsv").write_text("kind\tw\tb\ta\ncat\t5\t8\t7\n")
        found = data_of(
            config,
            "{kind: tsv, path: train.tsv, inputs: [a, b], target: kind, classes: 3, example_weights: w, "
            "validation: {path: test.tsv}}",
        )
        np.testing.assert_array_equal(found.train.target, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])
        np.testing.assert_array_equal(found.train.weights, [1, 2, 1])
        np.testing.assert_array_equal(found.validation.inputs["a"], [7])
        np.testing.assert_array_equal(found.validation.target, [[0, 1, 0]])
        np.testing.assert_array_equal(found.validation.weights, [5])
        assert found.train.labels == ("ant", "cat", "dog")
        assert set(found.files) == {str(tmp_path / "train.tsv"), str(tmp_path / "test.tsv")}

    def test_a_label_that_only_the_second_file_has_is_refused(self, config, tmp_path):
        (tmp_path / "train.tsv").write_text("a\tkind\n1\tdog\n3\tcat\n")
        (tmp_path / "test.tsv").write_text("a\tkind\n1\tcow\n")
        with pytest.raises(ConfigError, match="'cow', which is not one of: cat, dog") as caught:
            data_of(config, "{kind: tsv, path: train.tsv, inputs: [a], target: kind, validation: {path: test.tsv}}")
        assert caught.value.problems[0].path[:2] == ("data", "validation")

    def test_class_weights_by_a_label_of_text(self, config, tmp_path):
        (tmp_path / "d.csv").write_text("a,kind\n1,dog\n3,cat\n5,cat\n")
        data = "{kind: csv, path: d.csv, inputs: [a], target: kind, classes: 2, class_weights: {dog: 3}}"
        np.testing.assert_array_equal(data_of(config, data).train.weights, [3, 1, 1])
        with pytest.raises(ConfigError, match="no example has the label 'cow'") as caught:
            data_of(config, data.replace("dog:", "cow:"))
        assert caught.value.problems[0].path == ("data", "class_weights")

    def test_images_are_divided_by_a_number_and_come_back(self, config, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        (tmp_path / "datasets").mkdir()
        images = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
        labels = np.arange(6)
        np.savez(tmp_path / "datasets" / "mnist.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
        found = data_of(
            config, "{kind: keras, name: mnist, scale: 255, classes: 10, validation: {part: test, rows: '0:2'}}"
        )
        np.testing.assert_array_equal(found.train.inputs["x"], images / 255.0)
        assert found.validation.target.shape == (2, 10)
        np.testing.assert_array_equal(found.scaling.inputs["x"].invert(found.train.inputs["x"]), images)

    def test_what_is_not_on_disk_ends_with_the_code_of_a_missing_resource(self, config, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        with pytest.raises(ResourceError, match=r"no file .*mnist.npz"):
            data_of(config, "{kind: keras, name: mnist}")


@pytest.mark.parametrize(
    ("data", "message", "path"),
    [
        ("{kind: sine, size: 5, example_weights: x - 1}", r"example_weights\[0\] is -1", ("data", "example_weights")),
        ("{kind: sine, size: 5, example_weights: 'solve(x, x)'}", "solve", ("data", "example_weights")),
        ("{kind: sine, size: 5, class_weights: balanced}", "no class number", ("data", "class_weights")),
        ("{kind: xor, size: 50, class_weights: [1]}", "the labels of 1 class", ("data", "class_weights")),
    ],
)
def test_weights_that_cannot_be_are_refused_at_their_place(config, data, message, path):
    with pytest.raises(ConfigError, match=message) as caught:
        data_of(config, data)
    assert caught.value.problems[0].path == path


def test_a_validation_block_that_inherits_a_seed_draws_other_examples(config):
    found = data_of(config, "{kind: linear, size: 20, seed: 3, noise: 0.1, validation: {size: 20}}")
    assert not np.isin(found.validation.inputs["x"], found.train.inputs["x"]).any()
    alone = data_of(config, "{kind: linear, size: 20, seed: 3, noise: 0.1}")
    np.testing.assert_array_equal(alone.train.inputs["x"], found.train.inputs["x"])


DERIVED = "{kind: values, inputs: {x: [[1, 2], [3, 4], [5, 6], [7, 8]]}, target: [1, 2, 3, 4], derived: {MORE}, VALID}"


def derived(config: Any, more: str, validation: str = "validation: null") -> Any:
    return data_of(config, DERIVED.replace("MORE", more).replace("VALID", validation))


def test_derived_inputs_see_inputs_target_and_those_above_for_each_part_by_itself(config: Any):
    more = 'pair: "x[permutation(length(x))]", sum: "x[:, 0] + target", twice: 2 * sum, noise: "normal(0, 1)"'
    parts = derived(config, more, "validation: {last: 2}")
    for part, x, target in ((parts.train, [[1, 2], [3, 4]], [1, 2]), (parts.validation, [[5, 6], [7, 8]], [3, 4])):
        assert list(part.inputs) == ["x", "pair", "sum", "twice", "noise"]
        assert np.array_equal(np.sort(part.inputs["pair"], axis=0), x)
        assert np.array_equal(part.inputs["twice"], 2 * (np.asarray(x)[:, 0] + target))
        assert part.inputs["noise"].shape == (2,)


def test_a_derived_target_takes_the_targets_place_for_each_part_and_for_classes(config: Any):
    more = "twice: 2 * target, target: target > 2, again: 3 * target"
    parts = derived(config, more, "validation: {last: 2}")
    assert (parts.train.target.tolist(), parts.validation.target.tolist()) == ([0, 0], [1, 1])
    assert list(parts.train.inputs) == ["x", "twice", "again"]
    assert (parts.validation.inputs["twice"].tolist(), parts.validation.inputs["again"].tolist()) == ([6, 8], [3, 3])
    encoded = derived(config, "target: (target > 2) + (target > 3)", "classes: 3")
    assert encoded.train.target.tolist() == np.eye(3)[[0, 0, 1, 2]].tolist()


def test_a_derived_target_of_text_and_of_a_library_is_numbers_of_no_name(config: Any, tmp_path: Path):
    (tmp_path / "pets.csv").write_text("x,kind\n1,dog\n2,cat\n3,emu\n")
    pets = "{kind: csv, path: pets.csv, inputs: [x], target: kind, derived: {target: target == 1}}"
    train = data_of(config, pets).train
    assert (train.target.tolist(), train.labels) == ([1, 0, 0], ())
    pytest.importorskip("sklearn")
    iris = data_of(config, "{kind: sklearn, name: iris, derived: {target: target == 2}}").train
    assert iris.target.tolist() == [0] * 100 + [1] * 50


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("target: sum(target)", "'target' has shape \\(\\), but there are 4 examples"),
        ("target: y", "unknown name 'y'"),
        ("z: sum(x)", "'z' has shape \\(\\), but there are 4 examples"),
        ('z: "x[:2]"', "'z' has shape \\(2, 2\\), but there are 4 examples"),
        ('z: "log(x - 1)"', "not finite"),
        ("z: y", "unknown name 'y'"),
        ("z: w, w: x", "'w' is not known yet"),
        ("x: 2 * x", "the name 'x' is taken by data.inputs.x"),
    ],
)
def test_derived_inputs_that_do_not_fit_are_refused(config: Any, more: str, message: str):
    with pytest.raises(ConfigError, match=message):
        derived(config, more)


def test_a_derived_target_without_a_target_is_refused(config: Any):
    with pytest.raises(ConfigError, match=r"derived\.target is a formula of the target, but there is no target"):
        data_of(config, "{kind: values, inputs: {x: [1, 2]}, derived: {target: 2 * x}}")
