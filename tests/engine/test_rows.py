"""Which steps have rows. The oracle is a closed form, or a count by hand."""

import numpy as np
import pytest

from gdrun.engine.epochs import Epochs
from gdrun.engine.rows import Rows, auto_rows


def is_recorded(step):
    """Every step up to 512; then, in (2^k, 2^(k+1)], each multiple of 2^k / 128."""
    if step <= 512:
        return True
    octave = (step - 1).bit_length() - 1
    return step % (2**octave // 128) == 0


def test_auto_is_each_step_up_to_512_and_then_128_an_octave():
    steps = auto_rows(0, 70_000)
    assert steps.tolist() == [step for step in range(1, 70_001) if is_recorded(step)]
    for octave in range(9, 16):
        assert np.sum((steps > 2**octave) & (steps <= 2 ** (octave + 1))) == 128


@pytest.mark.parametrize("cut", [1, 511, 512, 513, 1000, 1024, 1026, 4095])
def test_auto_rows_do_not_depend_on_where_a_run_is_cut(cut):
    whole = auto_rows(0, 9000)
    np.testing.assert_array_equal(np.concatenate([auto_rows(0, cut), auto_rows(cut, 9000)]), whole)


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (4, [4, 8, 12, 14]),
        (100, [14]),
        ((0, 5, 7), [5, 7, 14]),
        ((), [14]),
        ("epoch", [3, 6, 9, 12, 14]),
        ("auto", list(range(1, 15))),
    ],
)
def test_rows_are_what_every_names_and_the_last_step(every, expected):
    assert Rows(every, 14, Epochs(3)).rows(0, 14).tolist() == expected


def test_steps_that_are_expected_have_rows():
    assert Rows(10, 25, extra=(3, 17)).rows(0, 25).tolist() == [3, 10, 17, 20, 25]


def test_where_data_sets_are_assessed_ends_of_epochs_have_rows_unless_the_steps_are_counted_or_listed():
    assert Rows("auto", 4096, Epochs(1000), assess=True).rows(1990, 2010).tolist() == [1992, 2000, 2008]
    assert Rows(5, 12, Epochs(4), assess=True).rows(0, 12).tolist() == [5, 10, 12]
    assert Rows((2,), 12, Epochs(5), assess=True).rows(0, 12).tolist() == [2, 12]


def test_events_are_rows_and_the_chunks_end_and_watched_epochs():
    assert Rows(10, 25, Epochs(4)).events(0, 13).tolist() == [10, 13]
    assert Rows(10, 25, Epochs(4), every_epoch=True).events(0, 13).tolist() == [4, 8, 10, 12, 13]


def test_ends_of_epochs_are_assessed_and_every_so_many_steps():
    steps = np.asarray([0, 3, 4, 8, 9])
    assert Rows("auto", 10, Epochs(4), assess=True).assesses(steps).tolist() == [True, False, True, True, False]
    assert Rows(3, 10, Epochs(4), assess=True).assesses(steps).tolist() == [True, True, True, True, True]
    assert Rows(5, 10, Epochs(4), assess=True).assesses(steps).tolist() == [True, False, True, True, False]
    assert not Rows(1, 10, Epochs(4)).assesses(steps).any()


def test_an_event_is_a_row_only_if_it_is_one_of_the_rows():
    rows = Rows(10, 25, Epochs(4), every_epoch=True)
    assert rows.is_row(np.asarray([0, 4, 8, 10, 12, 13])).tolist() == [True, False, False, True, False, False]
    assert rows.is_row(np.zeros(0, np.int64)).tolist() == []
