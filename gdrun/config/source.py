"""Texts that a config comes from, values with their places in them, and mappings between the two."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gdrun.errors import ConfigError, ConfigPath, Place, Problem

_BREAK = re.compile(r"\r\n|\r|\n")


class Source:
    """A text and its name: a file's, `argument 2`, ..."""

    def __init__(self, name: str, text: str, *, is_override: bool = False) -> None:
        self.name = name
        self.text = text
        self.is_override = is_override

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _BREAK.finditer(self.text))]

    @property
    def line_count(self) -> int:
        """The number of lines; an empty text has one."""
        return len(self._starts)

    def line_of(self, index: int) -> int:
        """Return the number, from 0, of the line that holds character `index`."""
        return bisect_right(self._starts, index) - 1

    def line_span(self, line: int) -> tuple[int, int]:
        """Return the first index and the end of line `line` (from 0), without its line break."""
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        while end > start and self.text[end - 1] in "\r\n":
            end -= 1
        return start, end

    def place(self, start: int, end: int) -> Place:
        """Return the Place of the characters from `start` to `end`, cut off at the end of the first line."""
        start = min(start, len(self.text))
        line = self.line_of(start)
        line_start, line_end = self.line_span(line)
        length = max(1, min(end, line_end) - start)
        return Place(self.name, line + 1, start - line_start + 1, length, self.text[line_start:line_end])


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source: characters `start` (counted from 0) up to, not including, `end`."""

    source: Source
    start: int
    end: int

    def place(self) -> Place:
        """Return its place, with line and column, for a person."""
        return self.source.place(self.start, self.end)

    def problem(self, message: str, hint: str | None = None) -> Problem:
        """Return a problem of the text here."""
        return Problem(message, hint=hint, place=self.place())

    def refused(self, message: str, hint: str | None = None) -> ConfigError:
        """Return the error that refuses the text here."""
        return ConfigError((self.problem(message, hint),), source=self.source.name)


@dataclass(slots=True)
class Node:
    """A value of a config, with the place it was written at.

    `value` is a dict of Nodes, a list of Nodes or a scalar (str, int, float, bool, None). `keys` gives, for a dict,
    where each key stands; keys may come from other sources than the node does, once configs are merged. `style` is
    the scalar's YAML style: None for a plain one, else a quote, "|" or ">".
    """

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    span: Span
    keys: dict[str, Span] | None = None
    style: str | None = None

    @property
    def is_mapping(self) -> bool:
        """True where `value` is a dict."""
        return isinstance(self.value, dict)

    def plain(self) -> object:
        """Return the value without places: dicts, tuples and scalars."""
        value = self.value
        if isinstance(value, dict):
            return {key: child.plain() for key, child in value.items()}
        if isinstance(value, list):
            return tuple([child.plain() for child in value])
        return value

    def leaves(self) -> Iterator[Node]:
        """Yield the values in it that are neither mappings nor lists."""
        if isinstance(self.value, dict | list):
            for child in self.value.values() if isinstance(self.value, dict) else self.value:
                yield from child.leaves()
        else:
            yield self

    def child(self, step: str | int) -> Node | None:
        """Return the entry `step` of a dict or list, or None."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and -len(self.value) <= step < len(self.value):
            return self.value[step]
        return None

    def at(self, path: ConfigPath) -> Node | None:
        """Return the node at `path`, or None."""
        node: Node | None = self
        for step in path:
            node = node.child(step) if node is not None else None
        return node

    def part(self, offset: int, length: int) -> Span:
        """Return the span of characters `offset` to `offset + length` of this scalar's text in the source.

        Escapes, quotes, indentation and folded lines are accounted for; where that fails, the whole scalar is returned.
        """
        if not isinstance(self.value, str):
            return self.span
        origins = _origins(self)
        if origins is None or offset > len(self.value):
            return self.span
        start = origins[offset]
        stop = origins[min(offset + max(length, 1), len(self.value)) - 1] + 1 if offset < len(self.value) else start + 1
        return Span(self.span.source, start, max(stop, start + 1))


_BREAKS = r"[ \t]*+(?:(?:\r\n|\r|\n)[ \t]*+)+"
"""A folded line break, with the spaces around it: one character of the value, or one less than there are breaks."""
_UNITS = {
    None: _BREAKS,
    ">": _BREAKS,
    "'": rf"''|{_BREAKS}",
    '"': rf"(?P<nothing>\\(?:\r\n|\r|\n)[ \t]*)|\\(?:x..|u.{{4}}|U.{{8}}|.)|{_BREAKS}",
}
"""Style -> the stretches of its text, of several characters, that stand for another number of them."""


def _origins(node: Node) -> list[int] | None:
    """Return the index in the source of each character of a scalar's value, and of its end; None where it fails."""
    text, start, end = node.span.source.text, node.span.start, node.span.end
    is_block = node.style in ("|", ">")
    if is_block:
        start = text.find("\n", start)
    elif node.style:
        start, end = start + 1, end - 1
    unit = _UNITS.get(node.style)
    if unit is None:
        # A line of a literal block keeps its break; its indentation is no part of it.
        first = re.search(r"\n( *)[^ \r\n]", text[start:end])
        unit = rf"(?:\r\n|\r|\n) {{0,{len(first[1]) if first else 0}}}"
    origins: list[int] = []
    # Spaces as a whole: looked at from each of them, many would take long.
    for match in re.compile(rf"{unit}|(?P<spaces>[ \t]+)|.", re.DOTALL).finditer(text, start, end):
        if match.lastgroup == "spaces":
            origins += range(*match.span())
        elif match.lastgroup != "nothing":
            origins += [match.start()] * max(1, len(_BREAK.findall(match[0])) - 1)
    if is_block:
        # The break before its first line is none of its own, and those at its end are not in its span.
        origins = [*origins[1:], *[end] * max(0, len(str(node.value)) - len(origins) + 1)]
    return [*origins, end] if len(origins) == len(str(node.value)) else None


def balanced_length(text: str) -> int:
    """Return the length of the formula that begins `text`: up to a comma outside its brackets."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if (character == "," and depth <= 0) or character == "}" or depth < 0:
            return position
    return len(text)


def in_quotes(text: str) -> str:
    """Return `text` as a YAML string."""
    return f"'{text}'" if '"' in text else f'"{text}"'
