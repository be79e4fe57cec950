"""The terms of a filter: names, values as written, and how a run's value compares with them.

A test answers true, false, or None where it says nothing about a run: it has no such value, or the two have no order.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Look = Callable[[str], Any]
"""Name -> a run's value of that name, None where it has none."""

Test = Callable[[Look], bool | None]
"""A condition on one run: true, false, or None where it says nothing about it."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d|w)")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@dataclass(frozen=True)
class Literal:
    """A value as written; what it is depends on what it is compared with."""

    text: str
    number: float | None = None
    seconds: float | None = None
    pattern: bool = False

    @classmethod
    def of(cls, text: str, *, quoted: bool) -> Literal:
        """Return the value that was written so."""
        if quoted:
            return cls(text)
        return cls(text, _number(text), duration(text), any(mark in text for mark in "*?"))


@dataclass(frozen=True)
class Name:
    """What a run may have a value of."""

    name: str


def duration(text: str) -> float | None:
    """Return the seconds that "30d", "2h", "15min", "45s" or "1w" stand for; None for any other text."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _UNITS[match[2]] if match else None


def _number(text: str) -> float | None:
    # float() also takes "1_000", "infinity" and digits of other scripts; only what a config takes is a number here.
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf|nan", text, re.ASCII):
        return None
    return float(text)


def any_of(found: list[bool | None]) -> bool | None:
    """Return whether one holds; None where that hangs on what is not known."""
    return True if True in found else None if None in found else False


def all_of(found: list[bool | None]) -> bool | None:
    """Return whether all hold; None where that hangs on what is not known."""
    return False if False in found else None if None in found else True


def membership(left: Name | Literal, values: list[Literal], *, negated: bool) -> Test:
    """Return the test of `left in values`."""
    tests = [comparison(left, "==", value) for value in values]

    def test(look: Look) -> bool | None:
        found = any_of([each(look) for each in tests])
        return found if found is None or not negated else not found

    return test


def comparison(left: Name | Literal, operator: str, right: Name | Literal) -> Test:
    """Return the test of `left operator right`."""

    def test(look: Look) -> bool | None:
        a, b = (look(side.name) if isinstance(side, Name) else side for side in (left, right))
        return None if a is None or b is None else _compare(a, operator, b)

    return test


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _compare(a: Any, operator: str, b: Any) -> bool | None:
    """Compare a run's value with a literal or with another of its values."""
    if isinstance(a, Literal) and not isinstance(b, Literal):
        return _compare(b, _MIRRORED[operator], a)
    if isinstance(a, Literal):
        a = a.text if a.number is None else a.number
    pattern = isinstance(b, Literal) and b.pattern
    number = isinstance(b, Literal) and b.number is not None
    b = _fitting(a, b) if isinstance(b, Literal) else b
    if operator in ("==", "!="):
        return _equal(a, b, pattern=pattern) == (operator == "==")
    if isinstance(a, str) and number:
        return None
    alike = (_is_number(a) and _is_number(b)) or (isinstance(a, str) and isinstance(b, str))
    if not alike:
        return None
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])


def _fitting(value: Any, literal: Literal) -> Any:
    """The literal as what `value` can be compared with."""
    if isinstance(value, bool):
        return {"true": True, "false": False}.get(literal.text, literal.text)
    if _is_number(value):
        found = literal.number if literal.number is not None else literal.seconds
        return literal.text if found is None else found
    return literal.text


def _equal(a: Any, b: Any, *, pattern: bool) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if _is_number(a) and _is_number(b):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list):
        return str(a).replace(" ", "") == str(b).replace(" ", "")
    if pattern and isinstance(a, str):
        return fnmatch.fnmatchcase(a, str(b))
    return bool(a == b)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
