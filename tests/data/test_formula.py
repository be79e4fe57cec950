"""Claims about data by formula."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.data.formula import FormulaData
from gdrun.errors import DataError, FormulaError
from gdrun.random_streams import stream

from .kinds import examples


def data(inputs, target=None, noise=None, **settings):
    return examples(FormulaData, inputs=inputs, target=target, noise=noise, **settings)


def test_formulas_see_constants_and_the_inputs_before_them():
    got = data({"x": "linspace(0, 100, 20)", "z": "c * x**2"}, "pi * x + z", constants={"c": np.float64(3)})
    x = np.linspace(0, 100, 20)
    assert np.array_equal(got.inputs["x"], x)
    assert np.array_equal(got.inputs["z"], 3 * x**2)
    assert np.array_equal(got.target, np.pi * x + 3 * x**2)
    assert got.target.dtype == np.float64


def test_nested_lists_are_arrays():
    got = data({"X": [[1, 2, 3], [4, 5, 6]]}, [[1], [2]])
    assert np.array_equal(got.inputs["X"], [[1, 2, 3], [4, 5, 6]])
    assert got.target.shape == (2, 1)


def test_noise_takes_the_targets_shape_and_is_added():
    clean = data({"x": "uniform(0, 1, [50, 1])"}, "3 * x + 4", random=stream(0, "data"))
    noisy = data({"x": "uniform(0, 1, [50, 1])"}, "3 * x + 4", "0.5 * uniform(0, 1)", random=stream(0, "data"))
    assert noisy.target.shape == (50, 1)
    added = noisy.target - clean.target
    assert len(np.unique(added)) == 50
    assert added.min() >= 0
    assert added.max() <= 0.5


def test_legacy_draws_are_those_of_a_script_that_seeds_numpy():
    np.random.seed(42)
    x = 2 * np.random.rand(100, 1)
    y = 4 + 3 * x + np.random.randn(100, 1)
    got = data({"x": "2 * uniform(0, 1, [100, 1])"}, "4 + 3 * x", "normal(0, 1)", random=np.random.RandomState(42))
    assert np.array_equal(got.inputs["x"], x)
    assert np.allclose(got.target, y, rtol=1e-15)


@pytest.mark.parametrize(
    ("inputs", "target", "noise", "error", "message"),
    [
        ({"x": "log(linspace(0, 1, 5))"}, None, None, DataError, r"inputs\.x\[0\] is -inf"),
        ({"x": "linspace(0, 1, 5)"}, "1 / (x - 0.5)", None, DataError, r"target\[2\] is inf"),
        ({"x": "linspace(0, 1, 5)"}, "2", None, DataError, "target is a single number"),
        ({"x": "linspace(0, 1, 5)"}, "x[1:]", None, DataError, r"inputs\.x has 5 examples, target has 4"),
        ({"x": "linspace(0, 1, 5)"}, "x", "ones(4)", FormulaError, r"noise has shape \(4,\), the target \(5,\)"),
        ({"x": "linspace(0, 1, 5)"}, "x", "ones([3, 5])", FormulaError, r"noise has shape \(3, 5\)"),
        ({"x": "z"}, None, None, FormulaError, "unknown name 'z'"),
    ],
)
def test_what_gives_no_data_is_refused(inputs, target, noise, error, message):
    with pytest.raises(error, match=message):
        data(inputs, target, noise)


def test_an_error_of_a_formula_says_which_one():
    with pytest.raises(FormulaError) as caught:
        data({"x": "linspace(0, 1, 5)", "z": "x + ones(4)"})
    assert caught.value.problem(("data",)).path == ("data", "inputs", "z")
