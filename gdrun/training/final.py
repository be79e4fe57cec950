"""Final parameters and values: of a run, and of each trial of a sweep, which maps the same functions over its lanes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from gdrun.assembly import Built
from gdrun.engine.state import PatienceState, TrainState
from gdrun.engine.step import Step


def best_memory(step: Step, state: TrainState) -> PatienceState | None:
    """Return the memory of the best parameters, where patience restores them; they are there once `best` is finite."""
    memory = state.patience
    restores = step.stop.patience is not None and step.stop.patience.restore_best
    return memory if restores and isinstance(memory, PatienceState) else None


def final_state(step: Step, state: TrainState) -> TrainState:
    """Return the state with the final parameters, before transforms, and the model state that goes with them.

    They are the best ones where patience restores them, else the optimizer's, or an average that it or `define` keeps.
    """
    parameters = step.optimizer.finalize(state.optimizer, state.parameters)
    final = state._replace(parameters=step.objective.final_parameters(parameters, state.model_state))
    memory = best_memory(step, state)
    if memory is None:
        return final
    best = final._replace(parameters=memory.parameters, model_state=memory.model_state)
    there = tf.math.is_finite(memory.best)
    return tf.nest.map_structure(lambda restored, last: tf.where(there, restored, last), best, final)


def final_values(built: Built, state: TrainState, setting: Any, data: Any, moment: Any) -> dict[str, tf.Tensor]:
    """Return the loss over the whole training set, as `loss`, and the metrics, at the parameters of `state`."""
    values = built.assess(state, setting, data, moment)
    return {"loss": values.pop("loss_all"), **values}
