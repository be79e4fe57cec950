"""Which runs are meant: `lr >= 0.1 and loss < 1 and status == diverged`.

    condition  = comparison | "(" condition ")" | "not" condition | condition "and" condition | condition "or" condition
    comparison = value OP value {OP value} | name ["not"] "in" "(" value {"," value} ")"
    OP         = == | = | != | < | <= | > | >=

Names are words such as lr, optimizer.learning_rate, status, validation_loss. A word after an operator is a text, so
`status == diverged` needs no quotes; texts with other characters do. `*` and `?` in an unquoted text stand for any
characters: `name == moons*`. Durations have a unit: `age > 30d`, `seconds < 2min`.

What a run does not have matches nothing, and neither does its opposite: without a `momentum`, both `momentum > 0` and
`not momentum > 0` leave the run out. Nothing is evaluated as code.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gdrun.errors import UsageError
from gdrun.text import safe_text

LONGEST_FILTER = 2000
DEEPEST = 40

Look = Callable[[str], Any]
"""Name -> a run's value of that name, None where it has none."""

Test = Callable[[Look], bool | None]
"""A condition on one run: true, false, or None where it says nothing about it."""

_TOKEN = re.compile(
    r"""\s*(?: (?P<text>"[^"]*"|'[^']*') | (?P<op>==|!=|<=|>=|<|>|=) | (?P<mark>[(),\[\]])
           | (?P<word>[^\s"'=!<>(),\[\]]+) )""",
    re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z_][\w./@-]*")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d|w)")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_ORDERS = ("<", "<=", ">", ">=")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class _Literal:
    """A value as written; what it is depends on what it is compared with."""

    text: str
    number: float | None = None
    seconds: float | None = None
    pattern: bool = False

    @classmethod
    def of(cls, token: _Token) -> _Literal:
        if token.kind == "text":
            return cls(token.text)
        return cls(token.text, _number(token.text), duration(token.text), any(mark in token.text for mark in "*?"))


@dataclass(frozen=True)
class _Name:
    name: str


