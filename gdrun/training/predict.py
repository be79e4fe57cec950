"""Predictions, losses, metrics and gradients of a finished run, on its own data or others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdrun.config.section import Section
from gdrun.data import file_reader
from gdrun.data.dataset import Dataset, dataset
from gdrun.errors import DataError, FormulaError, RunDirectoryError, UsageError
from gdrun.experiment.loading import load_config
from gdrun.formula.evaluate import evaluate_constants
from gdrun.formula.name_checks import compared_with
from gdrun.formula.parse import parse
from gdrun.models.transforms import raw_value
from gdrun.rundir.layout import RAW
from gdrun.text import safe_text, split_points

from .prepare import Prepared, prepare

if TYPE_CHECKING:
    from gdrun.config.plugins import PluginSources
    from gdrun.engine.state import Moment
    from gdrun.experiment.experiment import Experiment
    from gdrun.rundir.run import Run

Predictions = np.ndarray | dict[str, np.ndarray]
"""(B, ...), or one array for each named output."""


class TrainedPoint(NamedTuple):
    """Point that a trained model is evaluated at: tensors of the engine, parameters before transforms."""

    parameters: tuple[Any, ...]
    setting: Any
    model_state: tuple[Any, ...]
    moment: Any
    """When training ended, which formulas of `step` and `epoch` see."""


def load_trained(run: Run, *, device: str | None = None, plugins: PluginSources = ()) -> Prepared:
    """Return the experiment of a finished run, built from its own config.

    Args:
        plugins: those that the run was trained with, where it was with any.
    Raises:
        ConfigError: its data is not there any more, or not the same.
        RunDirectoryError: it has no config.
    """
    if not (run.directory / "config.yaml").is_file():
        raise RunDirectoryError(f"{run.directory} has no config.yaml")
    return prepare(load_config(run.directory, plugins=plugins).last, device=device)


def read_examples(prepared: Prepared, path: Path, *, target: bool) -> Dataset:
    """Return the examples in a file, as the run's config would read them.

    Args:
        prepared: the run's experiment.
        path: a file of a kind that `data:` can name; its suffix shows which. Where the config's data is a file of that
            kind, its columns are taken; else columns or arrays called like the inputs, and `target`.
        target: whether the target is wanted.
    Raises:
        DataError: a column is missing, a value is not finite, ...
        UsageError: another kind of file.
    """
    shapes = {name: tuple(value.shape)[1:] for name, value in prepared.built.named_inputs.items()}
    widths = {name: math.prod(shape) for name, shape in shapes.items()}
    reader = file_reader(path, like=prepared.loaded.experiment.data, widths=widths, target=target)
    labels = prepared.built.datasets.train.labels if prepared.built.datasets else ()
    examples = reader.read(path, labels=labels, memory="all")
    # A table has the numbers of an input of several axes, such as an image, in one row.
    inputs = {
        name: value.reshape(-1, *shapes[name]) if value.ndim == 2 and len(shapes.get(name, ())) > 1 else value
        for name, value in examples.inputs.items()
    }
    return replace(examples, inputs=inputs)


def named_examples(prepared: Prepared, texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the examples that a command line gives by name: x=3, X=[[5, 2]], x=1,2,3 or a formula of constants.

    Args:
        texts: input -> its value; one example may leave the axis of examples out, and one value stands for all points.
    Raises:
        UsageError: a value that is no array of numbers, or has another shape.
    """
    shapes = {name: tuple(value.shape)[1:] for name, value in prepared.built.named_inputs.items()}
    values: dict[str, np.ndarray] = {}
    for name, text in texts.items():
        if name not in shapes:
            raise UsageError(f"there is no input '{safe_text(name)}'", hint=f"inputs: {', '.join(shapes)}")
        try:
            points = [evaluate_constants({name: parse(piece)})[name] for piece in split_points(text)]
            value = np.stack(points) if len(points) > 1 else points[0]
        except (FormulaError, ValueError) as error:
            raise UsageError(f"{name}={safe_text(text, limit=80)}: {safe_text(error)}") from None
        value = value[None] if value.shape == shapes[name] else value
        if value.shape[1:] != shapes[name] or value.ndim == 0:
            example = f"an example has shape {shapes[name]}" if shapes[name] else "an example is a number"
            raise UsageError(f"{name} has shape {value.shape}", hint=f"{example}, several are a list of them")
        values[name] = value
    count = max((len(value) for value in values.values()), default=0)
    return {name: np.repeat(value, count, axis=0) if len(value) == 1 else value for name, value in values.items()}


def predict(prepared: Prepared, run: Run, inputs: Mapping[str, Any], point: TrainedPoint | None = None) -> Predictions:
    """Return the trained model's predictions, in the units of the config's data.

    Args:
        prepared: the run's experiment, built.
        run: gives the parameters.
        inputs: name -> values, the leading axis counting the examples; a number stands for one example.
        point: another step's; None: the end.
    Returns:
        (B, ...) in the run's precision, or one array for each named output. Where the target was scaled, the scaling
        is taken back: of the output that answers the target (`answers_target`), the others are as the formulas see
        them.
    Raises:
        DataError: an input is missing, or there is one too many, or one is not finite.
        RunDirectoryError: the run has no such parameters.
    """
    from gdrun.engine.device import import_tensorflow

    tf = import_tensorflow()
    from gdrun.assembly.data import to_batch

    built = prepared.built
    names = tuple(built.named_inputs)
    if not names or built.datasets is None:
        raise UsageError("this run has no data: its model is an objective, which predicts nothing")
    if set(inputs) != set(names):
        raise DataError(f"the model takes the inputs {', '.join(names)}; given are {', '.join(inputs) or 'none'}")
    given = dataset({name: np.atleast_1d(np.asarray(inputs[name])) for name in names})
    scaling = built.datasets.scaling
    batch = to_batch(built.datasets, given, prepared.loaded.experiment.precision, like=built.data)
    at = trained_point(prepared, run) if point is None else point
    with tf.device(prepared.device.name):
        output = built.objective.predict(at.parameters, at.model_state, at.setting, batch, at.moment)

    def array(value: Any, answers: bool = True) -> np.ndarray:
        result = value.numpy() if tf.is_tensor(value) else np.asarray(value)
        return result if scaling.target is None or not answers else scaling.target.invert(result)

    if isinstance(output, Mapping):
        answering = answers_target(prepared.loaded.experiment, tuple(output))
        return {name: array(value, name in answering) for name, value in output.items()}
    return array(output)


