"""Least squares in loops, and the methods of second order that stand on them."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import ComponentError
from gdrun.optimizers.base import LocalObjective
from gdrun.optimizers.least_squares import factor, solve
from gdrun.optimizers.levenberg_marquardt import LevenbergMarquardtUpdate
from gdrun.optimizers.newton import MOST_PARAMETERS, FullStepUpdate, gauss_newton_step, newton_step

X = np.array([0.3, -1.2, 2.0])


def newton(damping=0.0):
    return FullStepUpdate(partial(newton_step, damping=damping))


def gauss_newton(damping=0.0):
    return FullStepUpdate(partial(gauss_newton_step, damping=damping))


def tensor(value):
    return tf.constant(value, tf.float64)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_least_squares_are_numpys(jit_compile):
    random = np.random.default_rng(0)
    # Columns that are nearly parallel: condition 1e7, where normal equations would keep two digits.
    base = random.normal(size=(9, 1))
    matrix = np.concatenate([base, base + 1e-7 * random.normal(size=(9, 1)), random.normal(size=(9, 2))], axis=1)
    exact = np.array([1.0, -2.0, 3.0, 0.5])
    right = matrix @ exact
    solved = tf.function(lambda a, b: solve(factor(a), b), autograph=False, jit_compile=jit_compile)
    np.testing.assert_allclose(solved(tensor(matrix), tensor(right)), exact, rtol=1e-7)
    q, r = factor(tensor(matrix))
    np.testing.assert_allclose(q @ r, matrix, rtol=1e-14)
    np.testing.assert_array_equal(r, np.triu(r))


def test_a_short_right_hand_side_is_zero_beyond_its_end():
    matrix = np.vstack([np.eye(2), 2 * np.eye(2)])
    np.testing.assert_allclose(solve(factor(tensor(matrix)), tensor([5.0, 10.0])), [1.0, 2.0])


def test_what_cannot_be_solved_is_nan():
    got = solve(factor(tensor([[1.0, 0.0], [0.0, 0.0]])), tensor([1.0, 1.0]))
    assert np.isnan(got).any()


def point(loss, parameters, residuals=None):
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        value = loss(parameters)
    gradients = tape.gradient(value, parameters)
    return LocalObjective(parameters, value, gradients, tf.constant(0, tf.int64), loss, residuals)


def test_newton_solves_a_coupled_quadratic_over_several_parameters_in_one_step():
    def loss(p):
        return (p[0] - 1) ** 2 + tf.reduce_sum((p[1] - p[0] * tensor([1.0, 2.0])) ** 2)

    _, moved = newton().apply_at((), point(loss, [tensor(9.0), tensor([-3.0, 4.0])]), tensor(1.0))
    np.testing.assert_allclose(moved[0], 1.0, rtol=1e-14)
    np.testing.assert_allclose(moved[1], [1.0, 2.0], rtol=1e-14)


def test_newtons_damping_and_rate_are_those_of_its_formula():
    _, moved = newton(damping=2.0).apply_at((), point(lambda p: 3 * p[0] ** 2, [tensor(1.0)]), tensor(0.5))
    np.testing.assert_allclose(moved[0], 1 - 0.5 * 6 / (6 + 2))


def line(p):
    """Residuals of p0 + p1 * t against t**2."""
    t = np.linspace(0, 1, 6)
    return p[0] + p[1] * tensor(t) - tensor(t**2)


def squares(p):
    return tf.reduce_sum(line(p) ** 2)


def test_gauss_newton_solves_a_linear_fit_in_one_step():
    _, moved = gauss_newton().apply_at((), point(squares, [tensor(5.0), tensor(-7.0)], line), tensor(1.0))
    t = np.linspace(0, 1, 6)
    np.testing.assert_allclose(moved[::-1], np.polyfit(t, t**2, 1), rtol=1e-12)


def test_gauss_newtons_damping_is_a_ridge():
    _, moved = gauss_newton(damping=0.3).apply_at((), point(squares, [tensor(5.0), tensor(-7.0)], line), tensor(1.0))
    j, r = np.stack([np.ones(6), np.linspace(0, 1, 6)], 1), line([5.0, -7.0]).numpy()
    wanted = np.array([5.0, -7.0]) - np.linalg.solve(j.T @ j + 0.3 * np.eye(2), j.T @ r)
    np.testing.assert_allclose(moved, wanted, rtol=1e-12)


def test_gauss_newton_refuses_fewer_residuals_than_parameters():
    def one(p):
        return tf.reshape(p[0] + p[1], [1])

    with pytest.raises(ComponentError, match="1 residuals do not determine 2"):
        gauss_newton().apply_at((), point(lambda p: (p[0] + p[1]) ** 2, [tensor(5.0), tensor(-7.0)], one), tensor(1.0))


def descend(residuals, start, num_steps, **settings):
    """Return the parameters after every update, and after how many the method had come to rest."""
    method = LevenbergMarquardtUpdate(**settings)
    parameters = [tensor(start)]
    state, trace = method.initial_state(parameters), [np.array(start)]

    @tf.function(autograph=False)
    def update(state, parameters):
        loss = lambda p: tf.reduce_sum(residuals(p) ** 2)  # noqa: E731
        return method.apply_at(state, point(loss, parameters, residuals), tensor(1.0))

    for _ in range(num_steps):
        state, parameters = update(state, parameters)
        trace.append(parameters[0].numpy())
        if np.array_equal(trace[-1], trace[-2]) and not method.is_undecided(state):
            break
    return np.array(trace)


def rosenbrock(p):
    return tf.stack([10.0 * (p[0][1] - p[0][0] ** 2), 1.0 - p[0][0]])


def test_levenberg_marquardt_comes_to_rest_at_rosenbrocks_minimum():
    trace = descend(rosenbrock, [-1.2, 1.0], 200)
    assert len(trace) < 200
    np.testing.assert_array_equal(trace[-1], [1.0, 1.0])


def test_without_acceleration_its_steps_are_those_of_marquardt():
    """The first steps against an independent loop: damping, scales, and what a rejection does."""
    trace = descend(rosenbrock, [-1.2, 1.0], 12, acceleration=0.0)

    def r(b):
        return np.array([10 * (b[1] - b[0] ** 2), 1 - b[0]])

    b, mu, nu, scale = np.array([-1.2, 1.0]), 0.01, 2.0, np.zeros(2)
    rejected = 0
    for got in trace[1:]:
        j = np.array([[-20 * b[0], 10.0], [-1.0, 0.0]])
        scale = np.maximum(scale, np.linalg.norm(j, axis=0))
        step = -np.linalg.solve(j.T @ j + mu * np.diag(scale**2), j.T @ r(b))
        gain = r(b) @ r(b) - r(b + step) @ r(b + step)
        foreseen = (j @ step) @ (j @ step) + 2 * mu * (scale * step) @ (scale * step)
        if gain > 0:
            b, mu, nu = b + step, mu * max(1 / 3, 1 - (2 * gain / foreseen - 1) ** 3), 2.0
        else:
            mu, nu, rejected = mu * nu, 2 * nu, rejected + 1
        np.testing.assert_allclose(got, b, rtol=1e-9)
    assert rejected > 0, "the test is to see a rejection, too"


def test_a_rejected_trial_is_undecided_and_not_a_fixed_point():
    method = LevenbergMarquardtUpdate(initial_damping=1e-8, acceleration=0.0)
    here = [tensor([-1.2, 1.0])]
    at = point(lambda p: tf.reduce_sum(rosenbrock(p) ** 2), here, rosenbrock)
    state, moved = method.apply_at(method.initial_state(here), at, tensor(1.0))
    np.testing.assert_array_equal(moved[0], here[0])
    assert method.is_undecided(state)


def test_the_scale_of_a_parameter_does_not_change_its_path():
    def stretched(p):
        return rosenbrock([p[0] * tensor([1.0, 1024.0])])

    plain, other = descend(rosenbrock, [-1.2, 1.0], 10), descend(stretched, [-1.2, 1.0 / 1024], 10)
    np.testing.assert_allclose(other * [1.0, 1024.0], plain, rtol=1e-9)


def test_a_parameter_without_influence_stays_where_it_is():
    trace = descend(lambda p: p[0][:1] - 3.0, [0.0, 7.0], 50)
    np.testing.assert_allclose(trace[-1], [3.0, 7.0], rtol=1e-15)


def test_a_trial_where_the_model_is_not_finite_is_rejected():
    trace = descend(lambda p: tf.math.log(p[0]) + 5.0, [1.0], 100, acceleration=0.0)
    assert np.all(np.isfinite(trace))
    np.testing.assert_allclose(trace[-1], np.exp(-5.0), rtol=1e-12)


def test_every_lane_is_the_fit_it_would_be_alone():
    method = LevenbergMarquardtUpdate()
    starts = [[-1.2, 1.0], [3.0, -4.0], [0.0, 0.0]]

    def lane(arguments):
        state, parameters = arguments
        loss = lambda p: tf.reduce_sum(rosenbrock(p) ** 2)  # noqa: E731
        return method.apply_at(state, point(loss, parameters, rosenbrock), tensor(1.0))

    @tf.function(autograph=False, jit_compile=True)
    def update(state, parameters):
        return tf.vectorized_map(lane, (state, parameters), fallback_to_while_loop=False)

    parameters = [tensor(starts)]
    state = tf.vectorized_map(method.initial_state, parameters)
    for _ in range(8):
        state, parameters = update(state, parameters)
    for lane_parameters, start in zip(parameters[0], starts, strict=True):
        np.testing.assert_allclose(lane_parameters, descend(rosenbrock, start, 8)[-1], rtol=1e-9)


@pytest.mark.parametrize("method", [newton(), gauss_newton(), LevenbergMarquardtUpdate()])
def test_complex_and_very_many_parameters_are_refused(method):
    with pytest.raises(ComponentError, match="real"):
        method.initial_state([tf.constant(1j)])
    with pytest.raises(ComponentError, match="4,097"):
        method.initial_state([tf.zeros([MOST_PARAMETERS]), tf.zeros([])])
