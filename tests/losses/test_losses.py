"""Claims about losses, against Keras's bit for bit and against numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import ShapeError
from gdrun.losses import functions
from gdrun.losses.functions import penalty, reduce, scalar_loss
from gdrun.losses.named import NamedLoss
from tests.families import members

KINDS = {kind: section for kind, section in members("losses").items() if issubclass(section, NamedLoss)}

N = 37
RANDOM = np.random.default_rng(0)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


LOGITS = RANDOM.normal(0, 3, (N, 4))
LABELS = RANDOM.integers(0, 4, N).astype(float)
ONE_HOT = np.eye(4)[LABELS.astype(int)]
REAL = RANDOM.normal(0, 2, (N, 4))
BINARY = RANDOM.integers(0, 2, (N, 4)).astype(float)
SIGNS = 2 * BINARY - 1
PROBABILITIES = 1 / (1 + np.exp(-LOGITS))
PROBABILITIES[0] = [0.0, 1.0, 1e-9, 1 - 1e-9]
COUNTS = RANDOM.poisson(3, (N, 4)).astype(float)

# kind, settings, prediction, target, Keras's loss class
CASES = [
    ("squared_error", {}, LOGITS, REAL, keras.losses.MeanSquaredError),
    ("absolute_error", {}, LOGITS, REAL, keras.losses.MeanAbsoluteError),
    ("huber", {}, LOGITS, REAL, keras.losses.Huber),
    ("huber", {"delta": 0.3}, LOGITS, REAL, keras.losses.Huber),
    ("log_cosh", {}, LOGITS, REAL, keras.losses.LogCosh),
    ("binary_crossentropy", {}, PROBABILITIES, BINARY, keras.losses.BinaryCrossentropy),
    ("binary_crossentropy", {"from_logits": True}, LOGITS, BINARY, keras.losses.BinaryCrossentropy),
    ("binary_crossentropy", {"label_smoothing": 0.1}, PROBABILITIES, BINARY, keras.losses.BinaryCrossentropy),
    ("categorical_crossentropy", {}, softmax(LOGITS), ONE_HOT, keras.losses.CategoricalCrossentropy),
    ("categorical_crossentropy", {}, PROBABILITIES, ONE_HOT, keras.losses.CategoricalCrossentropy),
    ("categorical_crossentropy", {"from_logits": True}, LOGITS, ONE_HOT, keras.losses.CategoricalCrossentropy),
    (
        "categorical_crossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        LOGITS,
        ONE_HOT,
        keras.losses.CategoricalCrossentropy,
    ),
    ("sparse_categorical_crossentropy", {}, softmax(LOGITS), LABELS, keras.losses.SparseCategoricalCrossentropy),
    (
        "sparse_categorical_crossentropy",
        {"from_logits": True},
        LOGITS,
        LABELS[:, None],
        keras.losses.SparseCategoricalCrossentropy,
    ),
    ("hinge", {}, LOGITS, SIGNS, keras.losses.Hinge),
    ("hinge", {}, LOGITS, BINARY, keras.losses.Hinge),
    ("squared_hinge", {}, LOGITS, SIGNS, keras.losses.SquaredHinge),
    ("squared_hinge", {}, LOGITS, BINARY, keras.losses.SquaredHinge),
    ("categorical_hinge", {}, LOGITS, ONE_HOT, keras.losses.CategoricalHinge),
    ("poisson", {}, np.exp(LOGITS / 3), COUNTS, keras.losses.Poisson),
    ("kl_divergence", {}, softmax(LOGITS), softmax(REAL), keras.losses.KLDivergence),
]
IDS = [f"{kind}-{settings}-{k}" for k, (kind, settings, *_) in enumerate(CASES)]
ONE_STAGE = ("squared_error", "absolute_error")
"""Their mean over several outputs is taken at once, so that only the last digits are Keras's."""
NEEDS_CLASSES = ("categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_hinge", "kl_divergence")


def named_loss(kind, **settings):
    """Return the loss of a kind, as its section builds it."""
    return scalar_loss(getattr(functions, kind), takes_labels=KINDS[kind].takes_labels, **settings)


def value_and_gradient(function, prediction, target):
    p, t = tf.constant(prediction), tf.constant(target)
    with tf.GradientTape() as tape:
        tape.watch(p)
        value = function(p, t)
    return value.numpy(), tape.gradient(value, p).numpy()


