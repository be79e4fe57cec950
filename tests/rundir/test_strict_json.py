"""Strict JSON: what is written any strict reader takes, and what is not strict is refused."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.rundir.strict_json import dumps, loads, plain


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (np.float32("nan"), "nan"),
        ([np.float32(0.1), np.float64(0.1)], [0.1, 0.1]),
        (np.array([0.1, np.inf], np.float32), [0.1, "inf"]),
        (1 + 2j, {"re": 1.0, "im": 2.0}),
        (np.complex64(0.1 + 1j), {"re": 0.1, "im": 1.0}),
        (np.array([[1j, 2]]), [[{"re": 0.0, "im": 1.0}, {"re": 2.0, "im": 0.0}]]),
        (complex(math.nan, 0), {"re": "nan", "im": 0.0}),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.zeros((0, 2)), []),
        ((1, (2,)), [1, [2]]),
        ({1: "a", "b": None}, {"1": "a", "b": None}),
        (Path("a/b"), "a/b"),
        (Colour.RED, "red"),
        ({"z", "a"}, ["a", "z"]),
        (datetime(2026, 11, 23, 2, tzinfo=timezone(timedelta(hours=2))), "2026-11-23T00:00:00.000Z"),
        ("\udc80\x1b‮é", "\\udc80\x1b‮é"),
    ],
)
def test_what_json_lacks_is_written_as_documented(value: object, expected: object):
    assert loads(dumps(value)) == expected
    assert plain(value) == expected
    assert dumps(value).isascii()


@pytest.mark.parametrize(
    "value", [object(), {(1, 2): 3}, {True: 1}, b"bytes", np.array([object()]), np.datetime64("now")]
)
def test_what_has_no_json_form_is_a_type_error(value: object):
    with pytest.raises(TypeError):
        dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        "-Infinity",
        '{"a": 1, "a": 2}',
        "{",
        "",
        "[1] [2]",
        b"\xff",
        b'\xef\xbb\xbf{"a": 1}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 5000,
    ],
)
def test_what_is_not_strict_is_a_value_error(text: str | bytes):
    with pytest.raises(ValueError):  # noqa: PT011  (the reasons are the parser's own)
        loads(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
)
def test_plain_data_comes_back_the_same(value: object):
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is written as text
    assert loads(dumps(value)) == value
    assert loads(dumps(value, indent=2).encode()) == value
