"""The objective around the state of one update, for optimizers that ask for more than the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gdrun.optimizers.base import LocalObjective

from .objective import Evaluation, Objective
from .state import Batch, Setting, TrainState


def local_objective(
    objective: Objective,
    state: TrainState,
    setting: Setting,
    batch: Batch,
    moment: Any,
    evaluation: Evaluation,
    gradients: Sequence[tf.Tensor],
    gradient_norm: tf.Tensor | None,
) -> LocalObjective:
    """Return the LocalObjective of an update whose loss and gradients are known.

    Other parameters are tried on the same batch, with the same draws and the same state of the model.
    """

    def evaluate(parameters: Sequence[tf.Tensor]) -> Evaluation:
        return objective.evaluate(parameters, state.model_state, setting, batch, moment, training=True)

    def residuals_at(parameters: Sequence[tf.Tensor]) -> tf.Tensor:
        assert objective.residuals is not None
        return objective.residuals(evaluate(parameters), batch.target)

    return LocalObjective(
        parameters=state.parameters,
        loss=evaluation.loss,
        gradients=gradients,
        step=moment.step,
        loss_at=lambda parameters: evaluate(parameters).loss,
        residuals_at=None if objective.residuals is None else residuals_at,
        constants={**objective.constants, **setting.constants},
        draws=evaluation.scope.draws,
        epoch=moment.epoch,
        gradient_norm=gradient_norm,
    )
