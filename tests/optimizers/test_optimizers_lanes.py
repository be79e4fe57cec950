"""Optimizers under tf.vectorized_map: each lane is the run it would be alone."""

import numpy as np
import pytest
import tensorflow as tf

from gdrun.optimizers.hyperparameter import Hyperparameter
from tests.optimizers.family import KERAS, keras_update

NUM_STEPS = 12
NAMES = ("scale", "dense.kernel")
STARTS = (1.3, [[0.3, -0.7], [0.5, 1.2], [2.0, 3.0]])

# Three values a lane for every setting that can be a tensor; None among the defaults means off, so all are on here.
VALUES = {
    "weight_decay": (0.01, 0.1, 0.5),
    "clipnorm": (0.1, 0.5, 50.0),
    "clipvalue": (0.05, 0.5, 50.0),
    "global_clipnorm": (0.1, 0.5, 50.0),
    "ema_momentum": (0.5, 0.9, 0.99),
    "momentum": (0.1, 0.5, 0.95),
    "beta_1": (0.1, 0.5, 0.9),
    "beta_2": (0.5, 0.9, 0.999),
    "adam_beta_1": (0.1, 0.5, 0.9),
    "adam_beta_2": (0.5, 0.9, 0.999),
    "adam_weight_decay": (0.01, 0.1, 0.5),
    "adam_lr_ratio": (0.1, 0.5, 2.0),
    "rho": (0.1, 0.5, 0.95),
    "epsilon": (1e-7, 1e-3, 0.1),
    "epsilon_1": (1e-30, 1e-7, 1e-3),
    "epsilon_2": (1e-3, 1e-2, 0.1),
    "clip_threshold": (0.1, 1.0, 2.0),
    "beta_2_decay": (-0.9, -0.8, -0.5),
    "initial_accumulator_value": (0.01, 0.1, 1.0),
    "learning_rate_power": (-0.6, -0.5, -0.4),
    "l1_regularization_strength": (0.001, 0.01, 0.1),
    "l2_regularization_strength": (0.001, 0.01, 0.1),
    "l2_shrinkage_regularization_strength": (0.001, 0.01, 0.1),
    "beta": (0.1, 0.5, 1.0),
    "warmup_steps": (2, 5, 20),
    "muon_a": (3.0, 3.4, 3.5),
    "muon_b": (-5.0, -4.8, -4.7),
    "muon_c": (2.0, 2.03, 2.1),
    "rms_rate": (0.1, 0.2, 0.3),
}
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
CLIP_OF = {name: CLIPS[i % 3] for i, name in enumerate(KERAS)} | {"ftrl": "clipnorm", "lamb": "global_clipnorm"}
"""Clips exclude each other: one a kind."""


@pytest.fixture(autouse=True, scope="module")
def digits_of_eager():
    """Grappler's meta optimizer changes the order of operations: off while graphs are compared bit for bit."""
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


def starts(dtype="float32"):
    return tuple(tf.constant(value, dtype) for value in STARTS)


def noise(dtype):
    random = np.random.default_rng(3)
    return [tf.constant(random.normal(size=(NUM_STEPS, *np.shape(value))), dtype) for value in STARTS]


def descend(initial_state, apply, dtype, jit_compile=False):
    """Return a loop in the graph, (rate, parameters) -> parameters after NUM_STEPS: traced once, at its first call.

    The functions are of one run, or of all lanes; then there is one rate a lane.
    """
    disturbances = noise(dtype)

    @tf.function(autograph=False, jit_compile=jit_compile)
    def loop(rate, parameters):
        def body(step, state, parameters):
            return step + 1, *apply(state, parameters, [n[step] for n in disturbances], rate)

        variables = (0, initial_state(parameters), parameters)
        return tf.while_loop(lambda step, *_: step < NUM_STEPS, body, variables)[2]

    return loop


def alone(optimizer, dtype="float32"):
    """Return the loop of one run."""

    def apply(state, parameters, disturbances, rate):
        gradients = [p * 0.5 + n for p, n in zip(parameters, disturbances, strict=True)]
        return optimizer.apply(state, gradients, parameters, rate)

    return descend(optimizer.initial_state, apply, dtype)


def in_lanes(make, lanes, dtype="float32", jit_compile=False):
    """Return the loop of stacked lanes. `make(values)` gives the optimizer of the lane that has these values."""

    def apply(state, parameters, disturbances, rates):
        def lane(arguments):
            values, rate, state, parameters = arguments
            gradients = [p * 0.5 + n for p, n in zip(parameters, disturbances, strict=True)]
            return make(values).apply(state, gradients, parameters, rate)

        return tf.vectorized_map(lane, (lanes, rates, state, parameters))

    def initial_state(parameters):
        return tf.vectorized_map(lambda arguments: make(arguments[0]).initial_state(arguments[1]), (lanes, parameters))

    return descend(initial_state, apply, dtype, jit_compile)


def stacked(parameters, num_lanes):
    return tuple(tf.stack([p] * num_lanes) for p in parameters)


def tolerance(name, dtype):
    """Zero, but for the kinds that call pow on tensors: a vector of them differs from single ones in the last bit."""
    if name not in ("ftrl", "lamb"):
        return 0
    return 5e-6 if dtype == "float32" else 1e-14


