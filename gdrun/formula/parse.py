"""Text -> Expression: `ast` behind an allow-list. Nothing is evaluated."""

from __future__ import annotations

import ast
import cmath
import difflib
import math
import re
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gdrun.errors import FormulaError

from . import nodes
from .failures import LocatedFormulaError, inside
from .mistakes import attribute, clean, is_python, missing_operator, mistake, private_name
from .name_checks import RESERVED, check_name, check_names
from .nodes import Expression, FormulaNode
from .table import DERIVATIVES, OF_TWO_VALUES, TABLE, Function

__all__ = ["RESERVED", "Expression", "check_name", "check_names", "parse", "parse_function"]

MAX_DEPTH = 96
"""Deepest nesting of operations; a long sum or product counts once."""

MAX_LIST_DEPTH = 16
MAX_LIST_ITEMS = 1_000_000

_OPERATORS = {
    ast.Add: ("add", "+"),
    ast.Sub: ("subtract", "-"),
    ast.Mult: ("multiply", "*"),
    ast.Div: ("divide", "/"),
    ast.Pow: ("pow", "**"),
    ast.MatMult: ("matmul", "@"),
    ast.USub: ("negative", "-"),
    ast.Not: ("logical_not", "not"),
    ast.And: ("logical_and", "and"),
    ast.Or: ("logical_or", "or"),
    ast.Lt: ("less", "<"),
    ast.LtE: ("less_equal", "<="),
    ast.Gt: ("greater", ">"),
    ast.GtE: ("greater_equal", ">="),
    ast.Eq: ("equal", "=="),
    ast.NotEq: ("not_equal", "!="),
}
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[jJ]?")


def parse(text: str | int | float | complex | SequenceOf[Any]) -> Expression:
    """Read a formula.

    Args:
        text: the formula; or a number; or a list, nested as deep as 16, of numbers and formulas.
    Returns:
        Expression. Its numbers are floats at once; nothing has been evaluated.
    Raises:
        FormulaError: with offset and length of the first token at fault and a hint. In a list it is a
            LocatedFormulaError that knows the element, and the offset counts in that element's text.
    """
    if isinstance(text, str):
        return _parse_text(text)
    if isinstance(text, bool) or not isinstance(text, int | float | complex | list | tuple):
        raise FormulaError(f"{_described(text)} is not a formula", hint="write a number, a formula or a list of them")
    writer = _ListWriter()
    root = writer.node(text, ())
    return _expression("".join(writer.pieces), root, tuple(writer.elements) if isinstance(text, list | tuple) else ())


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> Expression:
    # Validation, checks and building each need it.
    return _expression(text, _read(text))


class _ListWriter:
    """Writes a YAML value out as one text, parsing each string in it on the way."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.elements: list[tuple[tuple[int, ...], int, int]] = []
        self.offset = 0
        self.counts = _Counts()
        self.items = 0

    def write(self, piece: str) -> None:
        self.pieces.append(piece)
        self.offset += len(piece)

    def node(self, value: Any, path: tuple[int, ...]) -> FormulaNode:
        start = self.offset
        if isinstance(value, list | tuple):
            return self.sequence(value, path)
        if isinstance(value, str):
            with inside(*path):
                root = _read(value, offset=start, counts=self.counts)
            self.write(value)
        else:
            number = _number(value, path)
            self.write(str(value))
            root = nodes.NumberNode(start, self.offset - start, number)
        self.elements.append((path, start, self.offset - start))
        return root

    def sequence(self, values: SequenceOf[Any], path: tuple[int, ...]) -> FormulaNode:
        self.items += len(values)
        if len(path) >= MAX_LIST_DEPTH:
            raise LocatedFormulaError(f"a list nested more than {MAX_LIST_DEPTH} deep", inside=path)
        if self.items > MAX_LIST_ITEMS:
            raise FormulaError(
                f"a list of more than {MAX_LIST_ITEMS:,} numbers", hint="keep large arrays in an npz file"
            )
        if not values:
            raise LocatedFormulaError("an empty list", hint="write at least one number", inside=path)
        if (row := self.row(values, path)) is not None:
            return row
        start, items = self.offset, []
        self.write("[")
        for position, value in enumerate(values):
            self.write(", " if position else "")
            items.append(self.node(value, (*path, position)))
        self.write("]")
        return nodes.ListNode(start, self.offset - start, tuple(items))

    def row(self, values: SequenceOf[Any], path: tuple[int, ...]) -> FormulaNode | None:
        """Read a list of plain finite numbers at once; None where there is anything else in it."""
        if any(type(value) is not float and (type(value) is not int or abs(value) > 2**1000) for value in values):
            return None
        numbers = tuple(map(float, values))
        if not all(map(math.isfinite, numbers)):
            return None
        start = self.offset
        self.write(f"[{', '.join(map(str, values))}]")
        self.elements.append((path, start, self.offset - start))
        return nodes.NumbersNode(start, self.offset - start, numbers)


def _number(value: Any, path: tuple[int, ...]) -> float | complex:
    """Return a YAML number as float or complex; refuse bool, nan, infinity and integers beyond float64."""
    if isinstance(value, bool) or not isinstance(value, int | float | complex):
        raise LocatedFormulaError(
            f"{_described(value)} is not a number", hint="write a number or a formula", inside=path
        )
    number = _finite(value)
    if number is None:
        raise LocatedFormulaError(f"{_described(value)} is not a finite float64", inside=path)
    return number


def _finite(value: float | complex) -> float | complex | None:
    """Return a number as float or complex at once, integers too; None where float64 cannot hold it."""
    try:
        number = value if isinstance(value, complex) else float(value)
    except OverflowError:
        return None
    return number if cmath.isfinite(number) else None


def _described(value: Any) -> str:
    """Name a refused YAML value in a few characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > 128:
        return "an integer of more than 38 digits"  # str() of a long one is slow, and refused by Python itself
    if isinstance(value, int | float | complex | str):
        return repr(str(value)[:40])
    return "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}"


