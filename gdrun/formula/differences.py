"""Which names a formula compares with another by their difference: what answers `target` in `(T - target)**2`."""

from __future__ import annotations

from collections.abc import Iterable

from .nodes import Call, Expression, Index, Name, Node, Operation, walk

_DIFFERENCES = ("subtract", "squared_difference")
_SAME_NUMBERS = ("reshape", "ravel", "expand_dims", "squeeze", "transpose", "stop_gradient")


def compared_with(name: str, expressions: Iterable[Expression]) -> frozenset[str]:
    """Return the names that some formula subtracts from `name`, or it from them; parts and other shapes count."""
    found = set()
    for expression in expressions:
        for node in walk(expression.root):
            sides = _sides(node)
            if len(sides) == 2 and name in sides:
                found |= {side for side in sides if side is not None and side != name}
    return frozenset(found)


def _sides(node: Node) -> tuple[str | None, ...]:
    """The names of the two sides of a difference; None for a side that is more than a name."""
    if isinstance(node, Operation) and node.function in _DIFFERENCES:
        return tuple(_name(operand) for operand in node.operands)
    if isinstance(node, Call) and node.function in _DIFFERENCES:
        return tuple(_name(argument) for _, argument in node.arguments)
    return ()


def _name(node: Node) -> str | None:
    while True:
        if isinstance(node, Index):
            node = node.value
        elif isinstance(node, Call) and node.function in _SAME_NUMBERS:
            node = node.arguments[0][1]
        else:
            return node.name if isinstance(node, Name) else None
