"""Filters: what they mean, what they refuse, and that nothing in them is code."""

from __future__ import annotations

import math
import operator
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.errors import UsageError
from gdrun.rundir.filter import Filter, duration

RUN: dict[str, Any] = {
    "lr": 0.1,
    "steps": 1000,
    "loss": 0.25,
    "validation_loss": 0.5,
    "status": "diverged",
    "name": "five-point-line",
    "nesterov": True,
    "age": 3 * 86400.0,
    "hidden": [16, 16],
    "model.layers.0.units": 32,
    "started": "2026-11-23T00:33:18.000Z",
    "worst": math.nan,
    "top": math.inf,
    "one": "1",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr == 0.1", True),
        ("lr=0.1", True),
        ("lr >= 0.1 and loss < 1 and status == diverged", True),
        ("lr > 0.1", False),
        ("lr < 1e-1", False),
        ("lr != .2", True),
        ("steps == 1000.0", True),
        ("0.01 < lr <= 0.1", True),
        ("0.01 < lr < 0.1", False),
        ("1 > lr", True),
        ("status != completed", True),
        ("status in (diverged, failed)", True),
        ("status not in (diverged, failed)", False),
        ("lr in [0.1, 0.2]", True),
        ("not lr == 0.1", False),
        ("not (lr > 1 or loss > 1)", True),
        ("lr > 1 or loss < 1 and steps == 1000", True),
        ("(lr > 1 or loss < 1) and steps == 1", False),
        ("name == five-point-line", True),
        ("name == 'five-point-line'", True),
        ("name == five*", True),
        ('name == "five*"', False),
        ("name in (pi, f*)", True),
        ("name == FIVE*", False),
        ("nesterov == true", True),
        ("nesterov == 1", False),
        ("nesterov != false", True),
        ("age > 2d and age < 1w", True),
        ("age > 73h", False),
        ("hidden == '[16, 16]'", True),
        ("model.layers.0.units >= 32", True),
        ("validation_loss > loss", True),
        ("loss > validation_loss", False),
        ("started > 2026-11-22", True),
        ("started < 2026-11-22", False),
        ("worst == nan", True),
        ("worst < 1", False),
        ("top == inf", True),
        ("one == 1", True),
        ("loss == diverged", False),
    ],
)
def test_a_condition_means_what_it_says(text: str, expected: bool):
    assert Filter(text).matches(RUN.get) is expected


@pytest.mark.parametrize(
    "text",
    ["momentum > 0", "not momentum > 0", "momentum != 1", "momentum not in (1, 2)", "not (momentum > 0 or lr > 1)"],
)
def test_a_missing_value_matches_nothing_not_even_negated(text: str):
    assert Filter(text).matches(RUN.get) is False


def test_a_missing_value_does_not_hide_what_is_known():
    assert Filter("momentum > 0 or lr < 1").matches(RUN.get)
    assert not Filter("momentum > 0 and lr < 1").matches(RUN.get)


def test_a_text_has_no_order_against_a_number():
    for text in ("status < 5", "not status < 5", "lr < abc"):
        assert not Filter(text).matches(RUN.get)


def test_names_are_known_before_any_run_is_looked_at():
    assert Filter("0.1 <= lr and status == diverged and lr < loss").names == ("lr", "status", "loss")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("lr", "compared with nothing"),
        ("lr <", "expected a name or a value"),
        ("< 3", "not '<'"),
        ("lr < 1 and", "expected a name or a value"),
        ("lr < 1 loss", "did not expect 'loss'"),
        ("(lr < 1", "expected ')'"),
        ("lr < 1)", "did not expect ')'"),
        ("status in completed", "expected '('"),
        ("status in (completed", "expected ')'"),
        ("status in ()", "expected a value"),
        ("lr ! 1", "cannot be read"),
        ("age < 30x", "'30x' is no number and no duration"),
        ("name == 'open", "cannot be read"),
        ("and", "not 'and'"),
        ("(" * 60 + "lr < 1" + ")" * 60, "nested too deeply"),
        ("not " * 60 + "lr < 1", "nested too deeply"),
        ("lr < " + "1" * 3000, "at most"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str):
    with pytest.raises(UsageError, match=message.replace("(", r"\(").replace(")", r"\)")):
        Filter(text)


def test_the_place_of_a_mistake_is_marked():
    with pytest.raises(UsageError) as caught:
        Filter("lr < 1 and \x1b[31m ! 2")
    lines = caught.value.message.splitlines()
    assert "\x1b" not in caught.value.message
    assert lines[1][lines[2].index("^")] == "!"


def test_a_date_or_a_name_that_begins_with_digits_is_no_unknown_unit():
    for text in ("started > 2026-11-23", "name == 30x", "age < 30min"):
        Filter(text)


def test_durations_have_units():
    assert [duration(text) for text in ("30d", "1.5h", "15min", "2m", "45s", "1w", "5ms")] == [
        30 * 86400, 5400, 900, 120, 45, 604800, 0.005
    ]  # fmt: skip
    assert [duration(text) for text in ("30", "d", "30 d", "-1d", "1y")] == [None] * 5


@given(st.text(alphabet=string.printable + "é\u202e\0", max_size=60))
def test_any_text_is_read_or_refused(text: str):
    try:
        found = Filter(text).matches(RUN.get)
    except UsageError:
        return
    assert found in (True, False)


_OPERATORS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne
}  # fmt: skip
_NUMBERS = st.integers(-3, 3)
_COMPARISONS = st.tuples(st.sampled_from("abc"), st.sampled_from(sorted(_OPERATORS)), _NUMBERS)


@given(
    st.recursive(
        _COMPARISONS.map(lambda one: (f"{one[0]} {one[1]} {one[2]}", one)),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
                lambda p: (f"({p[0][0]}) {p[1]} ({p[2][0]})", (p[1], p[0][1], p[2][1]))
            ),
            inner.map(lambda p: (f"not ({p[0]})", ("not", p[1]))),
        ),
        max_leaves=8,
    ),
    st.fixed_dictionaries(dict.fromkeys("abc", _NUMBERS)),
)
def test_conditions_agree_with_pythons_own_logic(written: Any, values: dict[str, int]):
    text, tree = written

    def holds(node: Any) -> bool:
        if node[0] == "not":
            return not holds(node[1])
        if node[0] in ("and", "or"):
            return (all if node[0] == "and" else any)([holds(node[1]), holds(node[2])])
        return _OPERATORS[node[1]](values[node[0]], node[2])

    assert Filter(text).matches(values.get) is holds(tree)
