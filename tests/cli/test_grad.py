"""`gdrun grad`: what it prints."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")


def test_formulas_and_values_may_stand_in_any_order(gdrun):
    result = gdrun("grad", "b=10", "x**2 + b", "x=100")
    assert (result.code, result.err) == (0, "")
    assert result.out.split() == ["x**2", "+", "b", "=", "10010", "d/db", "1", "d/dx", "200"]


def test_a_keyword_in_a_formula_is_no_value(gdrun):
    assert "d/dx  [2, 4]" in gdrun("grad", "sum(x**2, axis=0)", "x=[1,2]").out


def test_json_is_one_document(gdrun):
    found = json.loads(gdrun("grad", "x**2", "x=1,2", "--order", "2", "--json").out)
    assert [point["targets"][0]["second"] for point in found["points"]] == [{"x": {"x": 2.0}}] * 2


def test_several_points_make_a_table(gdrun):
    result = gdrun("grad", "x**2 + b", "x=1,2,3", "b=10", "--order", "2")
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["x", "x**2", "+", "b", "d/dx", "d/db", "d2/dx2"]
    assert [[float(cell) for cell in line] for line in lines[1:4]] == [
        [x, x**2 + 10, 2 * x, 1, 2] for x in (1.0, 2.0, 3.0)
    ]
    assert lines[4] == ["d2/dxdb", "none", "(the", "derivative", "by", "x", "does", "not", "depend", "on", "b)"]


def test_a_reason_stays_in_the_table_where_other_points_have_the_derivative(gdrun):
    assert gdrun("grad", "floor(x)", "x=1,2").out.splitlines()[-1] == "  d/dx  none (floor ends the way back to it)"


def test_points_with_arrays_are_shown_one_by_one(gdrun):
    out = gdrun("grad", "x @ x", "x=[1,2],[3,4]").out
    assert "at x = [1, 2]\nx @ x = 5\n  d/dx  [2, 4]\n" in out
    assert "at x = [3, 4]\nx @ x = 25\n  d/dx  [6, 8]\n" in out


def test_values_alone_have_no_derivatives(gdrun, config):
    assert gdrun("grad", "x**2", "x=3", "--values").out == "x**2 = 9\n"
    lines = gdrun("grad", "x**2", "x**3", "x=1,2", "--values").out.splitlines()
    assert [line.split()[:3] for line in lines] == [["x", "x**2", "x**3"], ["1", "1", "1"], ["2", "4", "8"]]
    # x = 0, 1/4, ..., 1 and the target is 2 x: the mean of 4 x**2 at a = 0.
    assert gdrun("grad", config(), "--values").out == "loss = 1.5\n"
    document = json.loads(gdrun("grad", "x**2", "x=3", "--values", "--json").out)
    assert document["points"][0]["targets"] == [{"target": "x**2", "value": 9.0, "gradients": {}}]


@pytest.mark.parametrize("option", [["--order", "2"], ["--hessian"], ["--jvp", "x=1"]])
def test_values_alone_go_with_no_derivative(gdrun, option):
    result = gdrun("grad", "x**2", "x=3", "--values", *option)
    assert result.code == 2
    assert "derivatives" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x^2", "x=3"], "^"),
        (["x + sine(x)", "x=1"], "did you mean 'sin'"),
        (["x + y", "x=1"], "y"),
        (["x", "x=1+"], "x="),
        (["x", "x=1", "--hvp", "x=1+"], "--hvp x="),
        (["x", "x=1", "--order", "9"], "order 9"),
        (["x", "x=1,2", "y=1,2,3"], "values"),
        (["line.yaml", "mean(prediction"], "mean(prediction"),
        (["line.yaml", "lr=fast"], "expected a number"),
        (["missing.yaml"], "missing.yaml"),
    ],
)
def test_what_is_wrong_with_the_arguments_is_said_before_tensorflow_starts(
    gdrun, config, monkeypatch, arguments, message
):
    def start():
        raise AssertionError("TensorFlow was started")

    config()
    monkeypatch.setattr("gdrun.engine.device.import_tensorflow", start)
    result = gdrun("grad", *arguments)
    assert (result.code, message in result.err) == (2, True), result.err


def test_a_mistake_is_shown_in_its_formula(gdrun):
    result = gdrun("grad", "x + sine(x)", "x=1")
    assert result.code == 2
    assert "^^^^" in result.err
    assert "did you mean" in result.err


def test_a_config_and_a_run_are_differentiated(gdrun, config):
    assert "d/da  -1.5" in gdrun("grad", config(), "a=0", "precision=float64").out
    run = gdrun("train", config()).out.strip()
    assert "loss = " in gdrun("grad", run).out
    assert "loss = " in gdrun("grad", "latest", "--step", "3").out
    assert gdrun("grad", config(), "--step", "3").code == 2


def test_a_name_without_a_value_is_to_be_given_one(gdrun):
    refused = gdrun("grad", "x**2")
    assert "give it a value: x=3" in refused.err
    assert gdrun("grad", "x**2", "x=3").code == 0


def test_two_configs_are_one_too_many(gdrun, config):
    first, second = config("a"), config("b")
    refused = gdrun("grad", first, second)
    assert "grad takes one config or run" in refused.err
    assert f"gdrun grad {first}" in refused.err
