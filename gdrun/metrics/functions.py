"""Numbers reported beside the loss, over all examples, as functions of tensors, each with the name of its metric.

Each takes (prediction, target) and returns a scalar of the prediction's type. They compute on the tensors they
are given, eager or traced; the caller passes all examples, since a mean of batches is not every metric's value.

Shape letters: N examples, K outputs or classes. A prediction of shape (N,) has one output an example.
"""

from __future__ import annotations

from functools import partial

import tensorflow as tf


def mse(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the mean of (prediction - target)**2."""
    return tf.reduce_mean(tf.square(prediction - target))


def rmse(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the square root of the mean of (prediction - target)**2."""
    return tf.sqrt(mse(prediction, target))


def mae(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the mean of |prediction - target|."""
    return tf.reduce_mean(tf.abs(prediction - target))


def max_error(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the largest |prediction - target|; nan if one is nan."""
    error = tf.abs(prediction - target)
    # Some devices ignore nan in a maximum.
    return tf.where(tf.reduce_any(tf.math.is_nan(error)), tf.constant(float("nan"), error.dtype), tf.reduce_max(error))


def r2(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return 1 - sum((target - prediction)**2) / sum((target - mean(target))**2), mean over the outputs.

    For a constant target: 1 where it is met exactly, else 0, as in scikit-learn.
    """
    residual = tf.reduce_sum(tf.square(target - prediction), axis=0)
    total = tf.reduce_sum(tf.square(target - tf.reduce_mean(target, axis=0, keepdims=True)), axis=0)
    constant = tf.reduce_all(target == target[:1], axis=0)
    of_constant = tf.where(residual == 0, tf.ones_like(residual), tf.zeros_like(residual))
    explained = 1.0 - residual / tf.where(constant, tf.ones_like(total), total)
    return tf.reduce_mean(tf.where(constant, of_constant, explained))


def accuracy(prediction: tf.Tensor, target: tf.Tensor, *, threshold: float = 0.5) -> tf.Tensor:
    """Return the share of the examples whose class is predicted, by the shapes, as Keras's "accuracy" does.

    One output an example: `binary_accuracy`; labels against rows of classes: `sparse_categorical_accuracy`; rows
    against rows: `categorical_accuracy`.
    """
    if prediction.shape.rank < 2 or prediction.shape[-1] == 1:
        return binary_accuracy(prediction, target, threshold=threshold)
    if target.shape.rank < prediction.shape.rank or target.shape[-1] == 1:
        return sparse_categorical_accuracy(prediction, target)
    return categorical_accuracy(prediction, target)


def binary_accuracy(prediction: tf.Tensor, target: tf.Tensor, *, threshold: float = 0.5) -> tf.Tensor:
    """Return the share of the outputs with (prediction > threshold) == (target > 0.5).

    For targets 0 and 1 this is Keras's; targets -1 and 1 mean what they do in a hinge loss.
    """
    return _share(tf.equal(prediction > threshold, target > 0.5), prediction)


def categorical_accuracy(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the share of the examples whose largest prediction, the first of equals, is at the largest target."""
    return _share(tf.equal(tf.argmax(prediction, axis=-1), tf.argmax(target, axis=-1)), prediction)


def sparse_categorical_accuracy(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the share of the examples whose largest prediction, (N, K), is at the label, (N,) or (N, 1)."""
    labels = tf.cast(target, tf.int64)
    if labels.shape.rank == prediction.shape.rank:
        labels = tf.squeeze(labels, axis=-1)
    return _share(tf.equal(tf.argmax(prediction, axis=-1), labels), prediction)


def cosine_similarity(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the mean over the examples of prediction . target / (|prediction| |target|); 0 where one of them is 0."""
    product = tf.math.l2_normalize(prediction, axis=-1) * tf.math.l2_normalize(target, axis=-1)
    return tf.reduce_mean(tf.reduce_sum(product, axis=-1))


def precision(prediction: tf.Tensor, target: tf.Tensor, *, threshold: float = 0.5) -> tf.Tensor:
    """Return the share of the predictions above the threshold whose target is above 0.5; 0 if there are none."""
    chosen = prediction > threshold
    return _ratio(chosen & (target > 0.5), chosen, prediction)


def recall(prediction: tf.Tensor, target: tf.Tensor, *, threshold: float = 0.5) -> tf.Tensor:
    """Return the share of the targets above 0.5 whose prediction is above the threshold; 0 if there are none."""
    positive = target > 0.5
    return _ratio(positive & (prediction > threshold), positive, prediction)


def _share(hits: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(hits, like.dtype))


def _ratio(part: tf.Tensor, whole: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    count = partial(tf.math.count_nonzero, dtype=tf.int64)
    return tf.math.divide_no_nan(tf.cast(count(part), like.dtype), tf.cast(count(whole), like.dtype))
