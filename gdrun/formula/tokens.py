"""The checks before `ast.parse`: length, characters, tokens, brackets. Each refusal says how to mend it."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from gdrun.errors import FormulaError

MAX_LENGTH = 4096
"""Most characters of one formula."""

MAX_BRACKETS = 48
"""Deepest nesting of brackets."""

_TOKEN = re.compile(
    r"(?P<space> +)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[jJ]?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|<=|>=|==|!=|\.\.\.|[-+*/@<>()\[\],:=])"
)
_FOREIGN = re.compile(r"//|\+\+|--|&&|\|\||:=|=>|<>|->|.", re.DOTALL)

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
_KEYWORDS = {
    "lambda": "a formula defines no functions; name values in define:",
    "if": "write where(condition, a, b)",
    "else": "write where(condition, a, b)",
    "for": "work on whole arrays, or write a loop in define:",
    "in": "compare with == and any(...)",
    "is": "compare with ==",
    "import": "the functions of the table are there already",
    "from": "the functions of the table are there already",
    "while": "write a loop in define:",
}
KEYWORDS = frozenset(keyword.kwlist)
"""Python's own words: none can be a name."""

_ALLOWED_KEYWORDS = frozenset({"and", "or", "not", "True", "False", "None"})
_OPENING = {"(": ")", "[": "]"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `kind` is number, name, keyword or operator."""

    kind: str
    text: str
    offset: int

    @property
    def ends_value(self) -> bool:
        """Whether a value may end here, so that another one cannot start without an operator."""
        return self.kind in ("number", "name") or self.text in (")", "]", "True", "False", "None", "...")


def clean(text: str) -> str:
    """Check length and characters; return `text` with line breaks and tabs as spaces, so that offsets stay.

    Raises:
        FormulaError: at the first character that a formula may not hold.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"a formula of {len(text):,} characters; at most {MAX_LENGTH:,} are read",
            hint="name its parts in define:",
        )
    cleaned = text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    for offset, character in enumerate(cleaned):
        if not " " <= character <= "~":
            raise _foreign_character(character, offset)
    if not cleaned.strip():
        raise FormulaError("the formula is empty", hint="write a number or an expression")
    return cleaned


def _foreign_character(character: str, offset: int) -> FormulaError:
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "a control character")
    hint = f"write {_LOOKALIKES[character]}" if character in _LOOKALIKES else "write formulas in plain ASCII"
    return FormulaError(f"{code} ({name}) cannot stand in a formula", offset=offset, length=1, hint=hint)


def tokenize(text: str, is_function: Callable[[str], bool]) -> list[Token]:
    """Split cleaned `text`, refusing every character, word and bracket that the grammar does not have.

    Args:
        text: from `clean`.
        is_function: whether a name is in the function table; only used for hints.
    Raises:
        FormulaError: at the first token at fault.
    """
    tokens: list[Token] = []
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None or text.startswith(("//", ":=", "=>", "->", "<>"), offset):
            raise _foreign_token(text, offset, tokens, is_function)
        kind, word = str(match.lastgroup), match.group()
        if kind == "name" and word in KEYWORDS:
            kind = "keyword"
        if kind != "space":
            token = Token(kind, word, offset)
            _check_word(token)
            _check_neighbour(tokens[-1] if tokens else None, token, adjacent=text[offset - 1 : offset] != " ")
            tokens.append(token)
        offset = match.end()
    _check_brackets(tokens)
    last = tokens[-1]
    if (last.kind == "operator" and not last.ends_value) or last.text in ("and", "or", "not"):
        raise FormulaError(f"something is missing after {last.text!r}", offset=last.offset, length=len(last.text))
    return tokens


def _foreign_token(text: str, offset: int, before: list[Token], is_function: Callable[[str], bool]) -> FormulaError:
    if text[offset] == ".":
        return _attribute(text, offset, before, is_function)
    found = _FOREIGN.match(text, offset)
    word = found.group() if found else text[offset]
    hint = _MENDS.get(word, "write ==, <= or >= to compare" if "=" in word or ">" in word else None)
    return FormulaError(f"{word!r} is not an operator of formulas", offset=offset, length=len(word), hint=hint)


