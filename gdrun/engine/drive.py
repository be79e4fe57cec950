"""Driver of a run, from start to end: chunks sized by time, windows of batches and rates, and the search for the last
finite step after a divergence.

`drive` is a generator of reports. It knows no files and no console; progress bars, tables and run directories are its
readers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from .feed import Feed
from .loop import Program, flat_record
from .rows import Rows
from .state import Batch, Reason, Setting, TrainState, Window
from .step import Record
from .stream import Stream

CHUNK_SECONDS = 0.25
"""Aim for a chunk: short enough that progress moves and signals are handled, which a fused loop blocks."""
_WINDOW_ENTRIES = 1 << 20
"""Entries of the order array of a window, 4 MB: copied to the device for many epochs at a time, and never large."""
_WINDOW_FACTORS = 1 << 16
"""Learning-rate factors of a window; its length never changes, since another shape would compile the loop again."""


@dataclass(frozen=True)
class Report:
    """Report of one chunk."""

    state: TrainState
    """After the chunk."""
    step: int
    """Updates done."""
    records: Record
    """Name -> NumPy array with a leading axis of events; `step` says which state each shows."""
    is_row: np.ndarray
    """bool, one an event: whether it belongs into the metrics."""
    reason: Reason
    """The rule that ends the run here; NONE where it continues or has reached the schedule's end."""
    finished: bool
    """Whether this is the last report."""
    seconds: float
    """Spent in compiled code since the start, compiling included."""
    steps_per_second: float
    """In this chunk."""


