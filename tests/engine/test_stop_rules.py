"""Rules that end a run, each at the first step where it holds. The oracles: a NumPy loop, and Keras's callbacks."""

import math
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from gdrun.engine.state import PatienceState, PlateauState, Reason, TrainState
from gdrun.engine.step import Step
from gdrun.schedules.factors import PlateauFactor
from gdrun.schedules.sections import Patience, Stop

# Keras's own, for NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RATE, STEPS = 0.0625, 800
CURVATURE = np.asarray([1.0, 0.25], np.float32)
PROBLEM = f"""
compile: graph
constants: {{c: [1, 0.25]}}
model: {{kind: formula, formula: "sum(c * (w - 1)**2)", parameters: {{w: [4, -2]}}}}
optimizer: {{kind: sgd, learning_rate: {RATE}}}
schedule: {{steps: {STEPS}}}
record: {{every: 1}}
"""


def descent():
    """Return (parameters, losses, gradient norms) before each update, float32."""
    w = np.asarray([4, -2], np.float32)
    points, losses, norms = [], [], []
    for _ in range(STEPS + 1):
        gradient = 2 * CURVATURE * (w - 1)
        points.append(w)
        losses.append(np.sum(CURVATURE * (w - 1) ** 2))
        norms.append(np.sqrt(np.sum(gradient**2)))
        w = w - np.float32(RATE) * gradient
    return np.asarray(points), np.asarray(losses), np.asarray(norms)


POINTS, LOSSES, NORMS = descent()
CHANGES = np.abs(np.diff(POINTS, axis=0)).max(axis=1)


def first(condition):
    return int(np.argmax(condition))


CASES = {
    "loss_below": ("loss_below=0.5", Reason.LOSS_BELOW, first(LOSSES < 0.5)),
    "loss_below at once": ("loss_below=100", Reason.LOSS_BELOW, 0),
    "gradient_norm_below": ("gradient_norm_below=1e-2", Reason.GRADIENT_NORM_BELOW, first(NORMS < 1e-2)),
    "formula": ("formula=w[0] < 1.5 and step >= 3", Reason.FORMULA, first(POINTS[:, 0] < 1.5)),
    "formula of loss": ("formula=loss * gradient_norm < 0.1", Reason.FORMULA, first(LOSSES * NORMS < 0.1)),
    # These two look at an update that was made.
    "change": ("parameter_change_below=1e-3", Reason.PARAMETER_CHANGE_BELOW, first(CHANGES < 1e-3) + 1),
    "unchanged": ("parameters_unchanged=true", Reason.PARAMETERS_UNCHANGED, first(CHANGES == 0) + 1),
}


def test_the_oracle_reaches_every_rule():
    assert all(step > 3 or name == "loss_below at once" for name, (_, _, step) in CASES.items())


@pytest.mark.parametrize("case", CASES)
def test_a_rule_stops_at_the_first_step_where_it_holds(lab, with_guard, chunks_of, case):
    rule, reason, step = CASES[case]
    late = lab.build(PROBLEM, [f"schedule.stop.{rule}"])
    for built, sizes in ((late, (1000, 7)), (with_guard(late, "each"), (1000, 7))):
        for size in sizes:
            chunks_of(size)
            rows = lab.rows(built)
            assert (rows["reason"], int(rows["state"].step)) == (reason, step)
            np.testing.assert_array_equal(rows["state"].parameters[0], POINTS[step])
            assert rows["step"].tolist() == list(range(step + 1))


def test_the_first_of_several_rules_stops(lab):
    rules = ["loss_below=1e-6", "gradient_norm_below=1e-2", "parameter_change_below=1e-5"]
    rows = lab.rows(lab.build(PROBLEM, [f"schedule.stop.{rule}" for rule in rules] + ["compile=xla"]))
    assert (rows["reason"], int(rows["state"].step)) == (Reason.GRADIENT_NORM_BELOW, first(NORMS < 1e-2))


