"""One evaluation of a model by formula and its loss in NumPy, for shapes that do not fit.

What is refused here is refused by TensorFlow too, seconds later. All else is left to it: where the two could differ,
nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gdrun.config.located import at_config_path, formula_at
from gdrun.data.dataset import Dataset
from gdrun.errors import ConfigError, ShapeError
from gdrun.formula.evaluate import Scope
from gdrun.formula.nodes import Expression
from gdrun.formula.numpy_ops import NumpyOps
from gdrun.formula.parse import parse
from gdrun.formula.table import DERIVATIVES
from gdrun.models.base import ModelContext

from .experiment import Experiment, RepeatedDefinition, StateDefinition, is_function
from .inputs import Inputs

FEW = 1009
"""Examples that are tried first: a prime, which no other size is by chance."""


def try_formulas(experiment: Experiment, inputs: Inputs) -> None:
    """Refuse initial values that cannot be had, and formulas of model and loss whose shapes do not fit.

    Raises:
        ConfigError: located at the value or the formula.
    """
    model, datasets = experiment.model, inputs.datasets
    if model.needs_tensorflow:
        return
    definitions = {}
    for key, value in experiment.define.items():
        if isinstance(value, RepeatedDefinition):
            return  # its rounds may take long
        if not is_function(key):
            definitions[key] = parse(value.start if isinstance(value, StateDefinition) else value)
    bodies = [part for function in experiment.functions().values() for part in function.parts]
    loss = experiment.objective_loss
    texts = (*model.output_formulas().values(), *loss.formulas().values())
    if any(expression.functions & DERIVATIVES for expression in (*definitions.values(), *bodies, *map(parse, texts))):
        return
    train = None if datasets is None else datasets.train
    shapes = {} if train is None else {name: array.shape for name, array in train.inputs.items()}
    with at_config_path("model"):
        built = model.build(ModelContext(inputs.constants, shapes, experiment.seeds.initial, experiment.precision))
    values = {name: value.raw for name, value in built.initial.items()}

    def evaluate(examples: Dataset | None) -> None:
        scope = _scope(experiment, inputs.constants | values, definitions, examples)
        outputs = {name: scope[name] for name in model.output_formulas()}
        prediction = outputs if model.output_names() and len(outputs) > 1 else next(iter(outputs.values()))
        with at_config_path(*loss.error_path):
            loss.check_trial(scope, prediction, None if examples is None else examples.target)

    # Some examples show the same shapes as a million, unless a formula needs a whole batch.
    size = 0 if train is None else min(experiment.schedule.batch_size or train.num_examples, train.num_examples)
    problem = None
    for count in dict.fromkeys((min(size, FEW), size)):
        examples = None
        if datasets is not None:
            examples = datasets.train.take(np.arange(count))
            examples = datasets.finish(examples) if datasets.train.mapped else examples
        if (problem := _shape_problem(evaluate, examples)) is None:
            return
    assert problem is not None
    raise problem


def _shape_problem(evaluate: Callable[[Dataset | None], None], examples: Dataset | None) -> ConfigError | None:
    """Return the error of an evaluation that goes back to shapes which do not fit; None for any other one."""
    try:
        evaluate(examples)
    except _OnlyTensorFlowKnows:
        return None
    except ConfigError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        return error if isinstance(cause, ShapeError | ValueError) else None
    return None


class _OnlyTensorFlowKnows(Exception):
    """A value for which NumPy fails and TensorFlow may not."""


class _ShapeOps(NumpyOps):
    """The table in NumPy, for its shapes: what fails for a value is not known to fail in TensorFlow."""

    errors = (ValueError,)

    def __init__(self) -> None:
        super().__init__(None)

    def call(self, function: str, arguments: dict[str, Any]) -> Any:
        return _only_shapes(lambda: super(_ShapeOps, self).call(function, arguments))

    def operate(self, function: str, *operands: Any) -> Any:
        return _only_shapes(lambda: super(_ShapeOps, self).operate(function, *operands))

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:
        return _only_shapes(lambda: super(_ShapeOps, self).index(value, items))

    def draw(self, function: str, parameters: list[Any], shape: tuple[int, ...] | None, key: Any) -> np.ndarray:
        if function in ("categorical", "choice"):
            raise _OnlyTensorFlowKnows  # their shapes are not those of their parameters
        sizes = [np.shape(parameter) for parameter in parameters]
        return np.zeros(np.broadcast_shapes(*sizes) if shape is None else shape)


def _only_shapes(compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except (np.linalg.LinAlgError, IndexError, TypeError, ArithmeticError, MemoryError) as error:
        raise _OnlyTensorFlowKnows from error


def _scope(
    experiment: Experiment, values: dict[str, Any], definitions: dict[str, Expression], examples: Dataset | None
) -> Scope:
    names = {**values, "step": 0.0, "epoch": 0.0}
    if examples is not None:
        names |= examples.inputs
        if examples.target is not None:
            names["target"] = examples.target
        if examples.weights is not None:
            names["example_weights"] = examples.weights
    model = experiment.model
    path = ("model", "formula")
    outputs = {
        name: formula_at(text, (*path, name) if name in model.output_names() else path)
        for name, text in model.output_formulas().items()
    }
    if len(outputs) == 1:
        outputs["prediction"] = next(iter(outputs.values()))
    return Scope(names, definitions=definitions, functions=experiment.functions(), outputs=outputs, ops=_ShapeOps())
