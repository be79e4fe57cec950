"""Text for people: nothing that a terminal obeys, the shortest digits, durations and plurals."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.text import human_bytes, human_number, human_seconds, plural, safe_text


@given(st.text(alphabet=st.characters(), max_size=50))
def test_nothing_that_a_terminal_obeys_is_left(text: str):
    safe = safe_text(text)
    assert all(unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in safe)
    safe.encode()


@given(st.text(alphabet=st.characters(), max_size=50), st.integers(1, 60))
def test_the_limit_holds_after_escaping(text: str, limit: int):
    assert len(safe_text(text, limit=limit)) <= limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢字 [red]", "plain é 漢字 [red]"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("evil\u202etxt", "evil\\u202etxt"),
        ("\u2028\u200b\ufeff", "\\u2028\\u200b\\ufeff"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("\udc80", "\\udc80"),
        ("\U000e0001", "\\U000e0001"),
        ("non\u00a0breaking\u3000", "non\u00a0breaking\u3000"),
    ],
)
def test_escapes(text: str, expected: str):
    assert safe_text(text) == expected


def test_newlines_may_be_kept_and_any_object_is_taken():
    assert safe_text("a\nb\x1b", lines=True) == "a\nb\\x1b"
    assert safe_text(3) == "3"
    assert safe_text("abcdef", limit=4) == "abc…"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.141592653589793, "3.141592653589793"),
        (np.float32(0.1), "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1.0, "1"),
        (7, "7"),
        (10**30, str(10**30)),
        (np.int64(5), "5"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (5.803526e-37, "5.803526e-37"),
        (True, "true"),
    ],
)
def test_a_number_has_the_shortest_digits_of_its_precision(value: float, expected: str):
    assert human_number(value) == expected


@given(st.floats(allow_nan=False))
def test_a_float_comes_back_from_its_digits(value: float):
    assert float(human_number(value)) == value


def test_digits_are_limited_on_request():
    assert human_number(3.141592653589793, digits=4) == "3.142"
    assert human_number(1234567, digits=3) == "1.23e+06"
    assert human_number(12, digits=3) == "12"
    assert human_number(float("inf"), digits=3) == "inf"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 ms"), (0.00025, "0.25 ms"), (0.0123, "12 ms"), (0.25, "0.25 s"), (9.94, "9.9 s"), (9.96, "10 s"),
        (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3599.6, "1 h"), (7500, "2 h 5 min"),
        (86399, "1 d"), (100 * 3600, "4 d 4 h"), (-3, "-3 s"), (float("nan"), "?"), (float("inf"), "?"),
    ],
)  # fmt: skip
def test_durations(seconds: float, expected: str):
    assert human_seconds(seconds) == expected


@pytest.mark.parametrize(
    ("size", "expected"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2 * 10**7, "20 MB"), (5 * 10**12, "5 TB")]
)
def test_sizes(size: int, expected: str):
    assert human_bytes(size) == expected


def test_plurals():
    assert plural(1, "problem") == "1 problem"
    assert plural(0, "problem") == "0 problems"
    assert plural(2, "entry", "entries") == "2 entries"
