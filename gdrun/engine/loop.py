"""The compiled loop: many steps and the rows between them, in one program.

    while there is an event:          (a row to record, or the end of the chunk)
        while step < event and active: update
        observe, and write the record into row `event` of a buffer

Steps between rows cost nothing for being observed, and updates are the same code whether rows are dense or sparse, so
neither the rows asked for nor the chunks that the host chooses change a bit of the result.

With `joint`, every update also gives the loss and the gradient norm that it started from, and these are the row of that
state. Every update is then made by that code, rows or not. The last row of a chunk is that of the update with which the
next chunk begins; in a loop compiled by XLA, where two copies of an update may differ in last bits, it has an
evaluation of its own.

Shape letters: C events a chunk can hold, L lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from gdrun.errors import ComponentError

from .assess import Assess
from .feed import Feed
from .lanes import Lanes
from .state import Batch, Setting, TrainState, Window
from .step import OF_EVALUATION, Record, Step

Compile = Literal["xla", "graph", "eager"]
_CAPACITIES = (8, 2048)
"""Least and most events of a chunk: fewer cost more calls than the memory is worth, more are not faster."""


class _Given(NamedTuple):
    """Arguments of a chunk beside the state."""

    setting: Setting
    data: Batch
    window: Window


class _Functions(NamedTuple):
    """The functions of one lane that a program is made of: as they are, or each compiled by itself."""

    update: Callable[..., tuple[TrainState, Record]]
    """The state, and with `joint` the part of the record before it that takes an evaluation."""
    observe: Callable[..., Record]
    observe_after: Callable[..., Record]
    assess: Callable[..., dict[str, tf.Tensor]] | None


class Program:
    """A step, compiled into a loop.

    Args:
        step: what is done.
        feed: which examples it sees.
        assess: what is computed over whole data sets where `Rows.assesses`; None: nothing.
        compile: "xla", "graph" (the digits of eager TensorFlow) or "eager".
        capacity: C, events a chunk.
        buffer_bytes: what the records of a chunk may take; `prepare` sets the capacity by it. None: it stays.
        lanes: how the step is mapped over lanes; None for a single run.
        host_loop: compile the step but loop on the host; for convolutions, which XLA slows down inside loops. A single
            run only.
        joint: take rows from updates, for steps whose `update_evaluates_rows`. It pays where an evaluation takes long.
            A single run only.
    """

    def __init__(
        self,
        step: Step,
        feed: Feed,
        *,
        assess: Assess | None = None,
        compile: Compile = "xla",
        capacity: int = 1024,
        buffer_bytes: int | None = None,
        lanes: Lanes | None = None,
        host_loop: bool = False,
        joint: bool = False,
    ) -> None:
        self.step = step
        self.feed = feed
        self.assess = assess
        self.capacity = capacity
        self._buffer_bytes = buffer_bytes
        self.num_traces = 0
        self._map = (lanes or Lanes()).map
        self._lanes = lanes
        self.first_record: Record = {}
        self._specs: dict[str, tf.TensorSpec] | None = None
        self._host_loop = lanes is None and (host_loop or compile == "eager")
        self._joint = joint
        self._ahead: tuple[TrainState, Setting, Batch, tuple[TrainState, Record]] | None = None
        """State, setting and data that a chunk ended with; the update that follows, and of a host loop its record."""
        self._goes_ahead = joint and compile != "xla"
        if self._goes_ahead:
            # The row of a run's end says of a gradient, too, that it is not finite.
            self._update_last: Callable[..., Any] = replace(step, check_gradient=True).update_and_observe
        else:
            self._update_last = lambda *arguments: ((), step.observe(*arguments))

        def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
            def traced(*arguments: Any) -> Any:
                self.num_traces += 1
                return function(*arguments)

            return tf.function(traced, autograph=False, jit_compile=compile == "xla")

        update = step.update_and_observe if joint else lambda *arguments: (step.update(*arguments), {})
        self._plain = _Functions(update, step.observe, step.observe_after, assess)
        self._functions = self._plain
        self._chunk: Callable[..., Any] = self._run_chunk
        if compile != "eager" and self._host_loop:
            # The host picks the examples, and what is compiled takes a batch. Were they picked in the compiled step,
            # XLA would want to know where their slice begins when it compiles, and compile anew for every step.
            self._functions = _Functions(
                compiled(update),
                compiled(step.observe),
                compiled(step.observe_after),
                None if assess is None else compiled(assess),
            )
        elif compile != "eager":
            self._chunk = compiled(self._run_chunk)

    def prepare(self, state: TrainState, setting: Setting, data: Batch, window: Window) -> Record:
        """Observe once, eagerly, which fixes what rows hold; what does not fit fails here, with the clearest messages.

        Returns:
            the record of the first row.
        """
        _, record = self._observe_event(
            state, _Given(setting, data, window), tf.constant(False), self._plain, joint=False
        )
        self.first_record = record
        self._specs = {key: tf.TensorSpec(leaf.shape, leaf.dtype) for key, leaf in flat_record(record).items()}
        if self._buffer_bytes is not None:
            size = sum(leaf.dtype.size * max(1, int(np.prod(leaf.shape))) for leaf in tf.nest.flatten(record))
            self.capacity = int(np.clip(self._buffer_bytes // size, *_CAPACITIES))
        return record

    def try_update(self, state: TrainState, setting: Setting, data: Batch, window: Window) -> None:
        """Trace an update without making it: fails where the optimizer fails for its own reasons, such as shapes."""

        def update(state: TrainState, given: _Given) -> TrainState:
            return self._update_once(state, given, self._plain)[0]

        tf.function(update, autograph=False).get_concrete_function(state, _Given(setting, data, window))

    def run(
        self,
        state: TrainState,
        setting: Setting,
        data: Batch,
        window: Window,
        event_steps: np.ndarray,
        event_assesses: np.ndarray,
    ) -> tuple[TrainState, Record]:
        """Advance to each event in turn, until the last one or until nothing is active.

        Args:
            event_steps: int64 (at most C,), rising; each is a step to observe.
            event_assesses: bool, likewise: whether whole data sets are assessed there.
        Returns:
            the state after the last event; and the records by name, NumPy arrays with a leading axis of events. Events
            that were not reached are left out.
        """
        given = _Given(setting, data, window)
        if self._host_loop:
            return self._run_on_host(state, given, event_steps, event_assesses)
        ahead = self._known(state, given)
        if ahead is not None and event_steps[0] > int(state.step):
            state = ahead[0]
        num_events = len(event_steps)
        padding = (0, self.capacity - num_events)  # one size serves every chunk
        try:
            state, following, reached, buffers = self._chunk(
                state,
                given,
                tf.constant(np.pad(event_steps, padding), tf.int64),
                tf.constant(np.pad(event_assesses, padding), tf.bool),
                tf.constant(num_events, tf.int32),
            )
        except tf.errors.InvalidArgumentError as error:
            if "compil" not in str(error):
                raise
            reason = str(error).splitlines()[0][:200]
            raise ComponentError(
                f"XLA cannot compile this config: {reason}", hint="run it as a graph: compile=graph"
            ) from error
        if following:
            self._ahead = (state, setting, data, (following, {}))
        reached = int(reached)
        # Copied: a view would keep the whole buffer for as long as a few records are held.
        return state, {key: buffer.numpy()[:reached].copy() for key, buffer in buffers.items()}

    def _known(self, state: TrainState, given: _Given) -> tuple[TrainState, Record] | None:
        """Return the update from `state` on, if the chunk that ended with it made it."""
        begins = (state, given.setting, given.data)
        if self._ahead is None or any(a is not b for a, b in zip(self._ahead, begins, strict=False)):
            return None
        return self._ahead[3]

    def _run_on_host(
        self, state: TrainState, given: _Given, event_steps: np.ndarray, event_assesses: np.ndarray
    ) -> tuple[TrainState, Record]:
        """Do what `_run_chunk` does, by a loop in Python over compiled steps. See `run`."""
        functions, records = self._functions, list[dict[str, Any]]()

        def following(state: TrainState) -> tuple[TrainState, Record]:
            # The update that the last row of a chunk was taken from is the first one of the next chunk.
            updated = self._known(state, given) or self._update_once(state, given, functions)
            self._ahead = (state, given.setting, given.data, updated)
            return updated

        for target, assesses in zip(event_steps, event_assesses, strict=True):
            # The first event is always observed, so that a run of no steps has its row.
            if records and not bool(state.active):
                break
            start = int(state.step)
            while int(state.step) < target and bool(state.active):
                before = int(state.step)
                state, evaluation = following(state) if self._joint else self._update_once(state, given, functions)
                if records and before == start:
                    records[-1] |= evaluation
            # Where a rule fires on the way, the last step is observed as if it had been an event.
            step = int(state.step)
            assesses = tf.constant(self.feed.epochs.position(step) == 0 if step < target else assesses, tf.bool)
            state, record = self._observe_event(state, given, assesses, functions, joint=self._joint)
            records.append(flat_record(record))
        if self._joint:
            records[-1] |= following(state)[1]
        return state, {key: np.stack([record[key].numpy() for record in records]) for key in records[0]}

    def _run_chunk(
        self, state: TrainState, given: _Given, event_steps: tf.Tensor, event_assesses: tf.Tensor, num_events: tf.Tensor
    ) -> tuple[TrainState, TrainState | tuple[()], tf.Tensor, dict[str, tf.Tensor]]:
        specs = self._specs
        assert specs is not None, "prepare() comes first"
        buffers = tuple(
            tf.TensorArray(spec.dtype, size=event_steps.shape[0], element_shape=spec.shape, clear_after_read=False)
            for spec in specs.values()
        )

        def has_event(event: tf.Tensor, state: TrainState, *_: Any) -> tf.Tensor:
            # The first event is always observed, so that a run of no steps has its row.
            return tf.logical_and(event < num_events, tf.logical_or(event == 0, _any(state.active)))

        def to_event(
            event: tf.Tensor, state: TrainState, evaluation: Record, *buffers: tf.TensorArray
        ) -> tuple[Any, ...]:
            target = tf.gather(event_steps, event)
            state, evaluation = self._advance(state, evaluation, given, target)
            # Where a rule fires on the way, the last step is observed as if it had been an event.
            step = shared_step(state)
            is_epoch_end = self.feed.epochs.position(step) == 0
            assesses = tf.where(step < target, is_epoch_end, tf.gather(event_assesses, event))
            state, record = self._observe_event(state, given, assesses, self._plain, joint=self._joint)
            flat = flat_record(record)
            # What the first update evaluated belongs to the event before; before the first event, it is written over.
            written = [
                buffer.write(tf.maximum(event - 1, 0), evaluation[key])
                if key in evaluation
                else buffer.write(event, flat[key])
                for key, buffer in zip(specs, buffers, strict=True)
            ]
            return (event + 1, state, evaluation, *written)

        blank: Record = {}
        if self._joint:
            blank = {key: tf.zeros(specs[key].shape, specs[key].dtype) for key in OF_EVALUATION}
        # One iteration at a time: each needs the state of the one before, more would only hold more buffers.
        event, state, _, *buffers = tf.while_loop(
            has_event, to_event, (tf.constant(0), state, blank, *buffers), parallel_iterations=1
        )
        ahead: Any = state if self._goes_ahead else ()
        if self._joint:
            end = shared_step(state)

            def update_last(step: tf.Tensor, _: Any, *buffers: tf.TensorArray) -> tuple[Any, ...]:
                ahead, last = self._on_batch(self._update_last, state, given, step)
                written = [
                    buffer.write(event - 1, last[key]) if key in OF_EVALUATION else buffer
                    for key, buffer in zip(specs, buffers, strict=True)
                ]
                return (step + 1, ahead, *written)

            # A loop of one round that counts the step: where a batch is cut out at a step that does not change in a
            # loop, XLA wants to know it when it compiles, and would compile anew for each chunk.
            _, ahead, *buffers = tf.while_loop(
                lambda step, *_: step <= end, update_last, (end, ahead, *buffers), parallel_iterations=1
            )
        return state, ahead, event, {key: buffer.stack() for key, buffer in zip(specs, buffers, strict=True)}

    def _advance(
        self, state: TrainState, evaluation: Record, given: _Given, target: tf.Tensor
    ) -> tuple[TrainState, Record]:
        """Update until `target`. Return the state, and with `joint` the evaluation of the first update.

        A smaller batch that ends an epoch has a loop of its own, of one round: a condition would copy the state.
        """
        start = shared_step(state)

        def before_target(state: TrainState, _: Record) -> tf.Tensor:
            # All lanes are at one step; those that have ended are carried along, unchanged, until no lane is active.
            return tf.logical_and(shared_step(state) < target, _any(state.active))

        def updates(state: TrainState, evaluation: Record, remainder: bool | None = None) -> tuple[TrainState, Record]:
            def goes_on(state: TrainState, evaluation: Record) -> tf.Tensor:
                going = before_target(state, evaluation)
                if remainder is None:
                    return going
                return tf.logical_and(going, self.feed.is_remainder(shared_step(state)) == remainder)

            def update(state: TrainState, evaluation: Record) -> tuple[TrainState, Record]:
                step = shared_step(state)
                new, fresh = self._update_once(state, given, self._plain, remainder=remainder)
                return new, {key: tf.where(step == start, fresh[key], value) for key, value in evaluation.items()}

            return tf.while_loop(goes_on, update, (state, evaluation), parallel_iterations=1)

        if not self.feed.remainder_size or self.feed.epochs.length == 1:
            return updates(state, evaluation)
        return tf.while_loop(
            before_target,
            lambda state, evaluation: updates(*updates(state, evaluation, False), True),
            (state, evaluation),
            parallel_iterations=1,
        )

    def _update_once(
        self, state: TrainState, given: _Given, functions: _Functions, *, remainder: bool | None = None
    ) -> tuple[TrainState, Record]:
        step = shared_step(state)
        return self._on_batch(functions.update, state, given, step, remainder=remainder)

    def _observe_event(
        self, state: TrainState, given: _Given, assesses: tf.Tensor, functions: _Functions, *, joint: bool
    ) -> tuple[TrainState, Record]:
        """Return the state after the rules that are applied once an epoch, and the record.

        With `joint` the part of the record that takes an evaluation is not computed.
        """
        step = shared_step(state)
        record = (
            self.step.observe_state(state, given.setting)
            if joint
            else self._on_batch(functions.observe, state, given, step)
        )
        if self.step.recorded.after:
            # Of the step alone: what also depended on the window would be compiled again for each chunk.
            before = tf.maximum(step - 1, 0)
            record |= self._on_batch(functions.observe_after, state, given, before, behind=True)
        if self.assess is not None and (assess := functions.assess) is not None:
            moment = self.feed.moment(given.window, step)
            whole = self._map(lambda state, setting, data, order: assess(state, setting, data, moment))
            blank = self.assess.blank(self._lanes.count if self._lanes else None)
            # A loop of at most one round: of a condition XLA computes both branches and selects, at every event.
            _, assessed = tf.while_loop(
                lambda assesses, _: assesses,
                lambda *_: (tf.constant(False), whole(state, given.setting, given.data, given.window.order)),
                (assesses, blank),
                parallel_iterations=1,
            )
            record |= assessed
        epochs = self.feed.epochs
        is_epoch_end = tf.logical_and(step > epochs.begin.step, epochs.position(step) == 0)
        if self.step.stop.patience is not None or self.step.plateau is not None:
            finish = self._map(lambda state, record: self.step.end_epoch(state, record, is_epoch_end))
            state = finish(state, record)
        if self.step.plateau is not None and not joint:
            # The rate may have fallen, and a row holds the one that the next update uses.
            record |= self._on_batch(functions.observe, state, given, step)
        return state, record

    def _on_batch(
        self,
        function: Callable[..., Any],
        state: TrainState,
        given: _Given,
        step: tf.Tensor,
        *,
        remainder: bool | None = None,
        behind: bool = False,
    ) -> Any:
        """Call `function` on the batch of `step`: one of two copies, where the last batch of an epoch is smaller.

        With `behind`, `step` may be the one before the window. `remainder` says which copy, where that is known.
        """
        moment = self.feed.moment(given.window, step, behind=behind)

        def branch(remainder: bool) -> Any:
            def one(state: TrainState, setting: Setting, data: Batch, order: tf.Tensor) -> Any:
                batch = self.feed.batch(data, order, given.window, moment, remainder=remainder, behind=behind)
                return function(state, setting, batch, moment)

            return self._map(one)(state, given.setting, given.data, given.window.order)

        if remainder is not None or not self.feed.remainder_size:
            return branch(bool(remainder))
        if self.feed.epochs.length == 1:
            return branch(True)
        if self._lanes is not None:
            return tf.cond(self.feed.is_remainder(step), lambda: branch(True), lambda: branch(False))
        # Picked before the condition, whose branches would else see all the data: four times the time of a row.
        window = given.window
        batch = self.feed.batch(given.data, window.order, window, moment, remainder=None, behind=behind)
        smaller = batch.head(self.feed.remainder_size)
        return tf.cond(
            self.feed.is_remainder(step),
            lambda: function(state, given.setting, smaller, moment),
            lambda: function(state, given.setting, batch, moment),
        )


def shared_step(state: TrainState) -> tf.Tensor:
    """Return the step that active lanes are at, int64 scalar: all active lanes are at the same one."""
    return state.step if state.step.shape.rank == 0 else tf.reduce_max(state.step)


def _any(active: tf.Tensor) -> tf.Tensor:
    return active if active.shape.rank == 0 else tf.reduce_any(active)


def flat_record(record: Record) -> dict[str, tf.Tensor]:
    """Return {"parameters.a": ...} for {"parameters": {"a": ...}}: the names of the columns of metrics.jsonl."""
    flat = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{name}": item for name, item in value.items()})
        else:
            flat[key] = value
    return flat
