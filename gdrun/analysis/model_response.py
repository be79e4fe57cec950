"""Outputs of a trained model over its inputs: the curve over one, the classes over two. In the units of the data.

Shape letters: N examples, M points, K classes.
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
    from gdrun.rundir.run import Run
    from gdrun.training.prepare import Prepared

POINTS = 400
"""Of a curve."""
SIDE = 300
"""Of a map of classes."""
_ROOM = 0.06
"""How much further than the data a picture goes, as a share of the data's extent."""
_TOGETHER = 10_000
_KINDS = {1: "fit", 2: "decisions"}
"""Numbers that the inputs of an example are -> the picture of such a model."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs as columns, float64 (N, C), with the target, (N, ...)."""

    inputs: np.ndarray
    target: np.ndarray


class ModelResponse:
    """A run's model with its data.

    Args:
        prepared: the run's experiment.
        step: 0 is the start, None the end; else one whose row holds the parameters.
        what: the picture that is made of it, in words, for messages.
        num_columns: numbers that the inputs of an example must be; None: any.
    Raises:
        UsageError: no data or not in memory, another number of inputs, no target.
    """

    names: list[str]
    """Of the inputs' columns: as in the file they come from, or x, X[0], X[1]."""
    train: Examples
    validation: Examples | None

    def __init__(
        self, prepared: Prepared, run: Run, step: int | None, what: str, num_columns: int | None = None
    ) -> None:
        self.prepared, self.run, self.step = prepared, run, step
        built = prepared.built
        shapes = [tuple(value.shape[1:]) for value in built.named_inputs.values()]
        count = None if any(len(shape) > 1 for shape in shapes) else sum(int(np.prod(shape)) for shape in shapes)
        if num_columns is None and count is None:
            raise UsageError("this model's inputs have several axes", hint="gdrun evaluate gives its accuracy")
        if built.datasets is None or not built.data.inputs:
            raise UsageError(
                f"this run has no data, so there is no picture of {what}", hint="--kind trajectory or loss"
            )
        if built.windows.stream is not None:
            raise UsageError("this run's data is read from disk in pieces", hint="memory: all in the config's data")
        if num_columns is not None and count != num_columns:
            need = f"{what} {'is' if num_columns == 1 else 'are'} of {plural(num_columns, 'input')}"
            have = "inputs of several axes" if count is None else plural(count, "input")
            kind = None if built.data.target is None else _KINDS.get(count or 0)
            hint = f"--kind {kind}" if kind else "gdrun predict prints what the model says"
            raise UsageError(f"{need}; this model has {have}", hint=hint)
        if built.data.target is None:
            raise UsageError(f"this run's data has no target, so there is no picture of {what}", hint="--kind loss")
        if any(value.dtype.is_complex for value in (*built.named_inputs.values(), built.data.target)):
            raise UsageError(f"{what} of complex data cannot be drawn")
        validation = built.data.validation if built.data.validation is not None else built.assess.validation
        self.names, self.train = self._names(), self._raw(built.data)
        self.validation = None if validation is None else self._raw(validation)

    @property
    def is_probability(self) -> bool:
        """True where the curve is the probability of class 1, made from the model's score."""
        return self.prepared.built.experiment.objective_loss.predicts_sigmoid_logits

    @property
    def target_name(self) -> str:
        """The name of the target."""
        data = self.prepared.built.experiment.data
        assert data is not None
        return data.target_name

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the curve over the one input, (M,) and (M,).

        Raises:
            UsageError: several outputs, or a target of several numbers an example.
        """
        x = np.linspace(*self._ends()[0], POINTS)
        y = self._predicted(x[:, None])
        if y.ndim > 1:
            raise UsageError(
                f"a fit shows one output, and this model has {y.shape[1]}", hint="gdrun predict prints all of them"
            )
        for part in (self.train, self.validation):
            if part is not None and part.target.size != len(part.target):
                raise UsageError(f"a fit shows one number an example, and the target has shape {part.target.shape}")
        if self.is_probability:
            with np.errstate(over="ignore"):
                y = 1 / (1 + np.exp(-y))
        return x, y

    def regions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return x and y of a grid over the two inputs, the class at each of its points, a row for each y; and the
        classes of the training examples, int (N,).

        Raises:
            UsageError: a target that is no class.
        """
        x, y = (np.linspace(low, high, SIDE) for low, high in self._ends())
        decided, num_classes = self._decided(np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1))
        return x, y, decided.reshape(SIDE, SIDE), _class_numbers(self.train.target, num_classes)

    def confusion(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return how many validation examples, or training ones where there are none, of each class the model takes
        for which: int (K, K), a row for each true class, a column for each decided one; and the classes' names.

        Raises:
            UsageError: a target that is no class.
        """
        examples = self.train if self.validation is None else self.validation
        decided, num_classes = self._decided(examples.inputs)
        counts = np.zeros((num_classes, num_classes), int)
        np.add.at(counts, (_class_numbers(examples.target, num_classes), decided), 1)
        return counts, self.class_names or tuple(f"class {index}" for index in range(num_classes))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; () where they have none."""
        datasets = self.prepared.built.datasets
        return (datasets.train.labels if datasets else ()) or (
            ("class -1", "class 1") if float(self.train.target.min()) < 0 else ()
        )

    def _decided(self, points: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the class that the model decides for at points, int (M,), and the number of classes.

        It is decided as the metric `accuracy` does: one output says 1 above 1/2 (a logit or a score above 0), of
        several the largest one.
        """
        scores = self._predicted(points)
        if scores.ndim > 1:
            return np.argmax(scores, axis=1), scores.shape[1]
        loss = self.prepared.built.experiment.objective_loss
        return (scores > (0.0 if loss.predicts_logits or loss.signed else 0.5)).astype(int), 2

    def _names(self) -> list[str]:
        section = self.prepared.loaded.experiment.data
        assert section is not None
        names: list[str] = []
        for name, value in self.prepared.built.named_inputs.items():
            size = int(np.prod(value.shape[1:]))
            columns = section.column_names(name)
            if columns and len(columns) == size:
                names += [safe_text(column, limit=60) for column in columns]
            else:
                names += [name] if size == 1 else [f"{name}[{index}]" for index in range(size)]
        return names

    def _raw(self, batch: Any) -> Examples:
        """Return a batch with its scaling taken back."""
        datasets = self.prepared.built.datasets
        assert datasets is not None
        scaling = datasets.scaling
        columns = []
        for name, value in self.prepared.built.objective.named_inputs(batch).items():
            array = value.numpy().astype(np.float64)
            array = scaling.inputs[name].invert(array) if name in scaling.inputs else array
            columns.append(array.reshape(len(array), -1))
        target = batch.target.numpy().astype(np.float64)
        target = target if scaling.target is None else scaling.target.invert(target)
        return Examples(np.concatenate(columns, axis=1), target)

    def _ends(self) -> list[tuple[float, float]]:
        parts = [part.inputs for part in (self.train, self.validation) if part is not None]
        ends = []
        for column in np.concatenate(parts).T:
            room = _ROOM * float(np.ptp(column)) or 1.0
            ends.append((float(column.min()) - room, float(column.max()) + room))
        return ends

    def _predicted(self, points: np.ndarray) -> np.ndarray:
        """Return the prediction of the target at points, (M, inputs): (M,) or (M, K)."""
        prepared, point = self.prepared, None
        if self.step is not None:
            at = at_step(prepared, self.run, self.step)
            point = TrainedPoint(at.parameters, at.setting, at.model_state, at.moment)
        inputs, begin_column = {}, 0
        for name, value in prepared.built.named_inputs.items():
            size = int(np.prod(value.shape[1:]))
            inputs[name] = points[:, begin_column : begin_column + size].reshape(len(points), *value.shape[1:])
            begin_column += size
        parts = []
        for begin in range(0, len(points), _TOGETHER):
            rows = slice(begin, begin + _TOGETHER)
            outputs = predict(prepared, self.run, {name: value[rows] for name, value in inputs.items()}, point)
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
