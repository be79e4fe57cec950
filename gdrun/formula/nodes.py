"""Formulas that have been read: the tree of a formula, the formula as a whole, the loops of `define`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gdrun.errors import FormulaError


@dataclass(frozen=True, slots=True)
class FormulaNode:
    """A part of a formula; `offset` and `length` are in characters of its text."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class NumberNode(FormulaNode):
    """A literal: finite, a float or a complex at once (integers included)."""

    value: float | complex


@dataclass(frozen=True, slots=True)
class FlagNode(FormulaNode):
    """True or False."""

    value: bool


@dataclass(frozen=True, slots=True)
class NoneNode(FormulaNode):
    """None: a new axis in an index, the default of an argument."""


@dataclass(frozen=True, slots=True)
class TextNode(FormulaNode):
    """A text in quotes, the indices of `einsum`."""

    text: str


@dataclass(frozen=True, slots=True)
class EllipsisNode(FormulaNode):
    """`...` in an index."""


@dataclass(frozen=True, slots=True)
class NameNode(FormulaNode):
    """A free name; with dots the parameter of a layer, `dense1.kernel`."""

    name: str


@dataclass(frozen=True, slots=True)
class OperationNode(FormulaNode):
    """An operator on one or two operands; `function` is its name in the table, `symbol` what the user wrote."""

    function: str
    symbol: str
    operands: tuple[FormulaNode, ...]


