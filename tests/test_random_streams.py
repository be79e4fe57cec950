"""Claims about where random numbers come from."""

from __future__ import annotations

import numpy as np

from gdrun.random_streams import LegacyState, Streams, integer_seed, stream


def test_a_stream_depends_on_seed_purpose_and_position_and_on_nothing_else():
    draws = {
        (seed, purpose, *position): tuple(stream(seed, purpose, *position).integers(0, 2**62, 4))
        for seed in (0, 1, 2**32 - 1)
        for purpose in ("data", "split", "batches", "initial")
        for position in ((), (0,), (1,), (0, 1))
    }
    assert len(set(draws.values())) == len(draws)
    again = {key: tuple(stream(key[0], key[1], *key[2:]).integers(0, 2**62, 4)) for key in reversed(draws)}
    assert again == draws


def test_streams_of_different_purposes_do_not_disturb_each_other():
    alone, mixed = Streams(5), Streams(5)
    expected = alone.generator("data").normal(size=6)
    first = mixed.generator("data").normal(size=3)
    mixed.generator("split").permutation(100)
    assert np.array_equal(np.concatenate([first, mixed.generator("data").normal(size=3)]), expected)


def test_the_legacy_state_gives_the_numbers_of_a_script_that_seeds_numpy():
    np.random.seed(42)
    expected = [np.random.rand(3, 1), np.random.permutation(10), np.random.normal(0, 0.1, 4)]
    source = LegacyState(42)
    got = [
        source.generator("data").uniform(0, 1, (3, 1)),
        source.generator("split").permutation(10),
        source.generator("batches").normal(0, 0.1, 4),
    ]
    assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_integer_seeds_differ_by_purpose_and_fit_32_bits():
    seeds = {integer_seed(seed, purpose, k) for seed in range(5) for purpose in ("a", "b") for k in range(5)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**32 for seed in seeds)
