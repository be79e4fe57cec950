"""The usual mistakes in formulas, each with its place and its mend.

`ast` reads formulas. `clean` refuses before it what Python would read otherwise than formulas do or slowly (text, other
operators, deep brackets); `mistake` finds a better message than "invalid syntax" where Python has refused a text.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterator

from gdrun.errors import FormulaError

from .table import TABLE

MAX_LENGTH = 4096
"""Most characters of one formula."""

MAX_BRACKETS = 48
"""Deepest nesting of brackets."""

KEYWORDS = frozenset(keyword.kwlist)
"""Python's own words: none can be a name."""

_VALUES = frozenset({"True", "False", "None"})
_LOGIC = frozenset({"and", "or", "not"})
_FOREIGN = re.compile(r"//|&&|\|\||:=|=>|->|<>|<<|>>|!(?!=)|[%^&|~;#{}\"'`\\$?]|[^ -~]")
_INDICES = re.compile(r"(\beinsum\( *)(['\"])[A-Za-z, >-]{1,60}\2")
_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[jJ]?)"
    r"|(?P<attribute>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)"
    r"|(?P<name>\w+)"
    r"|(?P<operator>\*\*|<=|>=|==|!=|\.\.\.|[^ ])"
)
_MENDS = {
    "//": "write floor(a / b)",
    "%": "write mod(a, b)",
    "^": "write ** for a power",
    "&": "write and",
    "&&": "write and",
    "|": "write or",
    "||": "write or",
    "~": "write not",
    "!": "write not",
    "<<": "write a * 2**b",
    ">>": "write floor(a / 2**b)",
    ";": "one formula is one expression",
    "#": "a formula holds no comments",
    "{": "write a list with [ ]",
    "}": "write a list with [ ]",
    '"': "a formula holds no text in quotes",
    "'": "a formula holds no text in quotes; write transpose(x) for x'",
    "`": "write names without quotes",
    "\\": "write a long formula in one line or as a YAML block",
    "$": "write the name alone",
    "?": "write where(condition, a, b)",
}
_LOOKALIKES = {
    "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "−": "-", "–": "-", "—": "-", "²": "**2", "³": "**3", "√": "sqrt",
    "π": "pi", "≤": "<=", "≥": ">=", "≠": "!=", "∑": "sum", "∂": "grad",
}  # fmt: skip
_KEYWORD_MENDS = {
    "lambda": "write a function in define: f(x): x**2",
    "if": "write where(condition, a, b)",
    "else": "write where(condition, a, b)",
    "for": "work on whole arrays, or write a loop in define:",
    "in": "compare with == and any(...)",
    "is": "compare with ==",
    "import": "the functions of the table are there already",
    "from": "the functions of the table are there already",
    "while": "write a loop in define:",
}


def clean(text: str) -> str:
    """Check length, characters and brackets; return `text` with line breaks and tabs as spaces, so that offsets stay.

    Raises:
        FormulaError: at the first character that a formula may not hold, or the bracket at fault.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"a formula of {len(text):,} characters; at most {MAX_LENGTH:,} are read",
            hint="name its parts in define:",
        )
    cleaned = re.sub(r"[\n\r\t]", " ", text)
    masked = _without_indices(cleaned)
    if (foreign := _FOREIGN.search(masked)) is not None:
        raise _foreign(foreign.group(), foreign.start())
    if not cleaned.strip():
        raise FormulaError("the formula is empty", hint="write a number or an expression")
    _check_brackets(masked)
    return cleaned


def _without_indices(text: str) -> str:
    """Return `text` with a name of the same length in place of einsum's indices in quotes."""
    return _INDICES.sub(lambda match: match[1] + "x" * (len(match[0]) - len(match[1])), text)


def _foreign(written: str, offset: int) -> FormulaError:
    if not written.isascii() or not written.isprintable():
        name = unicodedata.name(written, "a control character")
        hint = f"write {_LOOKALIKES[written]}" if written in _LOOKALIKES else "write formulas in plain ASCII"
        return _error(f"U+{ord(written):04X} ({name}) cannot stand in a formula", offset, written, hint)
    hint = _MENDS.get(written, "write ==, <= or >= to compare")
    return _error(f"{written!r} is not an operator of formulas", offset, written, hint)


