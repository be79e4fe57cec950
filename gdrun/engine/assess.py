"""Losses and metrics over whole data sets: at the end of an epoch, and at the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import tensorflow as tf

from .objective import Evaluation, Objective
from .state import Batch, Moment, Setting, TrainState

MetricFunction = Callable[[Evaluation, tf.Tensor | None], tf.Tensor]
"""(evaluation over all examples, target) -> real scalar."""


@dataclass(frozen=True)
class Assess:
    """Metrics on the training data, loss and metrics on the validation data, the model in inference mode.

    Args:
        objective: parameters and batch -> loss and prediction.
        metrics: name -> function.
        validation: the validation data; None: there is none.
        loss: whether the loss over the training data is among the results, as `loss_all`.
        whole_loss: gives that loss where the training data is not in memory; there are no metrics on it then.
    """

    objective: Objective
    metrics: Mapping[str, MetricFunction] = field(default_factory=dict)
    validation: Batch | None = None
    loss: bool = False
    whole_loss: Callable[[TrainState, Setting, Moment], tf.Tensor] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names that a call returns, in order."""
        names = (["loss_all"] if self.loss else []) + ([] if self.whole_loss else list(self.metrics))
        if self.validation is not None:
            names += ["validation_loss", *(f"validation_{name}" for name in self.metrics)]
        return tuple(names)

    def __call__(self, state: TrainState, setting: Setting, data: Batch, moment: Moment) -> dict[str, tf.Tensor]:
        """Return each of `names`, in the objective's dtype."""
        result: dict[str, tf.Tensor] = {}
        if self.whole_loss is not None:
            if self.loss:
                result["loss_all"] = self.whole_loss(state, setting, moment)
        elif self.metrics or self.loss:
            evaluation = self._evaluate(state, setting, data, moment)
            if self.loss:
                result["loss_all"] = evaluation.loss
            for name, metric in self.metrics.items():
                result[name] = metric(evaluation, data.target)
        if self.validation is not None:
            validation = self.validation if data.validation is None else data.validation
            evaluation = self._evaluate(state, setting, validation, moment)
            result["validation_loss"] = evaluation.loss
            for name, metric in self.metrics.items():
                result[f"validation_{name}"] = metric(evaluation, validation.target)
        return {name: tf.cast(result[name], self.objective.dtype) for name in self.names}

    def blank(self, num_lanes: int | None) -> dict[str, tf.Tensor]:
        """Return NaN for each of `names`: what a row holds where nothing was assessed."""
        # Both branches of a condition have the same structure, so that a row that is not assessed has these, too.
        shape = [] if num_lanes is None else [num_lanes]
        return {name: tf.fill(shape, tf.constant(float("nan"), self.objective.dtype)) for name in self.names}

    def _evaluate(self, state: TrainState, setting: Setting, data: Batch, moment: Moment) -> Evaluation:
        return self.objective.evaluate(state.parameters, state.model_state, setting, data, moment, training=False)