def test_a_rule_that_holds_at_the_schedules_last_step_has_stopped_the_run(lab):
    step = first(LOSSES < 0.5)
    for steps, reason in ((step, Reason.LOSS_BELOW), (step - 1, Reason.NONE)):
        rows = lab.rows(lab.build(PROBLEM, ["schedule.stop.loss_below=0.5", f"steps={steps}"]))
        assert (rows["reason"], int(rows["state"].step)) == (reason, steps)
        assert rows["step"].tolist() == list(range(steps + 1))


def test_gradient_norm_below_means_the_gradient_of_the_loss_that_was_not_scaled(lab):
    rules = ["schedule.stop.gradient_norm_below=1e-2", "optimizer.loss_scale_factor=1024"]
    rows = lab.rows(lab.build(PROBLEM, rules))
    step = first(NORMS < 1e-2)
    assert (rows["reason"], int(rows["state"].step)) == (Reason.GRADIENT_NORM_BELOW, step)
    np.testing.assert_array_equal(rows["state"].parameters[0], POINTS[step])


# Patience and plateau: Keras's callbacks, given the same values.


def looks(step, state, values, metric="m"):
    """Look at each value as the end of an epoch; yield the state after it."""
    for epoch, value in enumerate(values):
        state = state._replace(step=tf.constant(epoch + 1, tf.int64), parameters=(tf.constant(float(epoch)),))
        state = step.end_epoch(state, {metric: tf.constant(value, tf.float64)}, tf.constant(True))
        yield state


def start(**parts):
    nothing = dict.fromkeys(TrainState._fields, ())
    flags = {"reason": tf.constant(0)}
    return TrainState(**(nothing | flags | parts))


def float64(value):
    return tf.constant(value, tf.float64)


def integer(value):
    return tf.constant(value, tf.int64)


def sequences():
    random = np.random.default_rng(3)
    for _ in range(6):
        # Quarters, which Keras's float32 compares exactly; the first is finite, since Keras keeps a first nan as best.
        values = np.round(4 * np.cumsum(random.normal(size=25))) / 4
        values[random.integers(1, 25, 3)] = math.nan
        yield values.tolist()


class Recorder:
    """A model, as far as the callbacks look at it: weights are the number of the epoch."""

    def __init__(self):
        self.stop_training = False
        self.weights = None
        self.optimizer = types.SimpleNamespace(learning_rate=keras.Variable(1.0, dtype="float64"))

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(("patience", "min_delta"), [(1, 0.0), (3, 0.0), (4, 0.5)])
def test_patience_is_that_of_keras_early_stopping(tensorflow, mode, patience, min_delta):
    rule = Patience(epochs=patience, metric="m", mode=mode, min_delta=min_delta, restore_best=True)
    step = Step(None, None, stop=Stop(patience=rule))
    for values in sequences():
        callback = keras.callbacks.EarlyStopping(
            "m", min_delta=min_delta, patience=patience, mode=mode, restore_best_weights=True
        )
        model = Recorder()
        callback.set_model(model)
        callback.on_train_begin()
        memory = PatienceState(float64(math.inf), integer(0), integer(0), (tf.constant(-1.0),), ())
        for epoch, state in enumerate(looks(step, start(patience=memory), values)):
            model.weights = epoch
            callback.on_epoch_end(epoch, {"m": values[epoch]})
            assert bool(state.active) is not model.stop_training
            if model.stop_training:
                break
        assert model.stop_training is (int(state.reason) == Reason.PATIENCE)
        if model.stop_training:
            callback.on_train_end()
            assert float(state.patience.parameters[0]) == model.weights == int(state.patience.best_step) - 1
            assert float(state.patience.best) * (-1 if mode == "max" else 1) == values[model.weights]


