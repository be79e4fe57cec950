"""The loops of `define`: in Python while values can be looked at, unrolled while short, else compiled.

A compiled loop always runs all its rounds; once its condition has failed, the state is kept by a select. That costs
rounds, but its length does not depend on the data, so it works in lanes and under XLA and can be differentiated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gdrun.errors import FormulaError

from .evaluate import evaluate
from .nodes import Expression
from .scope import LOOP_COUNTER, UNROLLED_ROUNDS, Loop, Scope


def run_loop(name: str, loop: Loop, scope: Scope) -> Any:
    """Return the last value of `loop`, defined as `name`.

    Raises:
        FormulaError: as `evaluate`, or if the condition is not one truth value.
    """
    for used in loop.names - {name, LOOP_COUNTER}:
        if used in scope.definitions or used in scope.outputs:
            scope[used]  # once, outside the loop: a value traced inside a compiled loop could not be shared
    return _Runner(name, loop, scope).run()


class _Runner:
    def __init__(self, name: str, loop: Loop, scope: Scope) -> None:
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
            compiled = not (self.ops.concrete or (still is True and self.ops.is_host(following)))
            if compiled and self.loop.rounds > UNROLLED_ROUNDS:
                goes_on = None if self.loop.while_ is None else self.goes_on
                rest = range(round_, self.loop.rounds)
                state = self.ops.loop(state, following, rest, self.repeat, goes_on, keep_all=self.loop.keep_all)
                return self.joined(states, state) if self.loop.keep_all else state
            state = following if still is True else self.ops.operate("where", still, following, state)
            states.append(state)
        if not self.loop.keep_all:
            return state
        states += [state] * (self.loop.rounds + 1 - len(states))
        return self.ops.call("stack", {"values": tuple(self.widened(one, state) for one in states)})

    def joined(self, before: list[Any], after: Any) -> Any:
        """The states before a compiled loop and those that it gave, along one axis."""
        first = self.ops.index(after, (0,))
        stacked = self.ops.call("stack", {"values": tuple(self.widened(one, first) for one in before)})
        return self.ops.call("concat", {"values": (stacked, after)})

    def widened(self, state: Any, like: Any) -> Any:
        """A state of the shape that the loop's states have: a start of 0 may stand for a vector."""
        if self.ops.shape(state) == self.ops.shape(like):
            return state
        return self.ops.operate("where", 1.0, state, like)
