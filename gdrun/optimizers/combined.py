"""Several updates, each for its own parameters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import State, Update


class CombinedUpdate:
    """Updates that move each group of parameters by an update of its own.

    `apply` takes one learning rate for all groups, or one a group: a tensor (number of groups,) or a sequence of
    scalars. A global_clipnorm counts the gradients of its group only.

    Args:
        groups: for each group the indices of its parameters, in the order that its update sees them, and the update.
            Parameters in no group are frozen.
    """

    def __init__(self, groups: Sequence[tuple[Sequence[int], Update]]) -> None:
        self._groups = [(tuple(indices), update) for indices, update in groups]
        members = [i for indices, _ in self._groups for i in indices]
        assert len(members) == len(set(members)), f"a parameter is in two groups: {members}"
        self._sizes: list[int] | None = None

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the groups' states, one after the other."""
        states = [update.initial_state(_pick(parameters, indices)) for indices, update in self._groups]
        self._sizes = [len(state) for state in states]
        return tuple(tensor for state in states for tensor in state)

    def apply(
        self,
        state: State,
        gradients: Sequence[tf.Tensor | None],
        parameters: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after each group's update.

        Args:
            learning_rate: of all groups, (), or one for each, (number of groups,).
        """
        new_state: list[tf.Tensor] = []
        new_parameters = list(parameters)
        rates = self._rates(learning_rate)
        for (indices, update), part, rate in zip(self._groups, self._parts(state, parameters), rates, strict=True):
            part, moved = update.apply(part, _pick(gradients, indices), _pick(parameters, indices), rate)
            new_state.extend(part)
            for i, parameter in zip(indices, moved, strict=True):
                new_parameters[i] = parameter
        return tuple(new_state), tuple(new_parameters)

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters that each group reports."""
        reported = list(parameters)
        for (indices, update), part in zip(self._groups, self._parts(state, parameters), strict=True):
            for i, parameter in zip(indices, update.finalize(part, _pick(parameters, indices)), strict=True):
                reported[i] = parameter
        return tuple(reported)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The groups' names behind the number of the group."""
        return tuple(f"{n}/{name}" for n, (_, update) in enumerate(self._groups) for name in update.state_names)

    def _rates(self, learning_rate: tf.Tensor) -> Sequence[tf.Tensor]:
        rates = tf.convert_to_tensor(learning_rate)
        return [rates] * len(self._groups) if rates.shape.rank == 0 else tf.unstack(rates, len(self._groups))

    def _parts(self, state: State, parameters: Sequence[tf.Tensor]) -> list[State]:
        """Cut the state into the groups' states."""
        if self._sizes is None:
            self._sizes = [_state_size(update, _pick(parameters, indices)) for indices, update in self._groups]
        ends = list(itertools.accumulate(self._sizes))
        assert ends[-1] == len(state), (ends, len(state))
        return [tuple(state[end - size : end]) for size, end in zip(self._sizes, ends, strict=True)]


def _pick(values: Sequence[Any], indices: Sequence[int]) -> list[Any]:
    return [values[i] for i in indices]


def _state_size(update: Update, parameters: Sequence[tf.Tensor]) -> int:
    """Count the optimizer's state tensors without computing them: this may be in the middle of a trace."""
    specs = [tf.TensorSpec(p.shape, p.dtype) for p in parameters]
    traced = tf.function(update.initial_state, autograph=False).get_concrete_function(specs)
    return len(traced.structured_outputs)
