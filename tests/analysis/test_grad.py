"""Derivatives of formulas, configs and runs against closed forms and published numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gdrun.analysis.grad import Missing, grad
from gdrun.analysis.grad_arguments import is_source
from gdrun.errors import ConfigError, UsageError
from gdrun.rundir.strict_json import dumps, loads

pytestmark = pytest.mark.usefixtures("tensorflow")


def numbers(values):
    """{"x": 1.0} of arrays, None for what is missing."""
    return {name: None if isinstance(value, Missing) else np.asarray(value).tolist() for name, value in values.items()}


def one(*arguments, **options):
    """The only target at the only point."""
    (point,) = grad(*arguments, **options).points
    (target,) = point.targets
    return target


PUBLISHED = [
    ("x**2 + b", {"x": 100, "b": 10}, {"x": 200, "b": 1}),
    ("x**2 + b**2", {"x": 20, "b": 10}, {"x": 40, "b": 20}),
    ("x**2", {"x": [-3, -2, -1, 0, 1, 2, 3]}, {"x": [-6, -4, -2, 0, 2, 4, 6]}),
    ("exp(a*x)", {"x": 0, "a": 2}, {"x": 2, "a": 0}),
    ("sum(A @ x)", {"A": [[1, 2], [3, 4]], "x": [1, 1]}, {"A": [[1, 1], [1, 1]], "x": [4, 6]}),
    ("abs(z)**2", {"z": 3 + 4j}, {"z": 6 + 8j}),
]


@pytest.mark.parametrize(("formula", "values", "wanted"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_gradients_are_the_closed_forms(formula, values, wanted):
    found = one(formula, values)
    for name, value in wanted.items():
        np.testing.assert_allclose(found.gradients[name], value, rtol=1e-15)
        assert found.gradients[name].dtype == (np.complex128 if np.iscomplexobj(value) else np.float64)


def test_half_a_squared_error_of_a_linear_model():
    """78.5, [[39], [56]] and [17], by hand."""
    values = ["X=[[1,2],[3,4]]", "y=[[1],[2]]", "w=[[1],[2]]", "b=[2]"]
    found = one("0.5*sum((X@w + b - y)**2)", values, wrt=["w", "b"])
    assert found.value == 78.5
    assert numbers(found.gradients) == {"w": [[39], [56]], "b": [17]}


def test_of_constants_alone_no_order_has_a_derivative():
    target = one("x**2", constant={"x": 3}, order=3)
    assert target.value == 9
    assert target.gradients == {"x": Missing("constant")}
    assert target.higher[3] == {"x": Missing("constant")}


def test_a_quadratic_at_two_points_with_constant_coefficients():
    """Eat TensorFlow2 in 30 days, chapter 2-3: (df/dx, f) is (-2, 1) at 0 and (0, 0) at 1; the second derivative 2."""
    found = grad("a*x**2 + b*x + c", ["x=0,1"], constant=["a=1", "b=-2", "c=1"], order=2)
    for point, wanted in zip(found.points, [(-2, 1), (0, 0)], strict=True):
        (target,) = point.targets
        assert (target.gradients["x"], target.value) == wanted
        assert numbers(target.second["x"]) == {"x": 2}
        assert [target.gradients[name] for name in "abc"] == [Missing("constant")] * 3


def test_its_coefficients_watched_have_derivatives_which_may_be_0():
    found = one("a*x**2 + b*x + c", {"a": 1, "b": -2, "c": 1, "x": 0}, precision="float32")
    assert numbers(found.gradients) == {"a": 0, "b": 0, "c": 1, "x": -2}
    assert found.value.dtype == np.float32


def test_a_missing_second_derivative_is_none_with_the_reason():
    """Géron, Hands-on Machine Learning: the Hessian of 3 w1**2 + 2 w1 w2 as tapes give it."""
    found = one("3*w1**2 + 2*w1*w2", {"w1": 5, "w2": 3}, hessian=True)
    assert numbers(found.gradients) == {"w1": 36, "w2": 10}
    assert {x: numbers(by) for x, by in found.hessian.items()} == {
        "w1": {"w1": 6, "w2": 2},
        "w2": {"w1": 2, "w2": None},
    }
    assert "does not depend on w2" in found.hessian["w2"]["w2"].reason
    unwatched = one("3*w1**2 + 2*w1*w2", constant={"w1": 5, "w2": 3})
    assert numbers(unwatched.gradients) == {"w1": None, "w2": None}


REASONS = [
    ("x**2", "b", "does not depend"),
    ("x + stop_gradient(b)", "b", "stop_gradient"),
    ("x + floor(b)", "b", "floor"),
    ("x * (b > 1)", "b", "a comparison"),
    ("sum(zeros(b) + x)", "b", "count"),
    ("[x, 2*x, 3*x][b]", "b", "index"),
    ("h + x", "b", "stop_gradient"),
]


@pytest.mark.parametrize(("formula", "name", "why"), REASONS, ids=[row[0] for row in REASONS])
def test_what_does_not_matter_is_none_for_a_reason(formula, name, why):
    found = one(formula, {"x": 3, "b": 2}, define={"h": "stop_gradient(b)"} if "h " in formula else {})
    assert isinstance(found.gradients[name], Missing)
    assert why in found.gradients[name].reason
    assert not isinstance(found.gradients["x"], Missing)


def test_derivatives_of_high_order_end_in_zeros():
    """Also at 0, where TensorFlow's own derivative of x**2 is nan from the third on."""
    found = one("x**3", {"x": [0, 2]}, order=4)
    assert found.value.tolist() == [0, 8]
    assert found.gradients["x"].tolist() == [0, 12]
    assert found.second["x"]["x"].tolist() == [0, 12]
    assert found.higher[3]["x"].tolist() == [6, 6]
    assert isinstance(found.higher[4]["x"], Missing) or found.higher[4]["x"].tolist() == [0, 0]
    assert one("sin(x)", {"x": 0.5}, order=5).higher[5]["x"] == pytest.approx(np.cos(0.5), rel=1e-15)


