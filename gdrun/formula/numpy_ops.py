"""The function table in numpy: float64 and complex128, numpy's broadcasting, overflow to infinity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gdrun.errors import FormulaError

from . import numpy_functions
from .failures import check_size
from .numpy_functions import Array, number, real, truth, whole
from .table import Function, implementations, split_values


def table(random: np.random.Generator | np.random.RandomState | None = None) -> NumpyOps:
    """Return the table. `random` is where draws come from, in the order of evaluation; None refuses them."""
    return NumpyOps(random)


_CONVERSIONS = {
    "number": number, "real": real, "matrix": number, "truth": truth, "order": real, "equality": number,
    "finite": number, "power": number,
}  # fmt: skip


def _adapted(row: Function, function: Callable[..., Array]) -> Callable[..., Array]:
    if row.conversion == "as_is":
        return function
    convert = _CONVERSIONS[row.conversion]

    def apply(*operands: Array, **options: Any) -> Array:
        operands, options = split_values(row, operands, options)
        arrays = [convert(value) for value in operands]
        if len(arrays) > 1 and row.conversion != "matrix":
            check_size(np.broadcast_shapes(*(array.shape for array in arrays)), "the result")
        return function(*arrays, **options)

    return apply


NUMPY_FUNCTIONS = implementations("numpy", {"np": np, "": numpy_functions}, _adapted)
"""Every function of the table but derivatives and draws, which NumpyOps answers itself."""


def is_static_index(value: Any) -> bool:
    """Return whether an index is known where a formula is written, and not an array of places."""
    return value is None or value is Ellipsis or isinstance(value, slice | int)


class NumpyOps:
    """The table in numpy, for `evaluate`. See `table`."""

    concrete = True
    """Values can be looked at while a formula is evaluated, so loops may run in Python."""

    errors: tuple[type[Exception], ...] = (
        ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, MemoryError, np.linalg.LinAlgError,
    )  # fmt: skip
    """What numpy raises for values that do not fit."""

    def __init__(self, random: np.random.Generator | np.random.RandomState | None = None) -> None:
        self.random = random

    @property
    def exact(self) -> NumpyOps:
        """The same table for counts, shapes and indices; numpy computes everything in float64."""
        return self

    def lift(self, value: Any) -> Any:
        """Accept a value of the scope: a Python number or anything numpy reads as an array of numbers."""
        return value if isinstance(value, float | complex) else _numeric(value)

    def is_host(self, value: Any) -> bool:
        """Return whether the value is known before the run; in numpy all are."""
        return True

    def shape(self, value: Any) -> tuple[int | None, ...]:
        """Return the value's shape."""
        return np.shape(value)

    def call(self, function: str, arguments: dict[str, Any]) -> Any:
        """Call a function of the table with arguments by name, already in the form of their kinds."""
        with np.errstate(all="ignore"):
            return NUMPY_FUNCTIONS[function](**arguments)

    def operate(self, function: str, *operands: Any) -> Any:
        """Call a function of the table with positional operands."""
        with np.errstate(all="ignore"):
            return NUMPY_FUNCTIONS[function](*operands)

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:
        """Return value[items]; items are integers, slices, None, ... or arrays of whole numbers."""
        return _numeric(value)[tuple(item if is_static_index(item) else whole(item) for item in items)]

    def draw(self, function: str, parameters: list[Any], shape: tuple[int, ...] | None, key: Any) -> np.ndarray:
        """Draw from `random`. Without a shape, the parameters' own; `key` is for TensorFlow."""
        if self.random is None:
            raise FormulaError(f"{function} draws random numbers, which this formula may not")
        if function in _INDEX_DRAWS:
            return np.asarray(_INDEX_DRAWS[function](self.random, *parameters), np.float64)
        values = [real(parameter) for parameter in parameters]
        size = np.broadcast_shapes(*(value.shape for value in values)) if shape is None else tuple(shape)
        check_size(size, function)
        with np.errstate(all="ignore"):
            return np.asarray(_DRAWS[function](self.random, values, size), np.float64)

    def derive(self, function: str, value: Any, compute: Callable[[Any], Any]) -> Any:
        """Refuse: numpy has no tape."""
        raise FormulaError(
            f"{function} is not available here",
            hint="constants and data are computed before there is a tape; use define:",
        )

    def loop(self, *_: Any, keep_all: bool = False) -> Any:
        """Never asked: numpy's loops run in Python."""
        raise AssertionError("a numpy value can always be looked at")


def _numeric(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array if array.dtype.kind in "biu" else number(array)


def _truncated_normal(random: Any, values: list[np.ndarray], size: tuple[int, ...]) -> np.ndarray:
    """Standard normals, drawn again where beyond two deviations."""
    draws = np.asarray(random.normal(0.0, 1.0, size))
    while np.any(beyond := np.abs(draws) > 2):
        draws = np.where(beyond, random.normal(0.0, 1.0, size), draws)
    return values[0] + values[1] * draws


# Generator and RandomState both have these methods; RandomState gives the digits of a notebook's np.random.seed.
_DRAWS: dict[str, Callable[[Any, list[np.ndarray], tuple[int, ...]], Any]] = {
    "uniform": lambda random, values, size: random.uniform(values[0], values[1], size),
    "normal": lambda random, values, size: random.normal(values[0], values[1], size),
    "truncated_normal": _truncated_normal,
    "bernoulli": lambda random, values, size: random.random(size) < values[0],
}


def _categorical(random: Any, logits: Any, n: int | None = None) -> np.ndarray:
    """Gumbel's way: the largest of the logits, each with a Gumbel number added."""
    logits = real(logits)
    logits = logits if n is None else np.broadcast_to(logits[..., None, :], (*logits.shape[:-1], n, logits.shape[-1]))
    check_size(logits.shape, "categorical")
    return np.argmax(logits + random.gumbel(size=logits.shape), axis=-1)


def _choice(random: Any, n: int, k: int | None = None) -> np.ndarray:
    check_size((n,), "the numbers to choose from")
    return random.permutation(n)[:k]


_INDEX_DRAWS: dict[str, Callable[..., np.ndarray]] = {
    "categorical": _categorical,
    "permutation": _choice,
    "choice": _choice,
}
"""Draws of whole numbers, whose shape is that of their arguments."""
