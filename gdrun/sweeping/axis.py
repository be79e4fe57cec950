"""Axes: the keys that a sweep varies, and their values. NumPy only.

Generated numbers are rounded to twelve significant digits. The last bits of a logarithm are a library's and a
processor's own; so rounded, a sweep that is taken up on another machine has the same trials, and a table says 0.3, not
0.30000000000000004.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gdrun.config.overrides import node_of
from gdrun.config.scalars import is_number
from gdrun.config.source import Node, Span
from gdrun.errors import ConfigPath, Place
from gdrun.experiment.axes import WrittenAxis
from gdrun.experiment.spaces import LISTED, Space

DIGITS = 12
"""Significant ones of a generated number."""


@dataclass(frozen=True)
class Distribution:
    """Distribution that values are drawn from.

    Args:
        kind: "uniform", or "loguniform": the logarithm is uniform.
        low, high: ends; both can be drawn where the field is an integer.
        integer: whether whole numbers are drawn.
    """

    kind: str
    low: float
    high: float
    integer: bool = False

    def at(self, share: np.ndarray) -> list[float] | list[int]:
        """Return the values below which `share` of all draws are: float64 (n,) in [0, 1) -> n values."""
        low, high = self.low, self.high + (1 if self.integer else 0)
        if self.kind == "loguniform":
            values = np.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            values = low + share * (high - low)
        if self.integer:
            return np.clip(np.floor(values), self.low, self.high).astype(np.int64).tolist()
        return [min(max(value, self.low), self.high) for value in rounded(values)]


@dataclass(frozen=True)
class Axis:
    """One key that a sweep varies.

    Args:
        key: the full dotted path, "optimizer.learning_rate".
        path: the same, in steps.
        values: in order; None where they are drawn or asked for.
        distribution: what they are drawn from; None where they are listed.
        space: as it is written.
        key_span: where the key is written.
    """

    key: str
    path: ConfigPath
    values: tuple[Any, ...] | None
    distribution: Distribution | None
    space: Space = field(compare=False, repr=False)
    key_span: Span = field(compare=False, repr=False)

    @property
    def place(self) -> Place:
        """The place of the space in its text."""
        return self.space.span.place()

    @property
    def candidates(self) -> Sequence[Any]:
        """The values; of a distribution its ends."""
        if self.values is not None:
            return self.values
        assert self.distribution is not None
        return (self.distribution.low, self.distribution.high)

    @property
    def is_numeric(self) -> bool:
        """True where every value is a number."""
        return self.values is None or all(map(is_number, self.values))

    def node(self, value: Any, index: int | None) -> Node:
        """Return `value`, which is number `index` of those listed, with its place."""
        if index is not None and self.space.kind == LISTED and index < len(self.space.nodes):
            return self.space.nodes[index]
        return node_of(value, self.space.span)


def make_axis(written: WrittenAxis) -> Axis:
    """Return the axis with its values; those of a grid are different from each other."""
    space, integer = written.space, written.is_integer
    values: tuple[Any, ...] | None = None
    distribution = None
    if space.is_distribution:
        distribution = Distribution(space.kind, space.low, space.high, integer)
    elif space.kind == LISTED:
        values = tuple(_number_of(node.plain(), integer) for node in space.nodes)
    else:
        generated = generate(space, integer=integer)
        values = tuple(generated if written.paired else dict.fromkeys(generated))
    return Axis(written.key, written.path, values, distribution, space, written.span)


def generate(space: Space, *, integer: bool = False) -> Sequence[float] | Sequence[int]:
    """Return the values of `lin`, `log` (ends included) or `range` (half-open), in order.

    Args:
        integer: round to whole numbers; neighbours may then be equal.
    """
    if space.kind == "range":
        return range(int(space.low), int(space.high), space.count)
    make = np.geomspace if space.kind == "log" else np.linspace
    values = make(space.low, space.high, space.count)
    if integer:
        return np.rint(values).astype(np.int64).tolist()
    inner = rounded(values)
    inner[0], inner[-1] = float(space.low), float(space.high)
    return inner


def rounded(values: np.ndarray) -> list[float]:
    """Return float64 (n,) as numbers of twelve significant digits."""
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


def column(values: Sequence[Any]) -> np.ndarray:
    """Return values as an array: int64 or float64 where all are numbers, else of objects."""
    if all(map(is_number, values)):
        whole = all(isinstance(value, int) for value in values)
        return np.asarray(values, np.int64 if whole else np.float64)
    array = np.empty(len(values), object)
    # One by one: NumPy would take a list of lists for a matrix.
    for place, value in enumerate(values):
        array[place] = value
    return array


def _number_of(value: Any, integer: bool) -> Any:
    """Return a value as an int where whole numbers stand: YAML reads 1e4 as a float."""
    return int(value) if integer and isinstance(value, float) and value.is_integer() else value
