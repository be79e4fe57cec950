"""Gradients held against differences and against those written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gdrun.analysis.finite_differences import difference
from gdrun.analysis.gradient_checks import check_grad, describe
from gdrun.analysis.gradient_mistakes import alternatives, factor_words
from gdrun.errors import ConfigError, UsageError

CONFIGS = Path(__file__).parents[2] / "configs"
FUNCTIONS = [
    (np.sin, np.cos, 0.7),
    (np.exp, np.exp, 3.0),
    (lambda x: x**3, lambda x: 3 * x**2, 0.0),
    (np.log, lambda x: 1 / x, 1e-6),
    (lambda x: 1e9 + x**2, lambda x: 2 * x, 100.0),
    (lambda x: np.tanh(50 * x), lambda x: 50 / np.cosh(50 * x) ** 2, 0.01),
]


@pytest.mark.parametrize(("function", "derivative", "at"), FUNCTIONS)
def test_differences_are_within_the_bound_that_they_state(function, derivative, at):
    with np.errstate(invalid="ignore", divide="ignore"):
        found = difference(function, at, 1.0)
    assert abs(found.value - derivative(at)) <= found.error
    assert found.error <= 1e-4 * max(1, abs(derivative(at)))


def test_a_kink_shows_in_the_one_sided_derivatives():
    assert difference(lambda x: max(x, 0.0) + 0.5 * x, 0.0, 1.0).has_kink
    assert not difference(np.sin, 0.3, 1.0).has_kink


def test_where_a_function_is_not_finite_there_is_no_difference():
    assert np.isnan(difference(lambda x: float("nan"), 0.0, 1.0).value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("(p - t) @ X", "(p - t) * X"),
        ("(p - t) * X", "(p - t) @ X"),
        ("X @ e", "transpose(X) @ e"),
        ("mean(e * x)", "sum(e * x)"),
        ("a - b", "a + b"),
        ("2 * X @ (p - t)", "2 * transpose(X) @ (p - t)"),
        ("e @ transpose(X)", "(e)*X"),
        ("e * X", "transpose(X) @ e"),
    ],
)
def test_common_mistakes_are_undone(text, meant):
    """Some formula equals what was meant, at random matrices."""
    from gdrun.errors import FormulaError
    from gdrun.formula import numpy_ops
    from gdrun.formula.evaluate import Scope, evaluate
    from gdrun.formula.parse import parse

    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(3, 3)) for name in ("p", "t", "X", "e", "x", "a", "b")}

    def value(formula):
        try:
            return np.asarray(evaluate(parse(formula), Scope(values, ops=numpy_ops.table())))
        except FormulaError:
            return np.zeros(())

    wanted = value(meant)
    found = [formula for formula, _ in alternatives(text)]
    assert any(value(formula).shape == wanted.shape and np.allclose(value(formula), wanted) for formula in found)


def test_factors_are_told_in_words():
    counts = {"n (5)": 5}
    assert factor_words(-1.0, counts) == "the other sign"
    assert factor_words(0.2, counts) == "divided by n (5)"
    assert "multiplied by n" in factor_words(-10.0, counts)
    assert factor_words(1.7, counts) == "1.7 times it"


def by(check, name, kind):
    (row,) = [row for row in check.comparisons if (row.parameter, row.by) == (name, kind)]
    return row


def test_the_classic_mistake_is_found_with_its_place_its_size_and_its_mend(tensorflow):
    """At zeros, prediction - target is -[1, 1; 2, 2]: by hand [-4, -6; -8, -12], right is [-1, -2; -6, -8]."""
    check = check_grad(CONFIGS / "gradient-mistake.yaml")
    assert not check.ok
    row = by(check, "a", "hand")
    assert (row.index, row.got, row.expected, row.wrong) == ((0, 1), -6.0, -2.0, 4)
    assert row.suggestion == "(prediction - target) * X"
    text = describe(row)
    for part in ("a: by hand is wrong", "[0, 1]", "off by 4", "'*' in place of '@' agrees with the tape"):
        assert part in text
    assert all(other.ok for other in check.comparisons if other is not row)


LINE = """
data: {kind: values, inputs: {x: [1, 2, 3, 4, 5]}, target: [2, 4, 7, 8, 9]}
model: {kind: formula, formula: a * x + b, parameters: {a: 0.5, b: 0.1}}
optimizer: {kind: sgd, learning_rate: 0.01}
gradients: {of: {a: 2 * mean((prediction - target) * x)}, use: true}
schedule: {steps: 20}
"""


def checked(lab, text, overrides=()):
    lab.load(text)
    return check_grad(lab.folder / "case.yaml", overrides)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("mean((prediction - target) * x)", "half as large"),
        ("-2 * mean((prediction - target) * x)", "the other sign"),
        ("2 * sum((prediction - target) * x)", "multiplied by the number of examples (5)"),
        ("3 * mean((prediction - target) * x)", "1.5 times it"),
        ("2 * mean((prediction + target) * x)", "'-' in place of '+'"),
    ],
)
def test_a_gradient_that_is_off_by_a_factor_or_a_sign_is_told_so(lab, formula, words):
    row = by(checked(lab, LINE, [f"gradients.of.a={formula}"]), "a", "hand")
    assert not row.ok
    assert words in describe(row)


def test_training_with_the_right_gradients_is_training_with_the_tape(lab):
    mine = lab.train(LINE, ["precision=float64"])
    tape = lab.train(LINE, ["precision=float64", "gradients.use=false"])
    for name in ("a", "b"):
        np.testing.assert_allclose(mine.parameters[name], tape.parameters[name], rtol=1e-12)
    assert checked(lab, LINE).ok


def test_a_gradient_by_hand_of_a_parameter_that_the_tape_does_not_reach_trains_it(lab):
    text = LINE.replace("gradients: {of: {", "gradients: {of: {c: c - 1, ").replace("b: 0.1", "b: 0.1, c: 0")
    text = text.replace("a * x + b,", "a * x + b + 0 * floor(c),")
    run = lab.train(text, ["steps=2", "precision=float64", "lr=0.5"])
    assert run.parameters["c"] == pytest.approx(0.75)


def test_where_the_tape_has_no_gradient_the_reason_is_the_real_one(lab):
    text = LINE.replace("gradients: {of: {", "gradients: {of: {c: c - 1, ").replace("b: 0.1", "b: 0.1, c: 0")
    row = by(checked(lab, text.replace("a * x + b,", "a * x + b + 0 * floor(c),")), "c", "hand")
    assert "the tape has none: floor ends the way back to it" in row.note


def test_beside_values_that_are_not_finite_nothing_is_compared(lab):
    """log(-1 - x**2) has no value anywhere; at 1 another one is taken."""
    text = """
