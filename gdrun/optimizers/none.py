"""The optimizer of a config that trains nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from gdrun.errors import Problem

from .base import GivenNames, OptimizerSection, OtherSections, Parameters, State, Update

if TYPE_CHECKING:
    import tensorflow as tf


class NoOptimizer(OptimizerSection):
    """Trains nothing: every parameter stays as it begins. Rows are recorded all the same; schedule.steps: 0 has one."""

    has_learning_rate = False
    trains = False

    kind: Literal["none"]

    def build(self, parameters: Parameters) -> Update:
        return NoUpdate()

    def problems(self, experiment: OtherSections, names: GivenNames) -> Iterator[Problem]:
        """Yield stop rules that wait for parameters to move."""
        stop = experiment.schedule.stop
        for key, value in (
            ("parameter_change_below", stop.parameter_change_below),
            ("parameters_unchanged", stop.parameters_unchanged),
        ):
            if value:
                yield Problem("optimizer: none moves no parameter", ("schedule", "stop", key), "leave it out", key=True)

    def frozen(self, names: Sequence[str]) -> frozenset[str]:
        return frozenset(names)


class NoUpdate(Update):
    """No change and no state."""

    def apply(
        self,
        state: State,
        gradients: Sequence[tf.Tensor | None],
        parameters: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the parameters as they are."""
        return state, tuple(parameters)
