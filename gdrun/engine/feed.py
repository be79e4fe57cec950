"""Batches: the examples that a step sees, looked up on the device.

Shape letters: N examples, B batch size, E epochs in a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

from gdrun.schedules.batches import Batches

from .epochs import Begin, Epochs
from .state import Batch, Moment, Window


@dataclass(frozen=True)
class Feed:
    """Batches for compiled steps.

    Args:
        batches: the order of the examples; None where there is no data (each step is an epoch).
        has_factor: whether the learning rate has a factor.
        streamed: whether the data holds the batches of a window's steps one after the other, as `stream` reads them.
        begin: of the run, or of the phase of it.
    """

    batches: Batches | None
    has_factor: bool = False
    streamed: bool = False
    begin: Begin = Begin()

    @cached_property
    def epochs(self) -> Epochs:
        """Epochs of the examples."""
        return Epochs(1 if self.batches is None else self.batches.steps_per_epoch, self.begin)

    @property
    def full_batch(self) -> bool:
        """True where each step sees all examples in their order, and where there are none."""
        return self.batches is None or self.batches.full_batch

    @property
    def examples_per_step(self) -> int:
        """Examples that an update looks at; 1 where there is no data."""
        return 1 if self.batches is None else min(self.batches.batch_size, self.batches.num_examples)

    @property
    def remainder_size(self) -> int:
        """Examples in the smaller batch that ends an epoch; 0 if there is none."""
        return 0 if self.batches is None else self.batches.remainder_size

    @property
    def ordered(self) -> bool:
        """True where batches are looked up by an order array."""
        return self.batches is not None and self.batches.order != "sequential" and not self.streamed

    def moment(self, window: Window, step: tf.Tensor, *, behind: bool = False) -> Moment:
        """Return when `step` (int64 scalar, updates done) is; `behind`: it may be the one before the window."""
        # gather, not [...]: XLA wants to know a slice's begin when it compiles, and compiles again for each.
        place = step - window.first_step
        factor = tf.gather(window.factors, _at_least_0(place) if behind else place) if self.has_factor else None
        return Moment(step, self.epochs.number(step), factor, self.epochs.position(step))

    def is_remainder(self, step: tf.Tensor) -> tf.Tensor:
        """Return whether `step` sees the smaller batch."""
        return self.epochs.position(step) == self.epochs.length - 1

    def batch(
        self,
        data: Batch,
        order: tf.Tensor,
        window: Window,
        moment: Moment,
        *,
        remainder: bool | None,
        behind: bool = False,
    ) -> Batch:
        """Return the examples that a step sees; `remainder` says (statically) that it is the smaller batch.

        With `remainder` None it may be either, and the batch is a whole one, which begins with those of the smaller.
        With `behind`, the step may be the one before the window, for which any examples do.
        """
        batches = self.batches
        if batches is None or batches.full_batch:
            return data
        size = batches.remainder_size if remainder else batches.batch_size
        start = tf.cast(moment.position, tf.int32) * batches.batch_size
        if self.streamed:
            first = tf.cast(moment.step - window.first_batch, tf.int32) * batches.batch_size
            index = (_at_least_0(first) if behind else first) + tf.range(size)
        elif self.ordered:
            epoch = tf.cast(moment.epoch - window.first_epoch, tf.int32)
            position = tf.cast(moment.position, tf.int32)
            row = (_at_least_0(epoch) if behind else epoch) * batches.steps_per_epoch + position
            # XLA makes a slice of the look-up of one row. For several numbers its cost model counts all of the order as
            # read, and it gives each half of them to a thread, which costs more than looking them up.
            index = tf.gather(tf.reshape(order, [-1, batches.batch_size]), row)[:size]
        elif remainder is not None:
            return cut(data, start, size)
        else:
            index = tf.minimum(start + tf.range(size), batches.num_examples - 1)
        # gather, not slice: XLA wants to know a slice's begin when it compiles, if that is not new in every step,
        # and would compile again for each window.
        return data.map(lambda value: tf.gather(value, index))

    def order(self, first_epoch: int, num_epochs: int) -> np.ndarray:
        """Return the examples of each batch of consecutive epochs, int32 (E, steps an epoch, B).

        A smaller batch is filled up. Empty where batches are not looked up by an order.
        """
        batches = self.batches
        if batches is None or not self.ordered:
            return np.zeros(0, np.int32)
        orders = np.stack([batches.indices(epoch) for epoch in range(first_epoch, first_epoch + num_epochs)])
        shape = (num_epochs, batches.steps_per_epoch, batches.batch_size)
        return np.pad(orders, ((0, 0), (0, shape[1] * shape[2] - orders.shape[1]))).reshape(shape)


def _at_least_0(value: tf.Tensor) -> tf.Tensor:
    return tf.maximum(value, 0)


def cut(data: Batch, start: tf.Tensor, size: int) -> Batch:
    """Return `size` examples from row `start`, int32 (), on."""
    return data.map(lambda value: _slice(value, start, size))


def _slice(value: tf.Tensor, start: tf.Tensor, size: int) -> tf.Tensor:
    begin = tf.concat([start[None], tf.zeros([value.shape.rank - 1], tf.int32)], axis=0)
    piece = tf.slice(value, begin, [size, *value.shape[1:]])
    piece.set_shape([size, *value.shape[1:]])
    return piece
