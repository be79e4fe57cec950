"""Conditions on runs: `lr >= 0.1 and loss < 1 and status == diverged`.

    condition  = comparison | "(" condition ")" | "not" condition | condition "and" condition | condition "or" condition
    comparison = value OP value {OP value} | name ["not"] "in" "(" value {"," value} ")"
    OP         = == | = | != | < | <= | > | >=

Names are words such as lr, optimizer.learning_rate, status, validation_loss. A word after an operator is a text, so
`status == diverged` needs no quotes; texts with other characters do. `*` and `?` in an unquoted text stand for any
characters: `name == moons*`. A list equals each of its entries: `tags == baseline`. Durations have a unit: `age > 30d`,
`seconds < 2min`.

A comparison with a value that a run does not have matches nothing, and neither does its opposite: without a `momentum`,
both `momentum > 0` and `not momentum > 0` leave the run out. So a test answers true, false, or None where it says
nothing about a run. Nothing is evaluated as code; Python's own grammar could not be used either, since it has no `30d`,
no `2026-01-02` and no `moons*`.
"""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Callable, Sequence
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
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf|nan", re.ASCII)
"""float() also takes "1_000", "infinity" and digits of other scripts; only what a config takes is a number here."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d|w)")
_UNIT_UNKNOWN = re.compile(r"\d+(\.\d+)?[A-Za-z]+")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_KEYWORDS = frozenset({"and", "or", "not", "in"})


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
        """Return whether the run whose values `look` gives fits."""
        return self._test(look) is True


def duration(text: str) -> float | None:
    """Return the seconds that "30d", "2h", "15min", "45s" or "1w" stand for; None for any other text."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _UNITS[match[2]] if match else None


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Token:
    kind: str
    """"text" (was quoted), "op", "mark", "word", or "end"."""
    text: str
    index: int


@dataclass(frozen=True)
class _Variable:
    """A value that a run may have."""

    name: str


@dataclass(frozen=True)
class _Constant:
    """A value as written; its meaning depends on what it is compared with."""

    text: str
    number: float | None = None
    seconds: float | None = None
    pattern: bool = False


_Operand = _Variable | _Constant


