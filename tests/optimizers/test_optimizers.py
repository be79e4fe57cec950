"""Optimizers as functions. The oracle is eager Keras: `apply_gradients` on variables."""

import inspect
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import ComponentError
from gdrun.optimizers.base import LocalObjective
from gdrun.optimizers.combined import CombinedUpdate, GroupUpdate
from gdrun.optimizers.functional_keras import KerasUpdate
from gdrun.optimizers.keras import NOT_IN_LANES
from tests.optimizers.family import KERAS, keras_update

NUM_STEPS = 20
NUM_STEPS_OF_VARIANTS = 12
"""A multiple of the periods of averaging and accumulation below."""
LEARNING_RATE = 0.05
NAMES = ("scale", "dense.kernel")
STARTS = (1.3, [[0.3, -0.7], [0.5, 1.2], [2.0, 3.0]])

# What every Keras optimizer has, by the defaults that the config's optimizers inherit.
COMMON = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
KNOWN_SETTINGS = {
    "sgd": {"momentum": 0.0, "nesterov": False},
    "adam": {**ADAM, "amsgrad": False},
    "adamw": {**ADAM, "amsgrad": False, "weight_decay": 0.004},
    "adamax": ADAM,
    "nadam": ADAM,
    "lamb": ADAM,
    "rmsprop": {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    "adagrad": {"initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "adadelta": {"rho": 0.95, "epsilon": 1e-7},
    "adafactor": {
        "beta_2_decay": -0.8,
        "epsilon_1": 1e-30,
        "epsilon_2": 1e-3,
        "clip_threshold": 1.0,
        "relative_step": True,
    },
    "ftrl": {
        "learning_rate_power": -0.5,
        "initial_accumulator_value": 0.1,
        "l1_regularization_strength": 0.0,
        "l2_regularization_strength": 0.0,
        "l2_shrinkage_regularization_strength": 0.0,
        "beta": 0.0,
    },
    "lion": {"beta_1": 0.9, "beta_2": 0.99},
    "schedule_free_adamw": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "warmup_steps": 0},
    "muon": {
        "adam_beta_1": 0.9,
        "adam_beta_2": 0.999,
        "adam_weight_decay": 0.004,
        "epsilon": 1e-7,
        "weight_decay": 0.004,
        "exclude_layers": None,
        "exclude_embeddings": True,
        "muon_a": 3.4445,
        "muon_b": -4.7750,
        "muon_c": 2.0315,
        "adam_lr_ratio": 1,
        "momentum": 0.95,
        "ns_steps": 5,
        "nesterov": True,
        "rms_rate": 0.2,
    },
}

AVERAGED = {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 4}
# Settings of one optimizer's own, and of all, as they are worth comparing with Keras.
VARIANTS = [
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.01, "clipnorm": 0.5}),
    ("sgd", {"use_ema": True, "ema_momentum": 0.9}),
    ("sgd", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3, "gradient_accumulation_steps": 2}),
    ("sgd", {"loss_scale_factor": 3.0}),
    ("adam", {"amsgrad": True, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
    ("adam", {"weight_decay": 0.02, "global_clipnorm": 0.5}),
    ("rmsprop", {"momentum": 0.9, "centered": True}),
    ("adadelta", {"rho": 0.5}),
    ("adagrad", {"initial_accumulator_value": 0.0}),
    ("adafactor", {"relative_step": False, "clip_threshold": 0.5}),
    (
        "ftrl",
        {
            "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.03,
            "beta": 0.1,
        },
    ),
    ("muon", {"nesterov": False, "rms_rate": None}),
    ("muon", {"exclude_layers": ["^dense"], "adam_lr_ratio": 0.5}),
    ("schedule_free_adamw", {"warmup_steps": 7, "weight_decay": 0.01}),
    ("lamb", {"global_clipnorm": 0.4, "gradient_accumulation_steps": 3}),
    *((name, {"clipvalue": 0.1, "weight_decay": 0.01, "gradient_accumulation_steps": 3, **AVERAGED}) for name in KERAS),
]
CASES = [
    *((name, {}, dtype) for name in KERAS for dtype in ("float32", "float64")),
    *((name, settings, ("float32", "float64")[i % 2]) for i, (name, settings) in enumerate(VARIANTS)),
]


def case_id(case):
    name, settings, dtype = case
    return "-".join([name, dtype, *(f"{k}={v}" for k, v in settings.items())])


def keras_settings(name):
    """Return the settings of a Keras optimizer with their defaults, as its constructor declares them."""
    parameters = inspect.signature(KERAS[name].keras_class().__init__).parameters
    not_settings = ("self", "learning_rate", "name", "args", "kwargs")
    return {key: parameter.default for key, parameter in parameters.items() if key not in not_settings}


def keras_learning_rate(name):
    return inspect.signature(KERAS[name].keras_class().__init__).parameters["learning_rate"].default


@pytest.fixture(autouse=True, scope="module")
def digits_of_eager():
    """Grappler's meta optimizer changes the order of operations: off while a graph is compared bit for bit."""
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


def starts(dtype):
    return tuple(tf.constant(value, dtype) for value in STARTS)


def disturbances(dtype):
    """Return a fixed noise of the gradients, (NUM_STEPS, ...) for each parameter."""
    random = np.random.default_rng(7)
    return [tf.constant(random.normal(size=(NUM_STEPS, *np.shape(value))), dtype) for value in STARTS]


def gradients(parameters, noise, step):
    """Gradients of a noisy bowl: of the plainest operations, so that any compilation gives the same digits."""
    return [p * 0.5 + n[step] for p, n in zip(parameters, noise, strict=True)]


def frozen(settings):
    return tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in settings.items())


