"""Derivatives by hand of `gradients:`, as a function of the names of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from gdrun.config.located import at_config_path, formula_at, refuse
from gdrun.engine.objective import Objective
from gdrun.engine.state import Batch, Moment, Setting, TrainState
from gdrun.errors import ConfigError, ConfigPath, ShapeError
from gdrun.experiment.experiment import Experiment
from gdrun.formula.evaluate import Scope

_OF: ConfigPath = ("gradients", "of")

Gradients = Callable[[Scope], Mapping[str, tf.Tensor]]
"""The names of an evaluation -> parameter -> gradient, of the parameter's shape and dtype."""


def gradient_formulas(experiment: Experiment) -> dict[str, Callable[[Scope], Any]]:
    """Return the gradients by hand, by the names that they are of."""
    section = experiment.gradients
    return {} if section is None else {name: formula_at(text, (*_OF, name)) for name, text in section.of.items()}


def parameters_by_hand(experiment: Experiment, objective: Objective) -> frozenset[str]:
    """Return the parameters that the config trains by gradients by hand."""
    section, joined = experiment.gradients, objective.model.joined_names
    names = section.of if section is not None and section.use else ()
    return frozenset(part for name in names for part in joined.get(name, (name,)))


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
    joined = objective.model.joined_names
    for problem in section.problems((*objective.trainable_names, *objective.fixed_names, *joined)):
        raise ConfigError((problem,))
    members = {name: joined.get(name, (name,)) for name in section.of}
    owner: dict[str, str] = {}
    for name, parts in members.items():
        if not set(parts) & set(objective.trainable_names):
            raise refuse(f"'{name}' is not trained", (*_OF, name), key=True)
        for part in parts:
            if owner.setdefault(part, name) != name:
                hint = f"leave out '{name}' or '{owner[part]}'"
                raise refuse(f"'{part}' is of '{owner[part]}' as well", (*_OF, name), hint, key=True)
        if name in objective.transforms:
            raise refuse(
                f"'{name}' has a transform: the optimizer moves the value before it",
                (*_OF, name),
                "write the transform into the formulas, or leave this gradient to the tape",
                key=True,
            )
    formulas = gradient_formulas(experiment)

    def gradients(scope: Scope) -> dict[str, tf.Tensor]:
        by_parameter: dict[str, tf.Tensor] = {}
        for name, formula in formulas.items():
            gradient = _of_shape(name, formula(scope), scope[name])
            by_parameter |= scope.split(name, gradient) if name in joined else {name: gradient}
        return {name: gradient for name, gradient in by_parameter.items() if name in objective.trainable_names}

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
