"""Spaces, the values that a key takes in a sweep: `log:1e-4:1:50`, `0.1,0.2,0.4`, `uniform:0:1`, a list.

This is only the grammar: text to ends and counts, every mistake with its place. `gdrun.sweeping.axis` computes the
values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gdrun.config.document import read_text
from gdrun.config.scalars import ScalarError, is_number, resolve, written
from gdrun.config.source import Node, Source, Span
from gdrun.errors import ConfigError, Place, Problem
from gdrun.suggest import closest
from gdrun.text import plural, split_points

LISTED = "list"
FORMS = {
    "lin": ("low", "high", "count"),
    "log": ("low", "high", "count"),
    "range": ("start", "stop", "step"),
    "uniform": ("low", "high"),
    "loguniform": ("low", "high"),
}
"""Kind -> the names of its numbers; a range's step may be left out."""
EXAMPLES = {
    "lin": "lin:0:1:11",
    "log": "log:1e-4:1:50",
    "range": "range:0:5",
    "uniform": "uniform:0:1",
    "loguniform": "loguniform:1e-5:1",
}
_SYNONYMS = {
    "linspace": "lin", "linear": "lin", "logspace": "log", "geomspace": "log", "geom": "log", "logarithmic": "log",
    "arange": "range", "int": "range", "interval": "uniform", "float": "uniform", "log_uniform": "loguniform",
}  # fmt: skip
_HEAD = re.compile(r"\s*([A-Za-z_]+)\s*:\s*")
_NUMBERS = re.compile(r"[-+.\d]")

Locate = Callable[[int, int], Span]
"""(start, end) -> the span of these characters of a space's text."""


@dataclass(frozen=True)
class Space:
    """The values that one key takes.

    Args:
        kind: "list", or one of FORMS.
        span: of its text.
        nodes: the values of a list, each with its place.
        low, high: ends as they are written; a range ends before `high`.
        count: of `lin` and `log`, the number of values; of a range, its step.
    """

    kind: str
    span: Span = field(compare=False, repr=False)
    nodes: tuple[Node, ...] = field(default=(), compare=False, repr=False)
    low: float = 0.0
    high: float = 0.0
    count: int = 1

    @property
    def is_distribution(self) -> bool:
        """True where values are drawn from it."""
        return self.kind in ("uniform", "loguniform")

    @property
    def size(self) -> int:
        """Number of values, before whole numbers are rounded; 0 for a distribution."""
        if self.kind == LISTED:
            return len(self.nodes)
        if self.kind == "range":
            return len(range(int(self.low), int(self.high), self.count))
        return 0 if self.is_distribution else self.count

    def probes(self) -> tuple[Node, ...]:
        """Return the values whose check decides about all of them: those of a list, else the ends."""
        if self.kind == LISTED:
            return self.nodes
        last = range(int(self.low), int(self.high), self.count)[-1] if self.kind == "range" else self.high
        return tuple(Node(value, self.span) for value in dict.fromkeys((self.low, last)))

    def text(self) -> str:
        """Return the text that reads back to this space, which is no list."""
        numbers = [self.low, self.high]
        if not self.is_distribution and not (self.kind == "range" and self.count == 1):
            numbers.append(self.count)
        return ":".join([self.kind, *map(written, numbers)])


def read_space(node: Node) -> Space:
    """Return the space that a value of a config describes: a list, a text, or one value.

    Raises:
        ConfigError: it describes none; located at the mistake.
    """
    if isinstance(node.value, list):
        if not node.value:
            raise node.span.refused("this space is empty", "a list of values, or log:1e-4:1:50")
        return Space(LISTED, node.span, tuple(node.value))
    if not isinstance(node.value, str):
        return Space(LISTED, node.span, (node,))
    return _read(node.value, node.span, lambda start, end: node.part(start, end - start))


def read_argument(source: Source, start: int) -> Space:
    """Return the space that is written from character `start` of a command-line argument."""
    text = source.text
    return _read(text[start:], Span(source, start, len(text)), lambda a, b: Span(source, start + a, start + b))


def _read(text: str, span: Span, locate: Locate) -> Space:
    head = _HEAD.match(text)
    if head is not None:
        kind = head[1].lower()
        if kind in FORMS:
            return _formed(kind, text, head.end(), span, locate)
        near = _SYNONYMS.get(kind) or closest(kind, FORMS)
        if near is not None and _NUMBERS.match(text, head.end()):
            raise locate(*head.span(1)).refused(f"there is no space '{head[1]}:'", f"for example {EXAMPLES[near]}")
    nodes = tuple(_value(text, start, end, locate) for start, end in pieces(text))
    return Space(LISTED, span, nodes)


