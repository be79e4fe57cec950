"""Names -> values, with definitions that are evaluated when asked for, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import pi
from typing import Any, Protocol

from gdrun.errors import FormulaError

from .bounds import MAX_ITERATIONS
from .failures import inside
from .nodes import Expression

LOOP_COUNTER = "i"
"""The name under which a loop's formulas see how many rounds are done."""


UNROLLED_ROUNDS = 8
"""Loops of up to so many rounds are written out in a compiled graph. XLA's compile time grows faster than the rounds
(0.7 s for 8, 2 s for 16, 6 s for 32 of a two-line body); a compiled loop's does not."""


class Ops(Protocol):
    """A function table that `evaluate` can work with: NumpyOps or TensorFlowOps."""

    @property
    def concrete(self) -> bool:
        """Whether values can be looked at while a formula is evaluated."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the library raises for values that do not fit."""

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


@dataclass(frozen=True)
class Loop:
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
        FormulaError: if neither or both ways to end are given, or one allows more than a million rounds.
    """

    start: Expression
    repeat: Expression
    while_: Expression | None = None
    at_most: int | None = None
    times: int | None = None
    define: Mapping[str, Expression] = field(default_factory=dict)
    keep_all: bool = False

    def __post_init__(self) -> None:
        if (self.while_ is None) == (self.times is None):
            raise FormulaError("a loop needs either 'while' with 'at_most', or 'times'")
        if (self.while_ is None) != (self.at_most is None):
            raise FormulaError(
                "'while' and 'at_most' go together", hint="at_most is the number of rounds to give up after"
            )
        if not 0 <= self.rounds <= MAX_ITERATIONS:
            raise FormulaError(f"a loop of {self.rounds} rounds; at most {MAX_ITERATIONS:,} are run")

    @property
    def rounds(self) -> int:
        """The largest number of rounds."""
        return int((self.times if self.times is not None else self.at_most) or 0)

    @property
    def fits_lanes(self) -> bool:
        """Whether it can be differentiated under vectorized_map: a longer loop's tape has no XLA kernel there."""
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
        """Whether one of its formulas draws random numbers."""
        return any(part.draws for part in self.parts)

    @property
    def differentiates(self) -> bool:
        """Whether one of its formulas holds a derivative."""
        return any(part.differentiates for part in self.parts)


Definition = Expression | Loop


class Scope:
    """What the names of a formula stand for, at one evaluation.

    Make a new one for every evaluation of a step: definitions are remembered, and a value that was traced in one
    TensorFlow graph is of no use in another.

    Args:
        values: by name; parameters of networks under dotted names ("net.dense1.kernel"), which formulas cannot spell.
        definitions: `define:`, evaluated on demand; a value of the same name goes before.
        functions: networks, called as function(scope, *arguments); they read their parameters from the scope.
        outputs: what is computed from the other names, as function(scope), on demand: predictions and the loss. Where a
            derivative varies one of the other names, they are computed again.
        ops: numpy_ops.table(...) or tensorflow_ops.table(...).
        draws: TensorFlow only: integer tensor (2,), (seed, step); every draw of the config has its own stream of it.
        draw_shape: the shape of draws that give none; None is the shape of their parameters.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        definitions: Mapping[str, Definition] | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        outputs: Mapping[str, Callable[[Scope], Any]] | None = None,
        ops: Ops,
        draws: Any = None,
        draw_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.values = values
        self.definitions: Mapping[str, Definition] = definitions or {}
        self.functions: Mapping[str, Callable[..., Any]] = functions or {}
        self.outputs: Mapping[str, Callable[[Scope], Any]] = outputs or {}
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
        return name in self.values or name in self.definitions or name in self.outputs or name == "pi"

    def __getitem__(self, name: str) -> Any:
        """Return the value called `name`; a definition is evaluated now, unless it was before.

        Raises:
            FormulaError: if there is no such name, or its definition needs itself or cannot be evaluated.
        """
        if name in self.values:
            return self.ops.lift(self.values[name])
        if name in self._memory:
            return self._memory[name]
        if name in self.definitions:
            self._memory[name] = value = self._define(name)
            return value
        if name in self.outputs:
            with self._opened(name):
                self._memory[name] = value = self.ops.lift(self.outputs[name](self))
            return value
        if name == "pi":
            return pi
        raise FormulaError(f"unknown name {name!r}")

    def _define(self, name: str) -> Any:
        from .evaluate import evaluate
        from .loops import run_loop

        loop = self._loops.get(name)
        section = ("define",) if loop is None else ("define", loop, "define")
        with self._opened(name), inside(name, section=section):
            definition = self.definitions[name]
            if isinstance(definition, Loop):
                return run_loop(name, definition, self)
            return evaluate(definition, self, owner=name if loop is None else f"{loop}.{name}")

    @contextmanager
    def _opened(self, name: str) -> Iterator[None]:
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
        scope = self._copy({**given, **overrides})
        scope.varied = True
        return scope

    def adding(self, values: Mapping[str, Any]) -> Scope:
        """Return a scope with further values; what was defined before them stays as it was evaluated."""
        scope = self._copy({**self.values, **values})
        scope._memory = {name: value for name, value in self._memory.items() if name not in values}
        return scope

    def nested(self, loop: str, overrides: Mapping[str, Any], counter: Any, define: Mapping[str, Definition]) -> Scope:
        """Return the scope of one round of a loop: other values and the round's own definitions, but what is defined
        outside is not evaluated again."""
        scope = self._copy({**self.values, **overrides})
        scope._memory = {name: value for name, value in self._memory.items() if name not in overrides}
        if define:
            scope.definitions = {**self.definitions, **define}
            scope._loops = dict.fromkeys(define, loop)
        scope.rounds = (*self.rounds, counter)
        return scope

    def _copy(self, values: Mapping[str, Any]) -> Scope:
        scope = Scope(
            values,
            definitions=self.definitions,
            functions=self.functions,
            outputs=self.outputs,
            ops=self.ops,
            draws=self.draws,
            draw_shape=self.draw_shape,
        )
        scope.rounds = self.rounds
        scope.varied = self.varied
        scope._loops = self._loops
        scope._open = set(self._open) - set(values)
        return scope
