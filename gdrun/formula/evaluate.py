"""Names -> values, and Expression + names -> value: one walk of the tree over a table of functions.

A scope evaluates definitions when they are asked for, and the formulas of a definition ask the scope for names, so both
stand here.
"""

from __future__ import annotations

import copy
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import pi, prod
from typing import Any, Protocol
from zlib import crc32

import numpy as np

from gdrun.errors import FormulaError, ShapeError
from gdrun.suggest import did_you_mean

from . import nodes, numpy_ops
from .failures import Unconnected, inside
from .nodes import (
    EAGER_ROUNDS,
    LOOP_COUNTER,
    UNROLLED_ROUNDS,
    Definition,
    Expression,
    FormulaNode,
    FunctionDefinition,
    LoopDefinition,
)
from .table import DERIVATIVES, OF_TWO_VALUES, TABLE, Function


class Ops(Protocol):
    """A function table that `evaluate` can work with: NumpyOps or TensorFlowOps."""

    @property
    def concrete(self) -> bool:
        """True where values can be looked at while a formula is evaluated."""

    @property
    def exact(self) -> Ops:
        """The table with what is known before the run in float64, for counts, shapes and indices."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Exceptions of the library for values that do not fit."""

    def lift(self, value: Any) -> Any: ...
    def is_host(self, value: Any) -> bool: ...
    def shape(self, value: Any) -> tuple[int | None, ...]: ...
    def call(self, function: str, arguments: dict[str, Any]) -> Any: ...
    def operate(self, function: str, *operands: Any) -> Any: ...
    def index(self, value: Any, items: tuple[Any, ...]) -> Any: ...
    def draw(self, function: str, parameters: list[Any], shape: tuple[int, ...] | None, key: Any) -> Any: ...
    def derive(self, function: str, value: Any, compute: Callable[[Any], Any]) -> Any: ...
    def loop(
        self,
        state: Any,
        following: Any,
        rounds: range,
        repeat: Callable[[Any, Any], Any],
        goes_on: Callable[[Any, Any], Any] | None,
        *,
        keep_all: bool,
    ) -> Any: ...


