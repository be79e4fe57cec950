"""Bytes -> values with places: YAML 1.2 core, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.config.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, read_document
from gdrun.errors import ConfigError
from tests.hang import no_hang


def read(text: str | bytes):
    return read_document(text.encode() if isinstance(text, str) else text, "c.yaml").plain()


def found_in(text: str | bytes):
    """The problems of a text, none where it can be read; any other exception fails the test."""
    try:
        read(text)
    except ConfigError as error:
        return list(error.problems)
    return []


def refused(text: str | bytes):
    with pytest.raises(ConfigError) as caught:
        read(text)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-0.0", -0.0),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("+3", 3),
        ("~", None),
        ("", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("'12'", "12"),
        ("1_000", "1_000"),
        ("0o18", "0o18"),
        ("12:30:00", "12:30:00"),
        ("2001-01-01", "2001-01-01"),
        ("-", ...),
        ("9223372036854775807", 2**63 - 1),
        ("[1, [2.0, x]]", (1, (2.0, "x"))),
        ("{a: 1, b: {c: 2}}", {"a": 1, "b": {"c": 2}}),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">\n  a\n  b\n", "a b\n"),
        ('"a\\tb"', "a\tb"),
    ],
)
def test_scalars_are_those_of_yaml_1_2_core(written, value):
    if value is ...:
        value = (None,)
        written = "\n- "
    result = read(f"k: {written}")["k"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "column", "length", "words"),
    [
        ("a: .inf", 1, 4, 4, "finite"),
        ("a: -.INF", 1, 4, 5, "finite"),
        ("a: .nan", 1, 4, 4, "finite"),
        ("a: 1e400", 1, 4, 5, "too large"),
        ("a: 1e-400", 1, 4, 6, "too small"),
        ("a: 9223372036854775808", 1, 4, 19, "64 bits"),
        ("a: 1\nb: 2\na: 3", 3, 1, 1, "the first is in line 1"),
        ("a: {b: 1, b: 2}", 1, 11, 1, "here twice"),
        ("x:\n  <<: {a: 1}", 2, 3, 2, "merge keys"),
        ("x: &a 1", 1, 4, 4, "anchor"),
        ("x: *a", 1, 4, 2, "alias"),
        ("x: !!python/object:os.system ls", 1, 4, 28, "tag"),
        ("x: !!str 1", 1, 4, 7, "tag"),
        ("%YAML 1.2\n---\na: 1", 1, 1, 9, "directives"),
        ("# c\n%TAG ! x\n---\na: 1", 2, 1, 8, "directives"),
        ("a: 1\n---\nb: 2", 2, 1, 3, "one YAML document"),
        ("? [a]\n: 1", 1, 3, 1, "plain text"),
        ("a: \u202ex", 1, 4, 1, "U+202E"),
        ("a: x\u200by", 1, 5, 1, "U+200B"),
        ("a: \x1b[31m", 1, 4, 1, "U+001B"),
        ('a: "\\u202e"', 1, 4, 8, "U+202E"),
        ('a: "\\0"', 1, 4, 4, "U+0000"),
        ("a:\n\tb: 1", 2, 1, 1, "tabs"),
        ("a: 'x", 1, 4, 1, "never closed"),
        ("a: {b: 1", 1, 4, 1, "never closed"),
        ("a: [1, 2", 1, 4, 1, "never closed"),
        ("a: b: c", 1, 5, 1, "':'"),
        ("a:\n  b: 1\n c: 2", 3, 2, 1, "fits no key"),
    ],
)
def test_each_refusal_says_where(text, line, column, length, words):
    problem = refused(text)[0]
    assert words in problem.message
    assert (problem.place.line, problem.place.column) == (line, column)
    assert problem.place.length == length or problem.place.length <= length
    assert problem.place.source == "c.yaml"


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("w: {init: normal(0, 0.1), shape: [3]}", '"normal(0, 0.1)"'),
        ("w: [normal(0, 1), 2]", '"normal(0, 1)"'),
        ("w: {f: x[0] * y, g: 2}", '"x[0] * y"'),
        ("w: *x + 1", '"*x + 1"'),
        ("w: * x", '"* x"'),
        ("w: &x", '"&x"'),
        ("w: @x", '"@x"'),
        ("w: |x|", '"|x|"'),
        ("w: > 3", '"> 3"'),
        ("w: %x", '"%x"'),
        ("w: !x", '"!x"'),
        ("w: [1, 2][0]", '"[1, 2][0]"'),
        ("repeat: [s[0] + p, s[1]]", '"s[0] + p"'),
    ],
)
def test_formulas_that_yaml_misreads_are_to_be_put_in_quotes(text, mend):
    problem = refused(text)[0]
    assert "put the formula in quotes" in problem.message
    assert mend in problem.hint
    read(f"w: {mend}")  # the mend is good YAML


def test_several_mistakes_are_told_together():
    found = refused("a: .inf\nb: 1e999\nc: 1\nc: 2\n")
    assert [problem.place.line for problem in found] == [1, 2, 4]


def test_a_byte_that_is_not_utf8_is_located():
    (problem,) = refused(b"a: 1\nb: caf\xe9\n")
    assert (problem.place.line, problem.place.column) == (2, 7)
    assert "0xe9" in problem.message


def test_a_byte_order_mark_is_no_character():
    assert read("\ufeffa: 1") == {"a": 1}


def test_every_key_and_value_knows_its_place():
    root = read_document(b"a: 1\nb:\n  c: [x,  'y']\n", "f")
    assert root.keys["b"].place().line == 2
    c = root.child("b").child("c")
    assert root.child("b").keys["c"].place().column == 3
    assert [(item.span.place().line, item.span.place().column, item.span.place().length) for item in c.value] == [
        (3, 7, 1),
        (3, 11, 3),
    ]


HOSTILE = {
    "brackets": "[" * 500_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 250_000,
    "question marks": "? " * 250_000,
    "2000 levels": "".join(f"{' ' * level}a:\n" for level in range(1000)),
    "keys": "? a\n" * 200_000,
    "values": "x: [" + "1," * 400_000 + "]",
    "alias bomb": "a: &a [x, x]\n" + "".join(f"a{i}: &a{i} [*a, *a]\n" for i in range(1000)),
    "digits": "x: " + "9" * 1_000_000,
    "a long word": "x: " + "y" * 1_040_000,
    "a long key": "y" * 1_000_000 + ": 1",
    "directives": "%TAG !a! b\n" * 50_000,
    "documents": "---\n" * 250_000,
    "open quote": 'x: "' + "\\\n" * 400_000,
    "empty lines": "\n" * 300_000,
    "block": "x: |\n" + " \n" * 300_000,
    "control characters": "\x01" * 1_000_000,
    "not utf-8": b"\xff" * 1_000_000,
    "nul bytes": b"\0" * 1_000_000,
    "too large": b"#" * (MAX_BYTES + 1),
    "escape": 'x: "\\' * 1000,
    "unicode digits": "x: ١٢٣",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_end_in_values_or_a_config_error(name):
    with no_hang():
        found = found_in(HOSTILE[name])
    assert all(problem.place is not None for problem in found)
    assert sum(len(problem.message) for problem in found) < 20_000


def test_depth_and_size_bounds():
    read("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert "deep" in refused("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))[0].message
    assert len(read("[" + "1," * (MAX_NODES - 1) + "]")) == MAX_NODES - 1
    assert "values" in refused("[" + "1," * (MAX_NODES + 1) + "]")[0].message


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_values_or_a_config_error(data):
    found_in(data)


@given(st.text(alphabet="a: -[]{},'\"|>&*!%@#\n\t012.e()?<", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_yaml_like_text_gives_values_or_a_config_error_with_places(text):
    for problem in found_in(text):
        assert problem.place.line >= 1
        assert problem.place.column >= 1