def answers_target(experiment: Experiment, outputs: Sequence[str]) -> frozenset[str]:
    """Return which of a model's named outputs are predictions of the target: those that the loss subtracts from it.

    A single output is one in any case. Where the loss does not tell, as a plugin's, none is.
    """
    if len(outputs) == 1:
        return frozenset(outputs)
    formulas = [value for value in experiment.define.values() if not isinstance(value, Section)]
    formulas += experiment.objective_loss.formulas().values()
    return compared_with("target", map(parse, formulas)) & set(outputs)


def evaluate(prepared: Prepared, run: Run, examples: Dataset | None = None) -> dict[str, float]:
    """Return loss and metrics of the trained model.

    Args:
        prepared: the run's experiment, built.
        run: gives the parameters.
        examples: with a target; None: the run's own training data, and its validation data as `validation_...`.
    Raises:
        DataError, ShapeError: the examples do not fit.
        RunDirectoryError: the run has no such parameters.
    """
    from gdrun.assembly.data import to_batch
    from gdrun.engine.assess import Assess
    from gdrun.engine.device import import_tensorflow

    tf = import_tensorflow()
    built = prepared.built
    at = trained_point(prepared, run)
    state = built.state._replace(parameters=at.parameters, model_state=at.model_state)
    assess, data = built.assess, built.data
    if examples is not None:
        assess = Assess(built.objective, built.assess.metrics, None, loss=True)
        assert built.datasets is not None
        data = to_batch(built.datasets, examples, prepared.loaded.experiment.precision, like=data)
    with tf.device(prepared.device.name):
        values = assess(state, at.setting, data, at.moment)
    numbers = {name: float(value) for name, value in values.items()}
    return {"loss": numbers.pop("loss_all"), **numbers}


def gradients(prepared: Prepared, run: Run) -> dict[str, np.ndarray]:
    """Return the gradient of the loss over all training data at the run's final parameters, by parameter.

    For a parameter with a transform it is the gradient by the value before the transform, which is what the optimizer
    sees.

    Raises:
        UsageError: the training data is not in memory.
    """
    from gdrun.engine.device import import_tensorflow

    tf = import_tensorflow()
    from gdrun import derivatives

    built = prepared.built
    if built.windows.stream is not None:
        raise UsageError("the gradient is over all training examples, which are not in memory", hint="memory: all")
    at = trained_point(prepared, run)

    def evaluate(watch: derivatives.Watch) -> derivatives.TargetValues:
        watch(at.parameters)
        evaluation = built.objective.evaluate(
            at.parameters, at.model_state, at.setting, built.data, at.moment, training=True
        )
        variables = dict(zip(built.objective.trainable_names, at.parameters, strict=True))
        return derivatives.TargetValues({"loss": evaluation.loss}, variables)

    with tf.device(prepared.device.name):
        slopes = derivatives.gradients(evaluate)[1]["loss"]
    return {name: slope.numpy() for name, slope in slopes.items() if slope is not None}


def trained_point(prepared: Prepared, run: Run) -> TrainedPoint:
    """Return the end of a run.

    Raises:
        RunDirectoryError: a parameter is missing.
    """
    from gdrun.engine.device import import_tensorflow

    tf = import_tensorflow()
    built, step = prepared.built, run.info.steps or 0
    objective = built.objective
    has_raw = bool(objective.transforms) and (run.directory / RAW).is_file()
    raw_values = run.arrays(RAW) if has_raw else {}

    def tensor(name: str, like: Any) -> Any:
        if name in raw_values:
            return tf.constant(raw_values[name], like.dtype)
        if name not in run.parameters:
            raise RunDirectoryError(f"{run.directory} has no parameter '{name}'")
        value = run.parameters[name]
        transform = objective.transforms.get(name)
        raw = value if transform is None else raw_value(np.asarray(value, np.float64), transform)
        return tf.constant(raw, like.dtype)

    trainable = zip(objective.trainable_names, built.state.parameters, strict=True)
    fixed = zip(objective.fixed_names, built.setting.fixed, strict=True)
    kept = zip(objective.state_names, built.state.model_state, strict=True)
    return TrainedPoint(
        tuple(tensor(name, like) for name, like in trainable),
        built.setting._replace(fixed=tuple(tensor(name, like) for name, like in fixed)),
        tuple(tensor(name, like) if like.dtype.is_floating else like for name, like in kept),
        moment_at(prepared, run, step),
    )


def moment_at(prepared: Prepared, run: Run, step: int) -> Moment:
    """Return the moment of an evaluation after `step` updates of a run, whose phases have epochs of their own."""
    from gdrun.engine.state import Moment

    epochs = run.epochs_at(np.asarray(step))
    return Moment.at(step, step // prepared.built.steps_per_epoch if epochs is None else int(epochs))
