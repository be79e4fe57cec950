"""Examples as named arrays, and the checks that every array passes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from gdrun.errors import ConfigPath, DataError
from gdrun.text import safe_text

from .memory import blocks


@dataclass(frozen=True, eq=False)
class Dataset:
    """N examples. Use `dataset`, which checks, to make one.

    Args:
        inputs: arrays by name, in the order written, each (N, ...), of any numeric type; what is computed or parsed
            is float64, arrays of an archive keep their own type until `cast`.
        target: (N, ...), or None.
        labels: where the target was text, the classes: target value k stands for labels[k].
        weights: how much each example counts in the loss, (N,), at least 0; None: all alike.
        mapped: whether the inputs are on disk and are to be taken a few rows at a time.
        files: each data file that was read, path -> SHA-256 in hex.
    """

    inputs: Mapping[str, np.ndarray]
    target: np.ndarray | None = None
    labels: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    weights: np.ndarray | None = None
    mapped: bool = False

    @property
    def num_examples(self) -> int:
        """N."""
        return len(next(iter(self.inputs.values())))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what models and losses compare, by its place in a config: "inputs.x", ..., "target"."""
        named = {f"inputs.{name}": array for name, array in self.inputs.items()}
        return named if self.target is None else {**named, "target": self.target}

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Dataset:
        """Return the data set with `function` applied to each array."""
        inputs = {name: function(array) for name, array in self.inputs.items()}
        target, weights = (None if array is None else function(array) for array in (self.target, self.weights))
        return replace(self, inputs=inputs, target=target, weights=weights)

    def take(self, rows: slice | np.ndarray) -> Dataset:
        """Return the examples at `rows`; a slice gives views."""
        return self.map(lambda array: array[rows])

    def cast(self, precision: Literal["float32", "float64"]) -> Dataset:
        """Return the data set in one floating type; complex arrays become the complex type of the same precision.

        Raises:
            DataError: if a value is too large for float32; the message gives its place.
        """
        arrays = {where: _cast(array, precision, where) for where, array in self.arrays().items()}
        inputs = {name: arrays[f"inputs.{name}"] for name in self.inputs}
        weights = None if self.weights is None else _cast(self.weights, precision, "example_weights")
        return replace(self, inputs=inputs, target=arrays.get("target"), weights=weights)


def _cast(array: np.ndarray, precision: str, where: str) -> np.ndarray:
    complex_type = "complex64" if precision == "float32" else "complex128"
    # Overflow is found below, with its place; numpy's warning would not say where.
    with np.errstate(over="ignore"):
        result = array.astype(complex_type if array.dtype.kind == "c" else precision, copy=False)
    if result is not array:
        place = first_non_finite(result)
        if place is not None:
            raise DataError(
                f"{where}{_index(place)} is {array[place]:g}, which float32 cannot hold",
                hint="set precision: float64, or scale the data",
                within=_path(where),
            )
    return result


def dataset(
    inputs: Mapping[str, np.ndarray],
    target: np.ndarray | None = None,
    *,
    labels: tuple[str, ...] = (),
    files: Mapping[str, str] | None = None,
    weights: np.ndarray | None = None,
    mapped: bool = False,
) -> Dataset:
    """Return the checked data set.

    Raises:
        DataError: if an array has no leading axis, lengths differ, there are no examples, or a value is not a finite
            number; the message gives the place, such as inputs.x[12]. Weights as `weighted` says.
    """
    result = Dataset(dict(inputs), target, labels, dict(files or {}), mapped=mapped)
    lengths = {}
    for where, array in result.arrays().items():
        if array.ndim == 0:
            raise DataError(
                f"{where} is a single number, but its leading axis must count the examples",
                hint="write a list with one entry an example",
                within=_path(where),
            )
        if array.dtype.kind not in "biufc":
            raise DataError(f"{where} does not hold numbers (its type is {array.dtype})", within=_path(where))
        lengths[where] = len(array)
    (first, num_examples), *others = lengths.items()
    for where, length in others:
        if length != num_examples:
            raise DataError(f"{first} has {num_examples} examples, {where} has {length}", within=_path(where))
    if num_examples == 0:
        raise DataError("the data has no examples")
    for where, array in result.arrays().items():
        place = first_non_finite(array)
        if place is not None:
            raise DataError(f"{where}{_index(place)} is {array[place]}", hint=_FINITE, within=_path(where))
    return result if weights is None else weighted(result, weights)


def weighted(data: Dataset, weights: np.ndarray) -> Dataset:
    """Return the data set whose examples count in the loss by `weights`, times those that it has already.

    Raises:
        DataError: if it is not one finite number of at least 0 an example, or all are 0.
    """
    if weights.shape != (data.num_examples,):
        raise DataError(
            f"example_weights has shape {weights.shape}, not one weight for each of {data.num_examples} examples",
            hint="a validation block inherits what it omits; example_weights: null takes them away there",
            within=_WEIGHTS,
        )
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DataError(f"example_weights[{place}] is {weights[place]:g}", hint=_WEIGHT, within=_WEIGHTS)
    if not weights.any():
        raise DataError("all example weights are 0, which leaves nothing to learn from", within=_WEIGHTS)
    return replace(data, weights=weights if data.weights is None else data.weights * weights)


def check_same_form(train: Dataset, validation: Dataset) -> None:
    """Refuse validation data whose arrays are called or shaped otherwise than the training data's.

    Raises:
        DataError: with the name, and both shapes of one example.
    """
    ours, theirs = train.arrays(), validation.arrays()
    for where in ours.keys() ^ theirs.keys():
        has, lacks = ("training", "validation") if where in ours else ("validation", "training")
        raise DataError(f"the {has} data has {where}, the {lacks} data has not")
    for where, array in ours.items():
        if array.shape[1:] != theirs[where].shape[1:]:
            raise DataError(
                f"an example of {where} has shape {array.shape[1:]} in the training data "
                f"and {theirs[where].shape[1:]} in the validation data"
            )


def first_non_finite(array: np.ndarray) -> tuple[int, ...] | None:
    """Return the index of the first nan or infinity, None if there is none."""
    if array.dtype.kind not in "fc":
        return None
    for rows in blocks(array):
        finite = np.isfinite(array[rows])
        if not finite.all():
            row, *inside = np.unravel_index(int(np.argmin(finite)), finite.shape)
            return (rows.start + int(row), *(int(i) for i in inside))
    return None


_FINITE = "data must be finite: leave that example out, or mend its value"


_WEIGHT = "a weight is a finite number, 0 or more"
_WEIGHTS = ("example_weights",)


def _path(where: str) -> ConfigPath:
    """Return the path from `data` to one of its arrays."""
    return tuple(where.split(".", 1))


def _index(place: Iterable[int]) -> str:
    return "".join(f"[{i}]" for i in place)


def unknown_name(what: str, name: str, choices: Iterable[str]) -> DataError:
    """Return the error for a `name` that is not among `choices`, with the nearest one and the list."""
    names = [str(item) for item in choices]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    beginning = ", ".join(safe_text(item, limit=60) for item in names[:20]) + (", ..." if len(names) > 20 else "")
    listed = f"there are: {beginning}" if names else "there are none"
    hint = f"did you mean '{safe_text(near[0], limit=60)}'? {listed}" if near else listed
    return DataError(f"there is no {what} '{safe_text(name, limit=60)}'", hint=hint)
