"""Holding out a part of the examples."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np

from gdrun.errors import DataError
from gdrun.random_streams import RandomNumbers

from .dataset import Dataset


def split(
    data: Dataset,
    *,
    share: float | None = None,
    count: int | None = None,
    last: int | None = None,
    index: Sequence[int] | None = None,
    shuffle: bool = False,
    random: RandomNumbers | None = None,
) -> tuple[Dataset, Dataset]:
    """Return (training part, held-out part). Give one of share, count, last, index.

    Args:
        data: N examples.
        share: of the examples, in (0, 1), rounded to the nearest (halves up).
        count, last: number of examples; held out are the last ones.
        index: positions of the held-out examples, from 0; they keep the order given.
        shuffle: with share or count: permute the examples first, by one `random.permutation(N)`; the training part
            is what comes first in it, in that order.
        random: draws the permutation.
    Raises:
        DataError: if a part would be empty, or a position is out of range or given twice.
    """
    n = data.num_examples
    if index is not None:
        return _split_at(data, index)
    size = floor(share * n + 0.5) if share is not None else count if count is not None else last
    assert size is not None
    if not 0 < size < n:
        asked = f"{share:g} of {n} examples" if share is not None else f"{size} of {n} examples"
        part = "none for validation" if size <= 0 else "none for training"
        raise DataError(f"holding out {asked} leaves {part}")
    if not shuffle:
        return data.take(slice(0, n - size)), data.take(slice(n - size, n))
    assert random is not None
    order = random.permutation(n)
    return data.take(order[: n - size]), data.take(order[n - size :])


def _split_at(data: Dataset, index: Sequence[int]) -> tuple[Dataset, Dataset]:
    n = data.num_examples
    training = np.ones(n, dtype=bool)
    for position in index:
        if not 0 <= position < n:
            raise DataError(f"there is no example {position}: the {n} examples are counted from 0 to {n - 1}")
        if not training[position]:
            raise DataError(f"example {position} is held out twice")
        training[position] = False
    if not len(index) or not training.any():
        raise DataError(f"holding out {len(index)} of {n} examples leaves an empty part")
    return data.take(np.flatnonzero(training)), data.take(np.asarray(index, dtype=np.int64))
