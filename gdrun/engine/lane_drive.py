"""Many trials from start to end, as lanes of one program.

`drive_lanes` is a generator of reports, as `drive` is. Lanes that are done are written into `Finals` and, once they
are many, dropped from the program: the loop does not keep paying for them.

Shape letters: L lanes at the start, l lanes still in the program (a multiple of ALIGNMENT), E events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from .assess import Assess
from .drive import Pace, Windows
from .feed import Feed
from .lanes import Lanes
from .loop import Compile, Program
from .rows import Rows
from .state import Batch, Reason, Setting, TrainState, Window
from .step import Record, Step

ALIGNMENT = 16
"""Programs have a multiple of so many lanes. Vector instructions work on up to 16 float32 at once and what is left over
goes through other code, with other bits: with a multiple of 16, a lane's bits do not depend on how many there are."""
COMPILE_SECONDS = 1.0
"""What a smaller program has to save to be worth its compiling, unless compiling was seen to take longer."""
_BUFFER_BYTES = 8 << 20
"""Of one chunk's records. Each chunk clears and copies all of it."""


@dataclass(frozen=True)
class LaneInputs:
    """Inputs of the lanes. A leaf that differs between them has a leading axis L, and its flag is true."""

    state: TrainState
    """Every leaf has the axis."""
    setting: Setting
    data: Batch
    setting_varies: Setting
    data_varies: Batch
    feeds: tuple[Feed, ...]
    """One, or one a lane where the order of the examples differs."""
    own_order: bool = False
    """Whether it differs. What is left when a single lane is has its own order, too, and so its bits."""

    @property
    def count(self) -> int:
        """L."""
        return int(self.state.step.shape[0])


@dataclass(frozen=True)
class LaneProgram:
    """Program that all lanes share.

    Args:
        single: the program of one trial, for those that run one after the other.
        step: what is done; its guard is "each".
        assess: what is computed at an epoch's end; None: nothing.
        rows: what to record.
        factors: steps, int64 (S,) -> learning-rate factors, float64 (S,); None: there are none.
    """

    single: Program
    step: Step
    assess: Assess | None
    rows: Rows
    factors: Callable[[np.ndarray], np.ndarray] | None
    compile: Compile
    _programs: dict[int, Program] = field(default_factory=dict, repr=False)

    def compiled(self, feed: Feed, inputs: LaneInputs, window: Window) -> Program:
        """Return the loop for as many lanes as `inputs` has; one for all blocks of that size."""
        if inputs.count in self._programs:
            return self._programs[inputs.count]
        lanes = Lanes(inputs.count, inputs.setting_varies, inputs.data_varies, order=inputs.own_order)
        program = Program(
            self.step, feed, assess=self.assess, compile=self.compile, buffer_bytes=_BUFFER_BYTES, lanes=lanes
        )
        program.prepare(inputs.state, inputs.setting, inputs.data, window)
        self._programs[inputs.count] = program
        return program


@dataclass(frozen=True)
class LaneReport:
    """Report of one chunk."""

    lanes: np.ndarray
    """int64 (l,): which of the L lanes each place holds; -1 for one that is only there to fill up."""
    step: int
    """Updates done by the active lanes."""
    records: Record
    """Name -> NumPy array (E, l, ...)."""
    is_row: np.ndarray
    """bool (E, l): whether a record is a row of its lane."""
    active: np.ndarray
    """bool (l,): the lanes that continue."""
    finished: bool
    seconds: float
    """In compiled code since the start."""
    lane_steps: int
    """Updates of all lanes in this chunk."""


