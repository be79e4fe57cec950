"""The tree of a formula, after the allow-list: small frozen records with the place of each token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a formula; `offset` and `length` are in characters of its text."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A literal: finite, a float or a complex at once (integers included)."""

    value: float | complex


@dataclass(frozen=True, slots=True)
class Flag(Node):
    """True or False."""

    value: bool


@dataclass(frozen=True, slots=True)
class Nothing(Node):
    """None: a new axis in an index, the default of an argument."""


@dataclass(frozen=True, slots=True)
class Rest(Node):
    """`...` in an index."""


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A free name."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation(Node):
    """An operator on one or two operands; `function` is its name in the table, `symbol` what the user wrote."""

    function: str
    symbol: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """`first < second <= third`: true where each neighbouring pair compares true."""

    operands: tuple[Node, ...]
    functions: tuple[str, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """A list, or a tuple in parentheses."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Row(Node):
    """A list of plain numbers out of YAML, in one piece: matrices may have a hundred thousand."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """`start:stop:step` in an index."""

    start: Node | None
    stop: Node | None
    step: Node | None


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`value[items]`."""

    value: Node
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of a function of the table.

    `arguments` pairs each given parameter's name with its node. `ordinal` counts the draws of one formula from 0, so
    that each has a stream of its own.
    """

    function: str
    written: str
    arguments: tuple[tuple[str, Node], ...]
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class NetworkCall(Node):
    """A call of something outside the table: a network of the model."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Expression:
    """A formula that has been read. Compare and hash by text; safe to pickle.

    Args:
        text: what was written; a nested list is written out in one line.
        root: the tree.
        names: free names. functions: names that are called, those of the table and others (networks).
        draws: whether it draws random numbers. differentiates: whether it holds a derivative.
        names_at, calls_at: each use as (name, offset, length), in the order of the text.
        elements: for a list, (path of the element, its offset, its length) for every formula in it.
    """

    text: str
    root: Node = field(compare=False, repr=False)
    names: frozenset[str] = field(compare=False, repr=False)
    functions: frozenset[str] = field(compare=False, repr=False)
    draws: bool = field(compare=False, repr=False)
    differentiates: bool = field(compare=False, repr=False)
    names_at: tuple[tuple[str, int, int], ...] = field(compare=False, repr=False)
    calls_at: tuple[tuple[str, int, int], ...] = field(compare=False, repr=False)
    elements: tuple[tuple[tuple[int, ...], int, int], ...] = field(default=(), compare=False, repr=False)

    def locate(self, offset: int) -> tuple[tuple[int, ...], int]:
        """Return (path of the list element that holds `offset`, offset within it); ((), offset) if not a list."""
        for path, start, length in self.elements:
            if start <= offset < start + max(length, 1):
                return path, offset - start
        return (), offset


def children(node: Node) -> Iterator[Node]:
    """Yield the parts of `node`, in the order of the text."""
    match node:
        case Operation(operands=parts) | Comparison(operands=parts) | Sequence(items=parts):
            yield from parts
        case Index():
            yield node.value
            yield from node.items
        case Slice():
            yield from (part for part in (node.start, node.stop, node.step) if part is not None)
        case Call():
            yield from (argument for _, argument in node.arguments)
        case NetworkCall():
            yield from node.arguments


def walk(root: Node) -> Iterator[Node]:
    """Yield `root` and everything below it, in the order of the text, without recursion."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(list(children(node))))
