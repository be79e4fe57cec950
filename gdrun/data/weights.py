"""Weights of examples in the loss: by a formula, or by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gdrun.errors import DataError, FormulaError
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.failures import inside
from gdrun.formula.nodes import Expression
from gdrun.random_streams import RandomNumbers
from gdrun.text import plural, safe_text

from .dataset import Dataset, weighted
from .labels import check_labels

ClassWeights = str | Sequence[float] | Mapping[str, float]
"""balanced, one weight a class in the order of their numbers, or weights by label."""


def weights_by_formula(
    data: Dataset,
    formula: Expression,
    *,
    constants: Mapping[str, np.ndarray] | None = None,
    random: RandomNumbers | None = None,
) -> Dataset:
    """Return the data set with example weights of a formula of its inputs, its target and constants, in float64.

    Args:
        data: N examples.
        formula: a value of shape (N,) or (N, 1), or one number for all.
        constants: values by name.
        random: where draws come from; None refuses them.
    Raises:
        FormulaError: if the formula cannot be evaluated or has another shape.
        DataError: if a weight is negative or not finite.
    """
    names = {**(constants or {}), **data.inputs}
    if data.target is not None:
        names["target"] = data.target
    scope = Scope(names, ops=numpy_ops.table(random), draw_shape=(data.num_examples,))
    # A weight that overflows is reported by `weighted`, with its place.
    with np.errstate(all="ignore"), inside("example_weights"):
        value = numpy_ops.number(evaluate(formula, scope, owner="data.example_weights"))
        if value.dtype.kind == "c":
            raise FormulaError("example weights are real, this is complex")
    if value.ndim == 2 and value.shape[1] == 1:
        value = value[:, 0]
    if value.ndim == 0:
        value = np.full(data.num_examples, value)
    return weighted(data, value.astype(np.float64))


def weights_by_class(data: Dataset, weights: ClassWeights) -> Dataset:
    """Return the data set with each example weighted by its class, times the weights that it has already.

        balanced: N / (classes that occur * examples of the class)

    Args:
        data: its target holds class numbers, (N,) or (N, 1), or one-hot rows (N, K).
        weights: "balanced"; a weight for each of the classes 0, 1, ...; or by label, the target's text or number,
            where labels that are left out count 1, as with Keras's class_weight.
    Raises:
        DataError: if the target is not of this form, a class has no weight in a sequence, or a label does not occur.
    Source: balanced is scikit-learn's compute_class_weight.
    """
    target = _class_numbers(data.target)
    if isinstance(weights, str):
        assert weights == "balanced"
        classes, place, counts = np.unique(target, return_inverse=True, return_counts=True)
        return weighted(data, (len(target) / (len(classes) * counts))[place])
    if isinstance(weights, Mapping):
        result = np.ones(len(target))
        for label, weight in weights.items():
            result[target == _number(label, target, data.labels)] = weight
        return weighted(data, result)
    check_labels(target, len(weights))
    return weighted(data, np.asarray(weights, np.float64)[target.astype(np.int64)])


def _class_numbers(target: np.ndarray | None) -> np.ndarray:
    """Return the class of each example, (N,)."""
    if target is None:
        raise DataError("class weights are by the target, but there is no target")
    if target.ndim == 2 and target.shape[1] > 1:
        if not (np.isin(target, (0, 1)).all() and (target.sum(axis=1) == 1).all()):
            raise DataError("class weights want class numbers or one-hot rows; this target has several numbers a row")
        return target.argmax(axis=1).astype(np.float64)
    if target.ndim > 2 or target.ndim == 0:
        raise DataError(f"class weights want one label an example, but the target has shape {target.shape}")
    flat = target.reshape(-1)
    if (flat != np.floor(flat)).any():
        place = int(np.argmax(flat != np.floor(flat)))
        raise DataError(f"target[{place}] is {flat[place]:g}, which is no class number; class weights want classes")
    return flat


def _number(label: str, target: np.ndarray, labels: tuple[str, ...]) -> float:
    """Return the class number that a label of the config means."""
    if label in labels:
        return labels.index(label)
    try:
        number = None if labels else float(label)
    except ValueError:
        number = None
    all_labels = labels or tuple(f"{value:g}" for value in np.unique(target)[:20])
    if number is None or not (target == number).any():
        listed = ", ".join(safe_text(name, limit=40) for name in all_labels[:20])
        raise DataError(
            f"no example has the label '{safe_text(label, limit=40)}'",
            hint=f"the target has {plural(len(all_labels), 'label')}: {listed}",
        )
    return number