def test_jacobians_and_products_with_them_are_those_of_numpy():
    matrix = np.arange(6.0).reshape(2, 3)
    found = one("A @ x * 2", {"A": matrix, "x": [1, 2, 3]}, jacobian=True, jvp={"x": [1, 0, -1]})
    assert found.jacobian["A"].shape == (2, 2, 3)
    np.testing.assert_array_equal(found.jacobian["x"], 2 * matrix)
    np.testing.assert_array_equal(found.jvp, 2 * matrix @ [1, 0, -1])


def test_a_batch_jacobian_is_of_each_example_alone():
    x = np.asarray([[1.0, 2], [3, 4], [5, 6]])
    found = one("x**2 + 0*w", {"x": x, "w": 1}, batch_jacobian=True)
    np.testing.assert_array_equal(found.batch_jacobian["x"], [np.diag(2 * row) for row in x])
    with pytest.raises(UsageError, match="axis of examples"):
        one("x**2", {"x": 3}, batch_jacobian=True)


def test_hessian_products_are_the_hessian_times_the_direction():
    values = {"x": [1.0, 2.0], "y": 3.0}
    formula, direction = "x[0]**2 * x[1] * y + y**3", np.asarray([1.0, -1.0, 2.0])
    whole = one(formula, values, hessian=True).hessian
    matrix = np.block([
        [np.asarray(whole["x"]["x"]), np.asarray(whole["x"]["y"])[:, None]],
        [np.asarray(whole["y"]["x"])[None], np.asarray(whole["y"]["y"])[None, None]],
    ])  # fmt: skip
    assert matrix.tolist() == [[12, 6, 4 * 1 * 1], [6, 0, 1], [4, 1, 18]]
    found = one(formula, values, hvp={"v": direction}).hvp
    np.testing.assert_allclose([*found["x"], found["y"]], matrix @ direction)
    by_name = one(formula, values, hvp=["y=2", "x=1,-1"]).hvp
    np.testing.assert_allclose([*by_name["x"], by_name["y"]], matrix @ direction)


def test_several_targets_are_reported_each():
    (point,) = grad(["x*y", "y**2"], ["x=2", "y=[3,4]"]).points
    assert [target.target for target in point.targets] == ["x*y", "y**2"]
    assert numbers(point["y**2"].gradients) == {"x": None, "y": [6, 8]}
    (summed,) = grad("sum(x*y) + sum(y**2)", ["x=2", "y=[3,4]"]).points[0].targets
    assert numbers(summed.gradients) == {"x": 7, "y": [8, 10]}


def test_targets_that_are_complex_keep_both_parts():
    """TensorFlow's gradient of a complex f is the conjugate of f'(z)."""
    (point,) = grad(["z**2", "exp(z)"], {"z": 0.1j}).points
    assert [target.value for target in point.targets] == pytest.approx([0.1j**2, np.exp(0.1j)])
    assert point["exp(z)"].gradients["z"] == pytest.approx(np.conj(np.exp(0.1j)))


def test_intermediate_values_can_be_differentiated_by():
    found = one("z * 2", {"x": 3}, define={"y": "x**2", "z": "y + x"}, wrt=["z", "y", "x"], order=2)
    assert numbers(found.gradients) == {"z": 2, "y": 2, "x": 14}
    assert found.second["x"]["x"] == 4


