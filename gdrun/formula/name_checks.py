"""Names in formulas: allowed ones, reserved ones, and those that a formula compares with another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

from gdrun.errors import FormulaError

from .failures import LocatedFormulaError
from .mistakes import KEYWORDS
from .nodes import (
    CallNode,
    Expression,
    FormulaNode,
    IndexNode,
    NameNode,
    OperationNode,
    walk,
)
from .table import TABLE

RUN_NAMES = frozenset({"target", "prediction", "example_weights", "step", "epoch", "pi"})
"""Names that gdrun gives a meaning."""

RESERVED = RUN_NAMES | KEYWORDS
"""Names that inputs, parameters, constants, definitions and networks may not take. Networks may not be called like
functions either; a value may: `mean` is one, `mean(x)` a call."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
_SHOWN = 12


def check_name(name: str, *, called: bool = False) -> FormulaError | None:
    """Return why `name` cannot be given to a value or a network, or None where it can.

    A name is a letter, then letters, digits and underscores, 64 at most, and not one of RESERVED.

    Args:
        called: it is a network's, which formulas call.
    """
    if not _NAME.match(name):
        return FormulaError(
            f"{name[:80]!r} is not a name", hint="a letter, then letters, digits and _, at most 64 characters"
        )
    if called and name in TABLE:
        return FormulaError(f"{name!r} is the name of a function of formulas", hint=f"try {name}_net")
    if name in RESERVED:
        return FormulaError(f"{name!r} has a meaning of its own in formulas", hint=f"try {name}_value")
    return None


def check_names(
    expression: Expression, allowed_names: Collection[str], allowed_callables: Collection[str] = ()
) -> list[FormulaError]:
    """Find every name and every call that `expression` may not use, in the order of the text.

    Args:
        expression: from `parse`.
        allowed_names: names that have a value where the formula is evaluated; `pi` is always allowed.
        allowed_callables: networks that may be called beside the functions of the table.
    Returns:
        One FormulaError a use, with offset, length, a suggestion and the allowed names.
    """
    errors: list[tuple[int, FormulaError]] = []
    names, callables = frozenset(allowed_names), frozenset(allowed_callables)
    for name, offset, length in expression.names_at:
        if name not in names and name != "pi":
            errors.append((offset, _at(expression, offset, length, *_unknown_name(name, names, callables))))
    for name, offset, length in expression.calls_at:
        if name not in TABLE and name not in callables:
            errors.append((offset, _at(expression, offset, length, *_unknown_call(name, names, callables))))
    return [error for _, error in sorted(errors, key=lambda pair: pair[0])]


def _at(expression: Expression, offset: int, length: int, message: str, hint: str) -> FormulaError:
    path, local = expression.locate(offset)
    if path:
        return LocatedFormulaError(message, offset=local, length=length, hint=hint, inside=path)
    return FormulaError(message, offset=local, length=length, hint=hint)


def _unknown_name(name: str, names: frozenset[str], callables: frozenset[str]) -> tuple[str, str]:
    if name in callables or name in TABLE:
        return f"{name!r} is a function", f"call it: {TABLE[name].signature if name in TABLE else name + '(...)'}"
    last = name.rpartition(".")[2]
    if last != name and last in names:
        return f"unknown name {name!r}", f"write {last}"
    return f"unknown name {name!r}", _suggest(name, names | {"pi"}, "names here")


def _unknown_call(name: str, names: frozenset[str], callables: frozenset[str]) -> tuple[str, str]:
    if name in names:
        return f"{name!r} is a value and cannot be called", f"write {name} * (...) for a product"
    near = difflib.get_close_matches(name, [*callables, *TABLE], 1)
    start = f"did you mean {near[0]!r}? " if near else ""
    others = f"callable here beside the table: {_listed(callables)}; " if callables else ""
    return f"unknown function {name!r}", f"{start}{others}gdrun explain --formulas lists the functions"


def _suggest(name: str, allowed: Collection[str], what: str) -> str:
    folded = {other.lower(): other for other in sorted(allowed)}
    near = difflib.get_close_matches(name, allowed, 1) or [
        folded[key] for key in difflib.get_close_matches(name.lower(), folded, 1)
    ]
    return (f"did you mean {near[0]!r}? " if near else "") + f"{what}: {_listed(allowed)}"


def _listed(names: Collection[str]) -> str:
    ordered = sorted(names)
    others = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + others


_DIFFERENCES = ("subtract", "squared_difference")
_SAME_NUMBERS = ("reshape", "ravel", "expand_dims", "squeeze", "transpose", "stop_gradient")


def compared_with(name: str, expressions: Iterable[Expression]) -> frozenset[str]:
    """Return the names that some formula subtracts from `name`, or it from them; parts and other shapes count."""
    others = set()
    for expression in expressions:
        for node in walk(expression.root):
            sides = _sides(node)
            if len(sides) == 2 and name in sides:
                others |= {side for side in sides if side is not None and side != name}
    return frozenset(others)


def _sides(node: FormulaNode) -> tuple[str | None, ...]:
    """Return the names of the two sides of a difference; None for a side that is more than a name."""
    if isinstance(node, OperationNode) and node.function in _DIFFERENCES:
        return tuple(_name(operand) for operand in node.operands)
    if isinstance(node, CallNode) and node.function in _DIFFERENCES:
        return tuple(_name(argument) for _, argument in node.arguments)
    return ()


def _name(node: FormulaNode) -> str | None:
    while True:
        if isinstance(node, IndexNode):
            node = node.value
        elif isinstance(node, CallNode) and node.function in _SAME_NUMBERS:
            node = node.arguments[0][1]
        else:
            return node.name if isinstance(node, NameNode) else None
