"""Claims about what each example counts."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.data.dataset import dataset, weighted
from gdrun.data.weights import weights_by_class, weights_by_formula
from gdrun.errors import DataError, FormulaError
from gdrun.formula.parse import parse

X = np.array([0.0, 1.0, -2.0, 4.0])


def labelled(*labels: float, names: tuple[str, ...] = ()):
    return dataset({"x": X}, np.array(labels, np.float64), labels=names)


def test_a_formula_sees_inputs_target_and_constants():
    data = weights_by_formula(labelled(0, 1, 1, 0), parse("c * x**2 + target"), constants={"c": np.array(3.0)})
    np.testing.assert_array_equal(data.weights, [0, 4, 13, 48])


def test_one_number_a_list_and_a_column_are_weights():
    data = labelled(0, 1, 1, 0)
    np.testing.assert_array_equal(weights_by_formula(data, parse("2")).weights, [2, 2, 2, 2])
    np.testing.assert_array_equal(weights_by_formula(data, parse([1, 2, 3, 4])).weights, [1, 2, 3, 4])
    np.testing.assert_array_equal(weights_by_formula(data, parse("reshape(1 + x**2, [-1, 1])")).weights, 1 + X**2)


def test_a_draw_gives_one_weight_an_example():
    data = weights_by_formula(labelled(0, 1, 1, 0), parse("uniform(1, 2)"), random=np.random.default_rng(3))
    np.testing.assert_array_equal(data.weights, np.random.default_rng(3).uniform(1, 2, 4))


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("x - 1", r"example_weights\[0\] is -1"),
        ("1 / x", r"example_weights\[0\] is inf"),
        ([1, 2], r"example_weights has shape \(2,\), not one weight for each of 4 examples"),
        ("0 * x", "all example weights are 0"),
    ],
)
def test_weights_that_are_no_weights_are_refused(formula, message):
    with pytest.raises(DataError, match=message) as caught:
        weights_by_formula(labelled(0, 1, 1, 0), parse(formula))
    assert caught.value.within == ("example_weights",)


def test_complex_weights_are_refused():
    with pytest.raises(FormulaError, match="real"):
        weights_by_formula(labelled(0, 1, 1, 0), parse("1j * x"))


def test_weights_go_with_their_examples_and_multiply():
    data = weighted(weighted(labelled(0, 1, 1, 0), np.arange(1.0, 5.0)), np.array([2.0, 0.0, 1.0, 1.0]))
    np.testing.assert_array_equal(data.weights, [2, 0, 3, 4])
    np.testing.assert_array_equal(data.take(np.array([3, 0])).weights, [4, 2])
    assert data.cast("float32").weights.dtype == np.float32


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1.0, 2.5, 7.0), [1, 2.5, 2.5, 7]),
        ({"1": 3.0}, [1, 3, 3, 1]),
        ("balanced", [4 / 3, 4 / 6, 4 / 6, 4 / 3]),
    ],
)
def test_class_weights_by_number(weights, expected):
    for target in ([0.0, 1, 1, 2], [[0.0], [1], [1], [2]], np.eye(3)[[0, 1, 1, 2]]):
        data = dataset({"x": X}, np.array(target))
        np.testing.assert_allclose(weights_by_class(data, weights).weights, expected, rtol=1e-15)


def test_balanced_is_scikit_learns():
    utils = pytest.importorskip("sklearn.utils", reason="scikit-learn is an extra")
    target = np.array([2, 0, 0, 5, 5, 5, 0, 0, 2, 0])
    data = weights_by_class(dataset({"x": np.zeros(10)}, target.astype(float)), "balanced")
    np.testing.assert_allclose(data.weights, utils.compute_sample_weight("balanced", target), rtol=1e-15)


def test_class_weights_by_text_and_by_signs():
    data = weights_by_class(labelled(0, 1, 1, 0, names=("no", "yes")), {"yes": 4.0})
    np.testing.assert_array_equal(data.weights, [1, 4, 4, 1])
    np.testing.assert_array_equal(weights_by_class(labelled(-1, 1, 1, -1), {"-1": 2.0}).weights, [2, 1, 1, 2])


@pytest.mark.parametrize(
    ("data", "weights", "message"),
    [
        (labelled(0, 1, 1, 0), {"2": 1.0}, "no example has the label '2'"),
        (labelled(0, 1, 1, 0, names=("no", "yes")), {"maybe": 1.0}, "no example has the label 'maybe'"),
        (labelled(0, 1, 1, 2), (1.0, 2.0), r"target\[3\] is 2"),
        (labelled(0, 0.5, 1, 2), "balanced", r"target\[1\] is 0.5, which is no class number"),
        (dataset({"x": X}), "balanced", "no target"),
        (dataset({"x": X}, np.ones((4, 2))), "balanced", "one-hot"),
        (dataset({"x": X}, np.ones((4, 2, 2))), "balanced", r"shape \(4, 2, 2\)"),
    ],
)
def test_class_weights_without_such_classes_are_refused(data, weights, message):
    with pytest.raises(DataError, match=message):
        weights_by_class(data, weights)