@pytest.mark.parametrize(("dtype", "compared"), [("float32", (0, 2)), ("float64", (1,))])
@pytest.mark.parametrize("name", KERAS)
def test_lanes_with_rates_and_settings_of_their_own_equal_single_runs(name, dtype, compared):
    """Every setting that can be a tensor is one, at once; of the clips, which exclude each other, one a kind."""
    clip = CLIP_OF[name]
    swept = sorted(setting for setting in KERAS[name].lane_settings() if setting not in CLIPS or setting == clip)
    on = {"use_ema": True, "ema_overwrite_frequency": 3}
    lanes = {setting: tf.constant(VALUES[setting], tf.float64) for setting in swept}
    rates = tf.constant([1e-4, 0.05, 0.5], dtype)

    def of_lane(values):
        return keras_update(name, settings=on, per_lane=values, parameter_names=NAMES)

    together = in_lanes(of_lane, lanes, dtype)(rates, stacked(starts(dtype), 3))
    for lane in compared:
        settings = {**on, **{setting: VALUES[setting][lane] for setting in swept}}
        optimizer = keras_update(name, settings=settings, parameter_names=NAMES)
        single = alone(optimizer, dtype)(rates[lane], starts(dtype))
        for many, one in zip(together, single, strict=True):
            assert np.isfinite(one).all()
            np.testing.assert_allclose(many[lane], one, rtol=tolerance(name, dtype))


def test_the_values_above_are_for_every_lane_setting_and_differ():
    assert {setting for name in KERAS for setting in KERAS[name].lane_settings()} == set(VALUES)
    assert all(len(set(values)) == 3 for values in VALUES.values())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *(("sgd", {clip: 0.5}) for clip in CLIPS),
        *((name, {CLIPS[i % 3]: 0.5} if i % 4 else {}) for i, name in enumerate(KERAS)),
    ],
    ids=str,
)
def test_a_lane_that_is_not_finite_changes_no_bit_of_its_neighbours(name, settings):
    settings = {**settings, "use_ema": True, "ema_overwrite_frequency": 2}

    def make(_):
        return keras_update(name, settings=settings, parameter_names=NAMES)

    rates = tf.constant([0.01, 0.05, 0.1])
    healthy = stacked(starts(), 3)
    sick = tuple(tf.concat([p[:1], p[1:2] * np.nan, p[2:]], 0) for p in healthy)
    loop = in_lanes(make, rates)
    with_neighbour, without = loop(rates, sick), loop(rates, healthy)
    for sick_lanes, healthy_lanes in zip(with_neighbour, without, strict=True):
        for lane in (0, 2):
            np.testing.assert_array_equal(sick_lanes[lane], healthy_lanes[lane])
        assert np.isnan(sick_lanes[1]).all()


def test_xla_runs_lanes_with_settings_of_their_own():
    lanes = {"beta_2": tf.constant([0.5, 0.9, 0.999], tf.float64), "clipnorm": tf.constant([0.1, 1, 10], tf.float64)}
    rates = tf.constant([0.01, 0.1, 0.2])

    def of_lane(values):
        return keras_update("adam", per_lane=values)

    together = in_lanes(of_lane, lanes, jit_compile=True)(rates, stacked(starts(), 3))
    for lane, (beta_2, clipnorm) in enumerate([(0.5, 0.1), (0.9, 1.0), (0.999, 10.0)]):
        settings = {"beta_2": beta_2, "clipnorm": clipnorm}
        single = alone(keras_update("adam", settings=settings))(rates[lane], starts())
        for many, one in zip(together, single, strict=True):
            np.testing.assert_allclose(many[lane], one, rtol=1e-5, atol=1e-6)


class TestHyperparameter:
    """A tensor that passes for a float."""

    @pytest.fixture
    def value(self):
        return Hyperparameter(tf.constant(0.999, tf.float64))

    def test_arithmetic_with_numbers_has_the_digits_of_float64(self, value):
        results = [
            1 - value,
            value - 1,
            2 * value,
            value / 3,
            3 / value,
            value**2,
            2**value,
            -value,
            1 + value,
            abs(-value),
        ]
        x = 0.999
        expected = [1 - x, x - 1, 2 * x, x / 3, 3 / x, x**2, 2**x, -x, 1 + x, x]
        assert [r.tensor.numpy() for r in results] == pytest.approx(expected, rel=1e-16)
        assert all(isinstance(r, Hyperparameter) for r in results)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_with_a_tensor_it_is_rounded_to_the_tensors_dtype_as_a_float_is(self, value, dtype):
        @tf.function(autograph=False)
        def both(t):
            return (t * value, value * t, t - value, 1 / value + t), (t * 0.999, 0.999 * t, t - 0.999, 1 / 0.999 + t)

        ours, theirs = both(tf.constant(7.0, dtype))
        assert [t.numpy() for t in ours] == [t.numpy() for t in theirs]
        assert {t.dtype.name for t in ours} == {dtype}

    def test_it_counts_as_switched_on(self, value):
        assert value
        assert value > 0
        assert value != 0
        assert not value < 0
        assert not value == 0  # noqa: SIM201
        assert isinstance(value, float)

    def test_code_that_looks_past_the_tensor_gets_nan(self, value):
        assert np.isnan(float(value))