@dataclass
class _Counts:
    """Draws and calls so far, which number the next ones."""

    draws: int = 0
    calls: int = 0


def _read(text: str, *, offset: int = 0, counts: _Counts | None = None) -> FormulaNode:
    """Parse one text; shift every place by `offset` and go on with `counts`."""
    cleaned = clean(text)
    stripped = cleaned.lstrip(" ")
    indent = len(cleaned) - len(stripped)
    try:
        tree = ast.parse(stripped.rstrip(" "), mode="eval").body
    except SyntaxError as error:
        raise mistake(cleaned, indent + max((error.offset or 1) - 1, 0)) from None
    except (RecursionError, MemoryError, ValueError):
        raise _too_deep(0, len(text)) from None
    _check_depth(tree, len(text))
    return _Converter(stripped, indent, offset, counts or _Counts()).convert(tree)


def _too_deep(offset: int, length: int) -> FormulaError:
    return FormulaError(
        f"the formula is nested more than {MAX_DEPTH} deep",
        offset=offset,
        length=length,
        hint="name its parts in define:",
    )


def _check_depth(tree: ast.expr, length: int) -> None:
    """Bound the recursion of everything that follows. The left side of a + b + c + ... does not count."""
    waiting: list[tuple[ast.AST, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(0, length)
        for child in ast.iter_child_nodes(node):
            chained = isinstance(node, ast.BinOp) and child is node.left and isinstance(child, ast.BinOp)
            waiting.append((child, depth if chained else depth + 1))


class _Converter:
    """ast -> nodes. `indent`: spaces that were cut off in front; `shift`: where the text stands in a list's text."""

    def __init__(self, text: str, indent: int, shift: int, counts: _Counts) -> None:
        self.text = text
        self.indent = indent
        self.shift = shift
        self.counts = counts

    def place(self, node: ast.expr) -> tuple[int, int]:
        start = node.col_offset
        return start + self.indent + self.shift, (node.end_col_offset or start + 1) - start

    def refuse(self, node: ast.expr, message: str, hint: str | None = None, length: int | None = None) -> FormulaError:
        offset, whole = self.place(node)
        return FormulaError(message, offset=offset - self.shift, length=length or whole, hint=hint)

    def convert(self, node: ast.expr) -> FormulaNode:
        place = self.place(node)
        match node:
            case ast.Constant():
                return self.constant(node)
            case ast.Name(id=name):
                if name.startswith("_"):
                    raise private_name(name, node.col_offset + self.indent)
                return nodes.NameNode(*place, name)
            case ast.Attribute():
                return self.dotted(node)
            case ast.BinOp():
                return self.chain(node)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.convert(node.operand)
            case ast.UnaryOp() if type(node.op) in _OPERATORS:
                function, symbol = _OPERATORS[type(node.op)]
                return nodes.OperationNode(*place, function, symbol, (self.convert(node.operand),))
            case ast.BoolOp():
                function, symbol = _OPERATORS[type(node.op)]
                result = self.convert(node.values[0])
                for value in node.values[1:]:
                    result = nodes.OperationNode(*place, function, symbol, (result, self.convert(value)))
                return result
            case ast.Compare():
                return self.comparison(node)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                if not elements:
                    raise self.refuse(node, "an empty list", "write at least one number")
                return nodes.ListNode(*place, tuple(self.convert(element) for element in elements))
            case ast.Subscript():
                parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                return nodes.IndexNode(*place, self.convert(node.value), tuple(self.index_item(part) for part in parts))
            case ast.Call():
                return self.call(node)
            case ast.Starred():
                raise self.refuse(node, "'*' before an argument is not part of formulas")
            case ast.Slice():
                raise self.refuse(node, "':' only stands in an index")
        raise self.not_a_formula(node)

    def dotted(self, node: ast.Attribute) -> FormulaNode:
        """Convert `dense1.kernel`, the name of a layer's parameter; refuse attributes as Python has them."""
        written = self.written(node)
        if is_python(written) or not re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", written):
            written = written if re.fullmatch(r"[\w.]+", written) else f".{node.attr}"
            raise attribute(written, (node.end_col_offset or 0) - len(written) + self.indent)
        return nodes.NameNode(*self.place(node), written)

    def written(self, node: ast.expr) -> str:
        return self.text[node.col_offset : node.end_col_offset]

    def not_a_formula(self, node: ast.expr) -> FormulaError:
        """Return the error of what Python reads and formulas do not have: conditions, comprehensions, `in`, ..."""
        error = mistake(" " * self.indent + self.text)
        return self.refuse(node, "this is not part of formulas") if "cannot be read" in error.message else error

    def constant(self, node: ast.Constant) -> FormulaNode:
        place, value = self.place(node), node.value
        if isinstance(value, bool):
            return nodes.FlagNode(*place, value)
        if value is None:
            return nodes.NoneNode(*place)
        if isinstance(value, str):
            return nodes.TextNode(*place, value)
        if value is Ellipsis:
            raise self.refuse(node, "'...' only stands in an index", "as in x[..., 0]")
        assert isinstance(value, int | float | complex), "clean refuses other texts"
        number = _finite(value)
        if number is None:
            raise self.refuse(node, "the number is too large for float64", "the largest is about 1.8e308")
        written = self.written(node)
        if not _NUMBER.fullmatch(written) or re.fullmatch(r"0\d+", written):
            raise self.refuse(node, f"{written[:40]!r}: a number is written in decimal digits", f"write {value}")
        return nodes.NumberNode(*place, number)

    def chain(self, node: ast.BinOp) -> FormulaNode:
        """Convert a + b - c ... from the left, without recursing down its left side."""
        spine: list[ast.BinOp] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            spine.append(left)
            left = left.left
        result = self.convert(left)
        for step in reversed(spine):
            function, symbol = _OPERATORS[type(step.op)]
            result = nodes.OperationNode(*self.place(step), function, symbol, (result, self.convert(step.right)))
        return result

    def comparison(self, node: ast.Compare) -> FormulaNode:
        if any(type(op) not in _OPERATORS for op in node.ops):
            raise self.not_a_formula(node)
        names = [_OPERATORS[type(op)] for op in node.ops]
        operands = tuple(self.convert(part) for part in (node.left, *node.comparators))
        functions, symbols = zip(*names, strict=True)
        return nodes.ComparisonNode(*self.place(node), operands, functions, symbols)

    def index_item(self, node: ast.expr) -> FormulaNode:
        if isinstance(node, ast.Slice):
            start, stop, step = (
                None if part is None else self.convert(part) for part in (node.lower, node.upper, node.step)
            )
            return nodes.SliceNode(*self.place(node), start, stop, step)
        if isinstance(node, ast.Constant) and node.value is Ellipsis:
            return nodes.EllipsisNode(*self.place(node))
        if isinstance(node, ast.Tuple):
            raise self.refuse(node, "an index inside an index")
        return self.convert(node)

    def call(self, node: ast.Call) -> FormulaNode:
        end = node.func.end_col_offset or 0
        if isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name):
            return nodes.NamedCallNode(
                *self.place(node), node.func.value.id, *self.given(node), index=self.convert(node.func.slice)
            )
        if not isinstance(node.func, ast.Name) or not self.text[end:].lstrip().startswith("("):
            if isinstance(node.func, ast.Attribute):
                written = self.written(node.func)
                raise attribute(written, (node.func.end_col_offset or 0) - len(written) + self.indent)
            before = self.text.index("(", end)
            text = " " * self.indent + self.text
            raise missing_operator(text, before + self.indent, self.text[:before].rstrip()[-1:])
        written = node.func.id
        if written.startswith("_"):
            raise private_name(written, node.col_offset + self.indent)
        row = TABLE.get(written)
        offset, length = self.place(node)
        if row is None:
            ordinal = self.counts.calls
            self.counts.calls += 1
            return nodes.NamedCallNode(offset, length, written, *self.given(node), ordinal)
        arguments = self.bind(node, row, written)
        ordinal = self.counts.draws
        self.counts.draws += row.kind == "draw"
        return nodes.CallNode(offset, length, row.name, written, arguments, ordinal)

    def given(self, node: ast.Call) -> tuple[tuple[FormulaNode, ...], tuple[tuple[str, FormulaNode], ...]]:
        """Return the arguments of a call, and those with a name."""
        keywords = tuple((keyword.arg or "**", self.convert(keyword.value)) for keyword in node.keywords)
        return tuple(self.convert(part) for part in node.args), keywords

    def bind(self, node: ast.Call, row: Function, written: str) -> tuple[tuple[str, FormulaNode], ...]:
        """Pair arguments with parameters; refuse too many, too few, twice and unknown ones."""
        usage = f"it is called as {row.signature}"
        if len(node.args) > len(row.parameters):
            mend = OF_TWO_VALUES.get(row.name, usage)
            raise self.refuse(
                node.args[len(row.parameters)], f"{written} takes at most {len(row.parameters)} arguments", mend
            )
        given = {parameter.name: argument for parameter, argument in zip(row.parameters, node.args, strict=False)}
        for keyword in node.keywords:
            parameter = None if keyword.arg is None else row.parameter(keyword.arg)
            if parameter is None:
                near = difflib.get_close_matches(keyword.arg or "", [known.name for known in row.parameters], 1)
                hint = f"did you mean {near[0]!r}? {usage}" if near else usage
                raise self.refuse(keyword.value, f"{written} has no argument {keyword.arg!r}", hint)
            if parameter.name in given:
                raise self.refuse(keyword.value, f"{written} gets its argument {parameter.name!r} twice", usage)
            given[parameter.name] = keyword.value
        for parameter in row.parameters:
            if parameter.default is None and parameter.name not in given:
                raise self.refuse(node, f"{written} needs its argument {parameter.name!r}", usage)
            if parameter.kind == "name" and not isinstance(given[parameter.name], ast.Name | ast.Attribute):
                raise self.refuse(given[parameter.name], f"{written} differentiates by a name", usage)
            if parameter.kind == "values" and not isinstance(given[parameter.name], ast.List | ast.Tuple):
                raise self.refuse(
                    given[parameter.name], f"{written} takes a list of arrays", f"as in {written}([a, b])"
                )
        in_order = [parameter.name for parameter in row.parameters if parameter.name in given]
        return tuple((name, self.convert(given[name])) for name in in_order)


def parse_function(key: str, value: Any) -> nodes.FunctionDefinition:
    """Return the function of `define` that is written `key: value`, as in `f(p, q=2): p**2 + q`.

    Raises:
        FormulaError: `key` is no head of a function, or `value` no formula.
    """
    usage = "a function is written f(p): ..., or f(p, q=2): ... with a default"
    error = FormulaError(f"{key[:80]!r} is not the head of a function", hint=usage)
    try:
        call = ast.parse(clean(key).strip(" "), mode="eval").body
    except (FormulaError, SyntaxError, ValueError, RecursionError, MemoryError):
        raise error from None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise error
    names = [part.id for part in call.args if isinstance(part, ast.Name)] + [part.arg or "" for part in call.keywords]
    if not names or len(names) < len(call.args) + len(call.keywords) or len(set(names)) < len(names):
        raise error
    for name, called in ((call.func.id, True), *((name, False) for name in names)):
        if (problem := check_name(name, called=called)) is not None:
            raise problem
    defaults = {part.arg or "": parse(ast.unparse(part.value)) for part in call.keywords}
    return nodes.FunctionDefinition(call.func.id, key, tuple(names), defaults, parse(value))


def _is_draw(node: FormulaNode) -> bool:
    return isinstance(node, nodes.CallNode) and TABLE[node.function].kind == "draw"


def _expression(
    text: str, root: FormulaNode, elements: tuple[tuple[tuple[int, ...], int, int], ...] = ()
) -> Expression:
    everything = list(nodes.walk(root))
    names_at = tuple((node.name, node.offset, node.length) for node in everything if isinstance(node, nodes.NameNode))
    calls = [node for node in everything if isinstance(node, nodes.CallNode | nodes.NamedCallNode)]
    called = [(node.written if isinstance(node, nodes.CallNode) else node.name, node.offset) for node in calls]
    return Expression(
        text=text,
        root=root,
        names=frozenset(name for name, _, _ in names_at),
        functions=frozenset(name for name, _ in called),
        draws=any(_is_draw(node) for node in everything),
        differentiates=any(isinstance(node, nodes.CallNode) and node.function in DERIVATIVES for node in everything),
        names_at=tuple(sorted(names_at, key=lambda use: use[1])),
        calls_at=tuple(sorted(((name, offset, len(name)) for name, offset in called), key=lambda use: use[1])),
        elements=elements,
    )
