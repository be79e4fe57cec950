"""Sources of random numbers: a stream for each purpose, or one old numpy state shared by all.

A purpose is a word: "data", "split", "batches", "initial", ... A stream is named by the seed, its purpose and further
integers (an epoch, a step), so that the draws for one purpose never depend on the number of draws for another.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Protocol

import numpy as np

RandomNumbers = np.random.Generator | np.random.RandomState
"""A source of draws: the methods uniform, normal, standard_normal and permutation mean the same in both."""


class RandomSource(Protocol):
    """Source of the generators that draw for each purpose."""

    def generator(self, purpose: str) -> RandomNumbers:
        """Return the generator for `purpose`."""

    def shared(self, purpose: str) -> np.random.RandomState | None:
        """Return the state that draws for every purpose in turn; None where each purpose has a stream."""


@lru_cache(maxsize=64)
def _purpose_key(purpose: str) -> tuple[int, ...]:
    # A digest of the name, not its place in a list: a new purpose leaves the old streams as they were.
    digest = hashlib.sha256(purpose.encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in (0, 4, 8, 12))


def stream(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """Return a fresh generator that depends on (seed, purpose, position) alone.

    Args:
        seed: at least 0.
        purpose: the use of the numbers, one word.
        position: position in the run, such as an epoch; each at least 0.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*_purpose_key(purpose), *position)))


def integer_seed(seed: int, purpose: str, *position: int) -> int:
    """Return an integer in [0, 2**32) that depends on (seed, purpose, position) alone, for libraries that take one."""
    sequence = np.random.SeedSequence(seed, spawn_key=(*_purpose_key(purpose), *position))
    return int(sequence.generate_state(1, np.uint32)[0])


class Streams:
    """A stream for each purpose: a second request continues the same stream."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators: dict[str, np.random.Generator] = {}

    def generator(self, purpose: str) -> np.random.Generator:
        """Return the generator for `purpose`, the same object each time."""
        if purpose not in self._generators:
            self._generators[purpose] = stream(self.seed, purpose)
        return self._generators[purpose]

    def shared(self, purpose: str) -> None:
        """Return None: each purpose has a stream."""


class LegacyState:
    """One `numpy.random.RandomState(seed)` for everything, for the numbers of a script that calls np.random.seed.

    Draws must come in the script's order: constants, data, split, initial values, batches.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._state = np.random.RandomState(seed)

    def generator(self, purpose: str) -> np.random.RandomState:
        """Return the one state, whatever the purpose."""
        return self._state

    shared = generator
