"""Derivatives by hand of `gradients:`, as a function of the names of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from gdrun.config.located import at_config_path, formula_at, refuse
from gdrun.engine.objective import Objective
from gdrun.engine.state import Batch, Setting, TrainState
from gdrun.engine.step import Moment
from gdrun.errors import ConfigError, ConfigPath, ShapeError
from gdrun.experiment.experiment import Experiment
from gdrun.formula.evaluate import Scope

_OF: ConfigPath = ("gradients", "of")

Gradients = Callable[[Scope], Mapping[str, tf.Tensor]]
"""The names of an evaluation -> parameter -> gradient, of the parameter's shape and dtype."""


def build_gradients(experiment: Experiment, objective: Objective) -> Gradients | None:
    """Return the gradients that the config writes by hand, None where there are none.

    Raises:
        ConfigError: one is of no trained parameter, or of one that has a transform; or training with them is asked of
            an optimizer that differentiates by itself. The returned function raises where shapes differ.
    """
    section = experiment.gradients
    if section is None:
        return None
    if section.use and experiment.optimizer.needs != "gradient":
        kind = experiment.optimizer.kind
        raise refuse(f"{kind} needs further derivatives, which it takes from the tape", ("gradients", "use"))
    for problem in section.problems((*objective.trainable_names, *objective.fixed_names)):
        raise ConfigError((problem,))
    formulas = {}
    for name, text in section.of.items():
        if name in objective.fixed_names:
            raise refuse(f"'{name}' is not trained", (*_OF, name), key=True)
        if name in objective.transforms:
            raise refuse(
                f"'{name}' has a transform: the optimizer moves the value before it",
                (*_OF, name),
                "write the transform into the formulas, or leave this gradient to the tape",
                key=True,
            )
        formulas[name] = formula_at(text, (*_OF, name))

    def gradients(scope: Scope) -> dict[str, tf.Tensor]:
        return {name: _of_shape(name, formula(scope), scope[name]) for name, formula in formulas.items()}

    return gradients


def _of_shape(name: str, value: Any, parameter: Any) -> tf.Tensor:
    gradient = tf.cast(tf.convert_to_tensor(value), parameter.dtype)
    if gradient.shape != parameter.shape:
        shapes = f"this gradient has shape {tuple(gradient.shape)}, but '{name}' has {tuple(parameter.shape)}"
        error = ShapeError(shapes)
        with at_config_path(*_OF, name):
            raise error
    return gradient


def check_gradients(
    gradients: Gradients, objective: Objective, state: TrainState, setting: Setting, batch: Batch
) -> None:
    """Evaluate the gradients once. Raises ConfigError, located, where a shape differs or a formula fails."""
    evaluation = objective.evaluate(state.parameters, state.model_state, setting, batch, Moment.at(0), training=True)
    gradients(evaluation.scope)