class Scope:
    """The values of the names of a formula, at one evaluation.

    Make a new one for every evaluation of a step: definitions are remembered, and a value that was traced in one
    TensorFlow graph is of no use in another.

    Args:
        values: by name; parameters of networks under dotted names ("net.dense1.kernel").
        definitions: `define:`, evaluated on demand; a value of the same name goes before.
        functions: networks, called as function(scope, *arguments, weights=..., index=...), which read their parameters
            from the scope; and functions of `define:`.
        outputs: what is computed from the other names, as function(scope), on demand: predictions and the loss. Where a
            derivative varies one of the other names, they are computed again.
        joined: names of networks and layers -> the parameters that such a name, not called, joins to one vector. What
            else has the name goes before.
        ops: numpy_ops.table(...) or tensorflow_ops.table(...).
        draws: TensorFlow only: integer tensor (2,), (seed, step); every draw of the config has its own stream of it.
        draw_shape: the shape of draws that give none; None is the shape of their parameters.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        definitions: Mapping[str, Definition] | None = None,
        functions: Mapping[str, Callable[..., Any] | FunctionDefinition] | None = None,
        outputs: Mapping[str, Callable[[Scope], Any]] | None = None,
        joined: Mapping[str, Sequence[str]] | None = None,
        ops: Ops,
        draws: Any = None,
        draw_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.values = values
        self.definitions: Mapping[str, Definition] = definitions or {}
        self.functions: Mapping[str, Callable[..., Any] | FunctionDefinition] = functions or {}
        self.outputs: Mapping[str, Callable[[Scope], Any]] = outputs or {}
        self.joined: Mapping[str, Sequence[str]] = joined or {}
        self.ops = ops
        self.draws = draws
        self.draw_shape = draw_shape
        self.rounds: tuple[Any, ...] = ()
        """Counters of the loops around, so that each round draws afresh."""
        self.varied = False
        """Whether this scope belongs to a derivative, which evaluates again what has been evaluated."""
        self._loops: Mapping[str, str] = {}
        """Definition of a loop's rounds -> the loop."""
        self._memory: dict[str, Any] = {}
        self._open: set[str] = set()

    def __contains__(self, name: object) -> bool:
        tables = (self.values, self.definitions, self.outputs, self.joined)
        return any(name in table for table in tables) or name == "pi"

    def __getitem__(self, name: str) -> Any:
        """Return the value called `name`; a definition is evaluated now, unless it was before.

        Raises:
            FormulaError: if there is no such name, or its definition needs itself or cannot be evaluated.
        """
        if name in self.values:
            return self.ops.lift(self.values[name])
        if name in self._memory:
            return self._memory[name]
        if name in self.definitions or name in self.outputs:
            # What is defined outside of a loop draws the same in each round, and where a derivative evaluates it again.
            rounds, self.rounds = self.rounds, self.rounds if name in self._loops else ()
            try:
                self._memory[name] = value = self._define(name) if name in self.definitions else self._output(name)
            finally:
                self.rounds = rounds
            return value
        if name in self.joined:
            parts = tuple(self.ops.call("ravel", {"x": self[part]}) for part in self.joined[name])
            self._memory[name] = value = self.ops.call("concat", {"values": parts})
            return value
        if name == "pi":
            return pi
        dotted = [other for other in self.values if "." in other]
        raise FormulaError(f"unknown name {name!r}", hint=did_you_mean(name, dotted, allowed="parameters of layers"))

    def _define(self, name: str) -> Any:
        loop = self._loops.get(name)
        section = ("define",) if loop is None else ("define", loop, "define")
        with self.opened(name), inside(name, section=section):
            definition = self.definitions[name]
            if isinstance(definition, LoopDefinition):
                return run_loop(name, definition, self)
            return evaluate(definition, self, owner=name if loop is None else f"{loop}.{name}")

    def _output(self, name: str) -> Any:
        with self.opened(name):
            return self.ops.lift(self.outputs[name](self))

    @contextmanager
    def opened(self, name: str) -> Iterator[None]:
        if name in self._open:
            raise FormulaError(f"{name!r} is defined by itself")
        self._open.add(name)
        try:
            yield
        finally:
            self._open.discard(name)

    def child(self, overrides: Mapping[str, Any]) -> Scope:
        """Return a scope where the overridden names have other values; what depends on them is evaluated again."""
        given = {name: value for name, value in self.values.items() if name not in self.outputs}
        for name, value in overrides.items():
            given |= self.split(name, value) if self.joins(name) else {name: value}
        scope = self._copy(given, memory={})
        scope.varied = True
        return scope

    def joins(self, name: str) -> bool:
        """Return whether `name` is that of a network or layer, and so the vector of its weights."""
        return name in self.joined and not any(name in table for table in (self.values, self.definitions, self.outputs))

    def split(self, name: str, vector: Any) -> dict[str, Any]:
        """Return the parameters that `vector` holds, in the place of those that `name` joins.

        Raises:
            ShapeError: it is no vector of so many numbers.
        """
        if name not in self.joined:
            raise ShapeError(f"{name} has no trained weights")
        # Parameters have static shapes.
        shapes = {part: tuple(length or 0 for length in self.ops.shape(self[part])) for part in self.joined[name]}
        size = sum(map(prod, shapes.values()))
        if self.ops.shape(vector) != (size,):
            raise ShapeError(
                f"the weights of {name} are a vector of shape {(size,)}, not {self.ops.shape(vector)}",
                hint=f"make it of {name} itself, or of a network with the same layers",
            )
        parts, start = {}, 0
        for part, shape in shapes.items():
            end = start + prod(shape)
            parts[part] = self.ops.call("reshape", {"x": self.ops.index(vector, (slice(start, end),)), "shape": shape})
            start = end
        return parts

    def adding(self, values: Mapping[str, Any]) -> Scope:
        """Return a scope with further values; what was defined before them stays as it was evaluated."""
        memory = {name: value for name, value in self._memory.items() if name not in values}
        return self._copy({**self.values, **values}, memory)

    def nested(self, loop: str, overrides: Mapping[str, Any], counter: Any, define: Mapping[str, Definition]) -> Scope:
        """Return the scope of one round of a loop: other values and the round's own definitions, but what is defined
        outside is not evaluated again."""
        scope = self.adding(overrides)
        if define:
            scope.definitions = {**self.definitions, **define}
            scope._loops = dict.fromkeys(define, loop)
        scope.rounds = (*self.rounds, counter)
        return scope

    def _copy(self, values: Mapping[str, Any], memory: dict[str, Any]) -> Scope:
        scope = copy.copy(self)
        scope.values = values
        scope._memory = memory
        scope._open = self._open - set(values)
        return scope


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
    try:
        return _Evaluator(scope, owner).whole(expression)
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
_COUNTS = frozenset({"num", "depth", "repeats", "n", "k"})