@dataclass(frozen=True, slots=True)
class ComparisonNode(FormulaNode):
    """`first < second <= third`: true where each neighbouring pair compares true."""

    operands: tuple[FormulaNode, ...]
    functions: tuple[str, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListNode(FormulaNode):
    """A list, or a tuple in parentheses."""

    items: tuple[FormulaNode, ...]


@dataclass(frozen=True, slots=True)
class NumbersNode(FormulaNode):
    """A list of plain numbers out of YAML, in one piece: matrices may have a hundred thousand."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SliceNode(FormulaNode):
    """`start:stop:step` in an index."""

    start: FormulaNode | None
    stop: FormulaNode | None
    step: FormulaNode | None


@dataclass(frozen=True, slots=True)
class IndexNode(FormulaNode):
    """`value[items]`."""

    value: FormulaNode
    items: tuple[FormulaNode, ...]


@dataclass(frozen=True, slots=True)
class CallNode(FormulaNode):
    """A call of a function of the table.

    `arguments` pairs each given parameter's name with its node. `ordinal` counts the draws of one formula from 0, so
    that each has a stream of its own.
    """

    function: str
    written: str
    arguments: tuple[tuple[str, FormulaNode], ...]
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class NamedCallNode(FormulaNode):
    """A call of something outside the table: a network of the model or a function of `define`.

    `ordinal` counts such calls of one formula from 0, so that the draws of each call are its own.
    """

    name: str
    arguments: tuple[FormulaNode, ...]
    keywords: tuple[tuple[str, FormulaNode], ...] = ()
    ordinal: int = 0
    index: FormulaNode | None = None
    """The place in a list of networks, `blocks[i](x)`."""


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
    root: FormulaNode = field(compare=False, repr=False)
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


LOOP_COUNTER = "i"
"""The name under which a loop's formulas see how many rounds are done."""

MAX_ROUNDS = 1_000_000
"""Most rounds that a loop of `define` may be allowed."""

UNROLLED_ROUNDS = 8
"""Loops of up to so many rounds are written out in a compiled graph. XLA's compile time grows faster than the rounds
(0.7 s for 8, 2 s for 16, 6 s for 32 of a two-line body); a compiled loop's does not."""

EAGER_ROUNDS = 16
"""So many rounds of a loop are made one by one where values can be looked at; those that follow are one compiled loop,
so that a look at a config takes no time that grows with the rounds."""


@dataclass(frozen=True)
class LoopDefinition:
    """A loop of `define`: b = start, then b = repeat(b) again and again.

    Args:
        start: the first value. repeat: the next value, a formula of the loop's own name and the counter `i`.
        while_: go on while this is true; looked at before every round. Needs `at_most`.
        at_most: rounds after which the loop ends in any case.
        times: exactly so many rounds, in place of `while_` and `at_most`.
        define: further names of each round, in order; `repeat` and `while_` see them.
        keep_all: the value is all values, the first one included, along a new first axis of length rounds + 1; where
            the condition ends the loop early, the last one is repeated.
    Raises:
        FormulaError: if there may be more than a million rounds.
    """

    start: Expression
    repeat: Expression
    while_: Expression | None = None
    at_most: int | None = None
    times: int | None = None
    define: Mapping[str, Expression] = field(default_factory=dict)
    keep_all: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rounds <= MAX_ROUNDS:
            raise FormulaError(f"a loop of {self.rounds} rounds; at most {MAX_ROUNDS:,} are run")

    @property
    def rounds(self) -> int:
        """The largest number of rounds."""
        return int((self.times if self.times is not None else self.at_most) or 0)

    @property
    def fits_lanes(self) -> bool:
        """True where it can be differentiated under vectorized_map: a longer loop's tape has no XLA kernel there."""
        return self.rounds <= UNROLLED_ROUNDS

    @property
    def parts(self) -> tuple[Expression, ...]:
        """Its formulas."""
        ends = () if self.while_ is None else (self.while_,)
        return (self.start, *self.define.values(), self.repeat, *ends)

    @property
    def names(self) -> frozenset[str]:
        """The names its formulas use, its own and the counter among them, without those of `define`."""
        return frozenset().union(*(part.names for part in self.parts)) - set(self.define)

    @property
    def functions(self) -> frozenset[str]:
        """The functions its formulas call."""
        return frozenset().union(*(part.functions for part in self.parts))

    @property
    def draws(self) -> bool:
        """True where one of its formulas draws random numbers."""
        return any(part.draws for part in self.parts)


@dataclass(frozen=True)
class FunctionDefinition:
    """A function of `define`: `f(p, q=2): p**2 + q*x`. Its body sees its arguments before all other names.

    Args:
        name: as formulas call it. key: what is written in the config, "f(p, q=2)".
        parameters: in order. defaults: of the last ones, evaluated at each call.
        body: its value.
    """

    name: str
    key: str
    parameters: tuple[str, ...]
    defaults: Mapping[str, Expression]
    body: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        """Its formulas."""
        return (*self.defaults.values(), self.body)

    @property
    def names(self) -> frozenset[str]:
        """The names it uses beside its arguments."""
        return (self.body.names - set(self.parameters)).union(*(part.names for part in self.defaults.values()))

    def pair(self, node: NamedCallNode) -> dict[str, FormulaNode]:
        """Return the argument of each parameter that is given one.

        Raises:
            FormulaError: at the call; too many, too few, unknown or twice.
        """
        usage = f"it is called as {self.key}"

        def refuse(at: FormulaNode, message: str) -> FormulaError:
            return FormulaError(message, offset=at.offset, length=at.length, hint=usage)

        if len(node.arguments) > len(self.parameters):
            extra = node.arguments[len(self.parameters)]
            raise refuse(extra, f"{self.name} takes at most {len(self.parameters)} arguments")
        paired = dict(zip(self.parameters, node.arguments, strict=False))
        for keyword, argument in node.keywords:
            if keyword not in self.parameters:
                raise refuse(argument, f"{self.name} has no argument '{keyword}'")
            if keyword in paired:
                raise refuse(argument, f"{self.name} gets its argument '{keyword}' twice")
            paired[keyword] = argument
        for name in self.parameters:
            if name not in paired and name not in self.defaults:
                raise refuse(node, f"{self.name} needs its argument '{name}'")
        return paired


Definition = Expression | LoopDefinition


def children(node: FormulaNode) -> Iterator[FormulaNode]:
    """Yield the parts of `node`, in the order of the text."""
    match node:
        case OperationNode(operands=parts) | ComparisonNode(operands=parts) | ListNode(items=parts):
            yield from parts
        case IndexNode():
            yield node.value
            yield from node.items
        case SliceNode():
            yield from (part for part in (node.start, node.stop, node.step) if part is not None)
        case CallNode():
            yield from (argument for _, argument in node.arguments)
        case NamedCallNode():
            yield from node.arguments if node.index is None else (node.index, *node.arguments)
            yield from (argument for _, argument in node.keywords)


def walk(root: FormulaNode) -> Iterator[FormulaNode]:
    """Yield `root` and everything below it, in the order of the text, without recursion."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(list(children(node))))
