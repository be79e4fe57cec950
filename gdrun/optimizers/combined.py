"""Several updates, each for its own parameters, at its own times, with what follows it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from gdrun.config.located import located_within
from gdrun.errors import ConfigPath
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.failures import inside
from gdrun.formula.parse import parse

from .base import LocalObjective, LocatedFormula, PointUpdate, State, Update
from .formula_update import like


@dataclass(frozen=True)
class GroupUpdate:
    """The update of one group of parameters.

    Args:
        indices: of its parameters, in the order that the update sees them.
        when: of constants, step and epoch: while it is false, the parameters and the update's state rest; None: always.
        project: of these, parameter and learning_rate: the parameter after each update; None: as it is.
        within: where the update stands below `optimizer`.
    """

    indices: tuple[int, ...]
    update: Update | PointUpdate
    when: LocatedFormula | None = None
    project: LocatedFormula | None = None
    within: ConfigPath = ()

    def apply_at(
        self, state: State, point: LocalObjective, learning_rate: tf.Tensor, names: Sequence[str], ops: Any
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after the group's turn; `point` has its parameters alone."""
        before = tuple(point.parameters)
        with located_within(*self.within):
            if isinstance(self.update, PointUpdate):
                memory, moved = self.update.apply_at(state, point, learning_rate)
            else:
                memory, moved = self.update.apply(state, point.gradients, before, learning_rate)
        numbers = {"step": point.step, "epoch": point.epoch, "learning_rate": learning_rate}
        named = {name: tf.cast(number, point.loss.dtype) for name, number in numbers.items()}

        def value(formula: LocatedFormula, owner: str, **more: tf.Tensor) -> Any:
            scope = Scope({**point.constants, **named, **more}, ops=ops, draws=point.draws)
            return evaluate(parse(formula[1]), scope, owner=f"optimizer.{owner}")

        if self.project is not None:
            with inside(*self.project[0]):
                moved = tuple(
                    like(value(self.project, f"project.{name}", parameter=new), new, f"parameter '{name}'")
                    for name, new in zip(names, moved, strict=True)
                )
        if self.when is None:
            return tuple(memory), moved
        with inside(*self.when[0]):
            acts = tf.cast(value(self.when, f"when.{names[0]}"), tf.bool)
        # A select, not a mask: 0 * nan is nan.
        select = partial(tf.where, acts)
        return tuple(map(select, memory, state)), tuple(map(select, moved, before))


class CombinedUpdate(PointUpdate):
    """Updates that move each group of parameters by an update of its own.

    `apply_at` takes one learning rate for all groups, or one a group: a tensor (number of groups,) or a sequence of
    scalars. A global_clipnorm counts the gradients of its group only.

    Args:
        groups: parameters in none of them are frozen.
        names: of all parameters.
        ops: function table of formulas.
    """

    def __init__(self, groups: Sequence[GroupUpdate], names: Sequence[str], ops: Any) -> None:
        self._groups = groups
        self._names = names
        self._ops = ops
        members = [i for group in groups for i in group.indices]
        assert len(members) == len(set(members)), f"a parameter is in two groups: {members}"
        self._sizes: list[int] | None = None

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the groups' states, one after the other."""
        states = []
        for group in self._groups:
            with located_within(*group.within):
                states.append(group.update.initial_state(_pick(parameters, group.indices)))
        self._sizes = [len(state) for state in states]
        return tuple(tensor for state in states for tensor in state)

    def apply_at(
        self, state: State, point: LocalObjective, learning_rate: tf.Tensor
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after each group's update, all from the same point.

        Args:
            learning_rate: of all groups, (), or one for each, (number of groups,).
        """
        new_state: list[tf.Tensor] = []
        parameters = list(point.parameters)
        rates = self._rates(learning_rate)
        for group, part, rate in zip(self._groups, self._parts(state, point.parameters), rates, strict=True):
            names = _pick(self._names, group.indices)
            memory, moved = group.apply_at(part, point.subset(group.indices), rate, names, self._ops)
            new_state.extend(memory)
            for i, parameter in zip(group.indices, moved, strict=True):
                parameters[i] = parameter
        return tuple(new_state), tuple(parameters)

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters that each group reports."""
        reported = list(parameters)
        for group, part in zip(self._groups, self._parts(state, parameters), strict=True):
            own = group.update.finalize(part, _pick(parameters, group.indices))
            for i, parameter in zip(group.indices, own, strict=True):
                reported[i] = parameter
        return tuple(reported)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The groups' names behind the number of the group."""
        return tuple(f"{n}/{name}" for n, group in enumerate(self._groups) for name in group.update.state_names)

    def _rates(self, learning_rate: tf.Tensor) -> Sequence[tf.Tensor]:
        rates = tf.convert_to_tensor(learning_rate)
        return [rates] * len(self._groups) if rates.shape.rank == 0 else tf.unstack(rates, len(self._groups))

    def _parts(self, state: State, parameters: Sequence[tf.Tensor]) -> list[State]:
        """Cut the state into the groups' states."""
        if self._sizes is None:
            self._sizes = [_state_size(group.update, _pick(parameters, group.indices)) for group in self._groups]
        ends = list(itertools.accumulate(self._sizes))
        assert ends[-1] == len(state), (ends, len(state))
        return [tuple(state[end - size : end]) for size, end in zip(self._sizes, ends, strict=True)]


def _pick(values: Sequence[Any], indices: Sequence[int]) -> list[Any]:
    return [values[i] for i in indices]


def _state_size(update: Update | PointUpdate, parameters: Sequence[tf.Tensor]) -> int:
    """Count the optimizer's state tensors without computing them: this may be in the middle of a trace."""
    specs = [tf.TensorSpec(p.shape, p.dtype) for p in parameters]
    traced = tf.function(update.initial_state, autograph=False).get_concrete_function(specs)
    return len(traced.structured_outputs)
