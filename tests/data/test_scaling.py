"""Claims about scaling."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.data.dataset import dataset
from gdrun.data.scaling import Scaling, fit_scaling, scale_parts
from gdrun.errors import DataError

RANDOM = np.random.default_rng(0)
TRAIN = dataset({"x": RANDOM.normal(5, 3, 40), "m": RANDOM.uniform(-7, 1, (40, 3))}, RANDOM.normal(2, 9, (40, 1)))
HELD_OUT = dataset({"x": RANDOM.normal(5, 3, 10), "m": RANDOM.uniform(-7, 1, (10, 3))}, RANDOM.normal(2, 9, (10, 1)))


def test_standardized_columns_have_mean_0_and_population_deviation_1():
    scaled, _, _ = scale_parts(TRAIN, None, inputs="standardize", target="standardize")
    for array in scaled.arrays().values():
        assert np.allclose(array.mean(axis=0), 0, atol=1e-14)
        assert np.allclose(np.sqrt(np.mean((array - array.mean(axis=0)) ** 2, axis=0)), 1, rtol=1e-14)


def test_minmax_columns_reach_from_0_to_1_exactly():
    scaled, _, _ = scale_parts(TRAIN, None, inputs="minmax", target="minmax")
    for array in scaled.arrays().values():
        assert (array.min(axis=0) == 0).all()
        assert (array.max(axis=0) == 1).all()


def test_fit_says_which_examples_give_the_statistics():
    both = np.concatenate([TRAIN.inputs["x"], HELD_OUT.inputs["x"]])
    for fit, source, held_out_source in [
        ("train", TRAIN.inputs["x"], TRAIN.inputs["x"]),
        ("all", both, both),
        ("each", TRAIN.inputs["x"], HELD_OUT.inputs["x"]),
    ]:
        train, held_out, scaling = scale_parts(TRAIN, HELD_OUT, inputs="standardize", fit=fit)
        assert np.allclose(train.inputs["x"], (TRAIN.inputs["x"] - source.mean()) / source.std(), rtol=1e-13)
        expected = (HELD_OUT.inputs["x"] - held_out_source.mean()) / held_out_source.std()
        assert np.allclose(held_out.inputs["x"], expected, rtol=1e-13, atol=1e-15)
        assert held_out.target is HELD_OUT.target
        assert np.array_equal(scaling.apply(TRAIN).inputs["x"], train.inputs["x"])


@pytest.mark.parametrize("method", ["standardize", "minmax"])
def test_scaling_survives_a_file_and_is_undone_by_invert(method):
    scaling = Scaling.from_arrays(fit_scaling(TRAIN, inputs=method, target=method).to_arrays())
    scaled = scaling.apply(HELD_OUT)
    assert np.allclose(scaling.target.invert(scaled.target), HELD_OUT.target, rtol=1e-13, atol=1e-13)
    assert np.allclose(scaling.inputs["m"].invert(scaled.inputs["m"]), HELD_OUT.inputs["m"], rtol=1e-13, atol=1e-13)


def test_no_method_changes_nothing():
    scaled, _, scaling = scale_parts(TRAIN, None)
    assert scaled.inputs["x"] is TRAIN.inputs["x"]
    assert scaling.to_arrays() == {}


@pytest.mark.parametrize("method", ["standardize", "minmax"])
def test_a_constant_column_is_refused_by_name(method):
    with pytest.raises(DataError, match=r"inputs\.m\[:, 1\] is 0\.1 in every example"):
        fit_scaling(dataset({"m": np.array([[1, 0.1]] * 3 + [[2, 0.1]])}), inputs=method)
    x = {"x": np.array([1.0, 2.0])}
    train, held_out = dataset(x, np.array([4.0, 5.0])), dataset(x, np.array([4.0, 4.0]))
    with pytest.raises(DataError, match=r"validation target is 4 in every example"):
        scale_parts(train, held_out, target=method, fit="each")


def test_statistics_of_float32_data_are_taken_in_float64():
    x = (RANDOM.normal(0, 1, 200_000) + 1e4).astype(np.float32)
    scaler = fit_scaling(dataset({"x": x}), inputs="standardize").inputs["x"]
    assert scaler.offset.dtype == np.float64
    assert np.isclose(scaler.offset, np.mean(x.astype(np.float64)), rtol=1e-14)
    assert np.isclose(scaler.scale, np.std(x.astype(np.float64)), rtol=1e-12)
