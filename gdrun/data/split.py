"""Examples held out for validation."""

from __future__ import annotations

from math import floor
from typing import Self

import numpy as np
from pydantic import model_validator

from gdrun.config.section import Count, PositiveInteger, Section, Share
from gdrun.errors import DataError
from gdrun.random_streams import RandomNumbers

from .dataset import Dataset


class ValidationSplit(Section):
    """A part of the examples, held out."""

    exclusive = (("share", "count", "last", "index"),)

    share: Share | None = None
    """Share of the examples, in (0, 1), rounded to the nearest example."""
    count: PositiveInteger | None = None
    """Number of examples."""
    last: PositiveInteger | None = None
    """Number of examples at the end; the same as `count` without `shuffle`."""
    index: tuple[Count, ...] | None = None
    """Positions of the examples, counted from 0."""
    shuffle: bool = False
    """Draw the held-out examples by the seed, instead of taking the last."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in ("share", "count", "last", "index") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of share, count, last, index")
        if self.shuffle and given[0] in ("last", "index"):
            raise ValueError("shuffle goes with share or count")
        return self

    def num_held_out(self, num_examples: int) -> int:
        """Count the examples of so many that are held out."""
        if self.share is not None:
            # Halves are rounded up; Python's `round` takes the even neighbour, 2 for the half of 5.
            return floor(self.share * num_examples + 0.5)
        return self.count or self.last or len(self.index or ())

    def split(self, data: Dataset, random: RandomNumbers | None = None) -> tuple[Dataset, Dataset]:
        """Return (training part, held-out part).

        Args:
            data: N examples.
            random: draws the permutation of `shuffle`: one `random.permutation(N)`, whose end is held out; the training
                part keeps the order of the permutation. Without `shuffle` the last examples are held out, or those at
                `index`, in the order given.
        Raises:
            DataError: if a part would be empty, or a position is out of range or given twice.
        """
        n = data.num_examples
        if self.index is not None:
            return self._split_at_index(data)
        size = self.num_held_out(n)
        if not 0 < size < n:
            asked = f"{self.share:g} of {n} examples" if self.share is not None else f"{size} of {n} examples"
            part = "none for validation" if size <= 0 else "none for training"
            raise DataError(f"holding out {asked} leaves {part}")
        if not self.shuffle:
            return data.take(slice(0, n - size)), data.take(slice(n - size, n))
        assert random is not None
        order = random.permutation(n)
        return data.take(order[: n - size]), data.take(order[n - size :])

    def _split_at_index(self, data: Dataset) -> tuple[Dataset, Dataset]:
        assert self.index is not None
        n = data.num_examples
        training = np.ones(n, dtype=bool)
        for position in self.index:
            if not 0 <= position < n:
                raise DataError(f"there is no example {position}: the {n} examples are counted from 0 to {n - 1}")
            if not training[position]:
                raise DataError(f"example {position} is held out twice")
            training[position] = False
        if not self.index or not training.any():
            raise DataError(f"holding out {len(self.index)} of {n} examples leaves an empty part")
        return data.take(np.flatnonzero(training)), data.take(np.asarray(self.index, dtype=np.int64))
