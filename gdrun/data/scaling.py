"""Scaling of columns to a common scale, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Discriminator, Tag

from gdrun.config.scalars import is_number
from gdrun.config.section import PositiveNumber, ShortSection
from gdrun.errors import DataError

from .dataset import Dataset

Method = Literal["none", "standardize", "minmax"] | float
_MethodSetting = Annotated[
    Annotated[Literal["none", "standardize", "minmax"], Tag("<word>")] | Annotated[PositiveNumber, Tag("<number>")],
    Discriminator(lambda value: "<number>" if is_number(value) else "<word>"),
]


class Scale(ShortSection):
    """Bring columns to a common scale before training. Deviations are population deviations (divided by n)."""

    short = "inputs"

    inputs: _MethodSetting = "none"
    """standardize: subtract the mean, divide by the deviation; minmax: to [0, 1]; a number: divide by it, as images by
    255."""
    target: _MethodSetting = "none"
    """The same for the target."""
    fit: Literal["train", "all", "each"] = "train"
    """The examples that give the mean and deviation: the training part, all, or each part its own."""


@dataclass(frozen=True, eq=False)
class Scaler:
    """x -> (x - offset) / scale, each column by itself; both float64 of the shape of one example."""

    offset: np.ndarray
    scale: np.ndarray

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Return the scaled array, float64."""
        return (array - self.offset) / self.scale

    def invert(self, array: np.ndarray) -> np.ndarray:
        """Return the array on the scale it came from."""
        return array * self.scale + self.offset


def fit_scaler(array: np.ndarray, method: Method, where: str) -> Scaler | None:
    """Return the scaler for an array (N, ...), None for "none".

        standardize: offset = mean, scale = sqrt(mean((x - mean)**2))     minmax: offset = min, scale = max - min

    Args:
        method: a number divides every column: offset = 0, scale = method.
        where: what the array is called in messages.
    Raises:
        DataError: if a column is constant, so that its scale would be 0; the message names it.
    """
    if method == "none":
        return None
    if not isinstance(method, str):
        return Scaler(np.zeros(()), np.asarray(method, np.float64))
    if method == "standardize":
        offset = array.mean(axis=0, dtype=np.float64)
        scale = array.std(axis=0, dtype=np.float64)
    else:
        offset = array.min(axis=0).astype(np.float64)
        scale = array.max(axis=0).astype(np.float64) - offset
    # Not `scale == 0`: rounding in the mean gives a constant column a deviation of about 1e-17.
    constant = np.asarray(array.min(axis=0) == array.max(axis=0))
    if constant.any():
        place = tuple(int(i) for i in np.unravel_index(int(np.argmax(constant)), constant.shape))
        column = "[:, " + ", ".join(map(str, place)) + "]" if place else ""
        value = float(array[(0, *place)])
        raise DataError(
            f"{where}{column} is {value:g} in every example, so {method} would divide by zero",
            hint="leave this column out, or do not scale it",
        )
    return Scaler(np.asarray(offset), np.asarray(scale))


@dataclass(frozen=True, eq=False)
class Scaling:
    """The scalers of a data set; what is not in it is left alone."""

    inputs: Mapping[str, Scaler] = field(default_factory=dict)
    target: Scaler | None = None

    def apply(self, data: Dataset) -> Dataset:
        """Return the scaled data set."""
        inputs = {
            name: self.inputs[name].apply(array) if name in self.inputs else array
            for name, array in data.inputs.items()
        }
        target = data.target
        if target is not None and self.target is not None:
            target = self.target.apply(target)
        return replace(data, inputs=inputs, target=target)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the statistics as named arrays: "inputs.x.offset", "inputs.x.scale", "target.offset", ..."""
        scalers = {f"inputs.{name}": scaler for name, scaler in self.inputs.items()}
        if self.target is not None:
            scalers["target"] = self.target
        return {
            f"{where}.{part}": getattr(scaler, part)
            for where, scaler in scalers.items()
            for part in ("offset", "scale")
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Scaling:
        """Return the scaling that `to_arrays` described."""
        scalers = {
            key.removesuffix(".offset"): Scaler(np.asarray(value), np.asarray(arrays[key[: -len("offset")] + "scale"]))
            for key, value in arrays.items()
            if key.endswith(".offset")
        }
        inputs = {where.removeprefix("inputs."): scaler for where, scaler in scalers.items() if where != "target"}
        return cls(inputs, scalers.get("target"))


def fit_scaling(data: Dataset, *, inputs: Method = "none", target: Method = "none", part: str = "") -> Scaling:
    """Return the scaling that brings `data` to the scale asked for.

    Args:
        inputs, target: the methods.
        part: word before the names in messages, such as "validation ".
    Raises:
        DataError: if a column is constant.
    """
    fitted = {name: fit_scaler(array, inputs, f"{part}inputs.{name}") for name, array in data.inputs.items()}
    return Scaling(
        {name: scaler for name, scaler in fitted.items() if scaler is not None},
        None if data.target is None else fit_scaler(data.target, target, f"{part}target"),
    )


def scale_parts(
    train: Dataset,
    validation: Dataset | None,
    *,
    inputs: Method = "none",
    target: Method = "none",
    fit: Literal["train", "all", "each"] = "train",
) -> tuple[Dataset, Dataset | None, Scaling]:
    """Return (training part, validation part, scaling), both parts scaled.

    Args:
        fit: which examples give the statistics: the training part, all, or each part its own. The scaling returned is
            the training part's, which is what new examples for prediction are scaled by.
    Raises:
        DataError: if a column is constant.
    """
    source = train if validation is None or fit != "all" else _joined(train, validation)
    scaling = fit_scaling(source, inputs=inputs, target=target)
    if validation is None:
        return scaling.apply(train), None, scaling
    own = fit_scaling(validation, inputs=inputs, target=target, part="validation ") if fit == "each" else scaling
    return scaling.apply(train), own.apply(validation), scaling


def _joined(a: Dataset, b: Dataset) -> Dataset:
    inputs = {name: np.concatenate([array, b.inputs[name]]) for name, array in a.inputs.items()}
    both = None if a.target is None or b.target is None else np.concatenate([a.target, b.target])
    return replace(a, inputs=inputs, target=both)