def _check_brackets(text: str) -> None:
    """Refuse brackets that do not match or are too deep for Python's parser, and a list without any."""
    opened: list[tuple[str, int]] = []
    for match in re.finditer(r"[()\[\],]", text):
        bracket, offset = match.group(), match.start()
        if bracket in "([":
            opened.append((bracket, offset))
            if len(opened) > MAX_BRACKETS:
                message = f"brackets are nested more than {MAX_BRACKETS} deep"
                raise _error(message, offset, bracket, "name its parts in define:")
        elif bracket in ")]" and (not opened or opened.pop()[0] != {")": "(", "]": "["}[bracket]):
            hint = (
                "check the brackets" if "(" in text or "[" in text else "put the whole formula in quotes if YAML cut it"
            )
            raise _error(f"{bracket!r} closes nothing", offset, bracket, hint)
        elif bracket == "," and not opened:
            raise _error("a list stands in brackets", offset, bracket, "write [a, b]")
    if opened:
        bracket, offset = opened[-1]
        closing = {"(": ")", "[": "]"}[bracket]
        hint = f"add {closing!r}; in a YAML flow mapping put the formula in quotes"
        raise _error(f"{bracket!r} is never closed", offset, bracket, hint)


def mistake(text: str, offset: int | None = None) -> FormulaError:
    """Return the first usual mistake in a cleaned text that Python refused, or that is no expression of formulas.

    Args:
        offset: the place at which Python gave up, shown where no usual mistake is found.
    """
    text = _without_indices(text)
    error = next(_mistakes(text), None)
    if error is not None:
        return error
    tokens = list(_TOKEN.finditer(text))
    last = tokens[-1]
    if last["operator"] not in (None, ")", "]", "...") or last.group() in _LOGIC:
        return _error(f"something is missing after {last.group()!r}", last.start(), last.group())
    place = next((token for token in tokens if offset is not None and token.end() > offset), last)
    return _error(f"the formula cannot be read at {place.group()!r}", place.start(), place.group())


def _mistakes(text: str) -> Iterator[FormulaError]:
    """Yield what is wrong, from the left; every token is looked at with the one before it."""
    before = ""
    roles: list[str] = []  # of the brackets that are open
    for token in _TOKEN.finditer(text):
        word, offset = token.group(), token.start()
        if token["attribute"] and is_python(word):
            yield attribute(word, offset)
        if word in KEYWORDS - _VALUES - _LOGIC:
            yield _error(f"{word!r} is not part of formulas", offset, word, _KEYWORD_MENDS.get(word))
        if word.startswith("_"):
            yield private_name(word, offset)
        if re.fullmatch(r"0\d+", word):
            yield _error(f"{word!r}: a number has no leading zeros", offset, word, f"write {word.lstrip('0') or '0'}")
        follows_value = before in (")", "]", "...") or (before[:1].isalnum() and before not in _LOGIC)
        starts_value = token["operator"] is None and word not in ("and", "or")
        if follows_value and (starts_value or (word == "(" and not before[0].isalpha())):
            yield missing_operator(text, offset, before)
        if word in ("(", "["):
            roles.append(("call" if word == "(" else "index") if follows_value else "group")
        elif word in (")", "]"):
            roles.pop()
        elif word == "=" and not (roles and roles[-1] == "call" and before[:1].isalpha()):
            yield _error("'=' only gives a function's argument", offset, word, "write == to compare")
        elif word == ":" and not (roles and roles[-1] == "index"):
            yield _error("':' only stands in an index", offset, word, "as in x[1:3]")
        before = word


def missing_operator(text: str, offset: int, before: str) -> FormulaError:
    """Return the error of a value at `offset` that follows another one, which ends in `before`: 2x, a b, (a)(b)."""
    token = _TOKEN.match(text, offset)
    word = token.group() if token else text[offset]
    space = " " if text[offset - 1 : offset] == " " else ""
    return _error(f"an operator is missing in {before + space + word!r}", offset, word, "write * for a product")


def private_name(word: str, offset: int) -> FormulaError:
    """Return the error of a name that begins with an underscore."""
    return _error(f"{word!r}: a name starts with a letter", offset, word, "rename it")


def is_python(written: str) -> bool:
    """Return whether `owner.name` is an attribute as Python has them, x.T or np.exp, and not a layer's parameter."""
    return written.rpartition(".")[2] in (*TABLE, "T", "pi", "shape")


def attribute(written: str, offset: int) -> FormulaError:
    """Return the error of `owner.name`, with the function that it may stand for."""
    owner, _, name = written.rpartition(".")
    if name == "T":
        hint = f"write transpose({owner or 'x'})"
    elif name == "pi":
        hint = "write pi"
    elif name == "shape":
        hint = "write length(x) for the length of the first axis"
    elif name in TABLE:
        hint = f"write {name}(...) without {owner or 'the dot'!r}"
    else:
        hint = "call a function of the table by its name alone; gdrun explain --formulas lists them"
    return _error(f"{written!r}: formulas have no attributes", offset, written, hint)


def _error(message: str, offset: int, written: str, hint: str | None = None) -> FormulaError:
    return FormulaError(message, offset=offset, length=len(written), hint=hint)