@dataclass
class Windows:
    """Orders and factors for the steps to come, in arrays whose shapes never change.

    Args:
        feed: gives orders.
        factors: steps since the beginning of the phase, int64 (S,) -> factors, float64 (S,); None: there are none.
        total_steps: the step at which the schedule ends.
        stream: reads the examples, where they are not in memory.
    """

    feed: Feed
    factors: Callable[[np.ndarray], np.ndarray] | None
    total_steps: int
    stream: Stream | None = None
    _order: tuple[int, tf.Tensor] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        examples = self.feed.batches.examples_per_epoch if self.feed.batches is not None else 1
        all_epochs = self.total_steps // self.feed.epochs.length + 2
        self.num_epochs = int(max(2, min(all_epochs, _WINDOW_ENTRIES // max(1, examples))))
        self.num_factors = int(min(self.total_steps + 1, _WINDOW_FACTORS))

    def last_step(self, first: int) -> int:
        """Return the last step that a window beginning at `first` lets be observed."""
        last = self.total_steps
        if self.factors is not None:
            last = min(last, first + self.num_factors - 1)
        if self.stream is not None:
            last = min(last, self.stream.first_step(first) + self.stream.num_steps - 1)
        if self.feed.ordered:
            epochs = self.feed.epochs
            count = self._epoch(first) - epochs.begin.epoch + self.num_epochs - 1
            last = min(last, epochs.begin.step + count * epochs.length)
        return last

    def at(self, first: int) -> Window:
        """Return the window that begins at `first`."""
        factors = np.zeros(0)
        if self.factors is not None:
            # Beyond the end there is no factor: a formula may have none there.
            steps = np.minimum(np.arange(first, first + self.num_factors, dtype=np.int64), self.total_steps)
            factors = self.factors(steps - self.feed.begin.step)
        epoch = self._epoch(first)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, tf.constant(self._order_from(epoch), tf.int32))
        return Window(
            first_step=tf.constant(first, tf.int64),
            first_epoch=tf.constant(epoch, tf.int64),
            order=self._order[1],
            factors=tf.constant(factors, tf.float64),
            first_batch=tf.constant(first if self.stream is None else self.stream.first_step(first), tf.int64),
        )

    def _order_from(self, epoch: int) -> np.ndarray:
        """Return the batches of the window's epochs, as of `Feed.order`."""
        return self.feed.order(epoch, self.num_epochs)

    def examples(self, first: int, data: Batch) -> Batch:
        """Return what the window that begins at `first` sees: `data`, or what is read for it."""
        return data if self.stream is None else self.stream.examples(first)

    def _epoch(self, first: int) -> int:
        """The window's first epoch: the one in use, while another chunk fits into it."""
        epoch = self.feed.epochs.number(first)
        if self._order is not None:
            used = self._order[0]
            if used <= epoch < used + self.num_epochs - 1:
                return used
        return epoch


@dataclass
class Pace:
    """Number of steps and events of the next chunk, by the time that each took."""

    seconds_per_step: float
    """A guess from above, before anything was measured."""
    seconds_per_event: float = 0.0
    """Of an observation: a formula that is recorded may take longer than a thousand steps."""
    _compiled: bool = False
    _last: tuple[int, int, float] | None = None
    """Steps, events and seconds of the last chunk that was measured."""

    def next_steps(self) -> int:
        """Return the number of steps to try."""
        # Each chunk ends with an observation, which may take half of the time.
        steps = max(1, int(max(CHUNK_SECONDS, self.seconds_per_event) / self.seconds_per_step))
        # The first chunk compiles, so its time says nothing: the second is like it, to be measured. What is measured
        # holds the host's part too, so that the guess is from above and a chunk may be as long as it says.
        return steps if self._last is not None else min(steps, 256)

    def next_events(self) -> int:
        """Return the most events to try."""
        return max(1, int(CHUNK_SECONDS / max(self.seconds_per_event, 1e-9)))

    def seconds(self, steps: int, events: float) -> float:
        """Return the time that steps and events take, as far as is known."""
        return steps * self.seconds_per_step + events * self.seconds_per_event

    def took(self, steps: int, events: int, seconds: float) -> None:
        """Learn from a chunk: with the one before it, these are two equations for the two times."""
        if self._compiled and steps:
            seconds = max(seconds, 1e-9 * steps)
            before_steps, before_events, before_seconds = self._last or (0, 0, 0.0)
            if determinant := before_steps * events - steps * before_events:
                self.seconds_per_event = (before_steps * seconds - steps * before_seconds) / determinant
            elif self._last is None and seconds > CHUNK_SECONDS:
                # A chunk that could be no shorter: a longer one will show what took the time.
                self.seconds_per_event = seconds / events
            self.seconds_per_event = min(max(self.seconds_per_event, 0.0), seconds / events)
            # Noise must not leave nothing for the steps: a chunk could last for minutes.
            self.seconds_per_step = max(seconds - self.seconds_per_event * events, seconds / 4) / steps
            self._last = (steps, events, seconds)
        self._compiled = True


def drive(
    program: Program,
    state: TrainState,
    setting: Setting,
    data: Batch,
    rows: Rows,
    windows: Windows,
    *,
    seconds_per_step: float = 1e-3,
    should_stop: Callable[[], bool] = lambda: False,
    call: Callable[..., Any] = lambda function, *arguments: function(*arguments),
    resumed: bool = False,
    pause_every: int | None = None,
) -> Iterator[Report]:
    """Train a single run from `state` to the schedule's end, or until a rule fires, and report each chunk.

    Args:
        program: the compiled loop.
        state, setting, data: see `state`; `data` is nothing where `windows` read the examples.
        rows: what to record; its `total_steps` is where the run ends.
        windows: orders and factors.
        seconds_per_step: a guess from above, for the first chunk.
        should_stop: asked after each chunk; where it says yes, its report is the last.
        call: calls a function for its result; `StopRequests.call` handles signals meanwhile.
        resumed: the state was looked at before, and if its step is one that has a row, that is in the record already.
        pause_every: a chunk ends at each multiple of it.
    """
    pace = Pace(seconds_per_step)
    spent, step, first = 0.0, int(state.step), not resumed
    last_row = step if resumed and rows.is_row(np.asarray([step]))[0] else -1
    while True:
        until = min(step + pace.next_steps(), windows.last_step(step), rows.total_steps)
        if pause_every is not None:
            until = min(until, (step // pause_every + 1) * pause_every)
        events = rows.events(step, until) if until > step else np.zeros(0, np.int64)
        if first:
            events = np.concatenate([np.asarray([step], np.int64), events])
        if not len(events):
            return
        events = events[: min(program.capacity, pace.next_events())]
        window, examples = windows.at(step), windows.examples(step, data)
        began = time.perf_counter()
        before = state
        state, records = call(_run_and_settle, program, before, setting, examples, window, rows, events)
        reason = Reason(int(state.reason))
        reached = int(state.step)
        if reason is Reason.NONE and reached >= rows.total_steps:
            reason = Reason(int(records["reason"][-1]))
        elapsed = time.perf_counter() - began
        spent += elapsed
        pace.took(reached - step, len(records["step"]), elapsed)
        finished = reason is not Reason.NONE or reached >= rows.total_steps
        # Asked here and not after the report, so that the state in which a run is stopped has a row.
        ends = finished or should_stop()
        is_row, last_row = _choose_rows(rows, records["step"], last_row, ends=ends)
        # The first chunk compiles: its speed says nothing.
        rate = (reached - step) / elapsed if elapsed > 0 and not first else 0.0
        step, first = reached, False
        yield Report(state, step, records, is_row, reason, finished, spent, rate)
        if ends:
            return


def _choose_rows(rows: Rows, steps: np.ndarray, last_row: int, *, ends: bool) -> tuple[np.ndarray, int]:
    """Return (the records of a chunk that are rows, bool; the step of the last row so far, -1 where there was none).

    The last record of a run is a row, whatever its step; but where a rule fires at a step that was just observed, that
    step is observed a second time, and its row is there already.
    """
    is_row = rows.is_row(steps)
    before = steps[:-1][is_row[:-1]]
    last_row = int(before[-1]) if len(before) else last_row
    is_row[-1] = (is_row[-1] or ends) and int(steps[-1]) != last_row
    return is_row, int(steps[-1]) if is_row[-1] else last_row


def first_report(state: TrainState, record: Record) -> Report:
    """Return the report of a run that has not begun: its start, as `Program.prepare` saw it."""
    flat = {name: leaf.numpy()[None] for name, leaf in flat_record(record).items()}
    return Report(state, int(state.step), flat, np.zeros(1, bool), Reason.NONE, False, 0.0, 0.0)


def _finite(parameters: Sequence[tf.Tensor]) -> bool:
    """Return whether every entry is finite. In NumPy: eagerly, TensorFlow would take three calls for each tensor."""
    return all(bool(np.isfinite(value.numpy()).all()) for value in parameters)


def _run_and_settle(
    program: Program,
    before: TrainState,
    setting: Setting,
    data: Batch,
    window: Window,
    rows: Rows,
    events: np.ndarray,
) -> tuple[TrainState, Record]:
    """Run a chunk; with guard "late", go back to the last good state if something happened in it.

    It is run again from its start to the step before; the same program gives the same bits. Where parameters
    stopped being finite unnoticed, the step is found by bisection, since parameters that are not finite stay so.
    """
    after, records = program.run(before, setting, data, window, events, rows.assesses(events))
    if program.step.guard == "each":
        return after, records
    reason, stop = Reason(int(after.reason)), int(after.step)
    finite = not program.step.stop.non_finite or _finite(after.parameters)
    if finite and reason in (Reason.NONE, Reason.PARAMETER_CHANGE_BELOW, Reason.PARAMETERS_UNCHANGED, Reason.PATIENCE):
        return after, records

    def replay(step: int) -> tuple[TrainState, Record]:
        # Rules that look once an epoch look at events, so that none may be left out. The first step was looked at.
        kept = np.unique(np.append(events[events < step], step))
        held = before._replace(reason=tf.constant(int(Reason.PATIENCE)))
        start = held if step == int(before.step) > 0 else before
        return program.run(start, setting, data, window, kept, rows.assesses(kept))

    judged = reason not in (Reason.NONE, Reason.PARAMETER_CHANGE_BELOW, Reason.PARAMETERS_UNCHANGED, Reason.PATIENCE)
    good = stop - 1 if judged else stop
    if program.step.stop.non_finite and not _finite(replay(good)[0].parameters):
        reason, low, high = Reason.PARAMETERS_NOT_FINITE, int(before.step), good
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _finite(replay(middle)[0].parameters) else (low, middle)
        good = low
    state, records = replay(good)
    # A gradient that was not looked for shows here: `observe` looks at everything.
    seen = Reason(int(records["reason"][-1]))
    reason = reason if seen is Reason.NONE else seen
    return state._replace(reason=tf.constant(int(reason))), records
