"""Training data that stays on disk: the examples of the steps to come, read a window at a time.

Which examples a step sees does not change, and neither does the step: only the place that its batch is cut from.

Shape letters: N examples, B batch size, K steps in a window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import tensorflow as tf

from gdrun.schedules.batches import Batches

from .feed import cut
from .objective import Objective
from .state import Batch, Moment, Setting, TrainState

WINDOW_BYTES = 32 << 20
"""What a window may take; one is in use while the next is read."""


@dataclass
class Stream:
    """Windows of whole batches, one after the other in the order of their steps.

    Args:
        batches: which examples each step sees.
        read: positions, int (R,) -> these examples as tensors, as the model takes them.
        total_steps: the schedule's length.
        offset: what is added to a step, where a phase of a run begins with an epoch at another.
    """

    batches: Batches
    read: Callable[[np.ndarray], Batch]
    total_steps: int
    offset: int = 0
    num_steps: int = field(init=False)
    """K."""
    _window: tuple[int, Batch] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        one = self.read(np.zeros(1, np.int64))
        batch_bytes = self.batches.batch_size * sum(
            value.dtype.size * int(np.prod(value.shape)) for value in tf.nest.flatten(one) if value is not None
        )
        self.num_steps = int(max(2, min(self.total_steps + 1, WINDOW_BYTES // max(1, batch_bytes))))

    def first_step(self, step: int) -> int:
        """Return the first step of the window that holds `step`: the one in use, while another chunk fits into it."""
        if self._window is not None and self._window[0] <= step < self._window[0] + self.num_steps - 1:
            return self._window[0]
        return step

    def examples(self, step: int) -> Batch:
        """Return the window that holds `step`, (K * B, ...).

        Step k of the window begins at row k * B; where it sees the smaller batch, the rest of its rows mean nothing.
        """
        first = self.first_step(step)
        if self._window is None or self._window[0] != first:
            index = np.zeros((self.num_steps, self.batches.batch_size), np.int64)
            for row in range(self.num_steps):
                batch = self.batches.batch(first + row + self.offset)
                index[row, : len(batch)] = batch
            # The old one is let go before the new one is read.
            self._window = None
            self._window = (first, self.read(index.reshape(-1)))
        return self._window[1]

    def whole_loss(self, objective: Objective, *, is_sum: bool) -> Callable[[TrainState, Setting, Moment], tf.Tensor]:
        """Return the loss over all N examples as a function of the state, the model in inference mode.

        It is put together from the losses of batches: the example-weighted mean, or with `is_sum` the sum. For a loss
        by formula that is no mean over examples, the mean of the batches' losses is what there is.
        """
        bare = replace(objective, penalty=None)
        size, count = self.batches.batch_size, self.batches.num_examples

        def loss(state: TrainState, setting: Setting, batch: Batch, moment: Moment) -> tf.Tensor:
            evaluation = bare.evaluate(state.parameters, state.model_state, setting, batch, moment, training=False)
            weight = 1 if is_sum else batch.num_examples / count
            return weight * tf.cast(evaluation.loss, tf.float64)

        @tf.function(autograph=False)
        def of_window(
            state: TrainState, setting: Setting, window: Batch, moment: Moment, num_batches: tf.Tensor
        ) -> tf.Tensor:
            _, total = tf.while_loop(
                lambda place, _: place < num_batches,
                lambda place, total: (
                    place + 1,
                    total + loss(state, setting, cut(window, place * size, size), moment),
                ),
                (tf.constant(0), tf.zeros([], tf.float64)),
                parallel_iterations=1,
            )
            return total

        def whole(state: TrainState, setting: Setting, moment: Moment) -> tf.Tensor:
            total = tf.zeros([], tf.float64)
            for first in range(0, count - size + 1, self.num_steps * size):
                # Every window has one shape, so that there is one program; beyond the end its rows mean nothing.
                index = np.arange(first, first + self.num_steps * size)
                num_batches = min(self.num_steps, (count - first) // size)
                window = self.read(np.minimum(index, count - 1))
                total += of_window(state, setting, window, moment, tf.constant(num_batches))
            if count % size:
                total += loss(state, setting, self.read(np.arange(count - count % size, count)), moment)
            result = tf.cast(total, objective.dtype)
            if objective.penalty is not None:
                result += objective.penalty(objective.named(state.parameters, setting))
            return result

        return whole
