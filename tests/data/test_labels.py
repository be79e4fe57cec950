"""Claims about class labels."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.data.labels import encode_labels, one_hot
from gdrun.errors import DataError


def test_one_hot_rows_are_rows_of_the_identity():
    labels = np.array([2, 0, 1, 2])
    assert np.array_equal(one_hot(labels, 3), np.eye(3)[labels])
    assert np.array_equal(one_hot(labels.astype(float)[:, None], 4), np.eye(4)[labels])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([0.0, 3.0], r"target\[1\] is 3, but the labels of 3 classes are the integers 0 to 2"),
        ([0.0, -1.0], r"target\[1\] is -1"),
        ([0.5, 1.0], r"target\[0\] is 0.5"),
        ([[1.0, 0.0]], r"shape \(1, 2\)"),
    ],
)
def test_what_is_no_label_is_refused(target, message):
    with pytest.raises(DataError, match=message):
        one_hot(np.array(target), 3)


def test_text_labels_are_numbered_in_sorted_order_or_as_told():
    numbers, classes = encode_labels(["b", "a", "c", "a"])
    assert classes == ("a", "b", "c")
    assert np.array_equal(numbers, [1, 0, 2, 0])
    numbers, _ = encode_labels(["b"], classes)
    assert np.array_equal(numbers, [1])
    with pytest.raises(DataError, match=r"target\[1\] is 'd', which is not one of: a, b, c"):
        encode_labels(["a", "d"], classes)
