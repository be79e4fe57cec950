"""Claims about metrics, against Keras's and closed forms."""

from __future__ import annotations

import inspect
import typing

import keras
import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import ShapeError
from gdrun.losses import METRICS
from gdrun.losses import functions as losses
from gdrun.metric_names import HIGHER_IS_BETTER, LOWER_IS_BETTER, higher_is_better
from gdrun.metrics import MetricName, functions
from gdrun.metrics.named import named_metric

N = 211
RANDOM = np.random.default_rng(1)
REAL, PREDICTED = RANDOM.normal(size=(2, N, 3)).astype(np.float32)
LOGITS = RANDOM.normal(0, 2, (N, 3)).astype(np.float32)
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
LABELS = RANDOM.integers(0, 3, N).astype(np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS.astype(int)]
SIGMOID = 1 / (1 + np.exp(-LOGITS[:, :1]))
BINARY = RANDOM.integers(0, 2, (N, 1)).astype(np.float32)

CASES = [
    ("mse", PREDICTED, REAL, keras.metrics.MeanSquaredError()),
    ("rmse", PREDICTED, REAL, keras.metrics.RootMeanSquaredError()),
    ("mae", PREDICTED, REAL, keras.metrics.MeanAbsoluteError()),
    ("r2", PREDICTED, REAL, keras.metrics.R2Score()),
    ("binary_accuracy", SIGMOID, BINARY, keras.metrics.BinaryAccuracy()),
    ("accuracy", SIGMOID, BINARY, keras.metrics.BinaryAccuracy()),
    ("categorical_accuracy", SOFTMAX, ONE_HOT, keras.metrics.CategoricalAccuracy()),
    ("accuracy", SOFTMAX, ONE_HOT, keras.metrics.CategoricalAccuracy()),
    ("sparse_categorical_accuracy", SOFTMAX, LABELS, keras.metrics.SparseCategoricalAccuracy()),
    ("accuracy", SOFTMAX, LABELS, keras.metrics.SparseCategoricalAccuracy()),
    ("accuracy", SOFTMAX, LABELS[:, None], keras.metrics.SparseCategoricalAccuracy()),
    ("binary_crossentropy", SIGMOID, BINARY, keras.metrics.BinaryCrossentropy()),
    ("categorical_crossentropy", SOFTMAX, ONE_HOT, keras.metrics.CategoricalCrossentropy()),
    ("sparse_categorical_crossentropy", SOFTMAX, LABELS, keras.metrics.SparseCategoricalCrossentropy()),
    ("cosine_similarity", PREDICTED, REAL, keras.metrics.CosineSimilarity()),
    ("precision", SIGMOID, BINARY, keras.metrics.Precision()),
    ("recall", SIGMOID, BINARY, keras.metrics.Recall()),
]


def value(name, prediction, target, **settings):
    return float(named_metric(name, **settings)(tf.constant(prediction), tf.constant(target)))


@pytest.mark.parametrize(
    ("name", "prediction", "target", "oracle"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_metric_is_keras_metric(name, prediction, target, oracle):
    oracle.reset_state()
    oracle.update_state(target, prediction)
    assert value(name, prediction, target) == pytest.approx(float(oracle.result()), rel=2e-6)
    for dtype in (tf.float32, tf.float64):
        for xla in (False, True):
            traced = tf.function(named_metric(name), jit_compile=xla, autograph=False)
            got = traced(tf.constant(prediction, dtype), tf.constant(target, dtype))
            assert got.dtype == dtype
            assert float(got) == pytest.approx(float(oracle.result()), rel=2e-6)


def test_the_names_of_the_config_are_the_metrics():
    names = typing.get_args(MetricName)
    assert {case[0] for case in CASES} | {"max_error"} == set(names)
    own = {name for name, value in vars(functions).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert own == {*LOWER_IS_BETTER, *HIGHER_IS_BETTER}
    assert set(names) - own == METRICS.keys()
    assert all(hasattr(losses, name) for name in METRICS)


@pytest.mark.parametrize(
    ("name", "prediction", "target", "oracle"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_the_better_direction_is_keras_direction(name, prediction, target, oracle):
    assert higher_is_better(name) == (getattr(oracle, "_direction", "up") == "up")
    assert higher_is_better(f"validation_{name}") == higher_is_better(name)
    assert not higher_is_better("validation_loss")


def test_logits_and_signed_scores_begin_class_1_at_zero():
    logits = LOGITS[:, :1]
    for name in ("accuracy", "binary_accuracy", "precision", "recall"):
        assert value(name, logits, BINARY, from_logits=True) == value(name, SIGMOID, BINARY)
        assert value(name, logits, 2 * BINARY - 1, signed=True) == value(name, SIGMOID, BINARY)
    assert value("binary_crossentropy", logits, BINARY, from_logits=True) == pytest.approx(
        value("binary_crossentropy", SIGMOID, BINARY), rel=1e-5
    )
    assert value("sparse_categorical_crossentropy", LOGITS, LABELS, from_logits=True) == pytest.approx(
        value("sparse_categorical_crossentropy", SOFTMAX, LABELS), rel=1e-5
    )


def test_max_error_is_the_largest_and_does_not_hide_nan():
    assert value("max_error", PREDICTED, REAL) == np.abs(PREDICTED - REAL).max()
    spoiled = PREDICTED.copy()
    spoiled[5, 1] = np.nan
    assert np.isnan(value("max_error", spoiled, REAL))


def test_r2_in_float64_is_the_closed_form_and_defined_for_constant_targets():
    p, t = PREDICTED.astype(np.float64), REAL + np.float64(1e6)
    expected = np.mean(1 - ((t - p) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0))
    assert value("r2", p, t) == pytest.approx(expected, rel=1e-12)
    constant = np.full((9, 1), 0.1)
    assert value("r2", constant, constant) == 1.0
    assert value("r2", constant + 1, constant) == 0.0


def test_vectors_count_one_output_an_example():
    for name, prediction, target in [
        ("accuracy", SIGMOID, BINARY),
        ("precision", SIGMOID, BINARY),
        ("mse", PREDICTED[:, :1], REAL[:, :1]),
        ("r2", PREDICTED[:, :1], REAL[:, :1]),
        ("binary_crossentropy", SIGMOID, BINARY),
    ]:
        assert value(name, prediction[:, 0], target[:, 0]) == pytest.approx(value(name, prediction, target), rel=1e-6)


def test_precision_and_recall_of_nothing_are_zero():
    assert value("precision", np.zeros((4, 1)), np.ones((4, 1))) == 0.0
    assert value("recall", np.ones((4, 1)), np.zeros((4, 1))) == 0.0


def test_shapes_that_would_broadcast_are_refused():
    for name in ("mse", "r2", "accuracy", "precision"):
        with pytest.raises(ShapeError, match=r"\(4, 1\) and the target \(4,\)"):
            value(name, np.zeros((4, 1)), np.zeros(4))
