"""Epochs of a run, or of a phase of it, which begins with one: the step, the epoch and the place in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Begin(NamedTuple):
    """Beginning of a run or of a phase of it."""

    step: int = 0
    epoch: int = 0
    planned: bool = True
    """False where a rule has ended a phase before it, which only training could show."""


@dataclass(frozen=True)
class Epochs:
    """Epochs of equal lengths. Steps are numbers, arrays or tensors.

    Args:
        length: updates an epoch.
        begin: step and epoch that the first one begins with.
    """

    length: int = 1
    begin: Begin = Begin()

    def number(self, step: Any) -> Any:
        """Return the number of the epoch that the update after `step` belongs to."""
        # Nothing is added where nothing has to be, so that a run without phases has the program that it had.
        if self.begin.step == 0 == self.begin.epoch:
            return step if self.length == 1 else step // self.length
        return (step - self.begin.step) // self.length + self.begin.epoch

    def position(self, step: Any) -> Any:
        """Return the place, from 0, that the update after `step` has in its epoch: 0 where an epoch ends."""
        return (step - self.begin.step if self.begin.step else step) % self.length

    def ends(self, first: int, last: int) -> np.ndarray:
        """Return the steps in (first, last] at which an epoch ends, int64, rising."""
        begin = self.begin.step
        return multiples(self.length, first - begin, last - begin) + begin

    def done(self, step: int) -> float:
        """Return how many epochs are done at `step`, fractions included."""
        return self.begin.epoch + (step - self.begin.step) / self.length


def multiples(stride: int, first: int, last: int) -> np.ndarray:
    """Return the multiples of `stride` in (first, last], int64, rising."""
    return np.arange((first // stride + 1) * stride, last + 1, stride, dtype=np.int64)
