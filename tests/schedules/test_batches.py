"""Claims about the order of examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.errors import ComponentError
from gdrun.schedules.batches import Batches


@settings(max_examples=150, deadline=None)
@given(
    num_examples=st.integers(1, 30),
    batch=st.integers(1, 30),
    order=st.sampled_from([None, "sequential", "shuffled", "shuffled_batches", "sampled"]),
    drop=st.booleans(),
    first=st.integers(0, 40),
    steps=st.integers(0, 40),
    legacy=st.booleans(),
)
def test_the_examples_of_a_step_do_not_depend_on_the_steps_asked_before(
    num_examples, batch, order, drop, first, steps, legacy
):
    def make():
        return Batches(
            num_examples,
            min(batch, num_examples),
            order=order,
            drop_remainder=drop,
            seed=3,
            legacy_random=np.random.RandomState(3) if legacy else None,
        )

    forwards, backwards = make(), make()
    expected = [forwards.batch(step) for step in range(first, first + steps)]
    got = [backwards.batch(step) for step in reversed(range(first, first + steps))]
    assert all(np.array_equal(a, b) for a, b in zip(reversed(got), expected, strict=True))
    assert {len(seen) for seen in got} <= {forwards.batch_size, forwards.remainder_size}


@pytest.mark.parametrize("legacy", [False, True])
def test_a_shuffled_epoch_sees_each_example_once_and_epochs_differ(legacy):
    batches = Batches(103, 10, order="shuffled", seed=1, legacy_random=np.random.RandomState(1) if legacy else None)
    assert (batches.steps_per_epoch, batches.remainder_size) == (11, 3)
    epochs = [batches.indices(epoch).copy() for epoch in range(4)]
    for epoch in epochs:
        assert np.array_equal(np.sort(epoch), np.arange(103))
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert np.array_equal(batches.indices(1), epochs[1]), "an epoch's order does not depend on what was asked before"


def test_shuffled_batches_are_those_of_the_sequential_order():
    kept = Batches(103, 10, order="shuffled_batches", seed=1)
    first, later = kept.indices(0), kept.indices(300)
    assert {tuple(batch) for batch in first[:100].reshape(10, 10)} == {
        tuple(range(k, k + 10)) for k in range(0, 100, 10)
    }
    assert first[100:].tolist() == [100, 101, 102]
    assert first.tolist() != later.tolist() != list(range(103))
    np.random.seed(5)
    batches = [order[:, None] * 2 + np.arange(2) for order in (np.random.permutation(3), np.random.permutation(3))]
    legacy = Batches(6, 2, order="shuffled_batches", legacy_random=np.random.RandomState(5))
    assert [legacy.indices(epoch).tolist() for epoch in (0, 1)] == [batch.ravel().tolist() for batch in batches]


def test_the_order_depends_on_seed_and_epoch_alone():
    a, b = Batches(50, 7, order="shuffled", seed=9), Batches(50, 25, order="shuffled", seed=9)
    assert np.array_equal(a.indices(6), b.indices(6))
    assert not np.array_equal(a.indices(6), Batches(50, 7, order="shuffled", seed=10).indices(6))


def test_dropping_the_remainder_leaves_whole_batches_only():
    batches = Batches(10, 4, order="sequential", drop_remainder=True)
    assert (batches.steps_per_epoch, batches.remainder_size, batches.examples_per_epoch) == (2, 0, 8)
    assert [list(batches.batch(step)) for step in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]


def test_sampling_draws_whole_batches_with_replacement():
    batches = Batches(10, 4, order="sampled", seed=0)
    assert (batches.steps_per_epoch, batches.remainder_size) == (3, 0)
    drawn = np.stack([batches.batch(step) for step in range(3000)])
    assert drawn.shape == (3000, 4)
    assert any(len(set(row)) < 4 for row in drawn)
    counts = np.bincount(drawn.ravel(), minlength=10)
    chi_square = np.sum((counts - 1200) ** 2 / 1200)
    assert chi_square < 27.9  # the 0.999 quantile of 9 degrees of freedom


def test_legacy_orders_are_those_of_a_script_that_seeds_numpy():
    np.random.seed(42)
    np.random.rand(7)
    shuffled = [np.random.permutation(7) for _ in range(3)]
    state = np.random.RandomState(42)
    state.random_sample(7)
    batches = Batches(7, 3, order="shuffled", legacy_random=state)
    assert all(np.array_equal(batches.indices(epoch), shuffled[epoch]) for epoch in (0, 1, 2, 0, 2))

    np.random.seed(42)
    sampled = [np.random.randint(0, 7, 3) for _ in range(9)]
    batches = Batches(7, 3, order="sampled", legacy_random=np.random.RandomState(42))
    drawn = [batches.batch(step) for step in range(9)]
    assert np.array_equal(drawn, sampled)
    np.random.seed(42)
    chosen = [np.random.choice(7, 3) for _ in range(9)]
    assert np.array_equal(drawn, chosen)


def test_only_the_sequential_full_batch_needs_no_indices():
    assert Batches(5).full_batch
    assert Batches(5, 5).full_batch
    assert not Batches(5, 4, order="sequential").full_batch
    assert not Batches(5, 4, order="sequential", drop_remainder=True).full_batch
    assert not Batches(5, order="shuffled").full_batch


def test_without_an_order_only_smaller_batches_are_shuffled():
    assert (Batches(5).order, Batches(5, 5).order, Batches(5, 4).order) == ("sequential", "sequential", "shuffled")


def test_a_batch_larger_than_the_data_is_one_batch_as_in_keras():
    batches = Batches(10, 64)
    assert (batches.batch_size, batches.steps_per_epoch, batches.full_batch) == (10, 1, True)


def test_a_batch_that_can_never_be_filled_is_refused_with_both_numbers():
    for options in ({"drop_remainder": True}, {"order": "sampled"}):
        with pytest.raises(ComponentError, match=r"batch_size 11 is larger .* 10"):
            Batches(10, 11, **options)
    with pytest.raises(ComponentError, match="no training examples"):
        Batches(0)
