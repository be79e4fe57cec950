"""What the grammar takes and refuses, and where its errors point."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest

from gdrun.errors import FormulaError
from gdrun.formula.failures import LocatedFormulaError
from gdrun.formula.mistakes import MAX_LENGTH
from gdrun.formula.nodes import NumberNode
from gdrun.formula.parse import RESERVED, check_name, check_names, parse


def num_calls(function: Callable[[], object]) -> int:
    """Count the calls of Python and C functions in `function`: its work, on a busy machine too."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def refused(text: object) -> FormulaError:
    with pytest.raises(FormulaError) as caught:
        parse(text)  # type: ignore[arg-type]
    return caught.value


def test_an_expression_knows_its_names_and_calls_with_their_places():
    expression = parse("a * exp(b) + net(x)[0]")
    assert expression.names == {"a", "b", "x"}
    assert expression.functions == {"exp", "net"}
    assert expression.names_at == (("a", 0, 1), ("b", 8, 1), ("x", 17, 1))
    assert expression.calls_at == (("exp", 4, 3), ("net", 13, 3))
    assert not expression.draws
    assert not expression.differentiates


def test_draws_and_derivatives_are_known_from_the_text():
    assert parse("x + normal(0, 1)").draws
    assert parse("grad(u, t)").differentiates
    assert parse("grad(u, t)").names == {"u", "t"}


def test_numbers_are_floats_at_once():
    root = parse("7").root
    assert isinstance(root, NumberNode)
    assert type(root.value) is float
    assert parse(7).root == root
    assert parse("0.1j").root.value == 0.1j  # type: ignore[attr-defined]


def test_an_expression_survives_pickling():
    assert pickle.loads(pickle.dumps(parse("x + 1"))) == parse("x + 1")


def test_line_breaks_count_as_spaces_and_keep_places():
    assert parse("x\n+ yy").names_at == (("x", 0, 1), ("yy", 4, 2))


@pytest.mark.parametrize(
    ("text", "at", "message", "mend"),
    [
        ("1 + np.sin(x)", "np.sin", "no attributes", "sin(...)"),
        ("tf.math.reduce_sum(x)", "tf.math.reduce_sum", "no attributes", "reduce_sum(...)"),
        ("x.T @ x", "x.T", "no attributes", "transpose(x)"),
        ("2 * math.pi", "math.pi", "no attributes", "pi"),
        ("x.__class__", "x.__class__", "no attributes", "table"),
        ("x ^ 2", "^", "not an operator", "**"),
        ("x // 2", "//", "not an operator", "floor"),
        ("x % 2", "%", "not an operator", "mod"),
        ("a & b", "&", "not an operator", "and"),
        ("a || b", "||", "not an operator", "or"),
        ("!a", "!", "not an operator", "not"),
        ("(y := 3)", ":=", "not an operator", "=="),
        ("x = 3", "=", "argument", "=="),
        ("a if b else c", "if", "not part", "where"),
        ("lambda x: x", "lambda", "not part", "define"),
        ("[i for i in x]", "for", "not part", "loop"),
        ("f(*x)", "*x", "'*'", None),
        ("sum(**x)", "x", "argument", None),
        ("'text'", "'", "not an operator", "quotes"),
        ("f'{x}'", "'", "not an operator", "quotes"),
        ("x'", "'", "not an operator", "transpose"),
        ("2x", "x", "missing", "*"),
        ("a b", "b", "missing", "*"),
        ("(a)(b)", "(", "missing", "*"),
        ("__import__", "__import__", "letter", None),
        ("007", "007", "leading zeros", "7"),
        ("0x10", "0x10", "decimal digits", "write 16"),
        ("1_000", "1_000", "decimal digits", "write 1000"),
        ("1e999", "1e999", "too large", None),
        ("sum(x", "(", "never closed", ")"),
        ("x)", ")", "closes nothing", None),
        ("x]", "]", "closes nothing", None),
        ("a, b", ",", "brackets", "[a, b]"),
        ("1 +", "+", "missing after", None),
        ("x +* y", "*", "cannot be read", None),
        ("x{1}", "{", "not an operator", "["),
        ("x # note", "#", "not an operator", "comments"),
        ("x; y", ";", "not an operator", "one expression"),
        ("sum(x, axs=1)", "1", "no argument 'axs'", "did you mean 'axis'"),
        ("sum(x, 0, axis=1)", "1", "twice", "sum(x, axis"),
        ("exp()", "exp()", "needs its argument", "exp(x)"),
        ("max(a, b, c, d)", "d", "at most 3", "maximum"),
        ("grad(x, y + 1)", "y + 1", "by a name", None),
        ("concat(x)", "x", "list", "concat([a, b])"),
        ("x²", "²", "U+00B2", "**2"),
        ("2 × x", "×", "U+00D7", "*"),
        ("π * r", "π", "U+03C0", "pi"),
        ("x\u202e + y", "\u202e", "U+202E", "ASCII"),
        ("x\x00y", "\x00", "U+0000", "ASCII"),
        ("x\x1b[31m", "\x1b", "U+001B", "ASCII"),
        ("ｘ + 1", "ｘ", "U+FF58", "ASCII"),
    ],
)
def test_a_refusal_points_at_the_token_and_says_how_to_mend_it(text: str, at: str, message: str, mend: str | None):
    error = refused(text)
    assert error.offset is not None
    assert text[error.offset : error.offset + (error.length or 0)] == at
    assert message in error.message
    if mend is not None:
        assert mend in (error.hint or "")


