"""Outputs of a trained model over its inputs: the curve over one, the classes over two. In the units of the data.

Shape letters: N examples, M points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import UsageError
from gdrun.text import plural, safe_text
from gdrun.training.predict import TrainedPoint, answers_target, predict

from .evaluation_point import at_step

if TYPE_CHECKING:
    from gdrun.assembly import Built
    from gdrun.rundir.run import Run
    from gdrun.training.prepare import Prepared

POINTS = 400
"""Of a curve."""
SIDE = 300
"""Of a map of classes."""
_ROOM = 0.06
"""How much further than the data a picture goes, as a share of the data's extent."""
_TOGETHER = 10_000


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs as columns, float64 (N, 1) or (N, 2), with the target, (N, ...)."""

    inputs: np.ndarray
    target: np.ndarray


@dataclass(frozen=True, eq=False)
class Curve:
    """A model of one input: its curve, (M,) and (M,), and the data."""

    x: np.ndarray
    y: np.ndarray
    train: Examples
    validation: Examples | None
    name: str
    """Of the input."""
    target: str
    """Of the target."""
    probability: bool
    """Whether the curve is the probability of class 1, made from the model's score."""


@dataclass(frozen=True, eq=False)
class Classes:
    """A model of two inputs: the class at each point of a grid, int (M, M), a row for each y; and the data."""

    x: np.ndarray
    y: np.ndarray
    labels: np.ndarray
    train: Examples
    """Targets are class numbers, int (N,)."""
    axes: tuple[str, str]
    names: tuple[str, ...]
    """Of the classes."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of examples, int (K, K): a row for each true class, a column for each decided one."""

    counts: np.ndarray
    names: tuple[str, ...]
    """Of the classes."""
    validation: bool
    """Whether they are validation examples."""


def curve_of(prepared: Prepared, run: Run, step: int | None = None) -> Curve:
    """Return the model's curve over its one input.

    Args:
        step: 0 is the start, None the end; else one whose row holds the parameters.
    Raises:
        UsageError: no data or not in memory, another number of inputs or outputs, no target.
    """
    built = prepared.built
    names, train, validation = _examples(prepared, 1, "a fit", "decisions" if _num_columns(prepared) == 2 else None)
    low, high = _ends(train.inputs, validation)[0]
    x = np.linspace(low, high, POINTS)
    y = _predicted(prepared, run, x[:, None], step)
    if y.ndim > 1:
        raise UsageError(
            f"a fit shows one output, and this model has {y.shape[1]}", hint="gdrun predict prints all of them"
        )
    for part in (train, validation):
        if part is not None and part.target.size != len(part.target):
            raise UsageError(f"a fit shows one number an example, and the target has shape {part.target.shape}")
    data, score = built.experiment.data, built.experiment.objective_loss.predicts_sigmoid_logits
    if score:
        with np.errstate(over="ignore"):
            y = 1 / (1 + np.exp(-y))
    assert data is not None
    return Curve(x, y, train, validation, names[0], data.target_name, score)


def classes_of(prepared: Prepared, run: Run, step: int | None = None) -> Classes:
    """Return which class the model decides for over its two inputs.

    A class is decided for as the metric `accuracy` does: one output says 1 above 1/2 (a logit or a score above 0), of
    several the largest one.

    Args:
        step: as in `curve_of`.
    Raises:
        UsageError: no data or not in memory, another number of inputs, a target that is no class.
    """
    names, train, validation = _examples(
        prepared, 2, "decision regions", "fit" if _num_columns(prepared) == 1 else None
    )
    (x_low, x_high), (y_low, y_high) = _ends(train.inputs, validation)
    x, y = np.linspace(x_low, x_high, SIDE), np.linspace(y_low, y_high, SIDE)
    points = np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1)
    labels, num_classes = _decided(prepared, _predicted(prepared, run, points, step))
    return Classes(
        x, y, labels.reshape(SIDE, SIDE),
        Examples(train.inputs, _class_numbers(train.target, num_classes)),
        (names[0], names[1]),
        _class_names(prepared, train.target),
    )  # fmt: skip


