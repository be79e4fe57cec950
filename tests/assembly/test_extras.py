"""The shipped configs that need more than gdrun: they run where that is there, and say what is missing where not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import ResourceError
from gdrun.experiment.loading import load_config
from gdrun.training.prepare import prepare
from gdrun.training.train import train

CONFIGS = Path(__file__).parents[2] / "configs" / "extras"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_is_a_config_in_the_readme(path):
    plugin = path.with_suffix(".py")
    config = load_config(path, plugins=[plugin] if plugin.exists() else ())
    assert ("plugin" if plugin.exists() else "wants") in config.experiment.description
    assert f"]({path.name})" in (CONFIGS / "README.md").read_text()


def test_iris_is_learned(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is an extra")
    run = train(CONFIGS / "iris.yaml", {"compile": "graph"}, runs_dir=tmp_path)
    for name, bounds in load_config(CONFIGS / "iris.yaml").experiment.expect.metrics.items():
        assert run.info.final[name] > bounds.above


def test_without_scikit_learn_iris_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ResourceError, match="sklearn"):
        prepare(load_config(CONFIGS / "iris.yaml"))


def test_mnist_trains_on_a_file_of_that_form_and_names_the_one_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ResourceError, match=r"mnist.npz"):
        prepare(load_config(CONFIGS / "mnist.yaml"))
    (tmp_path / "datasets").mkdir()
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 200)
    images = np.zeros((200, 28, 28), np.uint8)
    # The label is the row that is bright.
    images[np.arange(200), labels] = random.integers(128, 256, (200, 28))
    np.savez(
        tmp_path / "datasets" / "mnist.npz", x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50]
    )
    overrides = {"schedule.epochs": 20, "schedule.batch_size": 20, "compile": "graph"}
    run = train(CONFIGS / "mnist.yaml", overrides, runs_dir=tmp_path)
    assert run.info.final["validation_accuracy"] > 0.9
