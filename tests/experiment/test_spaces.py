"""Spaces: what a key may be in a sweep, as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.scalars import in_flow
from gdrun.config.source import Node, Source, Span
from gdrun.errors import ConfigError, Problem
from gdrun.experiment.spaces import pieces, read_argument, read_space
from tests.experiment.texts import marked


def space(text: str):
    return read_argument(Source("argument 1", f"lr={text}", is_override=True), 3)


def refused(text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        space(text)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.1,0.2,0.4", [0.1, 0.2, 0.4]),
        (" 0.1 , 1e-3 ", [0.1, 0.001]),
        ("[4,0],[1,2]", [(4, 0), (1, 2)]),
        ("sgd,adam", ["sgd", "adam"]),
        ("{kind: sgd, momentum: 0.5},adam", [{"kind": "sgd", "momentum": 0.5}, "adam"]),
        ("normal(0, 0.1),zeros", ["normal(0, 0.1)", "zeros"]),
        ('"a, b",c', ["a, b", "c"]),
        ("it's,2", ["it's", 2]),
        ("null,1,true", [None, 1, True]),
        ("gpu:1", ["gpu:1"]),
        ("", [None]),
        ("5", [5]),
    ],
)
def test_commas_outside_of_brackets_and_quotes_part_values(text, values):
    assert [node.plain() for node in space(text).nodes] == values


def test_each_value_knows_its_place():
    nodes = space("0.1, [1, 2],x").nodes
    shown = [node.span.source.text[node.span.start : node.span.end] for node in nodes]
    assert shown == ["0.1", "[1, 2]", "x"]


@pytest.mark.parametrize(
    ("text", "kind", "low", "high", "count"),
    [
        ("lin:0:1:11", "lin", 0, 1, 11),
        ("log:1e-4:1:50", "log", 1e-4, 1, 50),
        ("log:1e-4:1:5e1", "log", 1e-4, 1, 50),
        ("range:0:5", "range", 0, 5, 1),
        ("range:0:10:3", "range", 0, 10, 3),
        ("uniform:-1:1", "uniform", -1, 1, 1),
        ("loguniform:1e-5:1", "loguniform", 1e-5, 1, 1),
    ],
)
def test_forms_have_ends_and_a_count(text, kind, low, high, count):
    read = space(text)
    assert (read.kind, read.low, read.high, read.count) == (kind, low, high, count)


@pytest.mark.parametrize("text", ["lin:0:1:11", "log:0.0001:1:50", "range:0:5", "range:0:10:3", "uniform:-1:1"])
def test_a_form_gives_its_text_back(text):
    assert space(text).text() == text


@pytest.mark.parametrize(
    ("text", "message", "mark"),
    [
        ("log:0:1:5", "greater than 0", "0"),
        ("loguniform:-1:1", "greater than 0", "-1"),
        ("log:1:0.1:5", "wrong way round", "1"),
        ("uniform:1:0", "wrong way round", "1"),
        ("range:5:5", "empty", "5"),
        ("range:0:0.5", "whole number", "0.5"),
        ("range:0:5:0", "at least 1", "0"),
        ("lin:0:1:2.5", "whole number", "2.5"),
        ("lin:0:1:0", "at least 1 value", "0"),
        ("lin:0:1:1", "cannot have two ends", "1"),
        ("lin:1:1:5", "ends are equal", "5"),
        ("uniform:1:1", "nothing to draw", "1"),
        ("lin:-1e308:1e308:5", "too far apart", "1e308"),
        ("log:1:2", "takes low:high:count, got 2 numbers", "log:1:2"),
        ("uniform:0:1:5", "takes low:high, got 3 numbers", "uniform:0:1:5"),
        ("log:a:1:5", "low must be a number", "a"),
        ("log::1:5", "low is missing", ":"),
        ("linspace:0:1:5", "no space 'linspace:'", "linspace"),
        ("lgo:1:2:3", "no space 'lgo:'", "lgo"),
        ("log:.nan:1:5", "finite", ".nan"),
        ("0.1,,0.2", "missing here", ","),
        ("0.1,", "missing here", ","),
        ("0.1,.inf", "finite", ".inf"),
        ("1,[2", "never closed", "["),
        ("1,*x", "alias", "*x"),
    ],
)
def test_what_is_no_space_is_refused_at_its_place(text, message, mark):
    problem = refused(text)
    assert message in problem.message
    assert marked(problem) == mark


def test_sizes_are_known_without_making_values():
    assert space("lin:0:1:1000000000").size == 10**9
    assert space("range:0:1000000000").size == 10**9


def test_a_list_of_a_config_is_a_space_and_a_number_one_value():
    span = Span(Source("a.yaml", "x"), 0, 1)
    assert read_space(Node([Node(1, span), Node(2, span)], span)).size == 2
    assert read_space(Node(0.5, span)).size == 1
    assert read_space(Node("log:1:10:3", span)).kind == "log"
    with pytest.raises(ConfigError, match="empty"):
        read_space(Node([], span))


@pytest.mark.parametrize("text", ["a,b", "[a,b],c", '"a,b",c', "{a: [1,2]},(x,y)", "a", ""])
def test_pieces_cover_the_text_but_for_its_commas(text):
    found = pieces(text)
    assert sum(end - start for start, end in found) == len(text) - (len(found) - 1)


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abc ,:'\"[]{}#-&*", max_size=8)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.lists(_VALUES, min_size=1, max_size=5))
def test_values_written_with_commas_between_them_are_read_back(values):
    assert [node.plain() for node in space(",".join(map(in_flow, values))).nodes] == values