class _Parser:
    """Recursive descent; each method returns the test of what it has read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: list[str] = []
        self.tokens = self._split()
        self.position = 0
        self.depth = 0

    def parse(self) -> Test:
        if self._next.kind == "end":
            raise UsageError("the filter is empty", hint="for example: --filter 'lr >= 0.1 and loss < 1'")
        test = self._or()
        if self._next.kind != "end":
            raise self._refused(f"did not expect '{self._next.text}' here", self._next)
        return test

    def _split(self) -> list[_Token]:
        tokens, index, end = [], 0, len(self.text.rstrip())
        while index < end:
            match = _TOKEN.match(self.text, index)
            if match is None or (kind := match.lastgroup) is None:
                start = len(self.text) - len(self.text[index:].lstrip())
                raise self._refused("this cannot be read", _Token("", self.text[start], start))
            text = match[kind]
            tokens.append(_Token(kind, text[1:-1] if kind == "text" else text, match.start(kind)))
            index = match.end()
        return [*tokens, _Token("end", "", end)]

    def _or(self) -> Test:
        return self._joined("or", self._and, _any_of)

    def _and(self) -> Test:
        return self._joined("and", self._not, _all_of)

    def _joined(
        self, word: str, rule: Callable[[], Test], join: Callable[[Sequence[bool | None]], bool | None]
    ) -> Test:
        tests = [rule()]
        while self._take(word):
            tests.append(rule())
        return tests[0] if len(tests) == 1 else lambda look: join([test(look) for test in tests])

    def _not(self) -> Test:
        return _negated(self._deeper(self._not)) if self._take("not") else self._comparison()

    def _comparison(self) -> Test:
        if self._take("("):
            inner = self._deeper(self._or)
            self._need(")")
            return inner
        left = self._operand(None, "")
        tests: list[Test] = []
        while sign := self._operator():
            if sign in ("in", "not in"):
                among = _among([_compared(left, "==", value) for value in self._list()])
                tests.append(among if sign == "in" else _negated(among))
                break
            right = self._operand(left, sign)
            tests.append(_compared(left, sign, right))
            left = right
        if not tests:
            last = self.tokens[self.position - 1]
            raise self._refused(
                f"'{last.text}' is compared with nothing", last, "write NAME == VALUE, NAME < VALUE or NAME in (A, B)"
            )
        return lambda look: _all_of([test(look) for test in tests])

    def _operand(self, left: _Operand | None, sign: str) -> _Operand:
        token = self._taken("a name or a value")
        if token.kind in ("op", "mark") or (token.kind == "word" and token.text in _KEYWORDS):
            raise self._refused(f"expected a name or a value, not '{token.text}'", token)
        constant = _constant(token)
        # A text cannot be ordered, so `validation_loss > loss` compares two names; a date begins with a digit.
        can_be_name = not isinstance(left, _Variable) or sign in _ORDERS
        is_word = token.kind == "word" and constant.number is None and constant.seconds is None
        if is_word and sign in _ORDERS and _UNIT_UNKNOWN.fullmatch(token.text):
            raise self._refused(f"'{token.text}' is no number and no duration", token, f"units: {', '.join(_UNITS)}")
        if can_be_name and is_word and _NAME.fullmatch(token.text):
            self.names.append(token.text)
            return _Variable(token.text)
        return constant

    def _operator(self) -> str | None:
        token = self._next
        if token.kind == "op":
            self.position += 1
            return "==" if token.text == "=" else token.text
        if self._take("in"):
            return "in"
        if self._is("not") and self.tokens[self.position + 1].text == "in":
            self.position += 2
            return "not in"
        return None

    def _list(self) -> list[_Constant]:
        opening = self._taken("(")
        closing = {"(": ")", "[": "]"}.get(opening.text if opening.kind == "mark" else "")
        if closing is None:
            raise self._refused("expected '(' after 'in'", opening, "for example: status in (completed, stopped)")
        values: list[_Constant] = []
        while not values or self._take(","):
            token = self._taken("a value")
            if token.kind not in ("word", "text"):
                raise self._refused(f"expected a value, not '{token.text}'", token)
            values.append(_constant(token))
        self._need(closing)
        return values

    @property
    def _next(self) -> _Token:
        return self.tokens[self.position]

    def _is(self, text: str) -> bool:
        return self._next.kind in ("word", "mark") and self._next.text == text

    def _take(self, text: str) -> bool:
        there = self._is(text)
        self.position += there
        return there

    def _taken(self, what: str) -> _Token:
        token = self._next
        if token.kind == "end":
            raise self._refused(f"expected {what}", token)
        self.position += 1
        return token

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._refused(f"expected '{text}'", self._next)

    def _deeper(self, rule: Callable[[], Test]) -> Test:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UsageError("the filter is nested too deeply")
        test = rule()
        self.depth -= 1
        return test

    def _refused(self, message: str, token: _Token, hint: str | None = None) -> UsageError:
        # The text may be long: show what is around the place. It is escaped here, so that the caret stands right.
        start = max(0, token.index - 30)
        line = safe_text(self.text[start : token.index + 40])
        before = len(safe_text(self.text[start : token.index]))
        return UsageError(f"in the filter: {message}\n  {line}\n  {' ' * before}^", hint=hint)


def _constant(token: _Token) -> _Constant:
    text = token.text
    if token.kind == "text":
        return _Constant(text)
    return _Constant(
        text, float(text) if _NUMBER.fullmatch(text) else None, duration(text), any(mark in text for mark in "*?")
    )


# --- testing -----------------------------------------------------------------------------------------------------


def _any_of(results: Sequence[bool | None]) -> bool | None:
    return True if True in results else None if None in results else False


def _all_of(results: Sequence[bool | None]) -> bool | None:
    return False if False in results else None if None in results else True


def _among(tests: Sequence[Test]) -> Test:
    return lambda look: _any_of([test(look) for test in tests])


def _negated(test: Test) -> Test:
    return lambda look: None if (result := test(look)) is None else not result


def _compared(left: _Operand, sign: str, right: _Operand) -> Test:
    """Return the test of `left sign right`."""

    def test(look: Look) -> bool | None:
        a, b = (look(side.name) if isinstance(side, _Variable) else side for side in (left, right))
        return None if a is None or b is None else _compare(a, sign, b)

    return test


def _compare(a: Any, sign: str, b: Any) -> bool | None:
    """Compare a run's value with a constant or with another of its values; None where the two have no order."""
    if isinstance(a, _Constant):
        if not isinstance(b, _Constant):
            return _compare(b, _MIRRORED[sign], a)
        a = a.text if a.number is None else a.number
    pattern = False
    if isinstance(b, _Constant):
        if isinstance(a, str) and b.number is not None and sign in _ORDERS:
            return None
        pattern, b = b.pattern, _fitting(a, b)
    if sign in ("==", "!="):
        return _equal(a, b, pattern=pattern) == (sign == "==")
    alike = (_is_number(a) and _is_number(b)) or (isinstance(a, str) and isinstance(b, str))
    return bool(_ORDERS[sign](a, b)) if alike else None


def _fitting(value: Any, constant: _Constant) -> Any:
    """Return the constant as what `value` can be compared with."""
    if isinstance(value, bool):
        return {"true": True, "false": False}.get(constant.text, constant.text)
    if _is_number(value):
        number = constant.seconds if constant.number is None else constant.number
        return constant.text if number is None else number
    return constant.text


def _equal(a: Any, b: Any, *, pattern: bool) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if _is_number(a) and _is_number(b):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list | tuple):
        # A list equals each of its entries: tags == baseline.
        return b in a or str(list(a)).replace(" ", "") == str(b).replace(" ", "")
    if pattern and isinstance(a, str):
        return fnmatch.fnmatchcase(a, str(b))
    return bool(a == b)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
