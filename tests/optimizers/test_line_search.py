"""The line search, and L-BFGS and conjugate gradients on it. Oracles: the Wolfe conditions, NumPy, SciPy, NIST."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize, rosen, rosen_der

from gdrun.errors import ComponentError
from gdrun.optimizers.base import LocalObjective
from gdrun.optimizers.line_search import ConjugateDirection, LbfgsDirection, LineSearchUpdate, search


def point(loss, start):
    parameters = [tf.constant(start, tf.float64)]
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        value = loss(parameters)
    return LocalObjective(parameters, value, tape.gradient(value, parameters), tf.constant(0, tf.int64), loss)


def _more_thuente_3(a, beta=0.01, length=39):
    inner = tf.where(a <= 1 - beta, 1 - a, tf.where(a >= 1 + beta, a - 1, (a - 1) ** 2 / (2 * beta) + beta / 2))
    return inner + 2 * (1 - beta) / (length * np.pi) * tf.sin(length * np.pi / 2 * a)


# Of the functions that Moré and Thuente try their own search on.
FUNCTIONS = {
    "1": lambda a: -a / (a**2 + 2),
    "2": lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
    "3": _more_thuente_3,
    "a wall": lambda a: -a - tf.math.log(2 - a),
    "a parabola": lambda a: (a - 3) ** 2,
}


@pytest.mark.parametrize(
    ("first", "curvature"), [(1e-3, 0.9), (1e3, 0.9), *((first, 0.1) for first in (1e-3, 0.1, 10, 1e3))]
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_search_ends_where_the_strong_wolfe_conditions_hold(name, first, curvature):
    function = FUNCTIONS[name]
    start = point(lambda p: tf.reduce_sum(function(p[0])), [0.0])
    direction = tf.constant([1.0], tf.float64)
    result = search(start, direction, tf.constant(first, tf.float64), curvature=curvature)
    a = result.distance.numpy()
    end = point(start.loss_at, [a])
    slope0, slope = (float(p.gradients[0][0]) for p in (start, end))
    assert slope0 < 0 < a
    assert end.loss <= start.loss + 1e-4 * a * slope0
    assert abs(slope) <= curvature * abs(slope0)
    np.testing.assert_array_equal(result.gradient, end.gradients[0])


def test_a_distance_at_which_the_loss_is_not_finite_is_too_far():
    start = point(lambda p: tf.reduce_sum(p[0] - tf.math.log(p[0])), [10.0])
    result = search(start, tf.constant([-1.0], tf.float64), tf.constant(1e4, tf.float64), curvature=0.1)
    assert abs(10 - result.distance.numpy() - 1) < 0.2


def test_the_direction_of_lbfgs_is_that_of_the_bfgs_formula():
    random = np.random.default_rng(3)
    basis = random.normal(size=(5, 5))
    curvature = basis @ basis.T + np.eye(5)
    method = LbfgsDirection(3)
    memory = method.blank(tf.zeros([5], tf.float64))
    steps = random.normal(size=(4, 5))
    for step in steps:
        memory = method.remember(memory, *(tf.constant(value) for value in (step, step, 0 * step, curvature @ step)))
    inverse = np.eye(5) * (steps[-1] @ curvature @ steps[-1]) / np.sum((curvature @ steps[-1]) ** 2)
    for step in steps[1:]:
        change = curvature @ step
        left = np.eye(5) - np.outer(step, change) / (step @ change)
        inverse = left @ inverse @ left.T + np.outer(step, step) / (step @ change)
    gradient = random.normal(size=5)
    direction, first = method.choose(memory, tf.constant(gradient))
    np.testing.assert_allclose(direction, -inverse @ gradient, rtol=1e-12)
    assert first == 1


def test_a_pair_along_which_the_loss_curves_downwards_is_not_remembered():
    method = LbfgsDirection(2)
    memory = method.blank(tf.zeros([2], tf.float64))
    step = tf.constant([1.0, 0.0], tf.float64)
    after = method.remember(memory, step, step, step, -step)
    for one, other in zip(memory, after, strict=True):
        np.testing.assert_array_equal(one, other)


def descend(method, loss, start, steps):
    update = LineSearchUpdate(method)
    parameters = [tf.constant(start, tf.float64)]

    @tf.function(autograph=False)
    def step(state, value):
        with tf.GradientTape() as tape:
            tape.watch(value)
            current = loss([value])
        here = LocalObjective([value], current, [tape.gradient(current, value)], tf.constant(0, tf.int64), loss)
        state, (value,) = update.apply_at(state, here, None)
        return state, value

    state, value = update.initial_state(parameters), parameters[0]
    for _ in range(steps):
        before = value
        state, value = step(state, value)
        if np.array_equal(before, value) and not update.is_undecided(state):
            break
    return value.numpy(), int(state[-1])


def rosenbrock(parameters):
    x = parameters[0]
    return tf.reduce_sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize(
    ("method", "scipys", "bound"), [(LbfgsDirection(10), "L-BFGS-B", 1e-9), (ConjugateDirection(), "CG", 1e-7)]
)
def test_rosenbrocks_valley_is_walked_to_its_end_as_scipy_does(method, scipys, bound):
    """To more digits, and in no more than twice the evaluations that SciPy takes to its own end."""
    start = np.tile([-1.2, 1.0], 5)
    end, evaluations = descend(method, rosenbrock, start, 800)
    theirs = minimize(rosen, start, jac=rosen_der, method=scipys, tol=1e-10)
    assert np.abs(end - 1).max() < bound
    assert np.abs(end - 1).max() <= np.abs(theirs.x - 1).max() + 1e-12
    assert evaluations < 2 * theirs.nfev + 100  # the last searches find nothing better


@pytest.mark.parametrize("method", [LbfgsDirection(10), ConjugateDirection()])
def test_a_quadratic_ends_at_the_solution_of_its_linear_equations(method):
    random = np.random.default_rng(1)
    basis = random.normal(size=(12, 12))
    matrix, right = basis @ basis.T + np.eye(12), random.normal(size=12)
    end, _ = descend(
        method,
        lambda p: (
            0.5 * tf.tensordot(p[0], tf.linalg.matvec(matrix, p[0]), 1) - tf.tensordot(p[0], tf.constant(right), 1)
        ),
        np.zeros(12),
        300,
    )
    np.testing.assert_allclose(end, np.linalg.solve(matrix, right), rtol=1e-6)


def test_line_searches_refuse_complex_parameters():
    with pytest.raises(ComponentError, match="real parameters"):
        LineSearchUpdate(LbfgsDirection(2)).initial_state([tf.constant(1j)])


# NIST's DanWood, from its second start; certified to 11 digits.
DANWOOD = """
precision: float64
compile: graph
data:
  kind: values
  inputs: {x: [1.309, 1.471, 1.490, 1.565, 1.611, 1.680]}
  target: [2.138, 3.421, 3.597, 4.340, 4.882, 5.660]
