"""Plain scalars of the YAML 1.2 core schema: the values of `1e-3`, `0o17`, `yes` and `~`, texts that need quotes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_DECIMAL = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_MAX_INTEGER = 2**63

Scalar = str | int | float | bool | None


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value of YAML is a number: there, true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def reads_as_number(text: str) -> bool:
    """Return whether Python reads a text as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class ScalarError(ValueError):
    """A number that cannot be represented."""


def resolve(text: str) -> Scalar:
    """Return the value of a plain scalar: null, a bool, an int, a float, or the text itself.

    Raises:
        ScalarError: for infinities and nan, for integers beyond 64 bits, and for numbers that a float64 would turn into
            infinity or, from something else, into 0.
    """
    if text in _NULL:
        return None
    if text[0] not in "+-.0123456789tTfF":
        return text
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _DECIMAL.match(text):
        return _integer(text, 10)
    if _FLOAT.match(text):
        return _float(text)
    if _BASED.match(text):
        return _integer(text[2:], 8 if text[1] == "o" else 16)
    if _NOT_FINITE.match(text):
        raise ScalarError("a number must be finite")
    return text


def _integer(digits: str, base: int) -> int:
    # int() of a hostile number of digits is refused by Python itself, and slow before that.
    value = int(digits, base) if len(digits) <= 64 else _MAX_INTEGER
    if not -_MAX_INTEGER <= value < _MAX_INTEGER:
        raise ScalarError("this integer does not fit into 64 bits; with a decimal point or an exponent it is a float")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ScalarError("this number is too large for a float64; the largest is about 1.8e308")
    if value == 0 and re.search(r"[1-9]", re.split("[eE]", text)[0]):
        raise ScalarError("this number is too small for a float64 and would be read as 0")
    return value


_PLAIN = re.compile(r"[A-Za-z_./(][A-Za-z0-9_./()*+\- =<>]*\Z")
_OLD_BOOLEANS = frozenset({"yes", "no", "on", "off", "y", "n"})


def written(value: Scalar) -> str:
    """Return the YAML text that reads back as `value`, here and in YAML 1.1: floats with the digits that give the same
    bits, strings with quotes where they need them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = repr(value)
        # Older readers take 1e-05 for a text.
        return text if "." in text else text.replace("e", ".0e")
    if isinstance(value, int):
        return repr(value)
    if _PLAIN.match(value) and not value.endswith(" ") and _is_text(value) and value.count("(") == value.count(")"):
        return value
    return _quoted(value)


def _is_text(text: str) -> bool:
    if text.lower() in _OLD_BOOLEANS:
        return False
    try:
        return isinstance(resolve(text), str)
    except ScalarError:
        return False


def in_flow(value: Any) -> str:
    """Return a plain value, nested as it may be, as YAML in one line that reads back as it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written(str(key))}: {in_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(in_flow, value)) + "]"
    return written(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'