@pytest.mark.parametrize(
    ("formula", "at", "operation"),
    [
        ("sqrt(x)", 0, "sqrt(0)"),
        ("sqrt(x) + x", 0, "sqrt(0)"),
        ("1/x", 0, "1 / 0"),
        ("log(x - 1)", 1, "log(0)"),
        ("where(x > 0, log(x), 0)", 0, "log(0)"),
        ("x**0.5", 0, "0 ** 0.5"),
        ("sum(log(x))", [1, 0, 2], "log(0)"),
    ],
)
def test_the_operation_that_is_not_finite_is_named(formula, at, operation):
    found = one(formula, {"x": at})
    assert not np.all(np.isfinite(found.gradients["x"]))
    assert any(operation in note for note in found.notes), found.notes


@pytest.mark.parametrize(
    ("formula", "at", "mend", "slope"),
    [
        ("log(exp(z) + 1)", 100, "softplus(z)", 1.0),
        ("1 / (exp(-z) + 1)", -100, "sigmoid(z)", 0.0),
        ("where(z > 1, log(z - 1), z)", 1, "where(z > 1, log(where(z > 1, z - 1, 1)), z)", 1.0),
    ],
)
def test_the_advice_where_nothing_is_finite_helps_when_it_is_followed(formula, at, mend, slope):
    (note,) = one(formula, {"z": at}, precision="float32").notes
    assert ("choose its argument by where()" in note) == ("where" in mend)
    assert ("softplus, sigmoid, tanh and logsumexp" in note) == ("where" not in mend)
    followed = one(mend, {"z": at}, precision="float32")
    assert followed.notes == ()
    assert followed.gradients["z"] == pytest.approx(slope, abs=1e-30)


def test_derivatives_of_what_holds_derivatives_have_any_order():
    """The sum of a matrix's eigenvalues is its trace: 6 x0 - 30 x1**4."""
    found = one("eigvalsh(hessian(f, x))", {"x": [1, 2]}, define={"f": "x[0]**3 - 2*x[0]*x[1] - x[1]**6"}, order=2)
    np.testing.assert_allclose(found.gradients["x"], [6, -120 * 2**3])
    np.testing.assert_allclose(found.second["x"]["x"], [0, -360 * 2**2], atol=1e-9)