def _formed(kind: str, text: str, start: int, span: Span, locate: Locate) -> Space:
    """Return the space of a text such as `log:1e-4:1:50`, whose numbers begin at `start`."""
    names, like = FORMS[kind], f"for example {EXAMPLES[kind]}"
    numbers: list[float] = []
    spans = []
    for part in text[start:].split(":"):
        numbers.append(_number(part, names[min(len(numbers), len(names) - 1)], locate(start, start + len(part)), like))
        spans.append(locate(start, start + len(part)))
        start += len(part) + 1
    if not len(names) - (kind == "range") <= len(numbers) <= len(names):
        raise span.refused(f"{kind}: takes {':'.join(names)}, got {plural(len(numbers), 'number')}", like)
    whole = range(len(numbers)) if kind == "range" else range(2, len(numbers))
    for position in whole:
        if not float(numbers[position]).is_integer():
            raise spans[position].refused(f"{names[position]} must be a whole number", like)
    low, high, count = (*numbers, 1)[:3]
    space = Space(kind, span, (), low, high, int(count))
    _check_ends(space, spans)
    return space


def _check_ends(space: Space, spans: Sequence[Span]) -> None:
    kind, low, high = space.kind, space.low, space.high
    if kind in ("log", "loguniform"):
        for end, place in zip((low, high), spans, strict=False):
            if end <= 0:
                raise place.refused(f"{kind}: needs ends greater than 0", f"or lin:{written(low)}:{written(high)}:11")
    if not math.isfinite(high - low):
        raise spans[1].refused("the ends are too far apart for a float64")
    if kind == "range" and space.count < 1:
        raise spans[2].refused("a range's step is at least 1")
    if kind in ("lin", "log") and space.count < 1:
        raise spans[2].refused("a space has at least 1 value")
    if low > high:
        hint = ":".join([kind, written(high), written(low), *[written(space.count)] * (kind in ("lin", "log"))])
        raise spans[0].refused("the ends are the wrong way round", f"write {hint}")
    if kind == "range" and low == high:
        raise spans[1].refused(
            "this range is empty; it ends before its second number", f"range:{written(low)}:{low + 1:g}"
        )
    if space.is_distribution and low == high:
        raise spans[1].refused("the ends are equal; there is nothing to draw", f"as one value: {written(low)}")
    if kind in ("lin", "log") and (space.count == 1) != (low == high):
        message = "one value cannot have two ends" if space.count == 1 else "the ends are equal; all values would be"
        raise spans[2].refused(message, f"as one value: {written(low)}")


def _number(text: str, name: str, span: Span, hint: str) -> float:
    try:
        value = resolve(text.strip())
    except ScalarError as error:
        raise span.refused(str(error), hint) from None
    if not is_number(value):
        raise span.refused(f"{name} must be a number" if text.strip() else f"{name} is missing", hint)
    return value


def pieces(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of each value of `0.1,0.2` or `[4,0],[1,2]`, without the spaces around it.

    Commas outside of brackets and quotes separate values.
    """
    # A quote begins a text where a value can begin, as in `["a"]`, but not in `it's`.
    without_texts = _QUOTED.sub(lambda match: match[1] + "x" * len(match[2]), text)
    bounds, start = [], 0
    for piece in split_points(without_texts):
        bounds.append(_stripped(text, start, start + len(piece)))
        start += len(piece) + 1
    return bounds


_QUOTED = re.compile(r"""((?:^|[\[{(,:])\s*)("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')""", re.DOTALL)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())


def _value(text: str, start: int, end: int, locate: Locate) -> Node:
    """Return one value of a list, read as YAML by itself, with its place in the whole text."""
    if start == end and text.strip():
        raise locate(max(start - 1, 0), start).refused("a value is missing here", "values are parted by single commas")
    whole = locate(0, len(text)).source
    piece = Source(whole.name, text[start:end], is_override=whole.is_override)
    try:
        node = read_text(piece, 0)
    except ConfigError as error:
        problems = tuple(_moved(problem, start, locate) for problem in error.problems)
        raise ConfigError(problems, source=whole.name) from None
    return _placed(node, start, locate)


def _placed(node: Node, offset: int, locate: Locate) -> Node:
    """Return `node`, which was read from a piece of a text, with its places in the whole text."""

    def move(span: Span) -> Span:
        return locate(offset + span.start, offset + span.end)

    value = node.value
    if isinstance(value, dict):
        value = {key: _placed(child, offset, locate) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_placed(child, offset, locate) for child in value]
    keys = {key: move(span) for key, span in node.keys.items()} if node.keys is not None else None
    return Node(value, move(node.span), keys, node.style)


def _moved(problem: Problem, offset: int, locate: Locate) -> Problem:
    place = problem.place
    if place is None:
        return problem
    start = offset + place.column - 1
    moved: Place = locate(start, start + place.length).place()
    return replace(problem, place=moved)
