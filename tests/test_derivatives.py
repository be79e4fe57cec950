"""Derivatives by nested tapes, against closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from gdrun.derivatives import (
    curvature,
    flattened,
    gradient,
    hessian,
    hessian_product,
    jacobian,
    second_along,
    third,
    unflattened,
    value_and_gradient,
    value_and_jacobian,
)

X = np.array([0.3, -1.2, 2.0])


def tensor(value):
    return tf.constant(value, tf.float64)


def wave(x):
    """sum(sin(x)) + x0 * x1 * x2, whose derivatives are below."""
    return tf.reduce_sum(tf.sin(x)) + tf.reduce_prod(x)


def test_the_hessian_is_the_closed_form():
    wanted = np.diag(-np.sin(X)) + np.array([[0, X[2], X[1]], [X[2], 0, X[0]], [X[1], X[0], 0]])
    np.testing.assert_allclose(hessian(wave, tensor(X)), wanted, rtol=1e-14)


def test_curvature_and_third_are_those_of_each_entry_alone():
    np.testing.assert_allclose(curvature(wave, tensor(X)), -np.sin(X), rtol=1e-14)
    np.testing.assert_allclose(third(wave, tensor(X)), -np.cos(X), rtol=1e-14)
    np.testing.assert_allclose(third(lambda x: x**4, tensor(2.0)), 48.0)


def test_a_linear_function_has_no_curvature():
    for derivative in (hessian, curvature, third):
        np.testing.assert_array_equal(
            derivative(lambda x: tf.reduce_sum(3 * x), tensor(X)), 0 * derivative(wave, tensor(X))
        )


@pytest.mark.parametrize("count", [2, 7])
def test_the_jacobian_is_the_closed_form_with_more_and_with_fewer_rows_than_columns(count):
    t = np.linspace(0, 1, count)

    def model(b):
        return b[0] * tf.exp(-b[1] * tensor(t)) + b[2]

    values, slopes = jacobian(model, tensor(X))
    decay = np.exp(-X[1] * t)
    np.testing.assert_allclose(values, X[0] * decay + X[2], rtol=1e-15)
    np.testing.assert_allclose(slopes, np.stack([decay, -X[0] * t * decay, np.ones(count)], 1), rtol=1e-14)


def test_the_second_derivative_along_a_direction_is_the_closed_form():
    t, v = np.linspace(0, 1, 5), np.array([1.0, -2.0, 0.5])
    got = second_along(lambda b: b[0] * tf.exp(b[1] * tensor(t)), tensor(X), tensor(v))
    wanted = (2 * v[0] * v[1] * t + X[0] * v[1] ** 2 * t**2) * np.exp(X[1] * t)
    np.testing.assert_allclose(got, wanted, rtol=1e-14)
    np.testing.assert_array_equal(second_along(lambda b: 2 * b, tensor(X), tensor(v)), np.zeros(3))


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_a_product_with_the_hessian_is_that_of_the_hessian(jit_compile):
    v = np.array([1.0, -2.0, 0.5])
    product = lambda x: hessian_product(wave, x, tensor(v))  # noqa: E731
    run = product if jit_compile is None else tf.function(product, autograph=False, jit_compile=jit_compile)
    np.testing.assert_allclose(run(tensor(X)), hessian(wave, tensor(X)).numpy() @ v, rtol=1e-14)


def test_derivatives_of_lanes_are_those_of_each_lane():
    points = tensor(np.stack([X, 2 * X, -X]))
    for derivative in (gradient, hessian, curvature, third):
        mapped = tf.vectorized_map(lambda x, d=derivative: d(wave, x), points, fallback_to_while_loop=False)
        for lane in range(3):
            np.testing.assert_allclose(mapped[lane], derivative(wave, points[lane]), rtol=1e-14)


@pytest.mark.parametrize("differentiate", [value_and_gradient, value_and_jacobian])
@pytest.mark.parametrize("function", [tf.floor, tf.stop_gradient, lambda x: x > 0, lambda x: 3.0])
def test_what_does_not_depend_on_the_point_has_no_derivative_which_is_not_0(differentiate, function):
    value, derivative = differentiate(function, tensor(X))
    np.testing.assert_array_equal(value, function(tensor(X)))
    assert derivative is None


def test_a_gradient_that_is_added_into_a_program_is_0_where_there_is_none():
    np.testing.assert_array_equal(gradient(lambda x: tf.constant(1.0, tf.float64), tensor(X)), np.zeros(3))


def test_parameters_are_flattened_and_back():
    parameters = [tensor(1.0), tensor([[2.0, 3.0]]), tensor([4.0])]
    flat = flattened(parameters)
    np.testing.assert_array_equal(flat, [1, 2, 3, 4])
    for one, other in zip(unflattened(flat, parameters), parameters, strict=True):
        np.testing.assert_array_equal(one, other)
