"""Metrics by name: the function of this name in `functions`, or the mean of the loss of this name."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

import tensorflow as tf

from gdrun.losses import METRICS
from gdrun.losses import functions as losses
from gdrun.losses.shapes import check_shapes

from . import functions

_TAKES_LABELS = {"sparse_categorical_accuracy", *(kind for kind, loss in METRICS.items() if loss.takes_labels)}
"""The metrics whose target is one class number an example; "accuracy" takes both, as the shapes say."""

Metric = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def named_metric(name: str, *, from_logits: bool = False, signed: bool = False) -> Metric:
    """Return the metric as a function of (prediction, target) with a scalar value.

    Args:
        from_logits: predictions are logits: class 1 begins at 0 in place of 1/2.
        signed: predictions are scores for targets -1 and 1 (hinge losses): class 1 begins at 0 too.
    Raises:
        ShapeError: from the function, when shapes do not fit.
    """
    function = metric_function(name)
    # A function takes as parameters what it has to know of the predictions.
    known = {"threshold": 0.0 if from_logits or signed else 0.5, "from_logits": from_logits}
    settings = {key: value for key, value in known.items() if key in signature(function).parameters}

    def metric(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        labels = name in _TAKES_LABELS or (name == "accuracy" and _are_labels(prediction, target))
        shown = "sparse_categorical_accuracy" if name == "accuracy" else name
        check_shapes(shown, prediction.shape, target.shape, takes_labels=labels)
        value = function(prediction, target if labels else tf.cast(target, prediction.dtype), **settings)
        return value if value.shape.rank == 0 else tf.reduce_mean(value)

    return metric


def metric_function(name: str) -> Callable[..., tf.Tensor]:
    """Return the function of a metric: of (prediction, target), with a scalar value or one number an example."""
    return getattr(functions, name, None) or getattr(losses, name)


def _are_labels(prediction: tf.Tensor, target: tf.Tensor) -> bool:
    """Return whether the target is one class number for each row of a prediction of several classes."""
    p, t = prediction.shape, target.shape
    return p.rank >= 2 and p[-1] != 1 and (t.rank < p.rank or t[-1] == 1)