@cache
def by_keras(name, settings, dtype, num_steps=NUM_STEPS):
    """Return the parameters after eager steps of Keras, and after finalize_variable_values; settings are pairs."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        optimizer = KERAS[name].keras_class()(LEARNING_RATE, **dict(settings))
        variables = [keras.Variable(v, dtype=dtype, name=n) for v, n in zip(STARTS, NAMES, strict=True)]
        noise = disturbances(dtype)
        for step in range(num_steps):
            grads = gradients([v.value for v in variables], noise, step)
            optimizer.apply_gradients(zip(grads, variables, strict=True))
        trained = [v.numpy() for v in variables]
        optimizer.finalize_variable_values(variables)
        return trained, [v.numpy() for v in variables]
    finally:
        keras.config.set_floatx(before)


def train(optimizer, dtype, num_steps=NUM_STEPS):
    """Return the state and parameters as tensors, by a loop in the graph that calls this."""
    noise = disturbances(dtype)
    rate = tf.constant(LEARNING_RATE, dtype)

    def body(step, state, parameters):
        return step + 1, *optimizer.apply(state, gradients(parameters, noise, step), parameters, rate)

    parameters = starts(dtype)
    state = optimizer.initial_state(parameters)
    _, state, parameters = tf.while_loop(lambda step, *_: step < num_steps, body, (0, state, parameters))
    return state, parameters


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_graph_has_the_digits_of_eager_keras(case):
    name, settings, dtype = case
    optimizer = keras_update(name, settings=settings, parameter_names=NAMES)
    num_steps = NUM_STEPS_OF_VARIANTS if settings else NUM_STEPS
    state, parameters = tf.function(lambda: train(optimizer, dtype, num_steps), autograph=False)()
    trained, finalized = by_keras(name, frozen(settings), dtype, num_steps)
    for ours, theirs in zip(parameters, trained, strict=True):
        assert np.isfinite(theirs).all()
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(optimizer.finalize(state, parameters), finalized, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", KERAS)
def test_xla_agrees_with_eager_keras_to_a_hundred_thousandth(name):
    optimizer = keras_update(name, parameter_names=NAMES)
    _, parameters = tf.function(lambda: train(optimizer, "float32"), jit_compile=True, autograph=False)()
    for ours, theirs in zip(parameters, by_keras(name, (), "float32")[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_eager_steps_have_the_digits_of_eager_keras():
    optimizer = keras_update("adam", parameter_names=NAMES)
    parameters, noise = starts("float32"), disturbances("float32")
    state = optimizer.initial_state(parameters)
    for step in range(NUM_STEPS):
        state, parameters = optimizer.apply(state, gradients(parameters, noise, step), parameters, LEARNING_RATE)
    for ours, theirs in zip(parameters, by_keras("adam", (), "float32")[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_table_has_every_optimizer_of_keras():
    """A new Keras optimizer fails here until it is in the table, or among the wrappers that are not updates."""
    wrappers = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}
    classes = {
        name
        for name, value in vars(keras.optimizers).items()
        if inspect.isclass(value) and issubclass(value, keras.optimizers.Optimizer)
    }
    assert classes - wrappers == {kind.keras_class().__name__ for kind in KERAS.values()}


@pytest.mark.parametrize("name", KERAS)
def test_keras_declares_the_settings_and_defaults_that_we_know(name):
    assert keras_settings(name) == {**COMMON, **KNOWN_SETTINGS[name]}
    assert isinstance(keras_learning_rate(name), float)


def test_the_config_declares_keras_settings_and_defaults():
    """But for what Muon asks of layers: parameters have their own names here."""
    left_out = {"exclude_layers", "exclude_embeddings"}
    for name, section in KERAS.items():
        ours = ("kind", "groups", "project")
        declared = {key: field.default for key, field in section.model_fields.items() if key not in ours}
        expected = {"learning_rate": keras_learning_rate(name), **keras_settings(name)}
        assert {k: v for k, v in expected.items() if k not in left_out} == declared, name


@pytest.mark.parametrize("name", KERAS)
def test_every_number_of_keras_may_differ_between_lanes_but_for_those_that_say_why(name):
    numbers = {key for key, default in keras_settings(name).items() if type(default) in (int, float, type(None))}
    assert KERAS[name].lane_settings() == numbers - NOT_IN_LANES.keys() - {"exclude_layers"}


@pytest.mark.parametrize("name", KERAS)
def test_keras_keeps_each_lane_setting_in_an_attribute_of_its_name(name):
    """Lanes set the attribute after construction."""
    optimizer = KERAS[name].keras_class()()
    for setting in KERAS[name].lane_settings():
        assert getattr(optimizer, setting) == keras_settings(name)[setting], setting


@pytest.mark.parametrize("name", KERAS)
def test_the_iteration_count_is_kept_exactly_where_the_update_reads_it(name):
    reads = "self.iterations" in inspect.getsource(KERAS[name].keras_class())
    if name == "adamw":
        reads = True  # by inheritance from Adam
    optimizer = keras_update(name)
    optimizer.initial_state(starts("float32"))
    assert ("iterations" in optimizer.state_names) == reads


def test_plain_gradient_descent_costs_two_operations_a_parameter():
    optimizer = keras_update("sgd")
    parameters = (tf.constant(1.0), tf.constant(2.0))
    assert optimizer.initial_state(parameters) == ()
    step = tf.function(lambda g, p, lr: optimizer.apply((), g, p, lr), autograph=False)
    graph = step.get_concrete_function(parameters, parameters, tf.constant(0.1)).graph
    work = sorted(op.type for op in graph.get_operations() if op.type not in ("Placeholder", "Identity"))
    assert work == ["Mul", "Mul", "Sub", "Sub"]


@pytest.mark.parametrize("name", KERAS)
def test_no_variable_is_made(name):
    def creator(next_creator, **kwargs):
        raise AssertionError("a variable")

    optimizer = keras_update(name, parameter_names=NAMES)
    with tf.variable_creator_scope(creator):
        # The inner scope that replaces variables by tensors is asked first; what passes it ends here.
        state = optimizer.initial_state(starts("float32"))
        optimizer.apply(state, starts("float32"), starts("float32"), 0.1)
    assert all(isinstance(tensor, tf.Tensor) for tensor in state)


@pytest.mark.parametrize("name", KERAS)
def test_state_names_are_unique_one_a_tensor_and_the_same_each_time(name):
    names = set()
    for _ in range(2):
        optimizer = keras_update(name, settings={"use_ema": True}, parameter_names=NAMES)
        state = optimizer.initial_state(starts("float32"))
        assert len(set(optimizer.state_names)) == len(state) == len(optimizer.state_names)
        names.add(optimizer.state_names)
    assert len(names) == 1


def test_apply_needs_no_initial_state_before_it():
    """A resumed run has its state from a checkpoint."""
    parameters = starts("float32")
    state = keras_update("nadam").initial_state(parameters)
    fresh, used = keras_update("nadam"), keras_update("nadam")
    used.initial_state(parameters)
    for ours, theirs in zip(
        tf.nest.flatten(fresh.apply(state, parameters, parameters, 0.1)),
        tf.nest.flatten(used.apply(state, parameters, parameters, 0.1)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert fresh.state_names == used.state_names


def test_the_learning_rate_is_taken_in_the_parameters_precision():
    """5e-5 in float32 is 4.9999998736893758e-05; in float64 parameters that would show."""
    optimizer = keras_update("sgd")
    _, (parameter,) = optimizer.apply(
        (), [tf.constant(1.0, tf.float64)], [tf.constant(0.0, tf.float64)], np.float64(5e-5)
    )
    assert parameter.numpy() == -5e-5


def test_a_parameter_without_gradient_stays_as_it_is():
    optimizer = keras_update("adamw")
    parameters = (tf.constant(1.0), tf.constant(2.0))
    state = optimizer.initial_state(parameters)
    _, (first, second) = optimizer.apply(state, [None, tf.constant(1.0)], parameters, 0.1)
    assert first.numpy() == 1.0
    assert second.numpy() < 2.0


def test_muon_leaves_embeddings_to_adam_by_name():
    parameters = (tf.ones((3, 2)), tf.ones((3, 2)))
    optimizer = keras_update("muon", parameter_names=("dense.kernel", "embedding.table"))
    optimizer.initial_state(parameters)
    velocities = [name for name in optimizer.state_names if "velocity" in name]
    assert velocities == ["embedding.table_velocity"]


def test_complex_parameters_descend():
    optimizer = keras_update("sgd")
    parameters = (tf.constant(1 + 2j, tf.complex64),)
    _, (moved,) = optimizer.apply(optimizer.initial_state(parameters), parameters, parameters, tf.constant(0.5))
    assert moved.numpy() == 0.5 + 1j


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("adamw", {"weight_decay": None}),
        ("sgd", {"momentum": 2.0}),
        ("sgd", {"clipnorm": 1.0, "clipvalue": 1.0}),
        ("adam", {"beta1": 0.9}),
        ("adam", {"gradient_accumulation_steps": 1}),
    ],
)
def test_what_keras_refuses_is_a_component_error(name, settings):
    with pytest.raises(ComponentError, match=KERAS[name].keras_class().__name__):
        keras_update(name, settings=settings)


def test_an_integer_does_for_a_float():
    assert keras_update("sgd", settings={"momentum": 0}).initial_state(starts("float32")) == ()


def test_an_optimizer_class_of_ones_own_runs():
    """Even one that uses Keras's interface in its plainest way."""

    class Sign(keras.optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(
                variable, keras.ops.sign(gradient) * learning_rate / keras.ops.cast(self.iterations + 1, "float32")
            )

    optimizer = KerasUpdate(Sign)
    parameters = (tf.constant(1.0),)
    state = optimizer.initial_state(parameters)
    for _ in range(3):
        state, parameters = optimizer.apply(state, [tf.constant(-7.0)], parameters, 0.6)
    assert parameters[0].numpy() == pytest.approx(1 + 0.6 + 0.3 + 0.2)


def combined(*groups):
    """Return the update of groups (indices, update)."""
    return CombinedUpdate([GroupUpdate(indices, update) for indices, update in groups], "abc", None)


def apply_combined(update, state, gradients, parameters, rate):
    step = tf.constant(0, tf.int64)
    return update.apply_at(state, LocalObjective(parameters, tf.constant(0.0), gradients, step, None, epoch=step), rate)


class TestCombined:
    def test_each_group_moves_as_its_optimizer_alone_would(self):
        groups = [((0,), keras_update("adam")), ((1,), keras_update("sgd", settings={"use_ema": True}))]
        both = combined(*groups)
        parameters, noise = starts("float32"), disturbances("float32")
        parameters, noise = (*parameters, tf.ones(2)), (*noise, tf.ones((NUM_STEPS, 2)))
        state = both.initial_state(parameters)
        alone = [keras_update("adam"), keras_update("sgd", settings={"use_ema": True})]
        rates = (tf.constant(0.1), tf.constant(0.01))
        parts = [
            (optimizer.initial_state([parameters[i] for i in indices]), tuple(parameters[i] for i in indices))
            for (indices, _), optimizer in zip(groups, alone, strict=True)
        ]
        for step in range(5):
            grads = gradients(parameters, noise, step)
            state, parameters = apply_combined(both, state, grads, parameters, tf.stack(rates))
            parts = [
                optimizer.apply(own, [grads[i] for i in indices], mine, rate)
                for (indices, _), optimizer, (own, mine), rate in zip(groups, alone, parts, rates, strict=True)
            ]
        for (indices, _), (_, mine) in zip(groups, parts, strict=True):
            for i, parameter in zip(indices, mine, strict=True):
                np.testing.assert_array_equal(parameters[i], parameter)
        np.testing.assert_array_equal(parameters[2], [1, 1])  # in no group
        reported = both.finalize(state, parameters)
        np.testing.assert_array_equal(reported[1], alone[1].finalize(*parts[1])[0])
        np.testing.assert_array_equal(reported[0], parameters[0])
        assert len(set(both.state_names)) == len(state)

    def test_one_rate_serves_all_groups_and_a_vector_has_one_each(self):
        both = combined(((0,), keras_update("sgd")), ((1,), keras_update("sgd")))
        parameters = (tf.constant(1.0), tf.constant(1.0))
        _, same = apply_combined(both, (), parameters, parameters, tf.constant(0.5))
        _, each = apply_combined(both, (), parameters, parameters, tf.constant([0.5, 0.25]))
        assert [p.numpy() for p in same] == [0.5, 0.5]
        assert [p.numpy() for p in each] == [0.5, 0.75]

    def test_apply_needs_no_initial_state_before_it(self):
        def make():
            return combined(((1,), keras_update("adam")), ((0,), keras_update("rmsprop")))

        parameters = (tf.constant(1.0), tf.constant(1.0))
        state = make().initial_state(parameters)
        used = make()
        used.initial_state(parameters)
        expected = apply_combined(used, state, parameters, parameters, 0.1)
        fresh = apply_combined(make(), state, parameters, parameters, 0.1)
        for ours, theirs in zip(tf.nest.flatten(fresh), tf.nest.flatten(expected), strict=True):
            np.testing.assert_array_equal(ours, theirs)
