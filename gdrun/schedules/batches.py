"""Batches: the examples of each update.

Shape letters: N examples, B batch size.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from gdrun.errors import ComponentError
from gdrun.random_streams import stream

Order = Literal["sequential", "shuffled", "shuffled_batches", "sampled"]

_GROUP_EXAMPLES = 8192
"""Epochs are drawn in groups of about so many examples: creating a stream costs as much as shuffling 2000."""


class Batches:
    """The order of examples, a function of (seed, epoch) alone.

    sequential: as they come. shuffled: a new permutation each epoch. shuffled_batches: the batches are those of
    sequential, the whole ones in a new order each epoch, a smaller one last. sampled: drawn with replacement; every
    batch is then a whole one, and an epoch is as many of them as it takes to draw N examples.

    Args:
        num_examples: N, at least 1.
        batch_size: B; None, or more than N: all examples in each step.
        order: see above; None: shuffled if a batch is smaller than the data, else sequential.
        drop_remainder: leave out the smaller batch at an epoch's end; its examples are not used in that epoch.
        seed: at least 0.
        legacy_random: draw from this state instead, one `permutation(N)` an epoch (shuffled), one
            `permutation(N // B)` (shuffled_batches), or one `randint(0, N, B)` a step (sampled), as scripts do
            that call np.random.seed. The state is copied.
    Raises:
        ComponentError: if the batch is larger than the data and no smaller one is allowed.
    """

    def __init__(
        self,
        num_examples: int,
        batch_size: int | None = None,
        *,
        order: Order | None = None,
        drop_remainder: bool = False,
        seed: int = 0,
        legacy_random: np.random.RandomState | None = None,
    ) -> None:
        if num_examples < 1:
            raise ComponentError("there are no training examples")
        if batch_size is not None and batch_size > num_examples and (drop_remainder or order == "sampled"):
            raise ComponentError(
                f"batch_size {batch_size} is larger than the number of training examples, {num_examples}",
                hint=f"at most {num_examples}; leave batch_size out to use all examples in each step",
            )
        self.num_examples = num_examples
        self.batch_size = min(num_examples, batch_size or num_examples)
        if order is None:
            order = "sequential" if self.batch_size == num_examples else "shuffled"
        self.order: Order = order
        self.seed = seed
        full, remainder = divmod(num_examples, self.batch_size)
        if order == "sampled":
            # Sampling can always fill a batch, so there is no smaller one: the last batch is whole, or dropped.
            full, remainder = full + (remainder > 0 and not drop_remainder), 0
        self.full_batches_per_epoch: int = full
        """Whole batches in an epoch."""
        self.remainder_size: int = 0 if drop_remainder else remainder
        """Examples in the smaller batch at an epoch's end; 0 if there is none."""
        self.steps_per_epoch: int = full + (self.remainder_size > 0)
        """Steps in an epoch."""
        self.examples_per_epoch: int = full * self.batch_size + self.remainder_size
        """Examples seen in an epoch."""
        self.full_batch: bool = order == "sequential" and full == 1 and remainder == 0
        """True where every step uses all examples in their order, so that no indices are needed."""
        self._group_size = max(1, _GROUP_EXAMPLES // num_examples)
        self._cached: tuple[int, np.ndarray] | None = None
        self._legacy = None if legacy_random is None or order == "sequential" else _LegacyOrder(self, legacy_random)

    def indices(self, epoch: int) -> np.ndarray:
        """Return the examples of an epoch in the order they are seen, int32 (examples_per_epoch,), read-only."""
        group, row = divmod(epoch, self._group_size)
        return self._epochs(group)[row]

    def batch(self, step: int) -> np.ndarray:
        """Return the examples that one step sees, int32 (B,) or (remainder_size,), read-only."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self.indices(epoch)[position * self.batch_size : (position + 1) * self.batch_size]

    def _epochs(self, group: int) -> np.ndarray:
        """Return the orders of the epochs of a group, int32 (_group_size, examples_per_epoch)."""
        if self.order == "sequential":
            group = 0
        if self._cached is None or self._cached[0] != group:
            drawn = self._draw(group) if self._legacy is None else self._legacy.draw(group)
            # A copy, contiguous, so that rows of batches are views of it.
            drawn = drawn[:, : self.examples_per_epoch].astype(np.int32)
            drawn.flags.writeable = False
            self._cached = (group, drawn)
        return self._cached[1]

    def _draw(self, group: int) -> np.ndarray:
        if self.order == "sampled":
            random = stream(self.seed, "batches", group)
            return random.integers(0, self.num_examples, (self._group_size, self.examples_per_epoch))
        size = self.full_batches_per_epoch if self.order == "shuffled_batches" else self.num_examples
        orders = np.tile(np.arange(size, dtype=np.int32), (self._group_size, 1))
        if self.order != "sequential":
            stream(self.seed, "batches", group).permuted(orders, axis=1, out=orders)
        return self.examples_of(orders) if self.order == "shuffled_batches" else orders

    def examples_of(self, orders: np.ndarray) -> np.ndarray:
        """Return the examples of epochs whose whole batches come in these orders, (E, W) -> (E, N)."""
        whole = orders[:, :, None] * self.batch_size + np.arange(self.batch_size)
        last = np.arange(self.full_batches_per_epoch * self.batch_size, self.num_examples)
        return np.concatenate([whole.reshape(len(orders), -1), np.tile(last, (len(orders), 1))], axis=1)


class _LegacyOrder:
    """Epochs drawn one after the other from one RandomState; for an earlier epoch it starts again from the first."""

    def __init__(self, batches: Batches, random: np.random.RandomState) -> None:
        self._batches = batches
        self._start = random.get_state()
        self._random = np.random.RandomState()
        self._random.set_state(self._start)
        self._next_epoch = 0

    def draw(self, group: int) -> np.ndarray:
        size = self._batches._group_size
        if group * size < self._next_epoch:
            self._random.set_state(self._start)
            self._next_epoch = 0
        while self._next_epoch < group * size:
            self._epoch()
        return np.stack([self._epoch() for _ in range(size)])

    def _epoch(self) -> np.ndarray:
        self._next_epoch += 1
        if self._batches.order == "shuffled":
            return self._random.permutation(self._batches.num_examples)
        if self._batches.order == "shuffled_batches":
            order = self._random.permutation(self._batches.full_batches_per_epoch)
            return self._batches.examples_of(order[None])[0]
        # One long draw equals one draw a step: the numbers come from the state one by one.
        return self._random.randint(0, self._batches.num_examples, self._batches.examples_per_epoch)