def test_json_is_strict_and_says_why_nothing_is_there():
    found = loads(dumps(grad("log(x) + 0*y", ["x=0", "y=1"], constant=["c=1+2j"], wrt=["x", "y", "c"]).as_dict()))
    (target,) = found["points"][0]["targets"]
    assert target["gradients"] == {"x": "inf", "y": 0.0, "c": {"value": None, "reason": "constant"}}
    assert target["value"] == "-inf"
    assert found["points"][0]["at"]["c"] == {"re": 1.0, "im": 2.0}
    json.loads(dumps(found), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x + q", ["x=1"]), "unknown name 'q'"),
        (("x +", ["x=1"]), "end|ends|missing|invalid|read"),
        (("x @ w", ["x=[1,2]", "w=[1,2,3]"]), "does not fit"),
        (("y", ["x=1"], {"define": ["y=x+z"]}), "unknown name 'z'"),
        (("x", ["x=x"]), "may not use 'x'"),
        (("x", ["step=1", "x=1"]), "meaning of its own"),
    ],
)
def test_what_is_wrong_with_a_formula_is_placed_in_it(arguments, message):
    *positional, options = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    with pytest.raises(ConfigError, match=message) as caught:
        grad(*positional, **options)
    assert caught.value.problems[0].place is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wrt": ["q"]}, "there is no q"),
        ({"order": -1}, "order -1"),
        ({"order": 0, "hessian": True}, "no derivatives"),
        ({"hvp": ["q=1"]}, "nothing to differentiate by"),
        ({"hvp": ["x=1,2,3"]}, "shape"),
        ({"step": 3}, "runs"),
        ({"precision": "int8"}, "precision"),
        ({"constant": ["q"]}, "q has no value"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        grad("x**2", ["x=1"], **options)


def test_points_must_be_as_many_for_each_name():
    with pytest.raises(UsageError, match="x has 2 values, another name has 3"):
        grad("x*y", ["x=1,2", "y=1,2,3"])


def test_a_hessian_too_large_to_hold_is_refused_with_its_size():
    with pytest.raises(UsageError, match=r"25,000,000 entries") as caught:
        grad("sum(x**2)", {"x": np.ones(5000)}, hessian=True)
    assert "--hvp" in caught.value.hint


CONFIG = """
precision: float64
data: {kind: formula, inputs: {x: "[1, 2, 3]"}, target: "[2, 4, 7]"}
define: {h: a * x}
model: {kind: formula, formula: h + b, parameters: {a: 1, b: {value: 0, trainable: false}}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 4}
"""


def test_a_config_is_differentiated_at_its_initial_values_and_at_given_ones(lab):
    lab.load(CONFIG)
    path = lab.folder / "case.yaml"
    x, y = np.asarray([1.0, 2, 3]), np.asarray([2.0, 4, 7])
    for a, overrides in ((1, []), (3, ["a=3"])):
        found = one(str(path), overrides, order=2)
        assert found.gradients["a"] == pytest.approx(np.mean(2 * (a * x - y) * x))
        assert found.second["a"]["a"] == pytest.approx(np.mean(2 * x * x))
        assert "not trained" in found.gradients["b"].reason


def test_further_formulas_are_of_the_configs_names(lab):
    lab.load(CONFIG)
    path = str(lab.folder / "case.yaml")
    found = one([path, "sum(prediction * x)"], wrt=["a", "x", "h", "prediction"])
    assert numbers(found.gradients) == {"a": 14, "x": [2, 4, 6], "h": [1, 2, 3], "prediction": [1, 2, 3]}
    with pytest.raises(ConfigError, match="'q'"):
        one([path, "q"])


def test_definitions_that_hold_no_parameter_have_derivatives_too(lab):
    """sum(v0 * x**2) * k, by hand."""
    lab.load("""
precision: float64
define: {x: "linspace(1, 3, 3)", k: 5, n: 3, m: "sum(ones([n])) * k"}
model: {kind: formula, formula: sum(v0 * x**2) * m / 3, parameters: {v0: 2}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 4}
""")
    found = one(str(lab.folder / "case.yaml"), wrt=["x", "k", "v0", "n"], hessian=True)
    np.testing.assert_allclose(found.gradients["x"], [20, 40, 60])
    assert found.gradients["k"] == pytest.approx(28)
    assert found.gradients["v0"] == pytest.approx(70)
    np.testing.assert_allclose(found.hessian["x"]["v0"], [10, 20, 30])
    np.testing.assert_allclose(found.hessian["x"]["k"], [4, 8, 12])
    assert "a count" in found.gradients["n"].reason


STOPPED = """
precision: float64
model: {kind: formula, formula: FORMULA, parameters: {w1: 5, w2: 3}}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {steps: 4}
"""


@pytest.mark.parametrize(
    ("formula", "why"),
    [
        ("3 * w1**2 + stop_gradient(2 * w1 * w2)", "stop_gradient ends every way back to it"),
        ("3 * w1**2 + floor(w2)", "floor ends the way back to it"),
        ("3 * w1**2 * (w2 > 1)", "a comparison ends the way back to it"),
    ],
)
def test_a_parameter_without_a_derivative_is_none_here_and_refused_by_training_for_one_reason(lab, formula, why):
    text = STOPPED.replace("FORMULA", formula)
    problem = lab.refused(text)
    assert problem.message == f"parameter 'w2' gets no gradient: {why}"
    lab.load(text)
    found = one(str(lab.folder / "case.yaml"))
    assert found.gradients["w1"] == 30
    assert found.gradients["w2"] == Missing(why)
    assert lab.train(text, ["model.parameters.w2.trainable=false"]).status == "completed"


def test_that_training_uses_gradients_by_hand_is_said(lab):
    hand = CONFIG + "gradients: {of: {a: 7 * a}, use: true}\n"
    lab.load(hand)
    path = str(lab.folder / "case.yaml")
    (note,) = grad(path).notes
    assert "a that `gradients:` writes by hand" in note
    assert grad(path, ["gradients.use=false"]).notes == ()
    assert grad([path, "sum(prediction)"]).notes == ()


def test_a_run_is_differentiated_at_its_end_or_at_a_recorded_step(lab):
    run = lab.train(CONFIG)
    x, y = np.asarray([1.0, 2, 3]), np.asarray([2.0, 4, 7])
    for step in (None, 0, 2):
        a = run.parameters["a"] if step is None else run.metrics["parameters.a"][step]
        found = one(str(run.directory), step=step)
        assert found.gradients["a"] == pytest.approx(np.mean(2 * (a * x - y) * x), rel=1e-12)
    with pytest.raises(UsageError, match="no parameters at step 9"):
        one(str(run.directory), step=9)


@pytest.mark.parametrize("text", ["a.yaml", "-", "latest", "latest~2", "2026-11-23T003318-pi-7f3a"])
def test_what_is_a_config_or_a_run(text):
    assert is_source(text)


@pytest.mark.parametrize("text", ["x/y", "x**2", "latest + 1", "-x", "a.b"])
def test_what_is_a_formula(text):
    assert not is_source(text)
