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