def test_every_loss_is_compared_with_keras():
    assert {case[0] for case in CASES} == set(KINDS)


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [1, 4])
def test_a_loss_and_its_gradient_are_keras_bits(case, reduction, dtype, outputs):
    kind, settings, prediction, target, keras_class = case
    if outputs == 1:
        if kind in NEEDS_CLASSES:
            return
        prediction, target = prediction[:, :1], target[:, :1]
    elif kind in ONE_STAGE and reduction == "sum":
        return  # Keras sums the means of the outputs; see test_the_sum_of_errors_is_over_all_outputs
    p, t = prediction.astype(dtype), target.astype(dtype)
    keras_loss = keras_class(reduction="sum_over_batch_size" if reduction == "mean" else "sum", dtype=dtype, **settings)
    value, gradient = value_and_gradient(named_loss(kind, reduction=reduction, **settings), p, t)
    keras_value, keras_gradient = value_and_gradient(lambda p, t: keras_loss(t, p), p, t)
    assert value.dtype == gradient.dtype == np.dtype(dtype)
    if kind in ONE_STAGE and outputs > 1:
        assert np.allclose(value, keras_value, rtol=4 * np.finfo(dtype).eps)
        assert np.allclose(gradient, keras_gradient, rtol=4 * np.finfo(dtype).eps)
    elif kind == "log_cosh" and dtype == "float64":
        assert np.allclose(value, keras_value, rtol=1e-7)  # Keras's log(2) has 24 bits
        assert np.array_equal(gradient, keras_gradient)
    else:
        assert np.array_equal(value, keras_value)
        assert np.array_equal(gradient, keras_gradient)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100, 1000, 4099])
def test_the_mean_of_squares_has_the_bits_of_a_hand_written_loop(n):
    for shape in ((n, 1), (n, 3), (n,)):
        p = RANDOM.normal(size=shape).astype(np.float32)
        t = RANDOM.normal(size=shape).astype(np.float32)
        value, gradient = value_and_gradient(named_loss("squared_error"), p, t)
        by_hand = value_and_gradient(lambda p, t: tf.reduce_mean(tf.square(p - t)), p, t)
        assert np.array_equal(value, by_hand[0])
        assert np.array_equal(gradient, by_hand[1])


def test_the_mean_of_squares_is_three_operations():
    loss = tf.function(named_loss("squared_error")).get_concrete_function(tf.TensorSpec((5, 1)), tf.TensorSpec((5, 1)))
    kinds = [operation.type for operation in loss.graph.get_operations()]
    assert [kind for kind in kinds if kind not in ("Placeholder", "Const", "Identity")] == ["Sub", "Square", "Mean"]


def test_the_sum_of_errors_is_over_all_outputs():
    assert np.isclose(named_loss("squared_error", reduction="sum")(LOGITS_T, REAL_T), np.sum((LOGITS - REAL) ** 2))
    assert np.isclose(named_loss("absolute_error", reduction="sum")(LOGITS_T, REAL_T), np.abs(LOGITS - REAL).sum())


LOGITS_T, REAL_T = tf.constant(LOGITS), tf.constant(REAL)


