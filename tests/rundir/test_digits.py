"""Shortest digits: numpy's own text of a float32 is the oracle."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from gdrun.rundir.digits import shortest_float64, shortest_texts

float32s = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(st.lists(float32s, min_size=1, max_size=50))
@example([5.803526e-37, 1e-45, 3.4028235e38, -0.0, 1e-13, 1.1e-14, 9.999999e21, 1e22, 16777216.0, 0.1])
def test_any_float32_comes_back_exactly(values: list[float]):
    array = np.array(values, np.float32)
    back = shortest_float64(array).astype(np.float32)
    np.testing.assert_array_equal(back.view(np.uint32)[~np.isnan(array)], array.view(np.uint32)[~np.isnan(array)])
    assert np.isnan(back[np.isnan(array)]).all()


@given(st.lists(float32s.filter(np.isfinite), min_size=1, max_size=50))
@example([5.803526e-37, 1e-45, 3.4028235e38, -0.0, 1e-13, 1.1e-14, 9.999999e21, 1e22, 16777216.0, 0.1])
def test_the_digits_of_a_float32_are_those_that_numpy_finds_shortest(values: list[float]):
    array = np.array(values, np.float32)
    expected = [float(str(value)) for value in array]
    digits = [len(repr(value).split("e")[0].replace(".", "").strip("-0")) for value in shortest_float64(array).tolist()]
    fewest = [len(repr(value).split("e")[0].replace(".", "").strip("-0")) for value in expected]
    assert digits == fewest


def test_a_million_random_bit_patterns_come_back_exactly():
    array = np.random.default_rng(1).integers(0, 2**32, 10**6, np.uint32).view(np.float32)
    array = array[np.isfinite(array) & (np.abs(array) > 1e-13) & (np.abs(array) < 1e21)]
    np.testing.assert_array_equal(shortest_float64(array).astype(np.float32), array)


@given(st.lists(st.floats(), max_size=30))
def test_float64_texts_are_strict_json_and_exact(values: list[float]):
    texts = shortest_texts(np.array(values, np.float64))
    back = [float(json.loads(text)) for text in texts]
    np.testing.assert_array_equal(back, values)
    assert all(
        isinstance(json.loads(text), float) == np.isfinite(value) for text, value in zip(texts, values, strict=True)
    )


def test_integers_and_booleans_have_their_own_texts():
    assert shortest_texts(np.array([1, -2], np.int64)) == ["1", "-2"]
    assert shortest_texts(np.array([2**64 - 1], np.uint64)) == ["18446744073709551615"]
    assert shortest_texts(np.array([True, False])) == ["true", "false"]
    assert shortest_texts(np.array([], np.float32)) == []
    assert shortest_texts(np.full(3, 0.1, np.float32)) == ["0.1"] * 3
    assert shortest_texts(np.full(2, -0.0)) == ["-0.0"] * 2
    assert shortest_texts(np.array([0.0, -0.0])) == ["0.0", "-0.0"]
