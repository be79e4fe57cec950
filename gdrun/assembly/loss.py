"""`loss:` and `metrics:` -> functions of prediction and target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

import numpy as np
import tensorflow as tf

import gdrun.losses as sections
from gdrun.config.located import formula_at, located, refuse
from gdrun.engine.assess import MetricFunction
from gdrun.engine.objective import Evaluation, LossFunction, Names, Residuals
from gdrun.errors import ConfigPath, DataError, ShapeError
from gdrun.experiment.experiment import Experiment
from gdrun.formula.evaluate import Scope
from gdrun.losses import CustomLoss, CustomMetric
from gdrun.losses.functions import named_loss, penalty
from gdrun.metrics.functions import named_metric

from .custom import build_custom_loss, build_custom_metric


def with_loss(experiment: Experiment) -> Experiment:
    """Return the experiment with the loss that stands for none: mse with a target, else the model's output."""
    if experiment.loss is not None:
        return experiment
    has_target = experiment.data is not None and getattr(experiment.data, "target", True) is not None
    loss = sections.SquaredError(kind="squared_error") if has_target else sections.OutputLoss(kind="output")
    return experiment.model_copy(update={"loss": loss})


def build_loss(section: Any, dtype: tf.DType) -> LossFunction:
    """Return (scope, prediction, target) -> scalar of `dtype`, for `loss:` of the config."""
    match section:
        case sections.FormulaLoss():
            formula = formula_at(section.formula, ("loss", "formula"))

            def by_formula(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
                with located("loss", "formula"):
                    return _scalar(formula(scope), dtype)

            return by_formula
        case sections.OutputLoss():
            sign = -1.0 if section.maximize else 1.0

            def output(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
                with located("model", "formula"):
                    value = _scalar(prediction, dtype, what="the model's output, which is the objective,")
                return value if sign > 0 else -value

            return output
        case sections.NamedLoss():
            settings = {name: value for name, value in section if name not in ("kind", "penalty")}
            varying = [name for name in LANE_SETTINGS if name in settings]

            def named(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
                own = {name: _setting(scope, f"loss.{name}", settings[name]) for name in varying}
                function: Any = named_loss(section.kind, **(settings | own))  # type: ignore[attr-defined]
                with located("loss"):
                    one = _one(prediction, dtype)
                    try:
                        return function(one, target, _weights(scope))
                    except tf.errors.InvalidArgumentError:
                        # The shapes were looked at; what is left is a label that no output stands for.
                        if target is None or not isinstance(section, sections.SparseCategoricalCrossentropy):
                            raise
                        last = int(one.shape[-1]) - 1
                        raise DataError(
                            f"a label is not among 0 to {last}, the classes that the model's outputs stand for",
                            hint="count labels from 0, or give the model more outputs",
                        ).at(("data", "target")) from None

            return named
        case CustomLoss():
            custom = build_custom_loss(section)

            def by_plugin(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
                with located("loss", "name"):
                    return custom(_one_or_named(prediction, dtype), target, _weights(scope), dtype)

            return by_plugin
        case _:
            assert_never(section)


def loss_warnings(experiment: Experiment) -> tuple[str, ...]:
    """Return what to say where a cross-entropy of probabilities is given raw scores."""
    section, model = experiment.loss, experiment.model
    if getattr(section, "from_logits", True):
        return ()
    if model.last_activation == "linear":
        kind = getattr(section, "kind", "the loss")
        activation = "sigmoid" if kind == "binary_crossentropy" else "softmax"
        return (
            f"{kind} takes probabilities, the model gives raw scores: set from_logits: true, or end in {activation}",
        )
    return ()


def build_penalty(
    section: sections.Penalty | None, trainable: tuple[str, ...], names: tuple[str, ...]
) -> Callable[[Names], tf.Tensor] | None:
    """Return (values by name) -> l1 * sum(|w|) + l2 * sum(w**2); None where there is none."""
    if section is None:
        return None
    chosen = trainable if section.of is None else section.of
    for position, name in enumerate(chosen):
        if name not in names:
            raise refuse(
                f"there is no parameter '{name}'", ("loss", "penalty", "of", position), f"there are: {', '.join(names)}"
            )

    def weighed(values: Names) -> Any:
        l1, l2 = (_setting(values, f"loss.penalty.{name}", getattr(section, name)) for name in ("l1", "l2"))
        return penalty([values[name] for name in chosen], l1=l1, l2=l2)

    return weighed


LANE_SETTINGS = ("factor", "delta")
"""Settings of named losses that may differ between lanes, as `loss.penalty`'s l1 and l2 may."""


def _setting(scope: Names, name: str, value: Any) -> Any:
    """The setting `value` of the config, or what this lane has in its place under the dotted `name`."""
    return scope[name] if name in scope else value  # noqa: SIM401 - a Scope has no get


def build_residuals(section: Any, dtype: tf.DType, trainable: tuple[str, ...]) -> Residuals:
    """Return (evaluation, target) -> real vector whose squares add up to the loss, penalty included.

    Args:
        section: a squared error with a positive factor and without an l1 penalty; the config's check sees to that.
    """
    assert isinstance(section, sections.SquaredError)
    assert section.factor > 0
    weight: Any = section.penalty
    penalized = () if weight is None or not weight.l2 else trainable if weight.of is None else weight.of

    def residuals(evaluation: Evaluation, target: tf.Tensor | None) -> tf.Tensor:
        prediction = _one(evaluation.prediction, dtype)
        errors = prediction - tf.cast(target, prediction.dtype)
        weights = _weights(evaluation.scope)
        if weights is not None:
            errors = errors * tf.reshape(tf.sqrt(weights), [-1] + [1] * (errors.shape.rank - 1))
        errors = tf.reshape(errors, [-1])
        count = int(errors.shape[0]) if section.reduction == "mean" else 1
        parts = [errors * (section.factor / count) ** 0.5]
        parts += [weight.l2**0.5 * tf.reshape(evaluation.scope[name], [-1]) for name in penalized]
        return tf.concat(parts, axis=0) if penalized else parts[0]

    return residuals


def build_metrics(experiment: Experiment, dtype: tf.DType) -> dict[str, MetricFunction]:
    """Return the metrics of the config by name."""
    from_logits = bool(getattr(experiment.loss, "from_logits", False))
    signed = isinstance(experiment.loss, (sections.Hinge, sections.SquaredHinge))
    metrics: dict[str, MetricFunction] = {}
    for position, metric in enumerate(experiment.metrics):
        if isinstance(metric, str):
            metrics[metric] = _named(named_metric(metric, from_logits=from_logits, signed=signed), dtype, position)
        elif isinstance(metric, CustomMetric):
            metrics[metric.name] = _by_plugin(metric, dtype, position)
        else:
            metrics[metric.name] = _by_formula(metric, dtype, position)
    return metrics


def _named(function: Any, dtype: tf.DType, position: int) -> MetricFunction:
    def metric(evaluation: Evaluation, target: tf.Tensor | None) -> tf.Tensor:
        with located("metrics", position):
            return function(_one(evaluation.prediction, dtype), target)

    return metric


def _by_plugin(section: CustomMetric, dtype: tf.DType, position: int) -> MetricFunction:
    function = build_custom_metric(section)

    def metric(evaluation: Evaluation, target: tf.Tensor | None) -> tf.Tensor:
        with located("metrics", position, "name"):
            return function(_one_or_named(evaluation.prediction, dtype), target, dtype)

    return metric


def _by_formula(section: sections.FormulaMetric, dtype: tf.DType, position: int) -> MetricFunction:
    path = ("metrics", position, "formula")
    formula = formula_at(section.formula, path)

    def metric(evaluation: Evaluation, target: tf.Tensor | None) -> tf.Tensor:
        value = formula(evaluation.scope.adding({"loss": evaluation.loss}))
        with located(*path):
            return _scalar(value, dtype, what="a metric")

    return metric


def tensor_formula(text: Any, path: ConfigPath) -> Callable[[Scope], tf.Tensor]:
    """Return scope -> value of a formula as a tensor, its errors located at `path`."""
    formula = formula_at(text, path)
    return lambda scope: tf.convert_to_tensor(formula(scope))


def truth_formula(text: Any, path: ConfigPath) -> Callable[[Scope], tf.Tensor]:
    """Return scope -> whether a formula holds, bool ()."""
    value = tensor_formula(text, path)

    def truth(scope: Scope) -> tf.Tensor:
        result = value(scope)
        if result.shape.rank != 0:
            with located(*path):
                raise ShapeError(f"a condition must be one value, this has shape {tuple(result.shape)}")
        return tf.cast(result, tf.bool)

    return truth


def _weights(scope: Scope) -> tf.Tensor | None:
    """How much each example counts, (B,); None where all count alike."""
    return scope["example_weights"] if "example_weights" in scope else None  # noqa: SIM401 - a Scope has no get


def _one(prediction: Any, dtype: tf.DType) -> tf.Tensor:
    if isinstance(prediction, Mapping):
        if len(prediction) > 1:
            names = ", ".join(prediction)
            raise ShapeError(
                f"this loss takes one prediction, the model has several outputs: {names}",
                hint="write the loss as a formula of them",
            )
        prediction = next(iter(prediction.values()))
    return tf.convert_to_tensor(prediction, dtype) if not tf.is_tensor(prediction) else prediction


def _one_or_named(prediction: Any, dtype: tf.DType) -> Any:
    """A prediction as plugins see it: a tensor, or a dict of several outputs."""
    if isinstance(prediction, Mapping) and len(prediction) > 1:
        return {name: tf.convert_to_tensor(value) for name, value in prediction.items()}
    return _one(prediction, dtype)


def _scalar(value: Any, dtype: tf.DType, what: str = "the loss") -> tf.Tensor:
    tensor = tf.convert_to_tensor(value, dtype) if isinstance(value, (int, float)) else tf.convert_to_tensor(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        tensor = tf.cast(tensor, dtype)
    if tensor.shape.num_elements() != 1:
        raise ShapeError(
            f"{what} must be one number, it has shape {tuple(tensor.shape)}", hint="sum(...) or mean(...) makes it one"
        )
    if tensor.dtype.is_complex:
        raise ShapeError(f"{what} must be real, it is complex", hint="abs(...) or real(...) makes it real")
    return tf.reshape(tensor, []) if tensor.shape.rank else tensor