class _Evaluator:
    def __init__(
        self, scope: Scope, owner: str, *, ops: Ops | None = None, arguments: Mapping[str, Any] | None = None
    ) -> None:
        self.scope = scope
        self.ops = ops or scope.ops
        self.owner = owner
        self.arguments = arguments or {}
        """Those of the function whose body is evaluated; they go before the names of the scope."""

    @cached_property
    def exact(self) -> _Evaluator:
        """The same for counts, shapes and indices."""
        return _Evaluator(self.scope, self.owner, ops=self.ops.exact, arguments=self.arguments)

    def whole(self, expression: Expression) -> Any:
        """Evaluate a formula; errors of a nested list from YAML are placed in the element they come from."""
        try:
            return self.value(expression.root)
        except FormulaError as error:
            if not expression.elements or error.offset is None or getattr(error, "section", None) is not None:
                raise
            path, error.offset = expression.locate(error.offset)
            with inside(*path):
                raise

    def value(self, node: FormulaNode) -> Any:
        match node:
            case nodes.NumberNode():
                return node.value
            case nodes.NameNode(name=name) if name in self.arguments:
                return self.arguments[name]
            case nodes.NameNode():
                return self.guard(node, node.name, lambda: self.scope[node.name])
            case nodes.OperationNode():
                return self.operation(node)
            case nodes.CallNode():
                return self.call(node)
            case nodes.IndexNode():
                return self.index(node)
            case nodes.ListNode() | nodes.NumbersNode():
                return self.sequence(node)
            case nodes.ComparisonNode():
                return self.comparison(node)
            case nodes.NamedCallNode():
                return self.named_call(node)
            case nodes.FlagNode():
                return float(node.value)
        if isinstance(node, nodes.TextNode):
            raise self.error(node, "a text has no value", "only einsum takes a text, its indices")
        raise self.error(node, "None has no value", "None only stands in an index")

    def error(self, node: FormulaNode, message: str, hint: str | None = None) -> FormulaError:
        return FormulaError(message, offset=node.offset, length=node.length, hint=hint)

    def guard(
        self,
        node: FormulaNode,
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
            shapes = [_shape_text(self.ops.shape(operand)) for operand in operands]
            verb = "fails on" if isinstance(error, np.linalg.LinAlgError) else "does not fit"
            fit = f"{verb} shape{'s' if len(shapes) > 1 else ''} {' and '.join(shapes)}" if shapes else "fails"
            reason = (_DEVICE_NOTE.sub("", str(error)).strip() or type(error).__name__).splitlines()[0][:200]
            joined = [
                part.name for part in getattr(node, "operands", ()) if self.scope.joins(getattr(part, "name", ""))
            ]
            if joined and hint is None:
                sizes = " and ".join(f"{name} has {self.ops.shape(self.scope[name])[0]}" for name in joined)
                hint = f"weights fit where networks have the same layers; {sizes}"
            raise self.error(node, f"{what} {fit}: {reason}", hint) from error

    def operation(self, node: nodes.OperationNode) -> Any:
        """Evaluate operators; the left side of a + b + c + ... in a loop, it may be thousands long."""
        spine = [node]
        while isinstance(left := spine[-1].operands[0], nodes.OperationNode):
            spine.append(left)
        result = self.value(spine[-1].operands[0])
        for step in reversed(spine):
            operands = (result, *(self.value(operand) for operand in step.operands[1:]))
            result = self.operate(step, step.symbol, step.function, *operands)
        return result

    def comparison(self, node: nodes.ComparisonNode) -> Any:
        values = [self.value(operand) for operand in node.operands]
        result: Any = None
        for position, function in enumerate(node.functions):
            pair = self.operate(node, node.symbols[position], function, values[position], values[position + 1])
            result = pair if result is None else self.operate(node, "and", "logical_and", result, pair)
        return result

    def operate(self, node: FormulaNode, symbol: str, function: str, *operands: Any) -> Any:
        return self.guard(node, symbol, lambda: self.ops.operate(function, *operands), operands)

    def sequence(self, node: nodes.ListNode | nodes.NumbersNode) -> Any:
        literal = _literal(node)
        if literal is not None or isinstance(node, nodes.NumbersNode):
            return self.guard(node, "a list", lambda: numpy_ops.number(literal))
        values = tuple(self.value(item) for item in node.items)
        return self.guard(node, "a list", lambda: self.ops.call("stack", {"values": values}), values)

    def named_call(self, node: nodes.NamedCallNode) -> Any:
        if node.name not in self.scope.functions:
            raise FormulaError(f"unknown function {node.name!r}", offset=node.offset, length=len(node.name))
        function = self.scope.functions[node.name]
        if isinstance(function, FunctionDefinition):
            return self.defined(node, function)
        arguments = tuple(self.value(argument) for argument in node.arguments)
        options = {keyword: self.value(argument) for keyword, argument in node.keywords}
        if node.index is not None:
            options["index"] = self.index_item(node.index)
        return self.guard(node, node.name, lambda: function(self.scope, *arguments, **options), arguments)

    def defined(self, node: nodes.NamedCallNode, function: FunctionDefinition) -> Any:
        """Evaluate a function's body with its arguments; its errors are placed in the body."""
        arguments = {name: self.value(argument) for name, argument in function.pair(node).items()}
        for name, default in function.defaults.items():
            if name not in arguments:
                arguments[name] = evaluate(default, self.scope, owner=f"define.{function.name}.{name}")
        body = _Evaluator(self.scope, f"{self.owner}/{node.name}{node.ordinal}", ops=self.ops, arguments=arguments)
        with self.scope.opened(f"{node.name}()"), inside(function.key, section=("define",)):
            return body.whole(function.body)

    def index(self, node: nodes.IndexNode) -> Any:
        value = self.value(node.value)
        items = tuple(self.index_item(item) for item in node.items)
        if isinstance(value, tuple):  # arrays of several shapes, from clip_by_global_norm
            return self.guard(node, "the index", lambda: operator.itemgetter(*items)(value))
        return self.guard(node, "the index", lambda: self.ops.index(value, items), (value,))

    def index_item(self, node: FormulaNode) -> Any:
        match node:
            case nodes.NoneNode():
                return None
            case nodes.EllipsisNode():
                return Ellipsis
            case nodes.SliceNode():
                ends = (node.start, node.stop, node.step)
                return slice(*(None if end is None else self.integer(end, "a slice") for end in ends))
        value = self.exact.value(node)
        if isinstance(node, nodes.FlagNode) or (self.ops.is_host(value) and np.asarray(value).dtype == np.bool_):
            raise self.error(node, "a truth value is no index: the result's shape would change", "use where(...)")
        if self.ops.is_host(value) and not np.shape(value):
            return _whole(value, "an index", node)
        return value

    def call(self, node: nodes.CallNode) -> Any:
        row = TABLE[node.function]
        if row.name in DERIVATIVES:
            return self.derivative(node)
        arguments = {name: self.argument(row, name, argument) for name, argument in node.arguments}
        if row.kind == "draw":
            return self.draw(node, arguments)
        kinds = {parameter.name: parameter.kind for parameter in row.parameters}
        operands = tuple(value for name, value in arguments.items() if kinds[name] == "value")
        hint = OF_TWO_VALUES.get(row.name) if "axis" in arguments else None
        return self.guard(node, node.written, lambda: self.ops.call(row.name, arguments), operands, hint)

    def argument(self, row: Function, name: str, node: FormulaNode) -> Any:
        """Evaluate one argument to the form its kind asks for."""
        parameter = row.parameter(name)
        assert parameter is not None
        what = f"{name} of {row.name}"
        if isinstance(node, nodes.NoneNode) and parameter.default == "None":
            return None
        match parameter.kind:
            case "values" if isinstance(node, nodes.ListNode):
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
            case "end":
                return self.exact.value(node)
            case "text":
                if not isinstance(node, nodes.TextNode):
                    raise self.error(node, f"{what} are letters in quotes", "as in einsum('ij,jk->ik', A, B)")
                return node.text
        return self.value(node)

    def static(self, node: FormulaNode, what: str) -> Any:
        value = self.exact.value(node)
        if not self.ops.is_host(value) or np.size(value) != 1:
            hint = OF_TWO_VALUES.get(what.removeprefix("axis of "))
            raise self.error(node, f"{what} must be one number that is known before the run", hint)
        return np.asarray(value).reshape(()).item()

    def integer(self, node: FormulaNode, what: str) -> int:
        return _whole(self.static(node, what), what, node)

    def integers(self, node: FormulaNode, what: str) -> int | tuple[int, ...]:
        if isinstance(node, nodes.ListNode):
            return tuple(self.integer(item, what) for item in node.items)
        value = self.exact.value(node)
        if self.ops.is_host(value) and np.ndim(value) == 1:
            return tuple(_whole(item, what, node) for item in np.asarray(value).tolist())
        return self.integer(node, what)

    def draw(self, node: nodes.CallNode, arguments: dict[str, Any]) -> Any:
        if node.function == "choice" and arguments["k"] > arguments["n"]:
            raise self.error(node, f"choice of {arguments['k']} among {arguments['n']} numbers", "k is at most n")
        if node.function == "categorical" and not self.ops.shape(arguments["logits"]):
            raise self.error(node, "the logits of categorical are one number", "give one for each choice, in a list")
        takes_shape = TABLE[node.function].parameter("shape") is not None
        shape = arguments.pop("shape", self.scope.draw_shape if takes_shape else None)
        site = crc32(f"{self.owner}:{node.ordinal}".encode())
        key = (self.scope.draws, site, self.scope.rounds)
        parameters = list(arguments.values())
        return self.guard(
            node, node.written, lambda: self.ops.draw(node.function, parameters, shape, key), tuple(parameters)
        )

    def derivative(self, node: nodes.CallNode) -> Any:
        parts = dict(node.arguments)
        name = parts["name"]
        assert isinstance(name, nodes.NameNode)
        value = self.value(name)

        def compute(watched: Any) -> Any:
            other, arguments = {name.name: watched}, self.arguments
            if name.name in arguments:
                other, arguments = {}, {**arguments, **other}
            inner = _Evaluator(self.scope.child(other), self.owner, ops=self.ops, arguments=arguments)
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


def _whole(value: Any, what: str, node: FormulaNode) -> int:
    number = np.asarray(value).item()
    if isinstance(number, complex) or not np.isfinite(number) or number != int(number) or abs(number) > 2**53:
        raise FormulaError(f"{what} must be a whole number, not {number:g}", offset=node.offset, length=node.length)
    return int(number)


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return str(tuple(shape)).replace("None", "?")


def _literal(node: FormulaNode) -> Any:
    """Return a list of plain numbers as nested Python lists, or None where there is anything else in it."""
    match node:
        case nodes.NumberNode():
            return node.value
        case nodes.OperationNode(function="negative", operands=(nodes.NumberNode(value=value),)):
            return -value
        case nodes.NumbersNode(values=values):
            return values
        case nodes.ListNode():
            items = [_literal(item) for item in node.items]
            return None if any(item is None for item in items) else items
    return None


def run_loop(name: str, loop: LoopDefinition, scope: Scope) -> Any:
    """Return the last value of `loop`, defined as `name`.

    Raises:
        FormulaError: as `evaluate`, or if the condition is not one truth value.
    """
    for used in _names_behind(loop, scope) - {name, LOOP_COUNTER}:
        if used in scope.definitions or used in scope.outputs or used in scope.joined:
            scope[used]  # once, outside the loop: a value traced inside a compiled loop could not be shared
    return _LoopRunner(name, loop, scope).run()


def _names_behind(loop: LoopDefinition, scope: Scope) -> frozenset[str]:
    """Return the names that a loop uses, also those of the functions it calls."""
    names, calls = set(loop.names), list(loop.functions)
    while calls:
        function = scope.functions.get(calls.pop())
        if isinstance(function, FunctionDefinition):  # each calls only those above it, so this ends
            names |= function.names
            calls += [called for part in function.parts for called in part.functions]
    return frozenset(names)


class _LoopRunner:
    def __init__(self, name: str, loop: LoopDefinition, scope: Scope) -> None:
        self.name = name
        self.loop = loop
        self.scope = scope
        self.ops = scope.ops

    def evaluate(self, part: str, expression: Expression, state: Any, counter: Any) -> Any:
        own = {self.name: state, LOOP_COUNTER: counter}
        nested = self.scope.nested(self.name, own, counter, self.loop.define)
        return evaluate(expression, nested, owner=f"{self.name}.{part}")

    def repeat(self, state: Any, counter: Any) -> Any:
        return self.evaluate("repeat", self.loop.repeat, state, counter)

    def goes_on(self, state: Any, counter: Any) -> Any:
        """The condition before a round: a Python bool where it can be looked at, else a tensor."""
        if self.loop.while_ is None:
            return True
        value = self.evaluate("while", self.loop.while_, state, counter)
        shape = self.ops.shape(value)
        if any(size != 1 for size in shape):
            raise FormulaError(
                f"the condition has shape {shape}", hint="make it one truth value with all(...) or any(...)"
            )
        if self.ops.concrete or self.ops.is_host(value):
            return bool(np.reshape(value, ()))
        return value

    def run(self) -> Any:
        start = state = evaluate(self.loop.start, self.scope, owner=f"{self.name}.start")
        still: Any = True
        states = [start]
        for round_ in range(self.loop.rounds):
            counter = float(round_)
            going = self.goes_on(state, counter)
            if going is False:
                break
            if going is not True:
                still = going if still is True else self.ops.operate("logical_and", still, going)
            safe = state if still is True else self.ops.operate("where", still, state, start)
            following = self.repeat(safe, counter)
            # Rounds that are made one by one cost 10 ms each where they can be differentiated: of a long loop only the
            # first ones are, which end early where the condition says so and show mistakes with their values.
            unrolled = EAGER_ROUNDS if self.ops.concrete else 0
            compiled = not (still is True and self.ops.is_host(following)) and round_ >= unrolled
            if compiled and self.loop.rounds > max(UNROLLED_ROUNDS, unrolled):
                goes_on = None if self.loop.while_ is None else self.goes_on
                rest = range(round_, self.loop.rounds)
                state = self.ops.loop(state, following, rest, self.repeat, goes_on, keep_all=self.loop.keep_all)
                return self.joined(states, state) if self.loop.keep_all else state
            state = following if still is True else self.ops.operate("where", still, following, state)
            states.append(state)
        if not self.loop.keep_all:
            return state
        states += [state] * (self.loop.rounds + 1 - len(states))
        return self.ops.call("stack", {"values": tuple(self.widened(each, state) for each in states)})

    def joined(self, before: list[Any], after: Any) -> Any:
        """The states before a compiled loop and those that it gave, along one axis."""
        first = self.ops.index(after, (0,))
        stacked = self.ops.call("stack", {"values": tuple(self.widened(state, first) for state in before)})
        return self.ops.call("concat", {"values": (stacked, after)})

    def widened(self, state: Any, like: Any) -> Any:
        """A state of the shape that the loop's states have: a start of 0 may stand for a vector."""
        if self.ops.shape(state) == self.ops.shape(like):
            return state
        return self.ops.operate("where", 1.0, state, like)