@pytest.mark.parametrize(("metric", "mode"), [("mse", "min"), ("accuracy", "max")])
@pytest.mark.parametrize(("patience", "min_delta", "cooldown", "floor"), [(1, 0.0, 0, 0.0), (2, 0.5, 2, 0.125)])
def test_a_plateau_is_that_of_keras_reduce_lr_on_plateau(
    tensorflow, metric, mode, patience, min_delta, cooldown, floor
):
    settings = {"patience": patience, "min_delta": min_delta, "cooldown": cooldown, "floor": floor}
    factor = PlateauFactor(kind="plateau", metric=metric, factor=0.5, **settings)
    for values in sequences():
        callback = keras.callbacks.ReduceLROnPlateau(
            "m", factor=0.5, patience=patience, mode=mode, min_delta=min_delta, cooldown=cooldown, min_lr=floor
        )
        model = Recorder()
        callback.set_model(model)
        callback.on_train_begin()
        memory = PlateauState(float64(1.0), float64(math.inf), integer(0), integer(0))
        for epoch, state in enumerate(looks(Step(None, None, plateau=factor), start(plateau=memory), values, metric)):
            callback.on_epoch_end(epoch, {"m": values[epoch]})
            assert float(state.plateau.factor) == float(model.optimizer.learning_rate)


@pytest.mark.parametrize("rule", ["patience", "plateau"])
def test_between_ends_of_epochs_and_after_the_end_no_rule_looks(tensorflow, rule):
    memory = PatienceState(float64(1.0), integer(0), integer(0), (), ())
    if rule == "plateau":
        memory = PlateauState(float64(1.0), float64(1.0), integer(0), integer(0))
    patience = Patience(epochs=1, metric="m") if rule == "patience" else None
    plateau = PlateauFactor(kind="plateau", patience=1, metric="m") if rule == "plateau" else None
    step = Step(None, None, stop=Stop(patience=patience), plateau=plateau)
    for reason, is_epoch_end in ((0, False), (1, True)):
        state = start(step=integer(3), reason=tf.constant(reason), **{rule: memory})
        after = step.end_epoch(state, {"m": float64(5.0)}, tf.constant(is_epoch_end))
        assert tf.nest.map_structure(float, getattr(after, rule)) == tf.nest.map_structure(float, memory)
        assert int(after.reason) == reason


FIT = """
precision: float32
compile: graph
data:
  kind: values
  inputs: {x: X_VALUES}
  target: Y_VALUES
  validation: {last: 8}
model: {kind: linear, kernel: [[0.5]], bias: 0}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.4}
schedule:
  epochs: 40
  batch_size: 5
  order: sequential
  learning_rate_factor: {kind: plateau, metric: validation_loss, factor: 0.5, patience: 1, min_delta: 1e-4, cooldown: 1}
  stop: {patience: {epochs: 6, metric: validation_loss, restore_best: true, min_delta: 1e-5}}
record: {every: epoch}
"""


def test_a_real_fit_of_keras_with_both_callbacks_takes_the_same_course(lab):
    random = np.random.default_rng(2)
    x = random.normal(size=(20, 1)).astype(np.float32)
    y = (2 * x + random.normal(size=(20, 1))).astype(np.float32)
    text = FIT.replace("X_VALUES", str(x.tolist())).replace("Y_VALUES", str(y.tolist()))
    built = lab.build(text)
    rows = lab.rows(built)

    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.5))]
    )
    model.compile(keras.optimizers.SGD(0.4), "mse", jit_compile=False)
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=6, restore_best_weights=True, min_delta=1e-5),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=1e-4, cooldown=1),
    ]
    history = model.fit(
        x[:12], y[:12], batch_size=5, epochs=40, shuffle=False, verbose=0, callbacks=callbacks,
        validation_data=(x[12:], y[12:]), validation_batch_size=8,
    ).history  # fmt: skip
    epochs = len(history["loss"])
    assert 6 < epochs < 40
    assert len(set(history["learning_rate"])) > 2
    assert rows["reason"] is Reason.PATIENCE
    assert int(rows["state"].step) == 3 * epochs
    np.testing.assert_allclose(rows["loss_epoch"][1:], history["loss"], rtol=1e-6)
    np.testing.assert_allclose(rows["validation_loss"][1:], history["val_loss"], rtol=1e-6)
    # Keras logs the rate that an epoch had; a row shows the one that comes next.
    np.testing.assert_allclose(rows["learning_rate"][:-1], history["learning_rate"], rtol=1e-6)
    kernel, bias = model.get_weights()
    names = built.objective.trainable_names
    best = dict(zip(names, rows["state"].patience.parameters, strict=True))
    np.testing.assert_allclose(best["kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(best["bias"], bias, rtol=1e-6)
