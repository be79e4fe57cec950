"""Reader of YAML 1.2 core, from bytes to a tree of values with places, without the parts that make YAML dangerous.

Refused, each with its place: tags, anchors and aliases, merge keys, directives, several documents, duplicate keys, keys
that are not plain text, numbers that are not finite, control and bidirectional characters, text that is not UTF-8, more
than a mebibyte, 64 levels, 100,000 values, or 256 keys in one mapping.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import yaml

from gdrun.errors import ConfigError, Problem

from .scalars import Scalar, ScalarError, resolve
from .source import Node, Source, Span, balanced_length, in_quotes

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_KEYS = 256
"""In one mapping. Keys are written by people, and checking the formulas that they name takes time."""
MAX_PROBLEMS = 20

_C_PARSER: Any = getattr(yaml, "CSafeLoader", None)
# The pure Python scanner is forty times slower; with this bound the worst text still takes two seconds at most.
_MAX_BYTES = MAX_BYTES if _C_PARSER is not None else MAX_BYTES // 16

# Control characters, bidirectional controls, separators, invisible marks, non-characters: they hide what a text says.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
    "\U000e0000-\U000e007f]"
)
_QUOTE_IT = "put the formula in quotes"


def read_document(data: bytes, source: str) -> Node:
    """Read one YAML document.

    Args:
        data: the bytes of the file.
        source: what to call it in problems.
    Returns:
        The root Node. An empty text gives a null.
    Raises:
        ConfigError: with every problem that could be found.
    """
    if len(data) > _MAX_BYTES:
        message = f"a config has at most {_MAX_BYTES:,} bytes; keep data in a CSV or NPZ file"
        raise Span(Source(source, ""), 0, 0).refused(message)
    text = _decode(data, source)
    return read_text(Source(source, text), 0)


def read_text(source: Source, start: int) -> Node:
    """Read the document that begins at character `start` of `source`; raises as `read_document` does."""
    problems = [
        Span(source, *match.span()).problem(f"the character U+{ord(match[0]):04X} is not allowed in a config")
        for match, _ in zip(_FORBIDDEN.finditer(source.text, start), range(MAX_PROBLEMS), strict=False)
    ]
    if problems:
        raise ConfigError(tuple(problems), source=source.name)
    composer = _Composer(source, start)
    root = composer.compose()
    if composer.problems:
        raise ConfigError(tuple(composer.problems), source=source.name)
    return root


def is_forbidden(text: str) -> bool:
    """Return whether `text` holds a character that no config may hold."""
    return _FORBIDDEN.search(text) is not None


def _decode(data: bytes, source: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        readable = Source(source, before + data[error.start : error.start + 80].decode("utf-8", "replace"))
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise Span(readable, len(before), len(before) + 1).refused(message, "save the file as UTF-8") from None
    return text.removeprefix("\ufeff")


class _Stop(Exception):
    """Reading has to end here; the problem is already noted."""


class _Frame:
    """A collection that is being read."""

    __slots__ = ("first", "flow", "key", "node")

    def __init__(self, node: Node, flow: bool) -> None:
        self.node = node
        self.flow = flow
        self.key: tuple[str, Span] | None = None
        self.first: dict[str, Span] = {}


class _Composer:
    """Converter of the parser's events into Nodes, with a stack of its own: no depth of text can exhaust Python's."""

    def __init__(self, source: Source, start: int) -> None:
        self.source = source
        self.start = start
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.root: Node | None = None
        self.count = 0

    def compose(self) -> Node:
        text = self.source.text[self.start :]
        self.refuse_directives()
        loader = (_C_PARSER or yaml.SafeLoader)(text)
        try:
            while True:
                event = loader.get_event()
                if isinstance(event, yaml.StreamEndEvent):
                    break
                self.take(event)
        except _Stop:
            pass
        except yaml.MarkedYAMLError as error:
            self.syntax_problem(error)
        except (yaml.YAMLError, ValueError, RecursionError, MemoryError):
            self.note("this is not YAML", self.start, self.start + 1)
        finally:
            loader.dispose()
        return self.root or Node(None, Span(self.source, self.start, self.start))

    def refuse_directives(self) -> None:
        for line in range(self.source.line_of(self.start), self.source.line_count):
            start, end = self.source.line_span(line)
            written = self.source.text[max(start, self.start) : end]
            if written.startswith("%"):
                self.note("YAML directives are not part of the config language", start, end)
            if written.strip() and not written.lstrip().startswith("#"):
                return

    def note(self, message: str, start: int, end: int, hint: str | None = None) -> None:
        self.problems.append(Span(self.source, start, end).problem(message, hint))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop

    def span(self, event: Any) -> Span:
        return Span(self.source, self.start + event.start_mark.index, self.start + event.end_mark.index)

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self.open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.close(event)
        elif isinstance(event, yaml.AliasEvent):
            self.refuse_mark(self.span(event), "an alias", "*")
            self.add(Node(None, self.span(event)))
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            span = self.span(event)
            self.note("a config is one YAML document; a second one begins here", span.start, span.start + 3)
            raise _Stop

    def refuse_mark(self, span: Span, what: str, sign: str) -> None:
        line_end = self.source.line_span(self.source.line_of(span.start))[1]
        text = self.source.text[span.start : line_end].split(" #")[0].rstrip()
        hint = f"if this is a formula, write {in_quotes(text)}"
        self.note(
            f"'{sign}' begins {what} in YAML, which configs do not have; {_QUOTE_IT}",
            span.start,
            span.start + max(len(text), 1),
            hint,
        )

    def properties(self, event: Any) -> None:
        """Refuse a tag or an anchor before a value."""
        if event.tag is not None:
            self.refuse_mark(self.span(event), "a tag", "!")
        elif event.anchor is not None:
            self.refuse_mark(self.span(event), "an anchor", "&")

    def scalar(self, event: Any) -> None:
        self.properties(event)
        span = self.span(event)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and frame.node.keys is not None and frame.key is None:
            self.key(frame, event, span)
            return
        value: Scalar = event.value
        style = event.style or None
        if style is None:
            try:
                value = resolve(event.value)
            except ScalarError as error:
                self.note(str(error), span.start, span.end)
        elif forbidden := _FORBIDDEN.search(event.value):
            self.note(f"the character U+{ord(forbidden.group()):04X} is not allowed in a config", span.start, span.end)
        if style in ("|", ">"):
            span = replace(span, end=span.start + len(self.source.text[span.start : span.end].rstrip("\r\n ")))
        self.add(Node(value, span, None, style))

    def key(self, frame: _Frame, event: Any, span: Span) -> None:
        name = event.value
        if event.style in ("|", ">") or len(name) > 1000 or "\n" in name or _FORBIDDEN.search(name):
            self.note("a key is a short text on one line", span.start, span.end)
        elif not name:
            self.note("a key is missing before ':'", span.start, span.end)
        elif name == "<<" and not event.style:
            self.note("merge keys (<<) are not part of the config language", span.start, span.end, "use extends:")
        elif name in frame.first:
            line = self.source.line_of(frame.first[name].start) + 1
            self.note(f"the key '{name}' is here twice; the first is in line {line}", span.start, span.end)
        else:
            frame.first[name] = span
            if len(frame.first) > MAX_KEYS:
                hint = "keep data in lists, or in a CSV or NPZ file"
                self.note(f"more than {MAX_KEYS} keys in one mapping", span.start, span.end, hint)
                raise _Stop
        frame.key = (name, span)

    def open(self, event: Any) -> None:
        self.properties(event)
        span = self.span(event)
        if len(self.stack) >= MAX_DEPTH:
            self.note(f"nested more than {MAX_DEPTH} deep", span.start, span.start + 1)
            raise _Stop
        mapping = isinstance(event, yaml.MappingStartEvent)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and frame.node.keys is not None and frame.key is None:
            self.note("a key is plain text, not a list or a mapping", span.start, span.start + 1, f"or {_QUOTE_IT}")
            raise _Stop
        node = Node({}, span, {}) if mapping else Node([], span)
        self.stack.append(_Frame(node, bool(event.flow_style)))

    def close(self, event: Any) -> None:
        frame = self.stack.pop()
        end = self.start + event.end_mark.index
        if not frame.flow:
            # A block ends where the next thing begins; what it holds ends before that.
            end = frame.node.span.start + len(self.source.text[frame.node.span.start : end].rstrip())
        frame.node.span = replace(frame.node.span, end=end)
        if frame.flow:
            self.torn_formula(frame.node)
        self.add(frame.node)

    def add(self, node: Node) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            self.note(
                f"more than {MAX_NODES:,} values", node.span.start, node.span.end, "keep data in a CSV or NPZ file"
            )
            raise _Stop
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        elif isinstance(frame.node.value, dict) and frame.node.keys is not None and frame.key is not None:
            name, span = frame.key
            frame.node.value.setdefault(name, node)
            frame.node.keys.setdefault(name, span)
            frame.key = None

    def torn_formula(self, node: Node) -> None:
        """Note a formula in {} or [] that YAML has cut at its comma: `{init: normal(0, 0.1)}`."""
        assert isinstance(node.value, dict | list)
        for child in node.value.values() if isinstance(node.value, dict) else node.value:
            if isinstance(child.value, str) and child.style is None and _open_brackets(child.value) > 0:
                start = child.span.start
                length = balanced_length(self.source.text[start : node.span.end - 1])
                whole = self.source.text[start : start + length].strip()
                self.note(
                    f"YAML cuts this formula at its comma; {_QUOTE_IT}",
                    start,
                    start + len(whole),
                    f"write {in_quotes(whole)}",
                )
                return

    def syntax_problem(self, error: yaml.MarkedYAMLError) -> None:
        from .syntax import explain

        problem = explain(error, self.source, self.start)
        # A mistake that was refused before on this line is the reason for the parser's error.
        if not any(
            earlier.place and problem.place and earlier.place.line == problem.place.line for earlier in self.problems
        ):
            self.problems.append(problem)


def _open_brackets(text: str) -> int:
    return text.count("(") - text.count(")") + text.count("[") - text.count("]")
