"""Functions with arguments in `define`, and the names of layers' parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gdrun.errors import FormulaError
from gdrun.formula import tensorflow_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.failures import LocatedFormulaError
from gdrun.formula.nodes import LoopDefinition
from gdrun.formula.parse import parse, parse_function


def scope(*functions: tuple[str, Any], define: dict[str, Any] | None = None, **values: Any) -> Scope:
    defined = [parse_function(key, body) for key, body in functions]
    return Scope(
        {name: tf.constant(value, tf.float64) for name, value in values.items()},
        ops=tensorflow_ops.table("float64"),
        definitions={
            name: item if isinstance(item, LoopDefinition) else parse(item) for name, item in (define or {}).items()
        },
        functions={function.name: function for function in defined},
        draws=tf.constant([3, 1], tf.int64),
    )


def value(text: Any, *functions: tuple[str, Any], **values: Any) -> Any:
    return np.asarray(evaluate(parse(text), scope(*functions, **values)))


QUARTIC = ("f(p, q=2)", "p**4 - q*p")


def test_a_function_is_its_body_with_its_arguments():
    assert value("f(x)", QUARTIC, x=3.0) == 3**4 - 2 * 3
    assert value("f(x, 5) + f(q=1, p=2)", QUARTIC, x=3.0) == 3**4 - 5 * 3 + 2**4 - 2
    np.testing.assert_array_equal(value("f(v)", QUARTIC, v=[1.0, 2.0]), [-1, 12])


def test_a_function_calls_those_above_it_and_sees_other_names():
    functions = (QUARTIC, ("g(p)", "f(p) + k * x"))
    assert value("g(f(x))", *functions, x=2.0, k=10.0) == 12**4 - 2 * 12 + 20


def test_an_argument_hides_the_name_outside_only_within_the_body():
    """h is of the x outside, also where the function's own x is another."""
    assert value("f(5)", ("f(x)", "x + h"), define={"h": "10 * x"}, x=2.0) == 5 + 20


def test_a_default_is_of_the_names_outside():
    assert value("f(1)", ("f(x, y=3*x)", "x + y"), x=2.0) == 1 + 6


def test_derivatives_by_arguments_and_through_calls():
    derivative = ("slope(p)", "grad(f(p), p)")
    assert value("slope(x)", QUARTIC, derivative, x=3.0) == 4 * 27 - 2
    assert value("grad(f(x**2), x)", QUARTIC, x=3.0) == (4 * 9**3 - 2) * 6
    assert value("grad(slope(x), x)", QUARTIC, derivative, x=3.0) == 12 * 9


def test_a_function_gives_a_list_a_round_of_a_loop():
    """Lotka and Volterra by Euler, against a loop in Python."""
    field = ("field(s)", ("s[0] - s[0]*s[1]", "s[0]*s[1] - s[1]"))
    loop = LoopDefinition(start=parse([1.5, 0.5]), repeat=parse("s + 0.1 * field(s)"), times=20)
    state = np.array([1.5, 0.5])
    for _ in range(20):
        a, b = state
        state = state + 0.1 * np.array([a - a * b, a * b - b])
    np.testing.assert_allclose(value("s", field, define={"s": loop}), state, rtol=1e-14)


def test_a_compiled_loop_shares_what_its_functions_need():
    loop = LoopDefinition(start=parse("x"), repeat=parse("f(s)"), times=12)
    functions = (("f(s)", "s * half"),)

    @tf.function(jit_compile=True)
    def both(x: Any) -> Any:
        names = scope(*functions, define={"s": loop, "half": "x / x / 2"})
        names.values = {"x": x}
        return evaluate(parse("s + half"), names)

    assert both(tf.constant(3.0, tf.float64)) == 3 / 2**12 + 0.5


def test_each_call_draws_its_own_numbers_and_the_same_again():
    noise = ("noise(m)", "normal(m, 1, 4)")
    first = value("stack([noise(0), noise(0)])", noise)
    assert not np.any(first[0] == first[1])
    np.testing.assert_array_equal(first, value("stack([noise(0), noise(0)])", noise))


def test_an_error_stands_in_the_body():
    with pytest.raises(LocatedFormulaError) as caught:
        value("1 + f(v)", ("f(p)", "p @ [1, 2, 3]"), v=[1.0, 2.0])
    assert caught.value.section == ("define",)
    assert caught.value.inside == ("f(p)",)
    assert caught.value.offset == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f()", "f needs its argument 'p'"),
        ("f(1, 2, 3)", "f takes at most 2 arguments"),
        ("f(1, r=2)", "f has no argument 'r'"),
        ("f(1, p=2)", "f gets its argument 'p' twice"),
        ("again(1)", "'again()' is defined by itself"),
    ],
)
def test_calls_that_do_not_fit_are_refused(text, message):
    with pytest.raises(FormulaError) as caught:
        value(text, QUARTIC, ("again(p)", "again(p - 1)"))
    assert message in caught.value.message


@pytest.mark.parametrize(
    "head", ["f()", "f(1)", "f(p, p)", "f(p)(q)", "f(p.q)", "sum(p)", "f(target)", "f(q=1, p)", "f(*p)"]
)
def test_heads_that_are_none_are_refused(head):
    with pytest.raises(FormulaError):
        parse_function(head, 0)


def test_the_parameter_of_a_layer_is_a_name():
    kernel = tf.constant([[3.0, 4.0]], tf.float64)
    names = Scope({"net.dense1.kernel": kernel}, ops=tensorflow_ops.table("float64"))
    assert evaluate(parse("norm(net.dense1.kernel)"), names) == 5
    np.testing.assert_allclose(evaluate(parse("grad(norm(net.dense1.kernel), net.dense1.kernel)"), names), kernel / 5)
    with pytest.raises(FormulaError) as caught:
        evaluate(parse("net.dense1.kernl[0]"), names)
    assert caught.value.hint == "did you mean 'net.dense1.kernel'?"


@pytest.mark.parametrize(
    "text", ["x.T", "np.exp(x)", "math.pi", "x.shape[0]", "x[0].size", "tf.reduce_mean(x)", "a.b.sum"]
)
def test_attributes_as_python_has_them_are_refused_with_the_formula_for_them(text):
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert "formulas have no attributes" in caught.value.message
    assert caught.value.hint
