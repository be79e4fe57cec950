"""Rules on a metric at the end of each epoch: stop when it has not improved, or lower the learning rate."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from gdrun.schedules.factors import PlateauFactor
from gdrun.schedules.sections import Patience

from .state import PatienceState, PlateauState, Reason, TrainState

Record = dict[str, Any]
"""What a row holds, by name: tensors, or dicts of them."""


def _watched(watch: Patience | PlateauFactor, record: Record) -> tf.Tensor:
    value = tf.cast(record[watch.metric], tf.float64)
    return -value if watch.higher_is_better else value


def apply_patience(watch: Patience, state: TrainState, record: Record, is_epoch_end: tf.Tensor) -> TrainState:
    """Return the state after a patience rule at a `record`; the semantics of Keras's EarlyStopping."""
    old = state.patience
    assert isinstance(old, PatienceState)
    looks = tf.logical_and(is_epoch_end, state.active)
    value = _watched(watch, record)
    better = tf.logical_and(looks, value < old.best - watch.min_delta)
    wait = tf.where(better, tf.zeros_like(old.wait), old.wait + tf.cast(looks, tf.int64))

    def keep(best: tuple[tf.Tensor, ...], now: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return tuple(tf.where(better, b, a) for a, b in zip(best, now, strict=True)) if best else ()

    fires = tf.logical_and(looks, wait >= watch.epochs)
    return state._replace(
        reason=tf.where(fires, int(Reason.PATIENCE), state.reason),
        patience=PatienceState(
            best=tf.where(better, value, old.best),
            wait=wait,
            best_step=tf.where(better, state.step, old.best_step),
            parameters=keep(old.parameters, state.parameters),
            model_state=keep(old.model_state, state.model_state),
        ),
    )


def apply_plateau(watch: PlateauFactor, state: TrainState, record: Record, is_epoch_end: tf.Tensor) -> TrainState:
    """Return the state after a plateau factor at a `record`, in the order of Keras's ReduceLROnPlateau."""
    old = state.plateau
    assert isinstance(old, PlateauState)
    value = _watched(watch, record)
    looks = tf.logical_and(is_epoch_end, state.active)
    cooldown = tf.maximum(old.cooldown - 1, 0)
    wait = tf.where(old.cooldown > 0, tf.zeros_like(old.wait), old.wait)
    better = value < old.best - watch.min_delta
    idle = tf.logical_and(tf.logical_not(better), cooldown == 0)
    wait = tf.where(better, tf.zeros_like(wait), tf.where(idle, wait + 1, wait))
    lowers = tf.logical_and(idle, wait >= watch.patience)
    new = PlateauState(
        factor=tf.where(lowers, tf.maximum(old.factor * watch.factor, watch.floor), old.factor),
        best=tf.where(better, value, old.best),
        wait=tf.where(lowers, tf.zeros_like(wait), wait),
        cooldown=tf.where(lowers, tf.constant(watch.cooldown, tf.int64), cooldown),
    )
    return state._replace(plateau=tf.nest.map_structure(lambda a, b: tf.where(looks, b, a), old, new))
