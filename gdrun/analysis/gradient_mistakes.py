"""Common mistakes in hand-written gradients, each undone in turn: formulas that may have been meant.

`*` in place of `@` and the other way round, a sign, a transpose, a sum in place of a mean, operands swapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from gdrun.errors import FormulaError
from gdrun.formula import nodes
from gdrun.formula.nodes import walk
from gdrun.formula.parse import parse

_MOST = 200


def alternatives(text: str) -> Iterator[tuple[str, str]]:
    """Yield (formula, what is different) for every simple change of `text`, the simplest first; at most 200."""
    seen = {text}
    plain = re.sub(r"\btranspose\((\w+)\)", r"\1", text)
    more = ((formula, f"{what}, nothing transposed,") for formula, what in _changes(plain)) if plain != text else ()
    untransposed = [(plain, "without the transpose it")] if plain != text else []
    for count, (formula, what) in enumerate(chain(_changes(text), untransposed, more)):
        if count >= _MOST:
            return
        if formula not in seen:
            seen.add(formula)
            yield formula, what


def _changes(text: str) -> Iterator[tuple[str, str]]:
    """Yield (formula, what is different) for every change of one place of `text`."""
    products = _products(text)
    for at, symbol in products:
        other = "*" if symbol == "@" else "@"
        changed = _put(text, at, other)
        yield changed, f"'{other}' in place of '{symbol}'"
        if other == "@":
            yield from ((made, f"'@' in place of '*', {what},") for made, what in _swapped(changed))
    matrix = [at for at, symbol in products if symbol == "@"]
    if len(matrix) > 1:
        yield "".join("*" if at in matrix else c for at, c in enumerate(text)), "'*' in place of every '@'"
    yield f"-({text})", "the other sign"
    yield f"transpose({text})", "transposed"
    for written, other in (("sum", "mean"), ("mean", "sum")):
        for match in re.finditer(rf"\b{written}\(", text):
            yield text[: match.start()] + other + text[match.end() - 1 :], f"'{other}' in place of '{written}'"
    for name, start, length in sorted(parse(text).names_at, key=lambda use: use[1]):
        if name != "pi":
            changed = f"{text[:start]}transpose({name}){text[start + length :]}"
            yield changed, f"{name} transposed"
            for at, symbol in products:
                if symbol == "*":
                    shift = len(changed) - len(text) if at > start else 0
                    yield _put(changed, at + shift, "@"), f"'@' in place of '*', {name} transposed"
    yield from _swapped(text)
    for match in re.finditer(r"(?<=[\w)\]])(?<!\d[eE]) *([+-])", text):
        other = "-" if match[1] == "+" else "+"
        yield _put(text, match.start(1), other), f"'{other}' in place of '{match[1]}'"


def _products(text: str) -> list[tuple[int, str]]:
    """Return the places of '@' and '*'; '**' is neither."""
    return [(match.start(), match[0]) for match in re.finditer(r"@|(?<!\*)\*(?!\*)", text)]


def _put(text: str, at: int, symbol: str) -> str:
    return text[:at] + symbol + text[at + 1 :]


def _swapped(text: str) -> Iterator[tuple[str, str]]:
    """Yield the operands of each matrix product the other way round, and each of them transposed."""
    for node in walk(parse(text).root):
        if isinstance(node, nodes.OperationNode) and node.function == "matmul":
            whole = text[node.offset : node.offset + node.length]
            for at, _ in [place for place in _products(whole) if place[1] == "@"]:
                left, right = whole[:at].strip(), whole[at + 1 :].strip()
                before, after = text[: node.offset], text[node.offset + node.length :]
                for first, second in ((right, left), (f"transpose({right})", left), (right, f"transpose({left})")):
                    made = f"{before}({first} @ {second}){after}"
                    with suppress(FormulaError):  # a product that is not this node's own
                        parse(made)
                        yield made, "the operands of '@' the other way round"


FACTORS = {-1.0: "the other sign", 2.0: "twice as large", 0.5: "half as large"}


def factor_words(ratio: float, counts: dict[str, int]) -> str:
    """Return what it means that a gradient by hand is `ratio` times the right one.

    Args:
        counts: what may have been multiplied or divided by, in words -> how many.
    """
    for value, words in FACTORS.items():
        if abs(ratio - value) <= 1e-9 * abs(value):
            return words
    for twice, more in ((1.0, ""), (2.0, ", and twice as large"), (0.5, ", and half as large")):
        for words, count in counts.items():
            for sign, extra in ((1, ""), (-1, ", with the other sign")):
                if count > 1 and abs(ratio - sign * twice * count) <= 1e-9 * count:
                    return f"multiplied by {words}{more}{extra}"
                if count > 1 and abs(ratio - sign * twice / count) <= 1e-9 / count:
                    return f"divided by {words}{more}{extra}"
    return f"{ratio:.9g} times it"
