"""What an optimizer may ask about the objective around the current parameters, beyond the gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import tensorflow as tf

State = tuple[tf.Tensor, ...]


@dataclass(frozen=True)
class Point:
    """The objective at the parameters of one update, on its batch.

    Args:
        parameters: what is moved, before transforms.
        loss: real scalar. gradients: one a parameter, of its shape.
        step: int64 (), updates done.
        loss_at: parameters -> loss, as differentiable as the objective is.
        residuals_at: parameters -> real vector (N,) whose squares add up to the loss; None where the loss is no sum of
            squares.
        constants: named constants of the config.
        draws: integer (2,), (seed, step), for random numbers; None where there are none to be drawn.
    """

    parameters: Sequence[tf.Tensor]
    loss: tf.Tensor
    gradients: Sequence[tf.Tensor]
    step: tf.Tensor
    loss_at: Callable[[Sequence[tf.Tensor]], tf.Tensor]
    residuals_at: Callable[[Sequence[tf.Tensor]], tf.Tensor] | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    draws: tf.Tensor | None = None

    def loss_along(self, index: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return the loss as a function of parameter `index` alone."""

        def loss(parameter: tf.Tensor) -> tf.Tensor:
            return self.loss_at([parameter if i == index else other for i, other in enumerate(self.parameters)])

        return loss


class PointOptimizer(Protocol):
    """An optimizer that is given a Point where others are given gradients. The rest is as in `Optimizer`.

    One that tries steps and may reject them also has `is_undecided(state) -> bool ()`: whether the last update was
    such a rejection, so that parameters which stayed as they are do not mean that the run has come to rest.
    """

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the state before the first update, for parameters of static shapes."""

    def apply_at(self, state: State, point: Point, learning_rate: tf.Tensor) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after one update. `learning_rate` is a scalar of any float dtype."""

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters to report when training ends."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """One unique name a state tensor, stable between processes; known once a method above was called."""