precision: float64
model: {kind: formula, formula: "where(x == 1, 0, log(-1 - x**2)) + y**2", parameters: {x: 1, y: 3}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 1}
"""
    lab.load(text)
    check = check_grad(lab.folder / "case.yaml")
    assert "not compared" in describe(by(check, "x", "differences"))
    assert by(check, "y", "differences").ok


def test_a_loss_that_is_not_finite_has_no_gradient_to_check(lab):
    text = """
precision: float64
model: {kind: formula, formula: 1 / x, parameters: {x: 0}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 1}
"""
    with pytest.raises(UsageError, match="the loss at the start is inf"):
        checked(lab, text)
    assert checked(lab, text, ["x=2"]).ok


def test_a_kink_is_no_error(lab):
    text = """
precision: float64
model: {kind: formula, formula: abs(x) + y**2, parameters: {x: 0, y: 1}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 1}
"""
    row = by(checked(lab, text), "x", "differences")
    assert row.ok
    assert "kink" in row.note


def test_a_wrong_gradient_of_the_tape_itself_is_found(lab):
    """stop_gradient makes the tape leave out what differences see."""
    text = """
precision: float64
model: {kind: formula, formula: x**2 + stop_gradient(x)**2, parameters: {x: 3}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 1}
"""
    row = by(checked(lab, text), "x", "differences")
    assert not row.ok
    assert (row.got, row.expected) == (6, pytest.approx(12))


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ("{of: {q: x}}", "there is no parameter 'q'"),
        ("{of: {a: 2 * x}}", "has shape (5,), but 'a' has ()"),
        ("{of: {a: z}}", "unknown name 'z'"),
        ("{of: {}}", ""),
        ("{of: {a: mean(x)}, use: 1}", ""),
    ],
)
def test_gradients_that_cannot_be_are_refused_with_their_place(lab, gradients, message):
    text = LINE.replace("{of: {a: 2 * mean((prediction - target) * x)}, use: true}", gradients)
    assert message in lab.refused(text).message


def test_second_order_kinds_differentiate_by_themselves(lab):
    assert "takes from the tape" in lab.refused(LINE, ["optimizer={kind: newton}"]).message


def test_an_override_by_a_parameters_name_does_not_mean_its_gradient(lab):
    assert lab.load(LINE, ["a=3"]).experiment.model.parameters["a"].value == 3


def test_configs_that_are_refused_are_refused_here_too(lab):
    with pytest.raises(ConfigError):
        checked(lab, LINE, ["lr=-1"])
