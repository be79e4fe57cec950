"""Operations in the code of plugins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gdrun.engine.state import Moment
from gdrun.optimizers.base import Update

if TYPE_CHECKING:
    from .parts import Parts


def operation_without_xla(parts: Parts, optimizer: Any, metrics: Mapping[str, Any]) -> str | None:
    """Return the name of an operation in a plugin's code that XLA has no kernel for, or None.

    Nothing is run: a step is traced and translated.
    """
    if all(path[0] == "data" for path, _ in parts.experiment.custom_parts()):
        return None
    objective, state = parts.objective, parts.state

    def step() -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state.parameters)
            evaluation = objective.evaluate(
                state.parameters, state.model_state, parts.setting, parts.data, Moment.at(0), training=True
            )
        results: list[Any] = [metric(evaluation, parts.data.target) for metric in metrics.values()]
        gradients = tape.gradient(evaluation.loss, state.parameters)
        if isinstance(optimizer, Update):
            memory, rate = optimizer.initial_state(state.parameters), tf.constant(0.0, tf.float64)
            results.append(optimizer.apply(memory, gradients, state.parameters, rate))
        return [value for value in tf.nest.flatten([results, gradients, evaluation.loss]) if value is not None]

    try:
        tf.function(step, autograph=False, jit_compile=True).experimental_get_compiler_ir()(stage="hlo")
    except (ValueError, tf.errors.OpError) as error:
        text = str(error)
        if "unsupported operations" in text:
            return text.partition("No registered '")[2].partition("'")[0] or "an operation"
        # Any other mistake is raised with a better message when the first step is tried.
    return None
