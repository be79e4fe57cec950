"""Convolutions, einsum and clipping by norms: against Keras, NumPy and TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import FormulaError
from gdrun.formula import numpy_ops, tensorflow_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse

RANDOM = np.random.default_rng(5)
SIGNAL, KERNEL = RANDOM.normal(size=(2, 9, 3)), RANDOM.normal(size=(4, 3, 2))
IMAGE, FILTERS = RANDOM.normal(size=(2, 7, 6, 3)), RANDOM.normal(size=(3, 2, 3, 4))
NAMES = {"signal": SIGNAL, "kernel": KERNEL, "image": IMAGE, "filters": FILTERS}


def value(text: str, values: dict[str, Any] | None = None, *, numpy: bool = False) -> Any:
    values = NAMES if values is None else values
    if numpy:
        return evaluate(parse(text), Scope(values, ops=numpy_ops.table()))
    tensors = {name: tf.constant(array) for name, array in values.items()}
    return evaluate(parse(text), Scope(tensors, ops=tensorflow_ops.table("float64")))


@pytest.mark.parametrize("numpy", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("same", [True, False])
def test_convolutions_are_tensorflows(numpy, stride, same):
    padding, options = "SAME" if same else "VALID", f"stride={stride}, same={same}"
    line, plane = (
        value(text, numpy=numpy)
        for text in (f"conv1d(signal, kernel, {options})", f"conv2d(image, filters, {options})")
    )
    np.testing.assert_allclose(line, tf.nn.conv1d(SIGNAL, KERNEL, stride, padding), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(plane, tf.nn.conv2d(IMAGE, FILTERS, stride, padding), rtol=1e-12, atol=1e-13)


def test_einsum_is_numpys():
    values = {"a": RANDOM.normal(size=(3, 4)), "b": RANDOM.normal(size=(4, 5)), "c": RANDOM.normal(size=(5, 3))}
    for subscripts in ("ij,jk->ik", "ij,jk->"):
        expected = np.einsum(subscripts, values["a"], values["b"])
        np.testing.assert_allclose(value(f"einsum('{subscripts}', a, b)", values), expected, rtol=1e-13)
    np.testing.assert_allclose(
        value('einsum("ij, jk, ki -> i", a, b, c)', values), np.einsum("ij,jk,ki->i", *values.values()), rtol=1e-13
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("einsum('ij,jk', signal, kernel)", "write all indices and the result's"),
        ("einsum('ij,jk->ik', signal, kernel)", "'ij' stands for an array with 3 axes"),
        ("einsum('abc,abd->cd', signal, kernel)", "'a' is 2 and 4 long"),
        ("einsum('abc->c', signal, kernel)", "1 groups of indices for 2 arrays"),
        ("einsum(signal, kernel)", "letters in quotes"),
        ("conv1d(image, filters)", "needs x of 3 axes"),
        ("conv2d(image, filters[:, :, :2])", "channels meet filters"),
        ("conv1d(signal[:, :3], kernel)", "longer than x"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(text, message):
    for numpy in (True, False):
        with pytest.raises(FormulaError) as caught:
            value(text, numpy=numpy)
        assert message in caught.value.message


@pytest.mark.parametrize("text", ["'text' + 1", "sum('a', x)", "einsum('a;b', x)", "f('x')"])
def test_a_text_stands_in_einsum_alone(text):
    with pytest.raises(FormulaError):
        value(text, {"x": np.ones(2)})


def test_norms_are_clipped_as_tensorflow_clips_them():
    values = {"a": np.array([3.0, 4.0]), "b": np.array([[12.0]])}
    np.testing.assert_allclose(value("clip_by_norm(a, 1)", values), [0.6, 0.8])
    np.testing.assert_array_equal(value("clip_by_norm(a, 6)", values), [3, 4])
    first, second = (value(f"clip_by_global_norm([a, b], 6.5)[{index}]", values) for index in (0, 1))
    np.testing.assert_allclose(first, [1.5, 2])  # the norm of both together is 13
    np.testing.assert_allclose(second, [[6]])