model: {kind: formula, formula: b1*x**b2, parameters: {b1: 0.7, b2: 4}}
loss: sse
optimizer: lbfgs
schedule: {steps: 300, stop: {parameters_unchanged: true}}
"""


@pytest.mark.parametrize(("optimizer", "compile"), [("lbfgs", "graph"), ("cg", "graph"), ("lbfgs", "xla")])
def test_nists_fit_of_danwood_is_found(lab, optimizer, compile):
    rows = lab.rows(lab.build(DANWOOD, [f"optimizer={optimizer}", f"compile={compile}"]))
    assert abs(rows["parameters.b1"][-1] / 7.6886226176e-1 - 1) < 1e-7
    assert abs(rows["parameters.b2"][-1] / 3.8604055871 - 1) < 1e-7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule.batch_size=2", "lbfgs compares the loss before and after each step"),
        ("schedule.learning_rate_factor=cosine", "lbfgs has no learning rate"),
        ("optimizer={kind: lbfgs, memory: 51}", "must be at most 50"),
        ("optimizer={kind: lbfgs, learning_rate: 1}", "unknown key 'learning_rate'"),
    ],
)
def test_settings_that_a_line_search_cannot_work_with_are_refused(lab, override, message):
    assert message in lab.refused(DANWOOD, [override]).message
