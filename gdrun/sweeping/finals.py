"""What a lane ends with: its parameters (the last, the best that a patience rule restores, or an optimizer's average),
and its last row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from gdrun.engine.drive import Windows
from gdrun.engine.lane_drive import single
from gdrun.engine.state import Reason

if TYPE_CHECKING:
    from gdrun.engine.state import TrainState

    from .inputs import GroupInputs


def final_lanes(block: GroupInputs, state: TrainState) -> tuple[TrainState, tuple[tf.Tensor, ...]]:
    """Return the state whose model state goes with the final parameters, and these, each (n, ...).

    As for a single run: gdrun.training.recorder.final_parameters.
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


def last_record(block: GroupInputs, state: TrainState, place: int) -> dict[str, np.ndarray]:
    """Return what the single run would record at the last step of a lane, name -> (1, ...).

    Args:
        state: of all lanes, the last one of each.
        place: of the lane; it stopped while others went on.
    """
    built, lanes = block.built, block.lanes
    one = single(lanes, place)
    # Held where it is: a look, and no update.
    reason = tf.constant(int(Reason.PATIENCE), tf.int32)
    held = tf.nest.map_structure(lambda leaf: leaf[place], state)._replace(reason=reason)
    feed = lanes.feeds[place] if lanes.own_order else lanes.feeds[0]
    windows = Windows(feed, built.windows.factors, built.rows.total_steps, built.windows.stream)
    step = np.asarray([int(held.step)], np.int64)
    window = windows.at(int(step[0]))
    _, records = built.program.run(held, one.setting, one.data, window, step, built.rows.assesses(step))
    return records
