"""Data, losses and metrics of plugins as components: checked for their form, their errors told as the plugin's.

Shape letters: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.errors import DataError, GdrunError, PluginError
from gdrun.formula.parse import check_name
from gdrun.losses.functions import Reduction, reduce
from gdrun.text import safe_text

from .dataset import Dataset, dataset

Describe = Callable[[BaseException], str]
"""An error of the plugin's code -> what it says and where."""


@dataclass(frozen=True)
class Caller:
    """Calls a plugin's functions; whatever they raise becomes a PluginError that says whose they are.

    Args:
        what: "loss 'pinball' of pinball.py".
        describe: puts an error into words.
    """

    what: str
    describe: Describe

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tell an error of the block as the plugin's."""
        try:
            yield
        except GdrunError:
            raise
        except Exception as error:
            raise PluginError(f"{self.what} failed: {self.describe(error)}") from error

    def wrong(self, told: str, hint: str | None = None) -> PluginError:
        """Return the error for what the plugin gave."""
        return PluginError(f"{self.what} {told}", hint=hint)


def custom_data(make: Callable[[], Any], caller: Caller) -> Dataset:
    """Return the data set that a plugin makes: {"inputs": {name: array}, "target": array, "weights": array}.

    Raises:
        PluginError: it is something else, or `dataset` refuses it.
    """
    with caller.running():
        given = make()
    form = 'it must return {"inputs": {name: array}, "target": array}; target and weights may be left out'
    if not isinstance(given, Mapping):
        raise caller.wrong(f"returned {kind_of(given)}", form)
    if unknown := sorted(map(str, given.keys() - {"inputs", "target", "weights"})):
        raise caller.wrong(f"returned the unknown key '{safe_text(unknown[0], limit=60)}'", form)
    inputs = given.get("inputs")
    if not isinstance(inputs, Mapping) or not inputs:
        raise caller.wrong(f"returned {kind_of(inputs)} as inputs", form)
    arrays = {
        checked_name(name, caller, "an input"): as_array(value, f"inputs.{name}", caller)
        for name, value in inputs.items()
    }
    target, weights = (
        None if given.get(name) is None else as_array(given[name], name, caller) for name in ("target", "weights")
    )
    try:
        return dataset(arrays, target, weights=weights)
    except DataError as error:
        raise caller.wrong(f"gives data that does not fit: {error.message}", error.hint) from error


def custom_loss(
    function: Callable[[Any, Any], Any], caller: Caller, *, reduction: Reduction
) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, weights) -> scalar, of a plugin's (target, prediction) -> scalar or (B, ...).

    Raises, when it is called:
        PluginError: the function failed or gives something else.
    """

    def loss(prediction: Any, target: tf.Tensor | None, weights: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor:
        value = _tensor(function, target, prediction, caller, dtype)
        if value.shape.rank == 0:
            if weights is not None:
                raise caller.wrong(
                    "gives one number for all examples, so the weights of data do not reach it",
                    "return a number an example: gdrun weighs and averages them",
                )
            return value
        size = None if target is None else target.shape[0]
        if size is not None and value.shape[0] != size:
            raise caller.wrong(
                f"gives shape {tuple(value.shape)} for {size} examples", "a scalar, or a first axis of examples"
            )
        return reduce(value, reduction, weights)

    return loss


def custom_metric(function: Callable[[Any, Any], Any], caller: Caller) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, dtype) -> scalar, of a plugin's (target, prediction) -> scalar."""

    def metric(prediction: Any, target: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor:
        value = _tensor(function, target, prediction, caller, dtype)
        if value.shape.num_elements() != 1:
            raise caller.wrong(f"must give one number, it gives shape {tuple(value.shape)}")
        return tf.reshape(value, [])

    return metric


def _tensor(function: Any, target: Any, prediction: Any, caller: Caller, dtype: tf.DType) -> tf.Tensor:
    with caller.running():
        value = function(target, prediction)
        if value is None:
            raise caller.wrong("returned nothing", "return the value")
        value = tf.convert_to_tensor(value, dtype) if isinstance(value, int | float) else tf.convert_to_tensor(value)
        if value.dtype.is_bool or value.dtype.is_integer:
            value = tf.cast(value, dtype)
    if value.dtype != dtype:
        hint = "make constants of the prediction's dtype: tf.constant(2.0, prediction.dtype)"
        raise caller.wrong(f"gives {value.dtype.name}, but the run's precision is {dtype.name}", hint)
    return value


def checked_name(name: Any, caller: Caller, what: str, *, dotted: bool = False) -> str:
    """Return a name that a plugin gives, if formulas can use it. Raises: PluginError."""
    if not isinstance(name, str):
        raise caller.wrong(f"calls {what} {kind_of(name)}", "names are texts")
    for part in name.split(".") if dotted else (name,):
        problem = check_name(part)
        # Below a dot a name cannot be mistaken for one of the language's.
        if problem is not None and not (dotted and "." in name and part.isidentifier()):
            raise caller.wrong(f"calls {what} '{safe_text(name, limit=60)}': {problem.message}", problem.hint)
    return name


def as_array(value: Any, where: str, caller: Caller) -> np.ndarray:
    """Return what a plugin gives as an array, real numbers as float64. Raises: PluginError, if it holds no numbers."""
    with caller.running():
        array = np.asarray(value)
    if array.dtype.kind == "O":
        raise caller.wrong(f"gives {kind_of(value)} as {where}", "an array of numbers")
    return array.astype(np.float64) if array.dtype.kind in "biuf" else array


def kind_of(value: Any) -> str:
    """Return what a value is, in words: "nothing", "a list"."""
    return "nothing" if value is None else f"a {type(value).__name__}"
