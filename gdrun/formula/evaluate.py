"""Expression + Scope -> value, one walk of the tree over the scope's function table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

import numpy as np

from gdrun.errors import FormulaError

from . import nodes, numpy_ops
from .failures import Unconnected, inside
from .nodes import Expression, Node
from .scope import Scope
from .table import DERIVATIVES, TABLE, Function


def evaluate(expression: Expression, scope: Scope, *, owner: str = "") -> Any:
    """Return the value of `expression`.

    Args:
        expression: from `parse`.
        scope: the names' values and the function table; inside tf.function, tf.vectorized_map and XLA too.
        owner: what the formula belongs to ("model", "record.norm"); draws of different owners are independent.
    Returns:
        With numpy: a float, complex or array. With TensorFlow: a tensor, or such a host value where nothing in the
        formula was a tensor.
    Raises:
        FormulaError: values that do not fit, with the operator's place and the shapes. If a definition is at fault, the
            error is a LocatedFormulaError in ("define", name).
    """
    evaluator = _Evaluator(scope, owner)
    try:
        return evaluator.value(expression.root) if not expression.elements else evaluator.listed(expression)
    except FormulaError as error:
        vars(error)["ag_pass_through"] = True  # or TensorFlow's autograph turns it into an error of its own
        raise


# TensorFlow's autograph, which vectorized_map applies to all it calls, leaves what has this attribute as it is.
vars(evaluate)["autograph_info__"] = {}


def evaluate_constants(
    constants: Mapping[str, Expression], *, random: np.random.Generator | np.random.RandomState | None = None
) -> dict[str, np.ndarray]:
    """Evaluate `constants:` in order, each seeing the ones above it; draws come from `random` in that order.

    Returns:
        float64 or complex128 arrays of any shape, all finite.
    Raises:
        LocatedFormulaError: inside (name,), if a constant cannot be evaluated or is not finite.
    """
    ops = numpy_ops.table(random)
    values: dict[str, np.ndarray] = {}
    for name, expression in constants.items():
        with inside(name):
            value = numpy_ops.number(evaluate(expression, Scope(values, ops=ops), owner=name))
            if not np.all(np.isfinite(value)):
                where = tuple(int(axis) for axis in np.argwhere(~np.isfinite(value))[0])
                place = f" at index {where if len(where) > 1 else where[0]}" if where else ""
                raise FormulaError(f"the constant {name!r} is {value[where]}{place}", hint="constants must be finite")
        values[name] = value
    return values


_DEVICE_NOTE = re.compile(r"\{\{function_node [^}]*\}\} ?| ?\[Op:\w*\].*", re.DOTALL)
_COUNTS = frozenset({"num", "depth", "repeats"})
_MENDS = {"max": "of two values: maximum(a, b)", "min": "of two values: minimum(a, b)"}


class _Evaluator:
    def __init__(self, scope: Scope, owner: str) -> None:
        self.scope = scope
        self.ops = scope.ops
        self.owner = owner

    def listed(self, expression: Expression) -> Any:
        """Evaluate a nested list from YAML; its errors are placed in the element they come from."""
        try:
            return self.value(expression.root)
        except FormulaError as error:
            if error.offset is None or getattr(error, "section", None) is not None:
                raise
            path, error.offset = expression.locate(error.offset)
            with inside(*path):
                raise

    def value(self, node: Node) -> Any:
        match node:
            case nodes.Number():
                return node.value
            case nodes.Name():
                return self.guard(node, node.name, lambda: self.scope[node.name])
            case nodes.Operation():
                return self.operation(node)
            case nodes.Call():
                return self.call(node)
            case nodes.Index():
                return self.index(node)
            case nodes.Sequence() | nodes.Row():
                return self.sequence(node)
            case nodes.Comparison():
                return self.comparison(node)
            case nodes.NetworkCall():
                return self.network(node)
            case nodes.Flag():
                return float(node.value)
        raise self.error(node, "None has no value", "None only stands in an index")

    def error(self, node: Node, message: str, hint: str | None = None) -> FormulaError:
        return FormulaError(message, offset=node.offset, length=node.length, hint=hint)

    def guard(
        self,
        node: Node,
        what: str,
        compute: Callable[[], Any],
        operands: tuple[Any, ...] = (),
        hint: str | None = None,
    ) -> Any:
        """Run `compute`; what the library raises becomes a FormulaError at `node` that shows the operands' shapes."""
        try:
            return compute()
        except FormulaError as error:
            if error.offset is None and getattr(error, "section", None) is None:
                error.offset, error.length = node.offset, node.length
            raise
        except self.ops.errors as error:
            shapes = [_shown(self.ops.shape(operand)) for operand in operands]
            verb = "fails on" if isinstance(error, np.linalg.LinAlgError) else "does not fit"
            fit = f"{verb} shape{'s' if len(shapes) > 1 else ''} {' and '.join(shapes)}" if shapes else "fails"
            reason = (_DEVICE_NOTE.sub("", str(error)).strip() or type(error).__name__).splitlines()[0][:200]
            raise self.error(node, f"{what} {fit}: {reason}", hint) from error

    def operation(self, node: nodes.Operation) -> Any:
        """Evaluate operators; the left side of a + b + c + ... in a loop, it may be thousands long."""
        spine = [node]
        while isinstance(left := spine[-1].operands[0], nodes.Operation):
            spine.append(left)
        result = self.value(spine[-1].operands[0])
        for step in reversed(spine):
            operands = (result, *(self.value(operand) for operand in step.operands[1:]))
            result = self.operate(step, step.symbol, step.function, *operands)
        return result

    def comparison(self, node: nodes.Comparison) -> Any:
        values = [self.value(operand) for operand in node.operands]
        result: Any = None
        for position, function in enumerate(node.functions):
            one = self.operate(node, node.symbols[position], function, values[position], values[position + 1])
            result = one if result is None else self.operate(node, "and", "logical_and", result, one)
        return result

    def operate(self, node: Node, symbol: str, function: str, *operands: Any) -> Any:
        return self.guard(node, symbol, lambda: self.ops.operate(function, *operands), operands)

    def sequence(self, node: nodes.Sequence | nodes.Row) -> Any:
        literal = _literal(node)
        if literal is not None or isinstance(node, nodes.Row):
            return self.guard(node, "a list", lambda: numpy_ops.number(literal))
        values = tuple(self.value(item) for item in node.items)
        return self.guard(node, "a list", lambda: self.ops.call("stack", {"values": values}), values)

    def network(self, node: nodes.NetworkCall) -> Any:
        if node.name not in self.scope.functions:
            raise FormulaError(f"unknown function {node.name!r}", offset=node.offset, length=len(node.name))
        arguments = tuple(self.value(argument) for argument in node.arguments)
        function = self.scope.functions[node.name]
        return self.guard(node, node.name, lambda: function(self.scope, *arguments), arguments)

    def index(self, node: nodes.Index) -> Any:
        value = self.value(node.value)
        items = tuple(self.index_item(item) for item in node.items)
        return self.guard(node, "the index", lambda: self.ops.index(value, items), (value,))

    def index_item(self, node: Node) -> Any:
        match node:
            case nodes.Nothing():
                return None
            case nodes.Rest():
                return Ellipsis
            case nodes.Slice():
                ends = (node.start, node.stop, node.step)
                return slice(*(None if end is None else self.integer(end, "a slice") for end in ends))
        value = self.value(node)
        if isinstance(node, nodes.Flag) or (self.ops.is_host(value) and np.asarray(value).dtype == np.bool_):
            raise self.error(node, "a truth value is no index: the result's shape would change", "use where(...)")
        if self.ops.is_host(value) and not np.shape(value):
            return _whole(value, "an index", node)
        return value

    def call(self, node: nodes.Call) -> Any:
        row = TABLE[node.function]
        if row.name in DERIVATIVES:
            return self.derivative(node)
        arguments = {name: self.argument(row, name, argument) for name, argument in node.arguments}
        if row.kind == "draw":
            return self.draw(node, arguments)
        shown = tuple(
            value for name, value in arguments.items() if (known := row.parameter(name)) and known.kind == "value"
        )
        hint = _MENDS.get(row.name) if "axis" in arguments else None
        return self.guard(node, node.written, lambda: self.ops.call(row.name, arguments), shown, hint)

    def argument(self, row: Function, name: str, node: Node) -> Any:
        """Evaluate one argument to the form its kind asks for."""
        parameter = row.parameter(name)
        assert parameter is not None
        what = f"{name} of {row.name}"
        if isinstance(node, nodes.Nothing) and parameter.default == "None":
            return None
        match parameter.kind:
            case "values" if isinstance(node, nodes.Sequence):
                return tuple(self.value(item) for item in node.items)
            case "integer":
                count = self.integer(node, what)
                if count < 0 and name in _COUNTS:
                    raise self.error(node, f"{what} is {count}; it cannot be negative")
                return count
            case "number":
                return float(self.static(node, what))
            case "flag":
                return bool(self.static(node, what))
            case "shape":
                many = self.integers(node, what)
                shape = many if isinstance(many, tuple) else (many,)
                if min(shape, default=0) < (-1 if row.name == "reshape" else 0):
                    raise self.error(node, f"{what} is {shape}; a length cannot be negative")
                return shape
            case "axis":
                return self.integers(node, what)
        return self.value(node)

    def static(self, node: Node, what: str) -> Any:
        value = self.value(node)
        if not self.ops.is_host(value) or np.size(value) != 1:
            hint = _MENDS.get(what.removeprefix("axis of "))
            raise self.error(node, f"{what} must be one number that is known before the run", hint)
        return np.asarray(value).reshape(()).item()

    def integer(self, node: Node, what: str) -> int:
        return _whole(self.static(node, what), what, node)

    def integers(self, node: Node, what: str) -> int | tuple[int, ...]:
        if isinstance(node, nodes.Sequence):
            return tuple(self.integer(item, what) for item in node.items)
        value = self.value(node)
        if self.ops.is_host(value) and np.ndim(value) == 1:
            return tuple(_whole(item, what, node) for item in np.asarray(value).tolist())
        return self.integer(node, what)

    def draw(self, node: nodes.Call, arguments: dict[str, Any]) -> Any:
        shape = arguments.pop("shape", self.scope.draw_shape)
        site = crc32(f"{self.owner}:{node.ordinal}".encode())
        key = (self.scope.draws, site, self.scope.rounds)
        parameters = list(arguments.values())
        return self.guard(
            node, node.written, lambda: self.ops.draw(node.function, parameters, shape, key), tuple(parameters)
        )

    def derivative(self, node: nodes.Call) -> Any:
        parts = dict(node.arguments)
        name = parts["name"]
        assert isinstance(name, nodes.Name)
        value = self.value(name)

        def compute(watched: Any) -> Any:
            inner = _Evaluator(self.scope.child({name.name: watched}), self.owner)
            return inner.value(parts["expr"])

        def derive() -> Any:
            try:
                return self.ops.derive(node.function, value, compute)
            except Unconnected as error:
                raise FormulaError(
                    f"{node.written}(..., {name.name}): the expression does not depend on {name.name!r}",
                    hint=str(error),
                ) from None

        return self.guard(node, node.written, derive, (value,))


def _whole(value: Any, what: str, node: Node) -> int:
    number = np.asarray(value).item()
    if isinstance(number, complex) or not np.isfinite(number) or number != int(number) or abs(number) > 2**53:
        raise FormulaError(f"{what} must be a whole number, not {number:g}", offset=node.offset, length=node.length)
    return int(number)


def _shown(shape: tuple[int | None, ...]) -> str:
    return str(tuple(shape)).replace("None", "?")


def _literal(node: Node) -> Any:
    """Return a list of plain numbers as nested Python lists, or None where there is anything else in it."""
    match node:
        case nodes.Number():
            return node.value
        case nodes.Operation(function="negative", operands=(nodes.Number(value=value),)):
            return -value
        case nodes.Row(values=values):
            return values
        case nodes.Sequence():
            items = [_literal(item) for item in node.items]
            return None if any(item is None for item in items) else items
    return None