def confusion_of(prepared: Prepared, run: Run, step: int | None = None) -> Confusion:
    """Return how many examples of each class the model takes for which: validation examples, where there are any.

    Args:
        step: as in `curve_of`.
    Raises:
        UsageError: no data or not in memory, a target that is no class.
    """
    columns = _num_columns(prepared)
    if columns is None:
        raise UsageError("this model's inputs have several axes", hint="gdrun evaluate gives its accuracy")
    _, train, validation = _examples(prepared, columns, "a confusion matrix", None)
    examples = train if validation is None else validation
    decided, num_classes = _decided(prepared, _predicted(prepared, run, examples.inputs, step))
    counts = np.zeros((num_classes, num_classes), int)
    np.add.at(counts, (_class_numbers(examples.target, num_classes), decided), 1)
    names = _class_names(prepared, train.target) or tuple(f"class {index}" for index in range(num_classes))
    return Confusion(counts, names, validation is not None)


def _decided(prepared: Prepared, scores: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the class that each row of scores decides for, int (M,), and the number of classes."""
    if scores.ndim > 1:
        return np.argmax(scores, axis=1), scores.shape[1]
    return (scores > _threshold(prepared.built)).astype(int), 2


def _class_names(prepared: Prepared, target: np.ndarray) -> tuple[str, ...]:
    labelled = prepared.built.datasets.train.labels if prepared.built.datasets else ()
    return labelled or (("class -1", "class 1") if float(target.min()) < 0 else ())


# --- data -------------------------------------------------------------------------------------------------------------


def _num_columns(prepared: Prepared) -> int | None:
    """Return how many numbers the inputs of an example are; None where they are more than rows of numbers."""
    shapes = [tuple(value.shape[1:]) for value in prepared.built.named_inputs.values()]
    return None if any(len(shape) > 1 for shape in shapes) else sum(int(np.prod(shape)) for shape in shapes)


def _examples(
    prepared: Prepared, num_columns: int, what: str, other: str | None
) -> tuple[list[str], Examples, Examples | None]:
    """Return names of the input's columns, training and validation examples, in the units of the config's data."""
    built = prepared.built
    if built.datasets is None or not built.data.inputs:
        raise UsageError(f"this run has no data, so there is no picture of {what}", hint="--kind trajectory or loss")
    if built.windows.stream is not None:
        raise UsageError("this run's data is read from disk in pieces", hint="memory: all in the config's data")
    count = _num_columns(prepared)
    if count != num_columns:
        have = "inputs of several axes" if count is None else plural(count, "input")
        hint = (
            f"--kind {other}" if other and built.data.target is not None else "gdrun predict prints what the model says"
        )
        raise UsageError(
            f"{what} {'is' if num_columns == 1 else 'are'} of {plural(num_columns, 'input')}; this model has {have}",
            hint=hint,
        )
    if built.data.target is None:
        raise UsageError(f"this run's data has no target, so there is no picture of {what}", hint="--kind loss")
    if any(value.dtype.is_complex for value in (*built.named_inputs.values(), built.data.target)):
        raise UsageError(f"{what} of complex data cannot be drawn")
    validation = built.data.validation if built.data.validation is not None else built.assess.validation
    names = _names(prepared)
    return names, _raw(built, built.data), None if validation is None else _raw(built, validation)


def _raw(built: Built, batch: Any) -> Examples:
    """Return a batch with its scaling taken back."""
    assert built.datasets is not None
    scaling = built.datasets.scaling
    columns = []
    for name, value in built.objective.named_inputs(batch).items():
        array = value.numpy().astype(np.float64)
        columns.append(
            (scaling.inputs[name].invert(array) if name in scaling.inputs else array).reshape(len(array), -1)
        )
    target = batch.target.numpy().astype(np.float64)
    return Examples(
        np.concatenate(columns, axis=1), target if scaling.target is None else scaling.target.invert(target)
    )


def _names(prepared: Prepared) -> list[str]:
    """Return the names of the inputs' columns: as in the file they come from, or x, X[0], X[1]."""
    section = prepared.loaded.experiment.data
    assert section is not None
    names: list[str] = []
    for name, value in prepared.built.named_inputs.items():
        size = int(np.prod(value.shape[1:]))
        columns = section.column_names(name)
        if columns and len(columns) == size:
            names += [safe_text(column, limit=60) for column in columns]
        else:
            names += [name] if size == 1 else [f"{name}[{index}]" for index in range(size)]
    return names


def _ends(inputs: np.ndarray, validation: Examples | None) -> list[tuple[float, float]]:
    whole = inputs if validation is None else np.concatenate([inputs, validation.inputs])
    ends = []
    for column in whole.T:
        room = _ROOM * float(np.ptp(column)) or 1.0
        ends.append((float(column.min()) - room, float(column.max()) + room))
    return ends


# --- predictions ------------------------------------------------------------------------------------------------------


def _predicted(prepared: Prepared, run: Run, points: np.ndarray, step: int | None) -> np.ndarray:
    """Return the prediction of the target at points, (M, inputs), after `step` updates: (M,) or (M, K)."""
    point = None if step is None else at_step(prepared, run, step)
    at = None if point is None else TrainedPoint(point.parameters, point.setting, point.model_state, point.moment)
    inputs, begin_column = {}, 0
    for name, value in prepared.built.named_inputs.items():
        size = int(np.prod(value.shape[1:]))
        inputs[name] = points[:, begin_column : begin_column + size].reshape(len(points), *value.shape[1:])
        begin_column += size
    parts = []
    for begin in range(0, len(points), _TOGETHER):
        rows = slice(begin, begin + _TOGETHER)
        outputs = predict(prepared, run, {name: value[rows] for name, value in inputs.items()}, at)
        parts.append(_output_array(prepared, outputs, len(points[rows])))
    whole = np.concatenate(parts)
    return whole[:, 0] if whole.shape[1] == 1 else whole


def _output_array(prepared: Prepared, outputs: Any, count: int) -> np.ndarray:
    """Return one output of a model, (count, K)."""
    if isinstance(outputs, dict):
        answering = answers_target(prepared.loaded.experiment, tuple(outputs))
        if len(answering) != 1:
            raise UsageError(
                f"this model has the outputs {', '.join(outputs)}; the loss compares no single one with the target",
                hint="gdrun predict prints all of them",
            )
        outputs = outputs[next(iter(answering))]
    if np.iscomplexobj(outputs) or np.ndim(outputs) not in (1, 2) or len(outputs) != count:
        raise UsageError(
            f"the model's prediction has shape {np.shape(outputs)} for {count:,} examples: "
            "it is not one row an example",
            hint="gdrun predict prints it",
        )
    return np.asarray(outputs, np.float64).reshape(count, -1)


def _threshold(built: Built) -> float:
    """Above which one output says class 1: as in metrics."""
    loss = built.experiment.objective_loss
    return 0.0 if loss.predicts_logits or loss.signed else 0.5


def _class_numbers(target: np.ndarray, num_classes: int) -> np.ndarray:
    """Return class numbers, int (N,), of a target of 0 and 1, of -1 and 1, of numbers from 0 on or of one-hot rows."""
    flat = target.reshape(len(target), -1)
    if flat.shape[1] == 1:
        values = np.unique(flat)
        if num_classes == 2 and len(values) <= 2 and set(values.tolist()) <= {-1.0, 0.0, 1.0}:
            return (flat[:, 0] > 0.5).astype(int)
        if num_classes > 2 and (values == np.rint(values)).all() and values[0] >= 0 and values[-1] < num_classes:
            return flat[:, 0].astype(int)
    elif flat.shape[1] == num_classes and np.isin(flat, (0, 1)).all() and (flat.sum(axis=1) == 1).all():
        return flat.argmax(axis=1)
    raise UsageError(
        "the target is not a class, so there are no decision regions", hint="gdrun predict prints what the model says"
    )