def _attribute(text: str, offset: int, before: list[Token], is_function: Callable[[str], bool]) -> FormulaError:
    start = before[-1].offset if before and before[-1].kind == "name" else offset
    found = re.compile(r"[\w.]*").match(text, offset)
    end = found.end() if found else offset + 1
    written = text[start:end]
    last = written.rsplit(".", 1)[-1]
    if last == "T":
        hint = f"write transpose({text[start:offset] or 'x'})"
    elif last == "pi":
        hint = "write pi"
    elif last == "shape":
        hint = "write length(x) for the length of the first axis"
    elif is_function(last):
        hint = f"write {last}(...) without {written.rsplit('.', 1)[0] or 'the dot'!r}"
    else:
        hint = "call a function of the table by its name alone; gdrun explain --formulas lists them"
    return FormulaError(f"{written!r}: formulas have no attributes", offset=start, length=end - start, hint=hint)


def _check_word(token: Token) -> None:
    word, place = token.text, {"offset": token.offset, "length": len(token.text)}
    if token.kind == "keyword" and word not in _ALLOWED_KEYWORDS:
        raise FormulaError(f"{word!r} is not part of formulas", hint=_KEYWORDS.get(word), **place)
    if token.kind == "name" and word.startswith("_"):
        raise FormulaError(f"{word!r}: a name starts with a letter", hint="rename it", **place)
    if token.kind == "number" and re.match(r"0\d+[^.eEjJ]*$", word):
        raise FormulaError(f"{word!r}: a number has no leading zeros", hint=f"write {word.lstrip('0') or '0'}", **place)


def _check_neighbour(previous: Token | None, token: Token, *, adjacent: bool) -> None:
    """Refuse two values in a row: 2x, a b, (a)(b). `adjacent`: no space between them."""
    if previous is None or not previous.ends_value:
        return
    starts_value = token.kind in ("number", "name") or token.text in ("not", "True", "False", "None", "...")
    call = token.text == "(" and previous.kind != "name"
    if starts_value or call:
        both = f"{previous.text}{'' if adjacent else ' '}{token.text}"
        raise FormulaError(
            f"an operator is missing in {both!r}",
            offset=token.offset,
            length=len(token.text),
            hint="write * for a product" if previous.text != "." else None,
        )


def _check_brackets(tokens: list[Token]) -> None:
    stack: list[tuple[Token, str]] = []
    for position, token in enumerate(tokens):
        previous = tokens[position - 1] if position else None
        if token.text in _OPENING:
            role = "group"
            if previous is not None and previous.ends_value:
                role = "call" if token.text == "(" else "index"
            stack.append((token, role))
            if len(stack) > MAX_BRACKETS:
                raise FormulaError(
                    f"brackets are nested more than {MAX_BRACKETS} deep",
                    offset=token.offset,
                    length=1,
                    hint="name its parts in define:",
                )
        elif token.text in (")", "]"):
            if not stack or _OPENING[stack[-1][0].text] != token.text:
                raise FormulaError(
                    f"{token.text!r} closes nothing",
                    offset=token.offset,
                    length=1,
                    hint="put the whole formula in quotes if YAML cut it" if not stack else "check the brackets",
                )
            stack.pop()
        elif token.text == "," and not stack:
            raise FormulaError("a list stands in brackets", offset=token.offset, length=1, hint="write [a, b]")
        elif token.text in ("=", ":"):
            _check_mark(token, previous, stack[-1][1] if stack else "")
    if stack:
        opening = stack[-1][0]
        raise FormulaError(
            f"{opening.text!r} is never closed",
            offset=opening.offset,
            length=1,
            hint=f"add {_OPENING[opening.text]!r}; in a YAML flow mapping put the formula in quotes",
        )


def _check_mark(token: Token, previous: Token | None, role: str) -> None:
    if token.text == "=" and not (role == "call" and previous is not None and previous.kind == "name"):
        raise FormulaError(
            "'=' only gives a function's argument", offset=token.offset, length=1, hint="write == to compare"
        )
    if token.text == ":" and role != "index":
        raise FormulaError("':' only stands in an index", offset=token.offset, length=1, hint="as in x[1:3]")
