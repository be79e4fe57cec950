"""Claims about scikit-learn's data sets. The oracle is scikit-learn."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

from gdrun.data.sklearn_sets import BUNDLED, GENERATORS, SklearnData
from gdrun.errors import DataError, ResourceError

from .kinds import examples

sets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is an extra")


def sklearn_data(name, **settings):
    return examples(SklearnData, name=name, **{"random": np.random.default_rng(0), **settings})


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_data_set_is_features_and_target(name):
    data = sklearn_data(name)
    features, target = getattr(sets, f"load_{name}")(return_X_y=True)
    np.testing.assert_array_equal(data.inputs["x"], features)
    np.testing.assert_array_equal(data.target, target)


def test_features_by_name_and_position():
    data = sklearn_data("iris", inputs={"length": "petal length (cm)", "both": [3, "sepal width (cm)"]}, rows="50:150")
    features = sets.load_iris().data[50:]
    np.testing.assert_array_equal(data.inputs["length"], features[:, 2])
    np.testing.assert_array_equal(data.inputs["both"], features[:, [3, 1]])
    assert list(np.unique(data.target)) == [1, 2]


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_a_generator_draws_what_scikit_learn_draws(name):
    data = sklearn_data(name, settings={"n_samples": 20, "random_state": 5})
    features, target = getattr(sets, name)(n_samples=20, random_state=5)
    np.testing.assert_array_equal(data.inputs["x"], features)
    np.testing.assert_array_equal(data.target, target)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_setting_is_one_of_the_generators(name):
    assert set(GENERATORS[name]) <= set(inspect.signature(getattr(sets, name)).parameters)


def test_without_a_random_state_the_generator_given_draws():
    first = sklearn_data("make_moons", settings={"noise": 0.1}, random=np.random.default_rng(1))
    again = sklearn_data("make_moons", settings={"noise": 0.1}, random=np.random.default_rng(1))
    other = sklearn_data("make_moons", settings={"noise": 0.1}, random=np.random.default_rng(2))
    np.testing.assert_array_equal(first.inputs["x"], again.inputs["x"])
    assert not np.array_equal(first.inputs["x"], other.inputs["x"])


def test_an_old_state_draws_what_it_draws_after_np_random_seed():
    data = sklearn_data("make_moons", settings={"noise": 0.1}, random=np.random.RandomState(42))
    np.random.seed(42)
    features, _ = sets.make_moons(noise=0.1)
    np.testing.assert_array_equal(data.inputs["x"], features)


@pytest.mark.parametrize(
    ("settings", "message", "within"),
    [
        ({"settings": {"n_samples": -3}}, "make_moons refuses these settings", ("settings",)),
        ({"settings": {"n_samples": 2**40}}, "more than", ("settings", "n_samples")),
        ({"inputs": {"x": 2}}, "has no column 2", ("inputs", "x")),
        ({"inputs": {"x": "width"}}, "no names for its columns", ("inputs", "x")),
        ({"rows": "0:101"}, "has 100 data rows", ()),
    ],
)
def test_what_scikit_learn_has_not_is_refused(settings, message, within):
    with pytest.raises(DataError, match=message) as caught:
        sklearn_data("make_moons", **settings)
    assert caught.value.within == within


def test_without_scikit_learn_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ResourceError, match="sklearn, which is not installed") as caught:
        sklearn_data("iris")
    assert caught.value.hint == "pip install 'gdrun[sklearn]'"
