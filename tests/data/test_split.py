"""Claims about holding out examples."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.data.dataset import dataset
from gdrun.data.split import ValidationSplit
from gdrun.errors import DataError
from gdrun.random_streams import stream

DATA = dataset({"x": np.arange(10.0)}, np.arange(0.0, 100.0, 10.0))


def split(data, random=None, **how):
    return ValidationSplit(**how).split(data, random)


def rows(parts):
    for part in parts:
        assert np.array_equal(part.target, 10 * part.inputs["x"])
    return [list(part.inputs["x"].astype(int)) for part in parts]


@pytest.mark.parametrize("how", [{"share": 0.2}, {"share": 0.24}, {"share": 0.15}, {"count": 2}, {"last": 2}])
def test_share_count_and_last_hold_out_the_end(how):
    assert rows(split(DATA, **how)) == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]


def test_an_index_holds_out_its_examples_in_its_order():
    assert rows(split(DATA, index=(7, 0, 3))) == [[1, 2, 4, 5, 6, 8, 9], [7, 0, 3]]


def test_a_shuffled_split_is_the_permutation_cut_in_two():
    train, held_out = rows(split(DATA, share=0.3, shuffle=True, random=stream(4, "split")))
    assert train + held_out == list(stream(4, "split").permutation(10))
    assert len(held_out) == 3


def test_a_legacy_split_is_that_of_a_script_that_seeds_numpy():
    np.random.seed(42)
    order = np.random.permutation(10)
    train, held_out = rows(split(DATA, count=2, shuffle=True, random=np.random.RandomState(42)))
    assert train == list(order[:8])
    assert held_out == list(order[8:])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"share": 0.01}, "0.01 of 10 examples leaves none for validation"),
        ({"share": 0.99}, "none for training"),
        ({"count": 10}, "10 of 10 examples leaves none for training"),
        ({"index": (1, 10)}, "no example 10: the 10 examples are counted from 0 to 9"),
        ({"index": (1, 1)}, "example 1 is held out twice"),
        ({"index": ()}, "empty part"),
        ({"index": tuple(range(10))}, "empty part"),
    ],
)
def test_an_empty_part_or_a_wrong_position_is_refused(how, message):
    with pytest.raises(DataError, match=message):
        split(DATA, **how)
