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

import re
from collections.abc import Callable
from dataclasses import dataclass

from gdrun.errors import UsageError
from gdrun.text import safe_text

from .terms import Literal, Look, Name, Test, all_of, any_of, comparison, membership

LONGEST_FILTER = 2000
DEEPEST = 40

_TOKEN = re.compile(
    r"""\s*(?: (?P<text>"[^"]*"|'[^']*') | (?P<op>==|!=|<=|>=|<|>|=) | (?P<mark>[(),\[\]])
           | (?P<word>[^\s"'=!<>(),\[\]]+) )""",
    re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z_][\w./@-]*")
_ORDERS = ("<", "<=", ">", ">=")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


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
        return tests[0] if len(tests) == 1 else lambda look: any_of([test(look) for test in tests])

    def _and(self) -> Test:
        tests = [self._not()]
        while self._take("and"):
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda look: all_of([test(look) for test in tests])

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
        left: Name | Literal = self._operand(None, None)
        tests: list[Test] = []
        while (operator := self._operator()) is not None:
            if operator in ("in", "not in"):
                tests.append(membership(left, self._list(), negated=operator == "not in"))
                break
            right = self._operand(left, operator)
            tests.append(comparison(left, operator, right))
            left = right
        if not tests:
            last = self.tokens[min(self.position, len(self.tokens)) - 1]
            raise self._refused(
                f"'{last.text}' is compared with nothing", last, "write NAME == VALUE, NAME < VALUE or NAME in (A, B)"
            )
        return tests[0] if len(tests) == 1 else lambda look: all_of([test(look) for test in tests])

    def _operand(self, before: Name | Literal | None, operator: str | None) -> Name | Literal:
        token = self._next("a name or a value")
        if token.kind in ("op", "mark") or (token.kind == "word" and token.text in ("and", "or", "not", "in")):
            raise self._refused(f"expected a name or a value, not '{token.text}'", token)
        literal = Literal.of(token.text, quoted=token.kind == "text")
        named = token.kind == "word" and literal.number is None and literal.seconds is None
        # A text cannot be ordered, so `validation_loss > loss` compares two names; a date begins with a digit.
        wanted = not isinstance(before, Name) or operator in _ORDERS
        if named and wanted and _NAME.fullmatch(token.text):
            self.names.append(token.text)
            return Name(token.text)
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

    def _list(self) -> list[Literal]:
        opening = self._next("(")
        closing = {"(": ")", "[": "]"}.get(opening.text if opening.kind == "mark" else "")
        if closing is None:
            raise self._refused("expected '(' after 'in'", opening, "for example: status in (completed, stopped)")
        found = []
        while True:
            token = self._next("a value")
            if token.kind not in ("word", "text"):
                raise self._refused(f"expected a value, not '{token.text}'", token)
            found.append(Literal.of(token.text, quoted=token.kind == "text"))
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
