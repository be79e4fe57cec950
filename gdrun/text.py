"""Text that is safe and pleasant to show to a person: escaped names, short numbers, durations, plurals."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, SupportsFloat


def safe_text(text: object, *, limit: int | None = None, lines: bool = False) -> str:
    r"""Return `text` with everything that a terminal could execute or display misleadingly written as an escape.

    Control characters (escape sequences among them), bidirectional and other invisible format characters, line and
    paragraph separators, lone surrogates and unassigned code points become `\n`, `\x1b`, `\u202e` and the like. What
    prints stays as it is, so the result can be shown but not converted back.

    Args:
        text: any object; `str()` is taken of it.
        limit: the most characters to return; what is longer ends in an ellipsis. None is no limit.
        lines: True keeps newlines, for a text that may stand on several lines.
    """
    text = str(text)
    if limit is not None and len(text) > limit:
        # Cut before escaping, too: to show 200 characters of a megabyte, only 200 need to be escaped.
        text = text[: max(limit - 1, 0)] + "…"
    if not text.isprintable():
        text = "".join(_safe_character(character, lines) for character in text)
        if limit is not None and len(text) > limit:
            text = text[: max(limit - 1, 0)] + "…"
    return text


_SHORT_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _safe_character(character: str, lines: bool) -> str:
    # Non-breaking and ideographic spaces count as unprintable for Python but are harmless text.
    if character.isprintable() or unicodedata.category(character) == "Zs" or (lines and character == "\n"):
        return character
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def human_number(value: SupportsFloat, *, digits: int | None = None) -> str:
    """Return the shortest digits that read back to `value` in its own precision, or `digits` significant ones.

    A numpy float32 of 0.1 is "0.1"; whole numbers lose their ".0"; not-finite ones are "nan", "inf" and "-inf".

    Args:
        value: a real number, Python's or a numpy scalar.
        digits: number of significant digits to keep, at least 1; None: as many as the value needs.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and (digits is None or len(str(abs(value))) <= digits):
        return str(value)
    # str() of a numpy scalar is the shortest text in the scalar's own type; repr() of a float is that in float64.
    text = str(value) if digits is None else f"{float(value):.{digits}g}"
    return text.removesuffix(".0")


def exact(value: Any) -> str:
    """Return any value in one line, its numbers with all digits of their precision; "" for None.

    Arrays of any shape and sequences are lists in brackets, mappings "key value, ...", a value that does not exist,
    {"reason": ...}, is none with its reason.
    """
    return _value_text(value, None)


def short(value: Any, digits: int = 6) -> str:
    """Return any value as `exact` does, but real numbers that are not whole with at most `digits` digits."""
    return _value_text(value, digits)


def _value_text(value: Any, digits: int | None) -> str:
    if value is None:
        return ""
    kind = value.dtype.kind if hasattr(value, "dtype") else ""
    if kind and not value.ndim:
        # A scalar of numpy, which may not be imported; str() of it has the digits of its own precision.
        value = value[()]
        value = bool(value) if kind == "b" else int(value) if kind in "iu" else value
    if isinstance(value, complex) or (kind == "c" and not value.ndim):
        imaginary = human_number(value.imag, digits=digits)
        return f"{human_number(value.real, digits=digits)}{'' if imaginary.startswith('-') else '+'}{imaginary}j"
    if isinstance(value, bool | int):
        return human_number(value)
    if isinstance(value, float) or (kind == "f" and not value.ndim):
        return human_number(value, digits=digits)
    if isinstance(value, Mapping):
        if "reason" in value:
            return f"none ({value['reason']})"
        return ", ".join(f"{key} {_value_text(item, digits)}" for key, item in value.items())
    if isinstance(value, list | tuple) or kind in tuple("biufc"):
        return f"[{', '.join(_value_text(item, digits) for item in value)}]"
    return str(value)


def human_seconds(seconds: float) -> str:
    """Return a duration in at most two units: "0.8 ms", "0.25 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    if seconds != seconds or seconds in (float("inf"), float("-inf")):
        return "?"
    if seconds < 0:
        return "-" + human_seconds(-seconds)
    if seconds < 0.1:
        return f"{human_number(seconds * 1e3, digits=2)} ms"
    if seconds < 9.95:
        return f"{human_number(seconds, digits=2)} s"
    if seconds < 59.5:
        return f"{round(seconds)} s"
    if seconds < 3599.5:
        return _two_units(round(seconds), 60, "min", "s")
    if seconds < 86400 - 30:
        return _two_units(round(seconds / 60), 60, "h", "min")
    return _two_units(round(seconds / 3600), 24, "d", "h")


def human_age(seconds: float) -> str:
    """Return an age in one unit: "12 s", "5 min", "3 h", "9 d", "2 y"."""
    for size, unit, most in ((1, "s", 60), (60, "min", 60), (3600, "h", 48), (86400, "d", 730)):
        count = int(max(seconds, 0) // size)
        if count < most:
            return f"{count} {unit}"
    return f"{int(seconds // (365.25 * 86400))} y"


def _two_units(total: int, size: int, large: str, small: str) -> str:
    whole, part = divmod(total, size)
    return f"{whole} {large} {part} {small}" if part else f"{whole} {large}"


def human_bytes(size: int) -> str:
    """Return a size in decimal units: "512 B", "1.5 kB", "20 MB"."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(amount) < 999.5:
            return f"{human_number(amount, digits=3)} {unit}"
        amount /= 1000
    return f"{human_number(amount, digits=3) if amount < 999.5 else round(amount)} TB"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return "1 problem", "2 problems"; `many` where an s is not enough."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def plural_number(count: float, one: str) -> str:
    """Return "2.5 epochs", "1 epoch"."""
    return plural(int(count), one) if float(count).is_integer() else f"{human_number(count, digits=4)} {one}s"


def plural_count(count: int, one: str) -> str:
    """Return "1 trial", "1,000 trials"."""
    return f"{count:,} {one if count == 1 else one + 's'}"


def split_points(text: str) -> list[str]:
    """Return the pieces of a text between commas that no bracket holds."""
    pieces, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth <= 0:
            pieces.append(text[start:index])
            start = index + 1
    return [*pieces, text[start:]]
