"""The operation that made a value or a derivative that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.formula.table import TABLE
from gdrun.formula.tensorflow_functions import is_tensor
from gdrun.formula.tensorflow_ops import TensorFlowOps
from gdrun.text import human_number

_STABLE = {"exp": "; softplus, sigmoid, tanh and logsumexp are made of it without overflowing"}
"""Function that overflows -> those that are made of it without overflowing."""

_SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "pow": "**", "matmul": "@"}


@dataclass(frozen=True)
class Operation:
    """One operation of an evaluation."""

    function: str
    operands: tuple[Any, ...]
    result: Any
    again: Callable[[Sequence[Any]], Any]
    """Computes the result of other operands."""


class WatchingOps(TensorFlowOps):
    """TensorFlow's function table, which remembers what was computed of what."""

    def __init__(self, dtype: tf.DType) -> None:
        super().__init__(dtype)
        self.seen: list[Operation] = []

    def call(self, function: str, arguments: dict[str, Any]) -> Any:
        result = super().call(function, arguments)
        inner = super().call
        again = lambda operands: inner(function, dict(zip(arguments, operands, strict=True)))  # noqa: E731
        self.seen.append(Operation(TABLE[function].name, tuple(arguments.values()), result, again))
        return result

    def operate(self, function: str, *operands: Any) -> Any:
        result = super().operate(function, *operands)
        inner = super().operate
        self.seen.append(Operation(function, operands, result, lambda operands: inner(function, *operands)))
        return result


def value_note(seen: Sequence[Operation]) -> str | None:
    """Return which operation first made a value that is not finite of finite ones, in words; None if none did."""
    for operation in seen:
        if not _finite(operation.result) and all(_finite(operand) for operand in operation.operands):
            made = _first_bad(operation.result)
            mend = _STABLE.get(operation.function, "") if made == np.inf else ""
            return f"{shown(operation, _bad_place(operation.result))} is {human_number(made)}{mend}"
    return None


def slope_note(seen: Sequence[Operation], tape: tf.GradientTape, target: tf.Tensor) -> str | None:
    """Return which operation's derivative first stops being finite on the way back from `target`, in words."""
    for operation in reversed(seen):
        if not (is_tensor(operation.result) and operation.result.dtype.is_floating):
            continue
        above = tape.gradient(target, operation.result)
        if above is None or not _finite(above):
            continue
        for slope in _own_slopes(operation, above):
            if slope is None or _finite(slope):
                continue
            place = _bad_place(slope)
            hint = ""
            if _at(np.asarray(above), place) == 0:
                hint = "; 0 times an infinite slope"
                if any(other.function == "where" for other in seen):
                    hint += ": choose its argument by where(), not its result"
                elif not _finite(operation.result):
                    hint += _STABLE.get(operation.function, "")
            return f"going back through {shown(operation, place)} gives {human_number(_first_bad(slope))}{hint}"
    return None


def _own_slopes(operation: Operation, above: tf.Tensor) -> list[Any]:
    """Return the operation's derivatives by copies of its operands, which may have other ways to the result."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        copies = tf.nest.map_structure(lambda part: tf.identity(part) if is_tensor(part) else part, operation.operands)
        tensors = [part for part in tf.nest.flatten(copies) if is_tensor(part) and part.dtype.is_floating]
        for tensor in tensors:
            tape.watch(tensor)
        result = operation.again(copies)
    return list(tape.gradient(result, tensors, output_gradients=above))


def shown(operation: Operation, place: tuple[int, ...]) -> str:
    """Return the operation with its operands' values at `place`: "log(0)", "1 / 0"."""
    values = [_number(operand, place) for operand in operation.operands if _is_value(operand)]
    symbol = _SYMBOLS.get(operation.function)
    if symbol and len(values) == 2:
        return f"{values[0]} {symbol} {values[1]}"
    return f"{operation.function}({', '.join(values)})"


def _is_value(operand: Any) -> bool:
    return is_tensor(operand) or isinstance(operand, float | complex | np.ndarray)


def _number(operand: Any, place: tuple[int, ...]) -> str:
    array = np.asarray(operand)
    value = _at(array, place) if array.ndim <= len(place) or array.size == 1 else None
    if value is None:
        return f"array {array.shape}"
    return human_number(value) if array.dtype.kind in "fiub" else str(value)


def _at(array: np.ndarray, place: tuple[int, ...]) -> Any:
    """Return the entry that broadcasting meets at `place`."""
    if array.size == 1:
        return array.reshape(-1)[0]
    index = place[len(place) - array.ndim :]
    if len(index) != array.ndim:
        return array.reshape(-1)[0]
    return array[tuple(0 if size == 1 else min(at, size - 1) for at, size in zip(index, array.shape, strict=True))]


def _finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_finite, value))
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.all(np.isfinite(array)))


def _bad_place(value: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(~np.isfinite(np.asarray(value)))[0])


def _first_bad(value: Any) -> float:
    return float(np.real(np.asarray(value)[_bad_place(value)]))
