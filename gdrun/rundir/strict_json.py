"""JSON as RFC 8259 has it, both ways: no NaN, no Infinity, no duplicate keys, whatever is written or read.

What JSON has no number for is written as: "nan", "inf", "-inf" (strings) and {"re": ..., "im": ...} (complex). numpy's
scalars and arrays are written as numbers and nested lists, with the shortest digits that give the value back in its own
precision: a float32 of 0.1 is 0.1. Without numpy in the process nothing here imports it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def dumps(value: object, *, indent: int | None = None) -> str:
    """Return `value` as strict JSON text, in ASCII, so that no terminal can be fooled by a file of ours.

    Args:
        value: numbers, texts, None, mappings with text keys, lists, tuples, paths, times, numpy values.
        indent: spaces a level; None puts all on one line without spaces.
    Raises:
        TypeError: something in `value` has no JSON form.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(plain(value), indent=indent, separators=separators, allow_nan=False)


def loads(text: str | bytes) -> Any:
    """Return what strict JSON text says.

    Raises:
        ValueError: it is not strict JSON in UTF-8 (NaN and Infinity are not), repeats a key in an object, or is nested
            beyond reason.
    """
    try:
        return _DECODER.decode(text.decode("utf-8") if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def plain(value: object) -> Any:
    """Return `value` made of dict, list, str, int, finite float, bool and None alone, as `dumps` writes it."""
    # Exact types first: nearly everything is one of them, and a bool is an int.
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is float:
        return value if math.isfinite(value) else _not_finite(value)  # type: ignore[arg-type]
    if kind is str:
        return _text(value)  # type: ignore[arg-type]
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _plain_other(value)


def _plain_other(value: object) -> Any:
    if isinstance(value, Enum):
        return plain(value.value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _plain_array(value)
    if isinstance(value, complex):
        return {"re": plain(value.real), "im": plain(value.imag)}
    if isinstance(value, int | float | str):  # a subclass: strip it
        return plain(next(kind for kind in (int, float, str) if isinstance(value, kind))(value))
    if isinstance(value, PurePath):
        return _text(str(value))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _plain_array(value: Any) -> Any:
    """Return a numpy array or scalar as nested lists of plain values."""
    import numpy as np

    from .digits import shortest_float64

    array = np.asarray(value)
    if array.dtype.kind == "c":
        part = np.float32 if array.dtype == np.complex64 else np.float64
        real, imaginary = array.real.astype(part), array.imag.astype(part)
        nested = np.empty(array.shape, object)
        pairs = zip(_plain_array(real.ravel()), _plain_array(imaginary.ravel()), strict=True)
        for index, (re, im) in enumerate(pairs):
            nested.flat[index] = {"re": re, "im": im}
        return nested.tolist() if array.ndim else nested.item()
    if array.dtype.kind == "f":
        return plain(shortest_float64(array).tolist())
    if array.dtype.kind in "iubUO":
        return plain(array.tolist())
    raise TypeError(f"an array of {array.dtype} has no JSON form")


def not_finite(text: str) -> float | None:
    """Return the number that "nan", "inf" or "-inf" stands for, None for any other text."""
    return _NOT_FINITE.get(text)


def _not_finite(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _text(value: str) -> str:
    # Undecodable bytes in arguments and paths arrive as lone surrogates, which strict readers refuse.
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")


def _key(key: object) -> str:
    if isinstance(key, str):
        return _text(key)
    if isinstance(key, bool) or not isinstance(key, int):
        raise TypeError(f"a JSON object's key must be a text, not {type(key).__name__}")
    return str(key)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} is there twice")
    return made


# Made once: json.loads makes a new one each time, which is a good part of the time that a small record takes.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique)
