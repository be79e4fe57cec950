"""One evaluation of an objective before it is compiled, and the warnings that it gives rise to."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from gdrun.engine.objective import Evaluation, Objective
from gdrun.engine.state import Batch, Moment, Setting, TrainState
from gdrun.errors import ComponentError, ConfigError
from gdrun.experiment.experiment import Experiment
from gdrun.formula.parse import parse

EVALUATION_ERRORS = (ConfigError, ComponentError, tf.errors.InvalidArgumentError)
"""Errors that an evaluation of too few examples may raise: some formulas need a whole batch."""


def evaluate_once(
    objective: Objective, state: TrainState, setting: Setting, data: Batch, batch_size: int | None
) -> tuple[Evaluation, tuple[Any, ...]] | None:
    """Return the objective at the start and its gradients, None for those that are not connected.

    A few examples are evaluated; where a formula needs a whole batch, a batch. None where the objective cannot be
    evaluated: the error is raised with its place when the first step is compiled.
    """
    for count in (2, batch_size):
        try:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(state.parameters)
                evaluation = objective.evaluate(
                    state.parameters, state.model_state, setting, data.head(count), Moment.at(0), training=True
                )
            return evaluation, tuple(tape.gradient(evaluation.loss, state.parameters))
        except EVALUATION_ERRORS:
            continue
    return None


def unreached(objective: Objective, gradients: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the weights of networks that the loss does not depend on, while it does on others of the same network.

    The last bias of a network of which only slopes are used is one: Keras leaves it alone.
    """
    reached = {
        name.partition(".")[0]
        for name, gradient in zip(objective.trainable_names, gradients, strict=True)
        if gradient is not None
    }
    return tuple(
        name
        for name, gradient in zip(objective.trainable_names, gradients, strict=True)
        if gradient is None and "." in name and name.partition(".")[0] in reached
    )


def compares_by_formula(experiment: Experiment) -> bool:
    """Return whether the loss is a formula of prediction and target."""
    formulas = experiment.objective_loss.formulas().values()
    return any({"prediction", "target"} <= parse(formula).names for formula in formulas)


def broadcast_warning(evaluation: Evaluation) -> str | None:
    """Return the warning for a prediction and a target that are a column and a vector, which a formula broadcasts."""
    prediction, target = (tuple(evaluation.scope[name].shape) for name in ("prediction", "target"))
    if sorted((len(prediction), len(target))) != [1, 2] or (prediction + target).count(1) != 1 or 1 in target[:1]:
        return None
    longer = prediction if len(prediction) == 2 else target
    if longer[1] != 1:
        return None
    return (
        f"the loss is a formula of prediction, a {_words(prediction)}, and target, a {_words(target)}: together they "
        "make a table of every one with every other; (...)[:, 0] makes a column a vector"
    )


def _words(shape: tuple[int, ...]) -> str:
    return "column (n, 1)" if len(shape) == 2 else "vector (n,)"