def duration(text: str) -> float | None:
    """Return the seconds that "30d", "2h", "15min", "45s" or "1w" stand for; None for any other text."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _UNITS[match[2]] if match else None


class Filter:
    """A condition on runs."""

    def __init__(self, text: str) -> None:
        """
        Raises:
            UsageError: it cannot be read; the message shows where.
        """
        self.text = text
        if len(text) > LONGEST_FILTER:
            raise UsageError(f"a filter has at most {LONGEST_FILTER} characters")
        parser = _Parser(text)
        self._test = parser.parse()
        self.names: tuple[str, ...] = tuple(dict.fromkeys(parser.names))
        """The names in it, in the order in which they were written."""

    def matches(self, look: Look) -> bool:
        """Return whether the run whose values `look` gives is meant."""
        return self._test(look) is True


class _Parser:
    """Recursive descent; each method returns the test of what it has read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: list[str] = []
        self.tokens = self._split()
        self.position = 0
        self.depth = 0

    def parse(self) -> Test:
        if not self.tokens:
            raise UsageError("the filter is empty", hint="for example: --filter 'lr >= 0.1 and loss < 1'")
        test = self._or()
        if (token := self._peek()) is not None:
            raise self._refused(f"did not expect '{token.text}' here", token)
        return test

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        end = len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                start = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                raise self._refused("this cannot be read", _Token("", self.text[start], start))
            kind, text = match.lastgroup, match[match.lastgroup]
            tokens.append(_Token(kind, text[1:-1] if kind == "text" else text, match.start(match.lastgroup)))
            at = match.end()
        return tokens

    def _or(self) -> Test:
        tests = [self._and()]
        while self._take("or"):
            tests.append(self._and())
        return tests[0] if len(tests) == 1 else lambda look: _any([test(look) for test in tests])

    def _and(self) -> Test:
        tests = [self._not()]
        while self._take("and"):
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda look: _all([test(look) for test in tests])

    def _not(self) -> Test:
        if not self._take("not"):
            return self._comparison()
        with_ = self._deeper(self._not)
        return lambda look: None if (found := with_(look)) is None else not found

    def _comparison(self) -> Test:
        if self._take("("):
            inner = self._deeper(self._or)
            self._need(")")
            return inner
        left: _Name | _Literal = self._operand(None, None)
        tests: list[Test] = []
        while (operator := self._operator()) is not None:
            if operator in ("in", "not in"):
                tests.append(_membership(left, self._list(), negated=operator == "not in"))
                break
            right = self._operand(left, operator)
            tests.append(_comparison(left, operator, right))
            left = right
        if not tests:
            last = self.tokens[min(self.position, len(self.tokens)) - 1]
            raise self._refused(
                f"'{last.text}' is compared with nothing", last, "write NAME == VALUE, NAME < VALUE or NAME in (A, B)"
            )
        return tests[0] if len(tests) == 1 else lambda look: _all([test(look) for test in tests])

    def _operand(self, before: _Name | _Literal | None, operator: str | None) -> _Name | _Literal:
        token = self._next("a name or a value")
        if token.kind in ("op", "mark") or (token.kind == "word" and token.text in ("and", "or", "not", "in")):
            raise self._refused(f"expected a name or a value, not '{token.text}'", token)
        literal = _Literal.of(token)
        named = token.kind == "word" and literal.number is None and literal.seconds is None
        # A text cannot be ordered, so `validation_loss > loss` compares two names; a date begins with a digit.
        wanted = not isinstance(before, _Name) or operator in _ORDERS
        if named and wanted and _NAME.fullmatch(token.text):
            self.names.append(token.text)
            return _Name(token.text)
        return literal

    def _operator(self) -> str | None:
        token = self._peek()
        if token is None or token.kind == "text":
            return None
        if token.kind == "op":
            self.position += 1
            return "==" if token.text == "=" else token.text
        if self._take("in"):
            return "in"
        if token.text == "not" and self.position + 1 < len(self.tokens) and self.tokens[self.position + 1].text == "in":
            self.position += 2
            return "not in"
        return None

    def _list(self) -> list[_Literal]:
        opening = self._next("(")
        closing = {"(": ")", "[": "]"}.get(opening.text if opening.kind == "mark" else "")
        if closing is None:
            raise self._refused("expected '(' after 'in'", opening, "for example: status in (completed, stopped)")
        found = []
        while True:
            token = self._next("a value")
            if token.kind not in ("word", "text"):
                raise self._refused(f"expected a value, not '{token.text}'", token)
            found.append(_Literal.of(token))
            if not self._take(","):
                break
        self._need(closing)
        return found

    # --- tokens --------------------------------------------------------------------------------------------------

    def _peek(self) -> _Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def _next(self, what: str) -> _Token:
        token = self._peek()
        if token is None:
            raise self._refused(f"expected {what}", _Token("", " ", len(self.text.rstrip())))
        self.position += 1
        return token

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind == "text" or token.text != text:
            return False
        self.position += 1
        return True

    def _need(self, text: str) -> None:
        if not self._take(text):
            token = self._peek() or _Token("", " ", len(self.text.rstrip()))
            raise self._refused(f"expected '{text}'", token)

    def _deeper(self, rule: Callable[[], Test]) -> Test:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UsageError("the filter is nested too deeply")
        test = rule()
        self.depth -= 1
        return test

    def _refused(self, message: str, token: _Token, hint: str | None = None) -> UsageError:
        # The text may be long: show what is around the place.
        start = max(0, token.at - 30)
        shown = safe_text(self.text[start : token.at + 40])
        before = len(safe_text(self.text[start : token.at]))
        return UsageError(f"in the filter: {safe_text(message, limit=100)}\n  {shown}\n  {' ' * before}^", hint=hint)


def _number(text: str) -> float | None:
    # float() also takes "1_000", "infinity" and digits of other scripts; only what a config takes is a number here.
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf|nan", text, re.ASCII):
        return None
    return float(text)


def _any(found: list[bool | None]) -> bool | None:
    return True if True in found else None if None in found else False


def _all(found: list[bool | None]) -> bool | None:
    return False if False in found else None if None in found else True


def _membership(left: _Name | _Literal, values: list[_Literal], *, negated: bool) -> Test:
    tests = [_comparison(left, "==", value) for value in values]

    def test(look: Look) -> bool | None:
        found = _any([each(look) for each in tests])
        return found if found is None or not negated else not found

    return test


def _comparison(left: _Name | _Literal, operator: str, right: _Name | _Literal) -> Test:
    def test(look: Look) -> bool | None:
        a, b = (look(side.name) if isinstance(side, _Name) else side for side in (left, right))
        return None if a is None or b is None else _compare(a, operator, b)

    return test


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _compare(a: Any, operator: str, b: Any) -> bool | None:
    """Compare a run's value with a literal or with another of its values."""
    if isinstance(a, _Literal) and not isinstance(b, _Literal):
        return _compare(b, _MIRRORED[operator], a)
    if isinstance(a, _Literal):
        a = a.text if a.number is None else a.number
    pattern = isinstance(b, _Literal) and b.pattern
    b = _fitting(a, b) if isinstance(b, _Literal) else b
    if operator in ("==", "!="):
        return _equal(a, b, pattern=pattern) == (operator == "==")
    alike = (_is_number(a) and _is_number(b)) or (isinstance(a, str) and isinstance(b, str))
    if not alike:
        return None
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])


def _fitting(value: Any, literal: _Literal) -> Any:
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
