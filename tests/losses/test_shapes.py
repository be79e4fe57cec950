"""Claims about which predictions and targets fit."""

from __future__ import annotations

import pytest

from gdrun.errors import ShapeError
from gdrun.losses.shapes import check_shapes


@pytest.mark.parametrize(
    ("kind", "prediction", "target", "broadcast"),
    [
        ("squared_error", (20, 1), (20, 1), False),
        ("squared_error", (20,), (20,), False),
        ("squared_error", (None, 3), (20, 3), False),
        ("squared_error", (2, 3), (2, 1), True),
        ("squared_error", (20, 1), (20,), True),
        ("categorical_crossentropy", (5, 3), (5, 3), False),
        ("sparse_categorical_crossentropy", (5, 3), (5,), False),
        ("sparse_categorical_crossentropy", (5, 3), (5, 1), False),
        ("sparse_categorical_crossentropy", (5, 7, 3), (5, 7), False),
    ],
)
def test_shapes_that_fit_are_accepted(kind, prediction, target, broadcast):
    check_shapes(kind, prediction, target, takes_labels=kind.startswith("sparse"), broadcast=broadcast)


@pytest.mark.parametrize(
    ("kind", "prediction", "target", "broadcast", "message", "hint"),
    [
        ("squared_error", (20, 1), (20,), False, r"prediction has shape \(20, 1\) and the target \(20,\)", "column"),
        ("squared_error", (20,), (20, 1), False, r"\(20,\) and the target \(20, 1\)", "vector"),
        ("squared_error", (2, 3, 4), (2, 3, 1), False, "differ", "broadcast: true"),
        ("squared_error", (2, 3), (2, 1), False, "differ", "sparse_categorical"),
        ("squared_error", (20, 4), (20, 3), True, "do not broadcast", None),
        ("categorical_crossentropy", (20, 3), (20,), False, "differ", "data.classes: 3"),
        ("sparse_categorical_crossentropy", (20, 3), (20, 3), False, r"labels \(n,\)", "one-hot already"),
        ("sparse_categorical_crossentropy", (20, 1), (20, 1), False, r"labels \(n,\)", "binary_crossentropy"),
        ("sparse_categorical_crossentropy", (20,), (20,), False, r"labels \(n,\)", "binary_crossentropy"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_both_and_the_mend(kind, prediction, target, broadcast, message, hint):
    with pytest.raises(ShapeError, match=message) as caught:
        check_shapes(kind, prediction, target, takes_labels=kind.startswith("sparse"), broadcast=broadcast)
    assert (hint is None and caught.value.hint is None) or hint in caught.value.hint


@pytest.mark.parametrize(
    ("prediction", "target", "mend"),
    [
        ((1, 10), (10,), "make the prediction a vector, (...)[0]"),
        ((10,), (1, 10), "make the target a vector, (...)[0]"),
    ],
)
def test_a_row_beside_a_vector_is_no_matter_of_classes(prediction, target, mend):
    with pytest.raises(ShapeError) as caught:
        check_shapes("mse", prediction, target)
    assert mend in (caught.value.hint or "")
    assert "classes" not in (caught.value.hint or "")
    check_shapes("mse", (10,), (10,))  # what both mends give
