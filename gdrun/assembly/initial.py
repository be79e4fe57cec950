"""Initial state of training: parameters, state and settings as tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from gdrun.config.located import refuse
from gdrun.engine.objective import Objective
from gdrun.engine.state import Reason, Setting, TrainState
from gdrun.experiment.experiment import Experiment
from gdrun.models.initial import Initial


def initial_state(
    experiment: Experiment, objective: Objective, initial: Mapping[str, Initial]
) -> tuple[TrainState, Setting]:
    """Return the state before the first step, the optimizer's part still empty, and the settings.

    Args:
        initial: values of the model's parameters, in place of which a lane may have others.
    Raises:
        ConfigError: an initial value does not fit the precision.
    """

    dtype = objective.dtype

    def tensor(name: str) -> tf.Tensor:
        value = np.asarray(initial[name].raw)
        with np.errstate(over="ignore"):
            kind = (np.complex64 if dtype == tf.float32 else np.complex128) if value.dtype.kind == "c" else None
            cast = value.astype(kind or dtype.as_numpy_dtype)
        if not np.all(np.isfinite(cast)):
            raise refuse(
                f"the initial value of '{name}' is too large for {experiment.precision}",
                ("model", "parameters", name),
                "use precision: float64",
            )
        return tf.constant(cast)

    parameters = tuple(tensor(name) for name in objective.trainable_names)
    state = TrainState(
        step=tf.constant(0, tf.int64),
        parameters=parameters,
        model_state=(),
        optimizer=(),
        reason=tf.constant(int(Reason.NONE), tf.int32),
        last_loss=tf.constant(float("nan"), tf.float64),
        epoch_loss=(),
        epoch_means=(),
        patience=(),
        plateau=(),
    )
    setting = Setting(
        # The only way of `optimizer.learning_rate` into the program: a tensor beside the optimizer, not a number inside
        # it, so that lanes of a sweep may differ in it. `Step._rate` multiplies it by the schedule's factors.
        learning_rate=tf.constant(experiment.optimizer.learning_rates(objective.trainable_names), tf.float64),
        # The seed is an unsigned 32-bit number; draws take the same bits as a signed one.
        seed=tf.constant(np.uint32(experiment.seeds.batches).astype(np.int32), tf.int32),
        constants={},
        fixed=tuple(tensor(name) for name in objective.fixed_names),
        optimizer={},
    )
    of_model = (tf.constant(value) for value in {**objective.model.state, **objective.model.started}.values())
    return state._replace(model_state=(*of_model, *objective.start_kept(parameters, setting))), setting