def closed_form(kind, settings, p, t):
    """One number an example, in numpy, from the definitions."""
    clip = np.clip
    match kind:
        case "huber":
            d, e = settings.get("delta", 1.0), np.abs(p - t)
            return np.where(e <= d, e**2 / 2, d * (e - d / 2)).mean(-1)
        case "log_cosh":
            return np.log(np.cosh(p - t)).mean(-1)
        case "hinge" | "squared_hinge":
            t = np.where(t == 0, -1, t)
            return (np.maximum(0, 1 - t * p) ** (1 if kind == "hinge" else 2)).mean(-1)
        case "poisson":
            return (p - t * np.log(p + 1e-7)).mean(-1)
        case "kl_divergence":
            return (t * np.log(t / p)).sum(-1)
        case "categorical_hinge":
            right = (t * p).sum(-1)
            return np.maximum(0, 1 + np.maximum(np.where(t == 1, -np.inf, p).max(-1), 0) - right)
        case "binary_crossentropy":
            t = t * (1 - settings.get("label_smoothing", 0)) + settings.get("label_smoothing", 0) / 2
            q = 1 / (1 + np.exp(-p)) if settings.get("from_logits") else clip(p, 1e-7, 1 - 1e-7)
            return -(t * np.log(q) + (1 - t) * np.log(1 - q)).mean(-1)
        case "categorical_crossentropy":
            t = t * (1 - settings.get("label_smoothing", 0)) + settings.get("label_smoothing", 0) / 4
            q = softmax(p) if settings.get("from_logits") else clip(p / p.sum(-1, keepdims=True), 1e-7, 1 - 1e-7)
            return -(t * np.log(q)).sum(-1)
        case "sparse_categorical_crossentropy":
            q = softmax(p) if settings.get("from_logits") else clip(p, 1e-7, 1 - 1e-7)
            return -np.log((q / q.sum(-1, keepdims=True))[np.arange(N), t.reshape(-1).astype(int)])
    return ((p - t) ** 2 if kind == "squared_error" else np.abs(p - t)).mean(-1)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_loss_is_its_closed_form(case):
    kind, settings, p, t, _ = case
    expected = closed_form(kind, settings, p, t)
    value = named_loss(kind, factor=0.5, **settings)(tf.constant(p), tf.constant(t))
    assert np.isclose(value, 0.5 * expected.mean(), rtol=1e-12)
    if kind not in ONE_STAGE:
        total = named_loss(kind, reduction="sum", **settings)(tf.constant(p), tf.constant(t))
        assert np.isclose(total, expected.sum(), rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_loss_of_a_vector_counts_one_output_an_example(case):
    kind, settings, p, t, _ = case
    if kind in NEEDS_CLASSES:
        return
    for reduction in ("mean", "sum"):
        loss = named_loss(kind, reduction=reduction, **settings)
        column, vector = (loss(tf.constant(p[:, k]), tf.constant(t[:, k])) for k in (slice(0, 1), 0))
        assert column.numpy() == vector.numpy()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_loss_works_in_lanes_under_xla(case):
    kind, settings, p, t, _ = case
    loss = named_loss(kind, **settings)
    lanes = tf.constant(np.stack([p, p[::-1], p * 0.9]))
    target = tf.constant(t)

    @tf.function(jit_compile=True)
    def in_lanes(lanes):
        def value_and_slope(p):
            with tf.GradientTape() as tape:
                tape.watch(p)
                value = loss(p, target)
            return value, tape.gradient(value, p)

        return tf.vectorized_map(value_and_slope, lanes, fallback_to_while_loop=False)

    values, gradients = in_lanes(lanes)
    for lane in range(3):
        value, gradient = value_and_gradient(loss, lanes[lane].numpy(), t)
        assert np.allclose(values[lane], value, rtol=1e-12)
        assert np.allclose(gradients[lane], gradient, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("activation", "kind", "units", "target", "keras_loss"),
    [
        ("sigmoid", "binary_crossentropy", 1, BINARY[:, :1], keras.losses.BinaryCrossentropy()),
        ("softmax", "categorical_crossentropy", 4, ONE_HOT, keras.losses.CategoricalCrossentropy()),
        ("softmax", "sparse_categorical_crossentropy", 4, LABELS, keras.losses.SparseCategoricalCrossentropy()),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_what_a_keras_layer_predicts_is_judged_by_its_logits_as_keras_does(
    activation, kind, units, target, keras_loss, compiled
):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation=activation)])
    model.set_weights([30 * weight for weight in model.get_weights()])  # far out in the tails
    x, t = tf.constant(REAL, tf.float32), tf.constant(target, tf.float32)
    loss = named_loss(kind)

    def ours():
        prediction, _ = model.stateless_call(model.trainable_variables, [], x)
        return loss(prediction, t)

    value = (tf.function(ours) if compiled else ours)()
    assert value.numpy() == keras_loss(t, model(x)).numpy()


def test_weights_multiply_the_examples_as_keras_sample_weight_does():
    weights = RANDOM.uniform(0, 2, N).astype(np.float32)
    p, t = LOGITS.astype(np.float32), REAL.astype(np.float32)
    for kind, keras_loss in (("huber", keras.losses.Huber()), ("squared_error", keras.losses.MeanSquaredError())):
        got = named_loss(kind)(tf.constant(p), tf.constant(t), tf.constant(weights))
        assert np.isclose(got, keras_loss(t, p, sample_weight=weights), rtol=1e-6)
    values = tf.constant(RANDOM.normal(size=(N, 1)))
    assert np.isclose(reduce(values, "sum", tf.constant(weights, tf.float64)), values.numpy()[:, 0] @ weights)


def test_broadcasting_is_refused_unless_it_is_asked_for():
    p, t = tf.zeros((2, 3)), tf.constant([[1.0], [2.0]])
    assert named_loss("squared_error", broadcast=True)(p, t).numpy() == 2.5
    with pytest.raises(ShapeError, match=r"\(2, 3\) and the target \(2, 1\)"):
        named_loss("squared_error")(p, t)
    with pytest.raises(ShapeError, match=r"\(5, 1\) and the target \(5,\)"):
        tf.function(named_loss("huber"), autograph=False)(tf.zeros((5, 1)), tf.zeros(5))


@pytest.mark.parametrize("settings", [{"l1": 0.01}, {"l2": 0.3}, {"l1": 0.1, "l2": 0.02}])
def test_a_penalty_is_keras_regularizer(settings):
    parameters = [tf.constant(RANDOM.normal(size=shape), tf.float32) for shape in ((3, 4), (4,), ())]
    regularizer = keras.regularizers.L1L2(**settings)
    for parameter in parameters:
        assert penalty([parameter], **settings).numpy() == regularizer(parameter).numpy()
    expected = sum(float(regularizer(parameter)) for parameter in parameters)
    assert np.isclose(penalty(parameters, **settings), expected, rtol=1e-6)
    assert penalty(parameters) == 0.0
