"""Every function of the table: documented, in both libraries, under XLA and in lanes as its row says."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from gdrun.formula import numpy_ops, tensorflow_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.numpy_ops import NUMPY_FUNCTIONS
from gdrun.formula.parse import parse
from gdrun.formula.table import (
    DERIVATIVES,
    ROWS,
    TABLE,
    describe_functions,
    functions_without_lanes,
    functions_without_xla,
)
from gdrun.formula.tensorflow_ops import TENSORFLOW_FUNCTIONS
from tests.formula.samples import SAMPLES, VALUES

TENSORS = {name: tf.constant(value) for name, value in VALUES.items()}
SEED = tf.constant([7, 1], tf.int64)
TF_FLOAT32_CONSTANTS = {"gelu", "leaky_relu"}  # tf.nn rounds sqrt(2) and alpha to float32 even in float64
CASES = [(name, text, by) for name, samples in SAMPLES.items() for text, by in samples]
IN_NUMPY = [case for case in CASES if TABLE[case[0]].kind != "draw" and case[0] not in DERIVATIVES]
WITH_SLOPE = [case for case in IN_NUMPY if case[2]]
COMPILED = [case for case in CASES if TABLE[case[0]].xla]


def in_tensorflow(values: dict[str, tf.Tensor], cases: list[tuple[str, str, str]]) -> dict[str, tf.Tensor]:
    """The value of every sample, and the gradient of those that have one."""
    results = {}
    for _, text, by in cases:
        scope = Scope(values, ops=tensorflow_ops.table("float64"), draws=SEED)
        results[text] = tf.convert_to_tensor(evaluate(parse(text), scope))
        if by:
            results[f"grad {text}"] = evaluate(parse(f"grad({text}, {by})"), scope)
    return results


def in_one_tape(values: dict[str, tf.Tensor], cases: list[tuple[str, str, str]]) -> dict[str, tf.Tensor]:
    """The value of every sample, and by each name the gradient of the sum of those that have one.

    One pass back for all of them: compiled, it costs a third of a gradient each, and needs the same kernels.
    """
    with tf.GradientTape() as tape:
        tape.watch(values)
        scope = Scope(values, ops=tensorflow_ops.table("float64"), draws=SEED)
        results = {text: tf.convert_to_tensor(evaluate(parse(text), scope)) for _, text, _ in cases}
        total = tf.add_n([tf.reduce_sum(results[text]) for _, text, by in cases if by])
    gradients = tape.gradient(total, values)
    return results | {f"d/d{name}": slope for name, slope in gradients.items() if slope is not None}


def one_a_function(cases: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """All samples of functions that have options, and the first one of the others."""
    firsts = {name: text for name, text, _ in reversed(cases)}
    return [case for case in cases if TABLE[case[0]].kind != "elementwise" or case[1] == firsts[case[0]]]


@pytest.fixture(scope="module")
def eager() -> dict[str, tf.Tensor]:
    return in_tensorflow(TENSORS, CASES)


def test_every_function_has_a_sample():
    assert set(SAMPLES) == {row.name for row in ROWS}


def test_every_function_has_two_implementations():
    drawn_or_derived = {row.name for row in ROWS if row.kind == "draw"} | DERIVATIVES
    assert set(NUMPY_FUNCTIONS) | drawn_or_derived == {row.name for row in ROWS}
    assert set(TENSORFLOW_FUNCTIONS) | {"zeros", "ones", "eye"} | drawn_or_derived == {row.name for row in ROWS}


def test_names_are_unique_and_documented():
    names = [name for row in ROWS for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    for group, signature, doc in describe_functions():
        assert group
        assert signature.endswith(")")
        assert doc


@pytest.mark.parametrize(("name", "text", "by"), IN_NUMPY, ids=[text for _, text, _ in IN_NUMPY])
def test_numpy_and_tensorflow_agree(name: str, text: str, by: str, eager: dict[str, tf.Tensor]):
    expected = evaluate(parse(text), Scope(VALUES, ops=numpy_ops.table()))
    tolerance = 1e-7 if name in TF_FLOAT32_CONSTANTS else 1e-12
    assert eager[text].shape == np.shape(expected)
    np.testing.assert_allclose(eager[text], expected, rtol=tolerance, atol=1e-13)


@pytest.mark.parametrize(("name", "text", "by"), WITH_SLOPE, ids=[text for _, text, _ in WITH_SLOPE])
def test_gradients_agree_with_central_differences(name: str, text: str, by: str, eager: dict[str, tf.Tensor]):
    expression, value, step = parse(text), VALUES[by], 1e-6

    def total(moved: np.ndarray) -> float:
        return float(np.sum(evaluate(expression, Scope({**VALUES, by: moved}, ops=numpy_ops.table()))))

    expected = np.zeros_like(value)
    for index in np.ndindex(value.shape):
        change = np.zeros_like(value)
        change[index] = step
        expected[index] = (total(value + change) - total(value - change)) / (2 * step)
    if name in ("cholesky", "eigvalsh", "logdet"):  # TensorFlow's gradient is that of the symmetric part
        gradient = np.asarray(eager[f"grad {text}"])
        np.testing.assert_allclose(gradient + gradient.T, expected + expected.T, rtol=1e-5, atol=1e-6)
        return
    np.testing.assert_allclose(eager[f"grad {text}"], expected, rtol=1e-5, atol=1e-7)


def test_xla_compiles_every_function_that_says_so():
    cases = one_a_function(COMPILED)
    expected = in_one_tape(TENSORS, cases)
    compiled = tf.function(lambda values: in_one_tape(values, cases), jit_compile=True, autograph=False)(TENSORS)
    assert compiled.keys() == expected.keys()
    for text, value in compiled.items():
        np.testing.assert_allclose(value, expected[text], rtol=1e-9, atol=1e-12, err_msg=text)


def test_functions_said_to_lack_a_kernel_do_lack_it():
    for name in {row.name for row in ROWS if not row.xla}:
        cases = [case for case in CASES if case[0] == name]
        with pytest.raises(tf.errors.InvalidArgumentError):
            tf.function(lambda values, cases=cases: in_tensorflow(values, cases), jit_compile=True, autograph=False)(
                TENSORS
            )


def test_lanes_give_what_single_evaluations_give():
    """Every function under vectorized_map, without its fallback; the second lane has every value scaled."""
    scales = (1.0, 1.25)
    lanes = {
        name: tf.stack([value * tf.cast(1.0 if name in ("c", "x") else scale, value.dtype) for scale in scales])
        for name, value in TENSORS.items()
    }
    cases = one_a_function([case for case in CASES if TABLE[case[0]].lanes])
    mapped = tf.function(
        lambda stacked: tf.vectorized_map(
            lambda values: in_one_tape(values, cases), stacked, fallback_to_while_loop=False
        ),
        autograph=False,
    )(lanes)
    single = in_one_tape({name: value[1] for name, value in lanes.items()}, cases)
    for text, value in single.items():
        np.testing.assert_allclose(mapped[text][1], value, rtol=1e-9, atol=1e-12, err_msg=text)


def test_functions_without_kernels_are_named():
    assert functions_without_xla(parse("det(A) + sum(x)").functions) == {"det"}
    assert functions_without_lanes(frozenset({"det", "net", "sum"})) == {"det"}
