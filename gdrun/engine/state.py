"""State that training carries from step to step, as tensors, and the codes it ends with.

Shape letters: L lanes (absent in a single run), B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class Reason(IntEnum):
    """Reason of a lane's end. Codes from LOSS_NOT_FINITE up mean that it diverged."""

    NONE = 0
    LOSS_BELOW = 1
    GRADIENT_NORM_BELOW = 2
    FORMULA = 3
    PARAMETER_CHANGE_BELOW = 4
    PARAMETERS_UNCHANGED = 5
    PATIENCE = 6
    LOSS_NOT_FINITE = 10
    GRADIENT_NOT_FINITE = 11
    PARAMETERS_NOT_FINITE = 12

    @property
    def diverged(self) -> bool:
        """True for a divergence, false for a rule that fired."""
        return self >= Reason.LOSS_NOT_FINITE

    @property
    def quantity(self) -> str:
        """The quantity that a divergence was first seen in: "loss", "gradient" or "parameters"."""
        return self.name.lower().removesuffix("_not_finite")


class PatienceState(NamedTuple):
    """Memory of a patience rule."""

    best: tf.Tensor
    """float64 (): best value of the watched metric, in the sense that lower is better."""
    wait: tf.Tensor
    """int64 (): epochs since."""
    best_step: tf.Tensor
    """int64 (): updates done at the best value."""
    parameters: tuple[tf.Tensor, ...]
    """Parameters at the best value; empty where they are not asked for."""
    model_state: tuple[tf.Tensor, ...]
    """Model state at the best value; likewise."""


class PlateauState(NamedTuple):
    """Memory of a plateau factor."""

    factor: tf.Tensor
    """float64 (): what the learning rate is multiplied by."""
    best: tf.Tensor
    """float64 (): best value of the watched metric, lower is better."""
    wait: tf.Tensor
    """int64 (): epochs since."""
    cooldown: tf.Tensor
    """int64 (): epochs until it looks again."""


Mean = tuple[tf.Tensor, tf.Tensor]
"""(sum, weight), float64 (): of a mean over an epoch, so far."""


class TrainState(NamedTuple):
    """Everything that an update reads and writes. Each tensor has a leading axis L where there are lanes."""

    step: tf.Tensor
    """int64 (): updates done."""
    parameters: tuple[tf.Tensor, ...]
    """What the optimizer moves, before transforms."""
    model_state: tuple[tf.Tensor, ...]
    """What the model keeps beside parameters: moving averages, seeds of dropout."""
    optimizer: tuple[tf.Tensor, ...]
    """The optimizer's state."""
    reason: tf.Tensor
    """int32 (): a Reason; the lane is active while it is NONE."""
    last_loss: tf.Tensor
    """float64 (): the loss that the last update saw; NaN before the first."""
    epoch_loss: tuple[tf.Tensor, ...]
    """(sum, weight), float64 (): losses of this epoch times their examples, and the examples; empty where an epoch is
    one step."""
    epoch_means: tuple[Mean, ...]
    """Of each formula whose mean over the epoch is recorded."""
    patience: PatienceState | tuple[()]
    """Empty without a patience rule."""
    plateau: PlateauState | tuple[()]
    """Empty without a plateau factor."""

    @property
    def active(self) -> tf.Tensor:
        """bool (): whether the lane continues. Not a tensor of its own: each costs the loop a copy and a kernel."""
        return tf.equal(self.reason, int(Reason.NONE))


class Setting(NamedTuple):
    """Numbers that stay the same throughout a run and may differ between lanes."""

    learning_rate: tf.Tensor
    """float64 (); or one for each group of parameters, float64 (number of groups,)."""
    seed: tf.Tensor
    """int32 (): of draws in formulas."""
    constants: dict[str, tf.Tensor]
    """Named constants that vary between lanes; the others are part of the program."""
    fixed: tuple[tf.Tensor, ...]
    """Parameters that are not trained."""
    optimizer: dict[str, tf.Tensor]
    """Optimizer settings that vary between lanes, float64 ()."""


SIDE_BY_SIDE = "(inputs side by side)"
"""Name of all inputs as one, (B, F), in a batch for a model that takes them so: thirty columns are looked up as one."""


class Batch(NamedTuple):
    """Examples for one evaluation."""

    inputs: dict[str, tf.Tensor]
    """Each (B, ...); or all of them as SIDE_BY_SIDE, of which `Objective.named_inputs` gives each."""
    target: tf.Tensor | None
    """(B, ...), or None."""
    weights: tf.Tensor | None = None
    """(B,): how much each example counts in the loss; None: all alike."""
    validation: Any = None
    """The validation data, a Batch, beside the whole training data where it differs between lanes; None elsewhere."""

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> Batch:
        """Return the examples with `function` applied to inputs, target and weights."""
        target, weights = (None if value is None else function(value) for value in (self.target, self.weights))
        return Batch({name: function(value) for name, value in self.inputs.items()}, target, weights)

    def head(self, count: int | None) -> Batch:
        """Return the first `count` examples; None: all."""
        return self.map(lambda value: value[:count])

    @property
    def num_examples(self) -> int:
        """B; 1 where there is no data."""
        for value in self.inputs.values():
            return int(value.shape[0])
        return 1 if self.target is None else int(self.target.shape[0])


class Moment(NamedTuple):
    """Point in time of an evaluation."""

    step: tf.Tensor
    """int64 (): updates done."""
    epoch: tf.Tensor
    """int64 (): epochs done."""
    factor: tf.Tensor | None
    """float64 (): learning-rate factor; None where there is none."""
    position: tf.Tensor | None
    """int64 (): place in its epoch of the update that follows; None outside the loop."""

    @classmethod
    def at(cls, step: Any, epoch: Any = 0) -> Moment:
        """Return the moment of an evaluation outside the loop, after so many updates and epochs."""
        return cls(tf.cast(step, tf.int64), tf.cast(epoch, tf.int64), None, None)


class Window(NamedTuple):
    """Orders and factors that the steps of one chunk look up."""

    first_step: tf.Tensor
    """int64 (): the step that `factors[0]` belongs to."""
    first_epoch: tf.Tensor
    """int64 (): the epoch that `order[0]` belongs to."""
    order: tf.Tensor
    """int32 (E, steps an epoch, B): the examples of each batch, as of `Feed.order`; empty where they are sequential."""
    factors: tf.Tensor
    """float64 (S,): the learning-rate factor of each step; (0,) where there is none."""
    first_batch: tf.Tensor
    """int64 (): the step whose examples the data begins with, where it is read a window at a time."""


def to_arrays(state: TrainState) -> dict[str, Any]:
    """Return the state's tensors as NumPy arrays under stable names, for checkpoints."""
    flat = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, tuple):
            names = getattr(value, "_fields", range(len(value)))
            for name, item in zip(names, value, strict=True):
                walk(f"{prefix}.{name}" if prefix else str(name), item)
        else:
            flat[prefix] = np.asarray(value)

    walk("", state)
    return flat


def from_arrays(template: TrainState, arrays: dict[str, Any]) -> TrainState:
    """Return a state like `template` that holds the arrays of `to_arrays`."""
    names = list(to_arrays(template))
    leaves = tf.nest.flatten(template)
    restored = [tf.constant(arrays[name], leaf.dtype) for name, leaf in zip(names, leaves, strict=True)]
    return tf.nest.pack_sequence_as(template, restored)