@dataclass
class Finals:
    """Each lane's last state, as NumPy arrays in the structure of TrainState, with the leading axis L."""

    count: int
    arrays: list[np.ndarray] = field(default_factory=list)

    def take(self, state: TrainState, places: np.ndarray, lanes: np.ndarray) -> None:
        """Copy the lanes at `places` of `state` to where `lanes` says."""
        leaves = [leaf.numpy() for leaf in tf.nest.flatten(state)]
        if not self.arrays:
            self.arrays = [np.zeros((self.count, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
        for array, leaf in zip(self.arrays, leaves, strict=True):
            array[lanes] = leaf[places]

    def state(self, like: TrainState) -> TrainState:
        """Return them as tensors in the structure of `like`."""
        return tf.nest.pack_sequence_as(like, [tf.constant(array) for array in self.arrays])


def padded(count: int) -> int:
    """Return the lanes that a program for `count` lanes has."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def drive_lanes(
    shared: LaneProgram,
    inputs: LaneInputs,
    finals: Finals,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    call: Callable[..., Any] = lambda function, *arguments: function(*arguments),
    keep: Callable[[LaneReport], np.ndarray | None] = lambda report: None,
    pauses: Sequence[int] = (),
) -> Iterator[LaneReport]:
    """Train all lanes to the schedule's end, or each until a rule fires, and report each chunk.

    Args:
        finals: filled with each lane's last state.
        should_stop: asked after each chunk; where it says yes, its report is the last.
        call: calls a function for its result; `StopRequests.call` handles signals meanwhile.
        keep: asked after each chunk which of its lanes continue, bool (l,); None: all. The others keep reason
            NONE: they were pruned.
        pauses: steps, rising, at each of which a chunk ends, so that `keep` is asked there whatever time chunks take.
    """
    rows, total = shared.rows, shared.rows.total_steps
    lanes = np.arange(inputs.count)
    inputs, lanes = _filled(inputs, lanes)
    windows = _windows(shared, inputs)
    program = shared.compiled(inputs.feeds[0], inputs, windows.at(0))
    pace, spent, step, first, fresh, compile_seconds = Pace(1e-3), 0.0, 0, True, True, COMPILE_SECONDS
    while True:
        until = min(step + pace.next_steps(), windows.last_step(step), *[at for at in pauses if at > step], total)
        events = rows.events(step, until) if until > step else np.zeros(0, np.int64)
        events = np.concatenate([np.asarray([step], np.int64), events]) if first else events
        events = events[: min(program.capacity, pace.next_events())]
        began = time.perf_counter()
        state, records = call(
            program.run, inputs.state, inputs.setting, inputs.data, windows.at(step), events, rows.assesses(events)
        )
        elapsed = time.perf_counter() - began
        before, step = step, int(events[len(records["step"]) - 1])
        done = int(np.sum((state.step - inputs.state.step).numpy()[lanes >= 0]))
        spent += elapsed
        num_steps, num_events = step - before, len(records["step"])
        if fresh:
            compile_seconds = max(COMPILE_SECONDS, elapsed - pace.seconds(num_steps, num_events))
        pace.took(num_steps, num_events, elapsed)
        active = (state.reason.numpy() == Reason.NONE) & (lanes >= 0)
        inputs = replace(inputs, state=state)
        finished = step >= total or not active.any() or should_stop()
        is_row = rows.is_row(records["step"].max(axis=1))[:, None] & _own(records["step"], events) & (lanes >= 0)
        report = LaneReport(lanes, step, records, is_row, active, finished, spent, done)
        yield report
        first = fresh = False
        if finished:
            finals.take(state, np.flatnonzero(lanes >= 0), lanes[lanes >= 0])
            return
        kept = keep(report)
        wanted = active if kept is None else active & kept
        if not wanted.any():
            finals.take(state, np.flatnonzero(lanes >= 0), lanes[lanes >= 0])
            return
        if (pruned := active & ~wanted).any():
            finals.take(state, np.flatnonzero(pruned), lanes[pruned])
            inputs, lanes = _retired(inputs, lanes, pruned)
        to_come = pace.seconds(total - step, num_events * (total - step) / max(1, num_steps))
        left = to_come * (1 - padded(int(wanted.sum())) / len(lanes))
        if padded(int(wanted.sum())) <= len(lanes) // 2 and _worth(left, compile_seconds):
            gone = (lanes >= 0) & ~wanted
            finals.take(state, np.flatnonzero(gone), lanes[gone])
            inputs, lanes = _filled(picked(inputs, np.flatnonzero(wanted)), lanes[wanted])
            windows = _windows(shared, inputs)
            program = shared.compiled(inputs.feeds[0], inputs, windows.at(step))
            pace, fresh = Pace(pace.seconds_per_step, pace.seconds_per_event), True


def _worth(saved: float, compile_seconds: float) -> bool:
    """Return whether a smaller program saves more seconds than its compiling takes."""
    return saved > compile_seconds


def _own(steps: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Return the records (E, l) that show their lane for the first time: a lane that is done stays at its step."""
    fresh = np.ones(steps.shape, bool)
    fresh[1:] = steps[1:] != steps[:-1]
    fresh[0] = steps[0] == events[0]
    return fresh


def _filled(inputs: LaneInputs, lanes: np.ndarray) -> tuple[LaneInputs, np.ndarray]:
    """Fill up to a multiple of ALIGNMENT with copies of the first lane, which are not active."""
    missing = padded(len(lanes)) - len(lanes)
    if not missing:
        return inputs, lanes
    inputs = picked(inputs, np.concatenate([np.arange(len(lanes)), np.zeros(missing, np.int64)]))
    lanes = np.concatenate([lanes, np.full(missing, -1)])
    return _retired(inputs, lanes, lanes < 0)


def _retired(inputs: LaneInputs, lanes: np.ndarray, places: np.ndarray) -> tuple[LaneInputs, np.ndarray]:
    """Make the lanes at `places`, bool (l,), ones that are only there to fill up and are not active."""
    reason = tf.where(tf.constant(places), int(Reason.PATIENCE), inputs.state.reason)
    return replace(inputs, state=inputs.state._replace(reason=reason)), np.where(places, -1, lanes)


def picked(inputs: LaneInputs, places: np.ndarray) -> LaneInputs:
    """Return the lanes at `places`."""
    feeds = tuple(inputs.feeds[place] for place in places) if inputs.own_order else inputs.feeds
    return replace(_each_varying(inputs, lambda leaf: tf.gather(leaf, places)), feeds=feeds)


def single(lanes: LaneInputs, place: int) -> LaneInputs:
    """Return what one lane starts from, without the axis of lanes."""
    feed = lanes.feeds[place if lanes.own_order else 0]
    return replace(_each_varying(lanes, lambda leaf: leaf[place]), feeds=(feed,))


def _each_varying(inputs: LaneInputs, pick: Callable[[tf.Tensor], tf.Tensor]) -> LaneInputs:
    """Return the inputs with `pick` applied to each leaf that has the axis of lanes."""

    def apply(structure: Any, varies: Any) -> Any:
        return tf.nest.map_structure(lambda leaf, flag: pick(leaf) if flag else leaf, structure, varies)

    return replace(
        inputs,
        state=tf.nest.map_structure(pick, inputs.state),
        setting=apply(inputs.setting, inputs.setting_varies),
        data=apply(inputs.data, inputs.data_varies),
    )


class LaneWindows(Windows):
    """Windows whose orders have a leading axis of lanes."""

    def __init__(self, feeds: tuple[Feed, ...], factors: Any, total_steps: int) -> None:
        super().__init__(feeds[0], factors, total_steps)
        self._feeds = feeds
        self.num_epochs = max(2, self.num_epochs // len(feeds))

    def _order_from(self, epoch: int) -> np.ndarray:
        """Return the batches of each lane, int32 (l, E, steps an epoch, B)."""
        return np.stack([feed.order(epoch, self.num_epochs) for feed in self._feeds])


def _windows(shared: LaneProgram, inputs: LaneInputs) -> Windows:
    total = shared.rows.total_steps
    if inputs.own_order:
        return LaneWindows(inputs.feeds, shared.factors, total)
    return Windows(inputs.feeds[0], shared.factors, total)
