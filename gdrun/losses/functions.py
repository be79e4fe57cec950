"""Losses between prediction and target, as functions of tensors, each with the name of its kind.

Every loss comes in two parts: `values`, one number an example (or, for squared and absolute errors, one an output),
and `reduce`, which makes one number of them. They hold for float32 and float64, in eager mode, in tf.function, under
XLA and under tf.vectorized_map, and have Keras's digits, with one exception:

    The mean of squared_error and absolute_error is taken over all outputs at once, as in a loop written by hand,
    tf.reduce_mean(tf.square(prediction - target)). Keras takes the mean of each example's outputs first; with one
    output an example the two agree bit for bit, with more they can differ in the last digit. Their sum is over all
    outputs, where Keras sums the examples' means.

A prediction of shape (N,) has one output an example.

Shape letters: N examples, K outputs or classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import tensorflow as tf

from .shapes import check_shapes

Reduction = Literal["mean", "sum"]
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

EPSILON = 1e-7
"""Distance that probabilities keep from 0 and 1; Keras's default."""


def squared_error(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return (prediction - target)**2, of their broadcast shape."""
    return tf.square(prediction - target)


def absolute_error(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return |prediction - target|, of their broadcast shape."""
    return tf.abs(prediction - target)


def huber(prediction: tf.Tensor, target: tf.Tensor, *, delta: float = 1.0) -> tf.Tensor:
    """Return half the square of the error up to delta, delta * (|error| - delta / 2) beyond.

    The mean is taken over an example's outputs.

    Source: Huber 1964, "Robust Estimation of a Location Parameter".
    """
    error = prediction - target
    size = tf.abs(error)
    delta = _tensor(delta, size.dtype)
    return _mean_over_outputs(tf.where(size <= delta, 0.5 * tf.square(error), delta * size - 0.5 * tf.square(delta)))


def log_cosh(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return log(cosh(prediction - target)), mean over an example's outputs."""
    error = prediction - target
    # Keras subtracts the float32 logarithm of 2 even in float64: an error of 1e-8 that is not copied here.
    return _mean_over_outputs(error + tf.nn.softplus(-2.0 * error) - tf.math.log(tf.constant(2.0, error.dtype)))


def poisson(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return prediction - target * log(prediction + 1e-7), mean over an example's outputs."""
    return _mean_over_outputs(prediction - target * tf.math.log(prediction + EPSILON))


def hinge(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return max(0, 1 - target * prediction), mean over an example's outputs.

    Targets are -1 or 1; where a batch holds nothing but 0 and 1, they are read as -1 and 1, as in Keras.
    """
    return _mean_over_outputs(tf.maximum(1.0 - _signs(target) * prediction, 0.0))


def squared_hinge(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return max(0, 1 - target * prediction)**2, mean over an example's outputs; targets as in `hinge`."""
    return _mean_over_outputs(tf.square(tf.maximum(1.0 - _signs(target) * prediction, 0.0)))


def categorical_hinge(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return max(0, 1 + the best wrong score - the right score), (N,).

    Predictions are scores (N, K), targets one-hot. As in Keras, the best wrong score is at least 0 where a target is 1
    for one class: the right class counts as 0.
    """
    right = tf.reduce_sum(target * prediction, axis=-1)
    wrong = tf.reduce_max((1.0 - target) * prediction, axis=-1)
    return tf.maximum(wrong - right + 1.0, 0.0)


def binary_crossentropy(
    prediction: tf.Tensor, target: tf.Tensor, *, from_logits: bool = False, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Return -target * log(p) - (1 - target) * log(1 - p), mean over an example's outputs.

    Args:
        prediction: probabilities p, clipped to [1e-7, 1 - 1e-7]; or logits. What comes from a Keras layer with a
            sigmoid brings its logits with it; they are used, as Keras does.
        target: in [0, 1].
        label_smoothing: the share by which targets are moved towards 1/2.
    """
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + 0.5 * label_smoothing
    logits = _logits(prediction, from_logits)
    if logits is not None:
        return _mean_over_outputs(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits))
    p = tf.clip_by_value(prediction, EPSILON, 1.0 - EPSILON)
    return _mean_over_outputs(-(target * tf.math.log(p) + (1.0 - target) * tf.math.log(1.0 - p)))


def categorical_crossentropy(
    prediction: tf.Tensor, target: tf.Tensor, *, from_logits: bool = False, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Return -sum(target * log(p)) over the classes, (N,).

    Args:
        prediction: probabilities (N, K), divided by their sum, then clipped to [1e-7, 1 - 1e-7]; or logits. What comes
            from a Keras layer with a softmax brings its logits with it; they are used, as Keras does.
        target: (N, K), one-hot or probabilities.
        label_smoothing: the share by which targets are moved towards 1/K.
    """
    if label_smoothing:
        share = _tensor(label_smoothing, target.dtype) / _tensor(target.shape[-1], target.dtype)
        target = target * (1.0 - label_smoothing) + share
    logits = _logits(prediction, from_logits)
    if logits is not None:
        return tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=logits)
    p = prediction / tf.reduce_sum(prediction, axis=-1, keepdims=True)
    p = tf.clip_by_value(p, EPSILON, 1.0 - EPSILON)
    return -tf.reduce_sum(target * tf.math.log(p), axis=-1)


def sparse_categorical_crossentropy(
    prediction: tf.Tensor, target: tf.Tensor, *, from_logits: bool = False
) -> tf.Tensor:
    """Return -log(p[target]), (N,).

    Args:
        prediction: probabilities (N, K), clipped to [1e-7, 1 - 1e-7] and then normalised, as Keras does; or logits, or
            the output of a Keras layer with a softmax, whose logits are used.
        target: class numbers 0, 1, ..., K - 1 in any type, (N,) or (N, 1).
    """
    logits = _logits(prediction, from_logits)
    if logits is None:
        logits = tf.math.log(tf.clip_by_value(prediction, EPSILON, 1.0 - EPSILON))
    labels = tf.cast(target, tf.int64)
    if labels.shape.rank == logits.shape.rank:
        labels = tf.squeeze(labels, axis=-1)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def kl_divergence(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return sum(target * log(target / prediction)) over the last axis, (N,); both clipped to [1e-7, 1]."""
    q = tf.clip_by_value(prediction, EPSILON, 1.0)
    p = tf.clip_by_value(target, EPSILON, 1.0)
    return tf.reduce_sum(p * tf.math.log(p / q), axis=-1)


def scalar_loss(
    values: Callable[..., tf.Tensor],
    *,
    takes_labels: bool = False,
    reduction: Reduction = "mean",
    factor: Any = 1.0,
    broadcast: bool = False,
    **settings: Any,
) -> Loss:
    """Return the loss as a function of (prediction, target) with a scalar value.

    Args:
        values: a function of this module: (prediction, target, settings) -> one number an example, or an output.
        takes_labels: targets are class numbers, which stay as they are; others are cast to the prediction's dtype.
        reduction: mean or sum of the values.
        factor: multiplies the result; a number or a scalar tensor.
        broadcast: let prediction and target of different shapes broadcast.
        settings: arguments of `values`, such as delta or from_logits.
    Raises:
        ShapeError: from the function, when shapes do not fit; while tracing, in a tf.function. Trace with
            autograph=False, or TensorFlow wraps it in an error of its own.
    """
    name = values.__name__

    def loss(prediction: tf.Tensor, target: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
        check_shapes(name, prediction.shape, target.shape, takes_labels=takes_labels, broadcast=broadcast)
        if not takes_labels:
            target = tf.cast(target, prediction.dtype)
        result = reduce(values(prediction, target, **settings), reduction, weights)
        # Times 1 would be exact, but a step of half a microsecond feels an operation more.
        return result if isinstance(factor, (int, float)) and factor == 1 else factor * result

    return loss


def reduce(values: tf.Tensor, reduction: Reduction, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Return the mean or sum of `values`, a scalar.

    Args:
        values: (N, ...).
        weights: of the examples, (N,); multiply the values first. The mean stays a division by the number of values,
            as with Keras's sample_weight.
    """
    if weights is not None:
        values = values * tf.reshape(weights, [-1] + [1] * (values.shape.rank - 1))
    return tf.reduce_mean(values) if reduction == "mean" else tf.reduce_sum(values)


def penalty(parameters: Iterable[tf.Tensor], *, l1: Any = 0.0, l2: Any = 0.0) -> tf.Tensor | float:
    """Return sum over the parameters of l1 * sum(|w|) + l2 * sum(w**2), 0.0 if both are the number 0.

    Args:
        l1, l2: numbers or scalar tensors. A number that is 0 leaves its term out.
    """
    total: tf.Tensor | float = 0.0
    for parameter in parameters:
        if not _is_zero(l1):
            total = total + l1 * tf.reduce_sum(tf.abs(parameter))
        if not _is_zero(l2):
            total = total + l2 * tf.reduce_sum(tf.square(parameter))
    return total


def _is_zero(number: Any) -> bool:
    return isinstance(number, (int, float)) and number == 0


def _tensor(number: Any, dtype: tf.DType) -> tf.Tensor:
    """Return a number as a scalar tensor."""
    # Not tf.cast alone: it rounds a Python float to float32 first.
    return tf.cast(number, dtype) if tf.is_tensor(number) else tf.constant(number, dtype)


def _mean_over_outputs(values: tf.Tensor) -> tf.Tensor:
    """Return one number an example."""
    # A single output is its own mean, and keeps its axis: one operation less.
    if values.shape.rank < 2 or values.shape[-1] == 1:
        return values
    return tf.reduce_mean(values, axis=-1)


def _signs(target: tf.Tensor) -> tf.Tensor:
    is_binary = tf.reduce_all((target == 0) | (target == 1))
    return tf.where(is_binary, 2.0 * target - 1.0, target)


def _logits(prediction: tf.Tensor, from_logits: bool) -> tf.Tensor | None:
    """Return the logits attached by Keras's sigmoid or softmax, else the prediction if `from_logits`, else None."""
    return getattr(prediction, "_keras_logits", prediction if from_logits else None)
