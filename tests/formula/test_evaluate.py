"""Formulas against numpy: random trees, shapes, indices, constants."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.errors import FormulaError
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate, evaluate_constants
from gdrun.formula.failures import LocatedFormulaError
from gdrun.formula.parse import parse

VALUES = {"x": np.array([0.5, -1.5, 2.0]), "y": np.array([[1.0], [2.0]]), "a": 1.25, "A": np.arange(6.0).reshape(2, 3)}


def value(text: object, **values: object) -> object:
    return evaluate(parse(text), Scope({**VALUES, **values}, ops=numpy_ops.table()))  # type: ignore[arg-type]


def refused(text: object, **values: object) -> FormulaError:
    with pytest.raises(FormulaError) as caught:
        value(text, **values)
    return caught.value


_LEAVES = st.sampled_from(["x", "y", "a", "A", "2", "0.5", "3.0e-1", "pi"])


_FUNCTIONS = ["exp", "sin", "tanh", "abs", "sum", "mean"]


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.sampled_from(["<", ">="]), inner).map(
            lambda t: f"np.where({t[0]} {t[1]} {t[2]}, 1.0, 0.0)"
        ),
        st.tuples(st.sampled_from(["exp", "sin", "tanh", "abs", "sum", "mean"]), inner).map(
            lambda t: f"np.{t[0]}({t[1]})"
        ),
        inner.map(lambda t: f"(-{t})"),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(_LEAVES, _compound, max_leaves=12))
def test_random_formulas_equal_numpy(python: str):
    names = {**{key: np.asarray(item, np.float64) for key, item in VALUES.items()}, "np": np, "pi": np.float64(math.pi)}
    # numpy floats, so that overflow gives inf in Python too, and a negative power of 2 is a fraction
    source = re.sub(r"(?<![\w.])(2|0\.5|3\.0e-1)(?![\w.])", r"np.float64(\1)", python)
    with np.errstate(all="ignore"):
        try:
            expected = eval(compile(source, "oracle", "eval"), {"__builtins__": {}}, names)
        except (OverflowError, ZeroDivisionError):
            return  # plain Python numbers, where numpy has inf
    if np.iscomplexobj(expected):
        return  # Python's negative ** fraction
    np.testing.assert_allclose(value(python.replace("np.", "")), expected, rtol=1e-13, equal_nan=True)


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(alphabet="xyA01.+-*/()[],:=<>j e@", max_size=40)))
def test_any_text_is_a_value_or_a_formula_error(text: str):
    error = None
    try:
        value(text)
    except FormulaError as refusal:
        error = refusal
    assert error is None or error.offset is None or 0 <= error.offset <= len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("1 - 2 - 3", -4),
        ("7 / 2", 3.5),
        ("1 < 2 < 3", 1),
        ("1 < 2 > 3", 0),
        ("not 0 and 1 or 0", 1),
        ("(2 > 1) + (3 > 1)", 2),
        ("A[0]", [0, 1, 2]),
        ("A[-1, 1:]", [4, 5]),
        ("A[:, ::-1][0]", [2, 1, 0]),
        ("x[None, :] * y", [[0.5, -1.5, 2.0], [1.0, -3.0, 4.0]]),
        ("A[..., 0]", [0, 3]),
        ("A[:, [0, 2]]", [[0, 2], [3, 5]]),
        ("A[[0, 1], [2, 0]]", [2, 3]),
        ("A[length(x) - 2, size(A) / 3]", 5),
        ("A @ x", [2.5, 5.5]),
        ("[1, 2] @ A", [6, 9, 12]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("[a, 2 * a]", [1.25, 2.5]),
        ("sum(A, axis=0)", [3, 5, 7]),
        ("sum(A, 0)", [3, 5, 7]),
        ("sum(A, [0, 1])", 15),
        ("mean(A, axis=-1, keepdims=True)", [[1], [4]]),
        ("reshape(A, [3, -1])[2]", [4, 5]),
        ("zeros([2, 3]) + 1", np.ones((2, 3))),
        ("range(4)", [0, 1, 2, 3]),
        ("arange(1, 2, 0.25)", [1, 1.25, 1.5, 1.75]),
        ("logspace(0, 2, 3)", [1, 10, 100]),
        ("one_hot([2, 0], 3)", [[0, 0, 1], [1, 0, 0]]),
        ("clip(x, low=-1, high=1)", [0.5, -1, 1]),
        ("clip(x, high=1, low=-1)", [0.5, -1, 1]),
        ("transpose(A, perm=[1, 0])[0]", [0, 3]),
        ("9 ** 9 ** 9 ** 9", math.inf),
        ("(1j) ** 2 + 1", 0),
        ("abs(3 + 4j)", 5),
        ("real(exp(1j * pi))", -1),
        ("erf(0.5)", 0.5204998778130465),  # Abramowitz and Stegun, table 7.1
        ("lgamma(0.5)", math.log(math.pi) / 2),
        ("digamma(1)", -0.5772156649015329),  # minus Euler's constant
        ("digamma(-0.5)", 0.03648997397857652),  # 2 - gamma - 2 log 2
        ("xlogy(0, 0)", 0),
        ("divide_no_nan(1, 0)", 0),
    ],
)
def test_values(text: str, expected: object):
    np.testing.assert_allclose(value(text), expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("linspace(0, 1, 1e12)", "1,000,000,000,000"),
        ("range(1e13)", "10,000,000,000,000"),
        ("range(0, 1, 1e-300)", "1e+300"),
        ("zeros([1e6, 1e6])", "1,000,000,000,000"),
        ("eye(1e6)", "1,000,000,000,000"),
        ("one_hot(range(1e5), 1e5)", "10,000,000,000"),
        ("ones(1e5) * ones([1e5, 1])", "10,000,000,000"),
        ("outer(ones(1e5), ones(1e5))", "10,000,000,000"),
        ("ones([1e5, 1]) @ ones([1, 1e5])", "10,000,000,000"),
        ("tile(x, 1e12)", "3,000,000,000,000"),
        ("tile(x, [1e300, 1e300])", "whole number"),
        ("repeat(x, 1e12)", "3,000,000,000,000"),
        ("broadcast_to(1, [1e7, 1e7])", "100,000,000,000,000"),
        ("full([1e7, 1e7], 1)", "100,000,000,000,000"),
        ("diag(ones(1e6))", "1,000,000,000,000"),
        ("dot(ones([1e5, 1]), ones([1, 1e5]))", "10,000,000,000"),
        ("tensordot(ones([1e5, 1]), ones([1, 1e5]), 1)", "10,000,000,000"),
        ("ones(1e5)[:, None] < ones(1e5)", "10,000,000,000"),
        ("where(ones([1e5, 1]), ones(1e5), 0)", "10,000,000,000"),
        ("kron", "unknown name"),
    ],
)
def test_absurd_sizes_are_refused_with_their_size(text: str, count: str):
    assert count in refused(text).message


def test_draws_of_absurd_size_are_refused():
    with pytest.raises(FormulaError, match="1,000,000,000,000"):
        evaluate_constants({"c": parse("normal(0, 1, [1e6, 1e6])")}, random=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("1 + A @ [1, 2]", "A @ [1, 2]", "(2, 3) and (2,)"),
        ("x + A[0] + [1, 2]", "x + A[0] + [1, 2]", "(3,) and (2,)"),
        ("2 * x[5]", "x[5]", "(3,)"),
        ("x[0.5]", "0.5", "whole number"),
        ("max(1, 2)", "max(1, 2)", "max"),
        ("sum(x, axis=A)", "A", "one number"),
        ("reshape(A, [4, 2])", "reshape(A, [4, 2])", "(2, 3)"),
        ("cholesky(-eye(2))", "cholesky(-eye(2))", "(2, 2)"),
        ("normal(0, 1)", "normal(0, 1)", "may not"),
        ("grad(a, a)", "grad(a, a)", "not available"),
        ("1 + nothing", "nothing", "unknown name"),
        ("net(x)", "net", "unknown function"),
        ("x[x > 0]", "x > 0", "truth value"),
        ("zeros(-1)", "-1", "negative"),
        ("reshape(x, [-3])", "[-3]", "negative"),
        ("one_hot(1, -2)", "-2", "negative"),
        ("inverse(zeros([2, 2]))", "inverse(zeros([2, 2]))", "Singular"),
        ("None + 1", "None", "no value"),
        ("floor(1j)", "floor(1j)", "complex"),
    ],
)
def test_a_value_that_does_not_fit_is_told_at_its_place(text: str, at: str, message: str):
    error = refused(text)
    offset = error.offset or 0
    assert message in error.message
    assert text[offset : offset + (error.length or 0)] == at


def test_max_of_two_numbers_is_sent_to_maximum():
    assert "maximum" in (refused("max(1, 2)").hint or "")


def test_an_error_in_a_list_is_placed_in_its_element():
    error = refused([1, "x[7]"])
    assert isinstance(error, LocatedFormulaError)
    assert error.problem(("W",)).path == ("W", 1)
    assert (error.offset, error.length) == (0, 4)


def test_constants_are_float64_and_see_the_ones_above():
    constants = evaluate_constants(
        {"c": parse([1, -10, 25]), "d": parse("2 * c[1]"), "z": parse("d + 1j"), "b": parse("d < 0")}
    )
    np.testing.assert_array_equal(constants["c"], [1.0, -10.0, 25.0])
    assert constants["d"] == -20.0
    assert constants["c"].dtype == constants["b"].dtype == np.float64
    assert constants["z"].dtype == np.complex128


@pytest.mark.parametrize(("text", "place"), [("[1, 1 / 0]", "index 1"), ("log(-1)", "nan"), ("9 ** 999", "inf")])
def test_a_constant_that_is_not_finite_is_refused(text: str, place: str):
    with pytest.raises(LocatedFormulaError, match=place) as caught:
        evaluate_constants({"good": parse("1"), "c": parse(text)})
    assert caught.value.problem(("constants",)).path == ("constants", "c")


def test_legacy_draws_are_a_notebooks():
    drawn = evaluate_constants(
        {"u": parse("2 * uniform(0, 1, 5)"), "n": parse("normal(1, 0.1, [2, 2])"), "b": parse("bernoulli(0.5, 3)")},
        random=np.random.RandomState(42),
    )
    random = np.random.RandomState(42)
    np.testing.assert_array_equal(drawn["u"], 2 * random.uniform(0, 1, 5))
    np.testing.assert_array_equal(drawn["n"], random.normal(1, 0.1, (2, 2)))
    np.testing.assert_array_equal(drawn["b"], random.random_sample(3) < 0.5)


def test_legacy_permutations_and_choices_are_a_notebooks():
    texts = {"p": "permutation(7)", "c": "choice(7, 3)"}
    drawn = evaluate_constants({name: parse(text) for name, text in texts.items()}, random=np.random.RandomState(42))
    random = np.random.RandomState(42)
    np.testing.assert_array_equal(drawn["p"], random.permutation(7))
    np.testing.assert_array_equal(drawn["c"], random.choice(7, 3, replace=False))


def test_categorical_draws_by_the_probabilities():
    scope = Scope({}, ops=numpy_ops.table(np.random.default_rng(1)), draw_shape=(4, 2))
    drawn = np.asarray(evaluate(parse("categorical([log(0.2), log(0.3), log(0.5)], 20000)"), scope))
    shares = np.bincount(drawn.astype(int)) / 20000
    np.testing.assert_allclose(shares, [0.2, 0.3, 0.5], atol=5 * 0.5 / 20000**0.5)
    assert np.shape(evaluate(parse("categorical([[0, 1], [1, 0], [0, 0]])"), scope)) == (3,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("choice(3, 4)", "choice of 4 among 3 numbers"),
        ("categorical(1)", "the logits of categorical are one number"),
        ("permutation(-1)", "n of permutation is -1; it cannot be negative"),
    ],
)
def test_draws_of_whole_numbers_that_cannot_be_are_refused(text: str, message: str):
    with pytest.raises(FormulaError, match=message):
        evaluate(parse(text), Scope({}, ops=numpy_ops.table(np.random.default_rng(1))))


def test_draws_without_a_shape_take_the_scopes():
    scope = Scope({}, ops=numpy_ops.table(np.random.default_rng(1)), draw_shape=(4, 2))
    assert np.shape(evaluate(parse("normal(0, 0.1)"), scope)) == (4, 2)
    drawn = np.asarray(evaluate(parse("truncated_normal(0, 1, 10000)"), scope))
    assert np.abs(drawn).max() <= 2
    assert drawn.std() == pytest.approx(0.8796, abs=0.02)  # closed form: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))