@pytest.mark.parametrize(
    "text", ["", "   ", "()", "[]", "x[]", True, None, [True], {}, [[]], float("nan"), 10**400, [1, None]]
)
def test_what_is_no_formula_is_refused(text: object):
    refused(text)


HOSTILE = [
    "(" * 2000 + "x" + ")" * 2000,
    "[" * 49 + "x" + "]" * 49,
    "-" * 4000 + "x",
    "not " * 1000 + "x",
    "**".join(["9"] * 1000),
    "sin(" * 40 + "-" * 60 + "x" + ")" * 40,
    "x" * 5000,
    "+".join(["x"] * 3000),
    "x[" * 60 + "0" + "]" * 60,
    "a<" * 2000,
    "9" * 4096 + "9",
    10**5000,
    ["x" * 5000],
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_hostile_formulas_are_refused_at_once(text: object):
    assert num_calls(lambda: refused(text)) < 10 * MAX_LENGTH


def test_a_long_sum_is_not_a_deep_one():
    assert parse("+".join(["a"] * 2000)).names == {"a"}


def test_nested_lists_of_numbers_and_formulas_are_one_expression():
    expression = parse([[1, "pi / 2"], [3, "b"]])
    assert expression.text == "[[1, pi / 2], [3, b]]"
    assert expression.names == {"pi", "b"}


def test_a_large_matrix_is_read_a_row_at_a_time():
    matrix = [[0.25 * column for column in range(128)] for _ in range(784)]
    assert num_calls(lambda: parse(matrix)) < 2 * 128 * 784
    expression = parse(matrix)
    assert expression.text.startswith("[[0.0, 0.25, 0.5,")


def test_an_error_in_a_list_knows_its_element():
    error = refused([1, ["x ^ 2", 3]])
    assert isinstance(error, LocatedFormulaError)
    problem = error.problem(("model", "parameters", "W"))
    assert problem.path == ("model", "parameters", "W", 1, 0)
    assert (problem.offset, problem.length) == (2, 1)


def test_every_unknown_name_is_told_with_a_suggestion():
    errors = check_names(parse("alfa * x + sine(y) + exp + x(2) + pi"), {"alpha", "x"}, {"net"})
    told = [(error.offset, error.message) for error in errors]
    assert told == [
        (0, "unknown name 'alfa'"),
        (11, "unknown function 'sine'"),
        (16, "unknown name 'y'"),
        (21, "'exp' is a function"),
        (27, "'x' is a value and cannot be called"),
    ]
    assert "did you mean 'alpha'?" in (errors[0].hint or "")
    assert "did you mean 'sin" in (errors[1].hint or "")


def test_an_unknown_name_in_a_list_is_placed_in_its_element():
    (error,) = check_names(parse([0, ["1 + q"]]), ["x"])
    assert error.problem(("p",)).path == ("p", 1, 0)
    assert error.offset == 4


@pytest.mark.parametrize("name", ["pi", "target", "prediction", "step", "epoch", "and", "lambda"])
def test_names_with_a_meaning_cannot_be_taken(name: str):
    assert name in RESERVED
    assert check_name(name) is not None


@pytest.mark.parametrize("name", ["sum", "mean", "grad", "std"])
def test_values_may_be_called_like_functions_and_networks_may_not(name: str):
    assert check_name(name) is None
    assert "is the name of a function" in check_name(name, called=True).message


def test_a_value_called_like_a_function_is_a_value_where_it_is_not_called():
    import numpy as np

    from gdrun.formula import numpy_ops
    from gdrun.formula.evaluate import Scope, evaluate

    scope = Scope({"mean": np.array(3.0), "x": np.array([1.0, 2.0])}, ops=numpy_ops.table())
    assert evaluate(parse("mean(x - mean) * mean"), scope) == (1.5 - 3) * 3


@pytest.mark.parametrize("name", ["", "_x", "2x", "x-y", "x.y", "é", "x" * 65, "x\n"])
def test_names_are_plain_words(name: str):
    assert check_name(name) is not None
    assert check_name("W1_a") is None


def test_reading_and_checking_formulas_imports_neither_numpy_nor_tensorflow():
    program = (
        "import sys; from gdrun.formula.parse import parse, check_names; "
        "check_names(parse('sum(x)'), ['x']); "
        "print([name for name in ('numpy', 'tensorflow', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
