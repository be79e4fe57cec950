"""Functions of `loss:` and `metrics:`, their errors located in the config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gdrun.config.located import at_config_path, formula_at
from gdrun.engine.assess import MetricFunction
from gdrun.engine.objective import Evaluation, Residuals
from gdrun.errors import ConfigPath, ShapeError
from gdrun.experiment.experiment import Experiment
from gdrun.formula.evaluate import Scope
from gdrun.losses.base import LossFunction, LossSection


def build_loss(section: LossSection, dtype: tf.DType) -> LossFunction:
    """Return (scope, prediction, target) -> scalar of `dtype`, for `loss:` of the config."""
    function = section.build(dtype)

    def loss(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
        with at_config_path(*section.error_path):
            return function(scope, prediction, target)

    return loss


def build_residuals(section: LossSection, dtype: tf.DType, trainable: tuple[str, ...]) -> Residuals:
    """Return (evaluation, target) -> real vector whose squares add up to the loss, penalty included."""
    residuals = section.residuals(dtype, trainable)
    return lambda evaluation, target: residuals(evaluation.scope, evaluation.prediction, target)


def build_metrics(experiment: Experiment, dtype: tf.DType) -> dict[str, MetricFunction]:
    """Return the metrics of the config by name."""
    metrics: dict[str, MetricFunction] = {}
    for position, metric in enumerate(experiment.metrics):
        function = metric.build(experiment.objective_loss, dtype, f"metrics.{position}")
        metrics[metric.name] = _located_metric(function, ("metrics", position, *metric.error_path))
    return metrics


def _located_metric(function: Any, path: ConfigPath) -> MetricFunction:
    def metric(evaluation: Evaluation, target: tf.Tensor | None) -> tf.Tensor:
        with at_config_path(*path):
            return function(evaluation.scope, evaluation.prediction, evaluation.loss, target)

    return metric


def tensor_formula(text: Any, path: ConfigPath) -> Callable[[Scope], tf.Tensor]:
    """Return scope -> value of a formula as a tensor, its errors located at `path`."""
    formula = formula_at(text, path)
    return lambda scope: tf.convert_to_tensor(formula(scope))


def scalar_formula(text: Any, path: ConfigPath, dtype: tf.DType, what: str) -> Callable[[Scope], tf.Tensor]:
    """Return scope -> value of a formula, `dtype` (), its errors located at `path`; `what` it is in messages."""
    value = tensor_formula(text, path)

    def scalar(scope: Scope) -> tf.Tensor:
        result = value(scope)
        if result.shape.rank != 0:
            with at_config_path(*path):
                raise ShapeError(f"{what} must be one value, this has shape {tuple(result.shape)}")
        return tf.cast(result, dtype)

    return scalar
