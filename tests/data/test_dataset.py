"""Claims about the checks every data set passes."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.data.dataset import check_same_form, dataset
from gdrun.data.values import ValuesData
from gdrun.errors import DataError

from .kinds import examples


def values_data(inputs, target=None):
    return examples(ValuesData, inputs=inputs, target=target)


def test_inline_values_become_float64_with_a_leading_axis():
    data = values_data({"x": [1, 2, 3], "z": [[1, 2], [3, 4], [5, 6]]}, [[1], [0], [1]])
    assert data.num_examples == 3
    assert {name: (array.shape, array.dtype.name) for name, array in data.arrays().items()} == {
        "inputs.x": ((3,), "float64"),
        "inputs.z": ((3, 2), "float64"),
        "target": ((3, 1), "float64"),
    }


@pytest.mark.parametrize(
    ("inputs", "target", "message"),
    [
        ({"x": [0.0] * 12 + [np.nan]}, None, r"inputs\.x\[12\] is nan"),
        ({"x": [[1.0, 2.0], [3.0, np.inf]]}, None, r"inputs\.x\[1\]\[1\] is inf"),
        ({"x": [1.0]}, [-np.inf], r"target\[0\] is -inf"),
        ({"x": [1.0, 2.0]}, [1.0], r"inputs\.x has 2 examples, target has 1"),
        ({"x": [1.0, 2.0], "z": [1.0]}, None, r"inputs\.x has 2 examples, inputs\.z has 1"),
        ({"x": 5.0}, None, r"inputs\.x is a single number"),
        ({"x": []}, None, r"no examples"),
        ({"x": [10**400]}, None, r"inputs\.x .* too large"),
    ],
)
def test_bad_arrays_are_refused_with_their_place(inputs, target, message):
    with pytest.raises(DataError, match=message):
        values_data(inputs, target)


def test_arrays_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="does not hold numbers"):
        dataset({"x": np.array(["a", "b"])})


def test_casting_keeps_complex_and_refuses_what_float32_cannot_hold():
    data = dataset({"x": np.array([1, 2]), "z": np.array([1j, 2.0])}, np.array([0.1, 1e39]))
    assert [array.dtype.name for array in data.cast("float64").arrays().values()] == [
        "float64",
        "complex128",
        "float64",
    ]
    with pytest.raises(DataError, match=r"target\[1\] is 1e\+39, which float32 cannot hold"):
        data.cast("float32")
    small = dataset({"x": np.array([0.1])}).cast("float32")
    assert small.inputs["x"].dtype == np.float32


def test_casting_to_the_type_it_has_copies_nothing():
    data = dataset({"x": np.ones(3, np.float32)})
    assert data.cast("float32").inputs["x"] is data.inputs["x"]


def test_validation_data_of_another_form_is_refused():
    train = values_data({"x": [1.0, 2.0]}, [1.0, 2.0])
    check_same_form(train, values_data({"x": [1.0]}, [2.0]))
    for other, message in [
        (values_data({"x": [1.0]}), "the training data has target, the validation data has not"),
        (values_data({"z": [1.0]}, [2.0]), "data has inputs"),
        (values_data({"x": [[1.0, 2.0]]}, [2.0]), r"inputs\.x has shape \(\) in the training data and \(2,\)"),
    ]:
        with pytest.raises(DataError, match=message):
            check_same_form(train, other)
