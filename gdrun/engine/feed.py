"""Batches: the examples that a step sees, looked up on the device.

Shape letters: N examples, B batch size, E epochs in a window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.schedules.batches import Batches

from .state import Batch, Window
from .step import Moment


@dataclass(frozen=True)
class Feed:
    """Batches for compiled steps.

    Args:
        batches: the order of the examples; None where there is no data (each step is an epoch).
        has_factor: whether the learning rate has a factor.
        streamed: whether the data holds the batches of a window's steps one after the other, as `stream` reads them.
        first_step, first_epoch: where a phase of a run begins: with an epoch.
    """

    batches: Batches | None
    has_factor: bool = False
    streamed: bool = False
    first_step: int = 0
    first_epoch: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Updates an epoch."""
        return 1 if self.batches is None else self.batches.steps_per_epoch

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
        per_epoch = self.steps_per_epoch
        if per_epoch == 1:
            epoch, starts = self.epoch(step), None
        else:
            epoch, starts = self.epoch(step), self.position(step) == 0
        # gather, not [...]: XLA wants to know a slice's begin when it compiles, and compiles again for each.
        place = step - window.first_step
        factor = tf.gather(window.factors, _at_least_0(place) if behind else place) if self.has_factor else None
        return Moment(step, epoch, factor, starts)

    def epoch(self, step: Any) -> Any:
        """Return the number, from 0, of the epoch that the update after `step` belongs to."""
        per_epoch = self.steps_per_epoch
        # Nothing is added where nothing has to be, so that a run without phases has the program that it had.
        if self.first_step == 0 == self.first_epoch:
            return step if per_epoch == 1 else step // per_epoch
        return (step - self.first_step) // per_epoch + self.first_epoch

    def position(self, step: Any) -> Any:
        """Return the place, from 0, that the update after `step` has in its epoch."""
        return (step - self.first_step if self.first_step else step) % self.steps_per_epoch

    def is_remainder(self, step: tf.Tensor) -> tf.Tensor:
        """Return whether `step` sees the smaller batch."""
        return self.position(step) == self.steps_per_epoch - 1

    def batch(
        self,
        data: Batch,
        order: tf.Tensor,
        window: Window,
        step: tf.Tensor,
        *,
        remainder: bool | None,
        behind: bool = False,
    ) -> Batch:
        """Return the examples that `step` sees; `remainder` says (statically) that it is the smaller batch.

        With `remainder` None it may be either, and the batch is a whole one, which begins with those of the smaller.
        With `behind`, `step` may be the one before the window, for which any examples do.
        """
        batches = self.batches
        if batches is None or batches.full_batch:
            return data
        size = batches.remainder_size if remainder else batches.batch_size
        start = tf.cast(self.position(step), tf.int32) * batches.batch_size
        if self.streamed:
            first = tf.cast(step - window.first_batch, tf.int32) * batches.batch_size
            index = (_at_least_0(first) if behind else first) + tf.range(size)
        elif self.ordered:
            epoch = tf.cast(self.epoch(step) - window.first_epoch, tf.int32)
            place = (_at_least_0(epoch) if behind else epoch) * batches.examples_per_epoch + start + tf.range(size)
            # From all epochs in one: the row of one, as long as the data, would be copied in every step.
            flat = tf.reshape(order, [-1])
            index = tf.gather(flat, place if remainder is not None else tf.minimum(place, tf.size(flat) - 1))
        elif remainder is not None:
            return cut(data, start, size)
        else:
            index = tf.minimum(start + tf.range(size), batches.num_examples - 1)
        # gather, not slice: XLA wants to know a slice's begin when it compiles, if that is not new in every step,
        # and would compile again for each window.
        return _of_each(data, lambda value: tf.gather(value, index))

    def order(self, first_epoch: int, num_epochs: int) -> np.ndarray:
        """Return the order of the examples in consecutive epochs, int32 (E, examples an epoch); (0, 0) if none."""
        if self.batches is None or not self.ordered:
            return np.zeros((0, 0), np.int32)
        return np.stack([self.batches.indices(epoch) for epoch in range(first_epoch, first_epoch + num_epochs)])


def _at_least_0(value: tf.Tensor) -> tf.Tensor:
    return tf.maximum(value, 0)


def cut(data: Batch, start: tf.Tensor, size: int) -> Batch:
    """Return `size` examples from row `start`, int32 (), on."""
    return _of_each(data, lambda value: _slice(value, start, size))


def beginning(batch: Batch, size: int) -> Batch:
    """Return the first `size` examples."""
    return _of_each(batch, lambda value: value[:size])


def _of_each(data: Batch, pick: Callable[[tf.Tensor], tf.Tensor]) -> Batch:
    target, weights = (None if value is None else pick(value) for value in (data.target, data.weights))
    return Batch({name: pick(value) for name, value in data.inputs.items()}, target, weights)


def _slice(value: tf.Tensor, start: tf.Tensor, size: int) -> tf.Tensor:
    begin = tf.concat([start[None], tf.zeros([value.shape.rank - 1], tf.int32)], axis=0)
    piece = tf.slice(value, begin, [size, *value.shape[1:]])
    piece.set_shape([size, *value.shape[1:]])
    return piece
