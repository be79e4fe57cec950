"""Which parameters a lane ends with: the last, the best that a patience rule restores, or an optimizer's average."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from gdrun.engine.state import TrainState

    from .inputs import GroupInputs


def final_lanes(block: GroupInputs, state: TrainState) -> tuple[TrainState, tuple[tf.Tensor, ...]]:
    """Return the state whose model state goes with the final parameters, and these, each (n, ...).

    As for a single run: gdrun.recording.final_parameters.
    """
    step = block.built.step
    optimizer = step.optimizer

    def finalize(values: tuple[tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]) -> tuple[tf.Tensor, ...]:
        return tuple(optimizer.finalize(*values))

    one = tf.autograph.experimental.do_not_convert(finalize)
    mapped = tf.function(lambda *values: tf.vectorized_map(one, values), autograph=False)
    parameters = mapped(tuple(state.optimizer), tuple(state.parameters))
    watch, memory = step.patience, state.patience
    if watch is None or not watch.restore_best or not memory:
        return state, tuple(parameters)
    found = tf.math.is_finite(memory.best)

    def restored(best: tuple[tf.Tensor, ...], now: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return tuple(
            tf.where(tf.reshape(found, [-1] + [1] * (old.shape.rank - 1)), old, new)
            for old, new in zip(best, now, strict=True)
        )

    kept = state._replace(model_state=restored(memory.model_state, state.model_state))
    return kept, restored(memory.parameters, tuple(parameters))
