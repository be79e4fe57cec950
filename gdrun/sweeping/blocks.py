"""Groups of trials, trained: as lanes of one program where that pays, else one after the other.

Shape letters: L lanes, n trials of a block, E events.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gdrun.assembly import Built
from gdrun.assembly.assemble import lanes_obstacle
from gdrun.engine.drive import Report, Windows, drive
from gdrun.engine.lane_drive import Finals, LaneProgram, drive_lanes, padded, picked, single
from gdrun.engine.lanes import Lanes
from gdrun.engine.rows import Rows, auto_rows
from gdrun.engine.state import TrainState
from gdrun.engine.step import Moment
from gdrun.errors import GdrunError

from .gathering import Gathered, finished_block
from .grouping import Group
from .halving import Halving
from .inputs import GroupInputs, build_group
from .programs import kept_program
from .results import BlockResult, Hooks, failed

if TYPE_CHECKING:
    from .trials import SweepSpec

MAX_LANES = 16384
_LANE_BYTES = 512 << 20
"""What a program's lanes may take, as far as that can be foreseen."""
_CACHE_BYTES = 8 << 20
"""What lanes' predictions and errors may take before a step leaves the processor's cache; but FEW_LANES always fit."""
FEW_LANES = 256
_CURVE_NUMBERS = 16 << 20
"""Recorded losses of all trials together; with more trials, fewer rows."""
_FAILURES = (GdrunError, tf.errors.OpError, NotImplementedError, ValueError, TypeError)
"""What tracing and training raise where a program does not fit its trials."""


def run_group(spec: SweepSpec, group: Group, hooks: Hooks) -> Iterator[BlockResult]:
    """Train a group's trials and yield the results, a block at a time; those of a block that was stopped are left out.

    What cannot be built or trained fails with its reason and takes no other group with it.
    """
    failures: list[tuple[np.ndarray, GdrunError]] = []
    try:
        built = build_group(spec, group, failures)
    except GdrunError as error:
        yield failed(group.trials, _reason(error))
        return
    for trials, why in failures:
        yield failed(trials, _reason(why))
    for inputs in built:
        yield from run_inputs(spec, group, inputs, hooks)


def run_inputs(spec: SweepSpec, group: Group, inputs: GroupInputs, hooks: Hooks) -> Iterator[BlockResult]:
    """Train lanes that share a program: trials of `group` whose data has one shape."""
    # Where the sweep has more of this program, even a single one runs as a lane, so that what is left of a sweep has
    # the bits that it would have had among the others.
    obstacle = "a single trial" if group.alone else lanes_obstacle(inputs.built)
    size = max(1, min(lanes_that_fit(inputs), MAX_LANES))
    shared = kept_program(spec, group, inputs, lambda: lane_program(spec, inputs.built))
    for begin in range(0, len(inputs.trials), size):
        places = np.arange(begin, min(begin + size, len(inputs.trials)))
        block = inputs if len(places) == len(inputs.trials) else _subset(inputs, places)
        results: Iterable[BlockResult | None]
        try:
            if obstacle is None:
                results = [_run_lanes(spec, block, hooks, shared)]
            else:
                results = [_run_singly(spec, block, hooks, obstacle)]
        except _FAILURES as error:
            results = _otherwise(spec, group, block, hooks, error, lanes=obstacle is None)
        yield from (result for result in results if result is not None)
        if hooks.should_stop():
            return


def _otherwise(
    spec: SweepSpec, group: Group, block: GroupInputs, hooks: Hooks, error: Exception, *, lanes: bool
) -> Iterator[BlockResult | None]:
    """Train trials whose program failed in another way, if there is one.

    What vectorized_map cannot convert shows when it is traced: such trials run one after the other. A number that has
    to be known before the run, such as a size, cannot be a tensor: such trials have a program each.
    """
    if lanes:
        try:
            yield _run_singly(spec, block, hooks, f"lanes failed: {_reason(error)}")
            return
        except _FAILURES as second:
            error = second
    setting = block.lanes.setting
    if group.alone or not (setting.constants or setting.optimizer):
        yield failed(block.trials, _reason(error))
        return
    for trial in block.trials:
        if hooks.should_stop():
            return
        yield from run_group(spec, group.apart(int(trial)), hooks)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def _subset(inputs: GroupInputs, places: np.ndarray) -> GroupInputs:
    return GroupInputs(inputs.built, picked(inputs.lanes, places), inputs.trials[places])


def lanes_that_fit(inputs: GroupInputs) -> int:
    """Return how many lanes a program may have, as far as memory can be foreseen: a multiple of 16."""
    built, lanes = inputs.built, inputs.lanes
    sizes = [leaf.dtype.size * max(1, int(np.prod(leaf.shape[1:]))) for leaf in tf.nest.flatten(lanes.state)]
    state = sum(sizes)
    batches = built.program.feed.batches
    activations = _activation_bytes(built, batches.batch_size if batches is not None else 1)
    # At an epoch's end all examples are looked at, by all lanes at once.
    every = activations if built.program.assess is None else _activation_bytes(built, built.num_examples or 1)
    flags = zip(tf.nest.flatten(lanes.data), tf.nest.flatten(lanes.data_varies), strict=True)
    data = sum(leaf.dtype.size * int(np.prod(leaf.shape[1:])) for leaf, varies in flags if varies)
    fit = min(_LANE_BYTES // (4 * state + every + data), max(FEW_LANES, _CACHE_BYTES // activations))
    return max(16, int(fit) // 16 * 16)


def lane_rows(built: Built, total_trials: int) -> Rows:
    """Return which steps are recorded: the config's, or fewer where there are very many trials."""
    rows = built.rows
    most = max(16, _CURVE_NUMBERS // max(1, total_trials))
    if rows.every != "auto":
        return rows
    steps = auto_rows(0, rows.total_steps)
    if len(steps) <= most:
        return rows
    return replace(rows, every=tuple(steps[:: -(-len(steps) // most)].tolist()))


def lane_program(spec: SweepSpec, built: Built) -> LaneProgram:
    return LaneProgram(
        step=replace(built.step, guard="each"),
        assess=built.program.assess,
        rows=lane_rows(built, spec.trials or len(spec)),
        factors=built.windows.factors,
        compile=built.compile,
    )


def _run_lanes(spec: SweepSpec, block: GroupInputs, hooks: Hooks, shared: LaneProgram) -> BlockResult | None:
    """Train a block as lanes; None where it was stopped."""
    built, trials = block.built, block.trials
    began = time.monotonic()
    finals = Finals(len(trials))
    gathered = Gathered(trials, spec.metric, built.steps_per_epoch, built.assess.names)
    limit = built.experiment.schedule.stop.seconds

    def over() -> bool:
        return limit is not None and time.monotonic() - began > limit

    halving = _halving(spec, built, len(trials))
    last = None
    for last in drive_lanes(
        shared,
        block.lanes,
        finals,
        should_stop=lambda: over() or hooks.should_stop(),
        call=hooks.call,
        keep=halving.keep,
        pauses=halving.rungs,
    ):
        gathered.take(last)
        hooks.progress(gathered.progress())
    assert last is not None
    if hooks.should_stop() and bool(last.active.any()) and last.step < shared.rows.total_steps:
        return None
    state = finals.state(block.lanes.state)
    info = {"strategy": "lanes", "lanes": padded(len(trials)), "seconds": last.seconds, "compile": built.compile}
    return finished_block(spec, block, state, gathered, info, timed_out=over(), pruned=halving.pruned)


def _halving(spec: SweepSpec, built: Built, num_lanes: int) -> Halving:
    """Who goes on; without a search that prunes, there are no rungs."""
    prune = spec.search is not None and spec.search.prune
    return Halving(
        num_lanes,
        built.rows.total_steps if prune else 0,
        steps_per_epoch=built.steps_per_epoch,
        metric=spec.metric,
        maximize=spec.maximize,
    )


def _run_singly(spec: SweepSpec, block: GroupInputs, hooks: Hooks, why: str) -> BlockResult | None:
    """Train a block's trials one after the other, with one program; None where that was stopped."""
    built, trials, lanes = block.built, block.trials, block.lanes
    gathered = Gathered(trials, spec.metric, built.steps_per_epoch, built.assess.names)
    states: list[TrainState] = []
    spent = 0.0
    for place in range(len(trials)):
        began = time.monotonic()
        one = single(lanes, place)
        feed = lanes.feeds[place] if lanes.own_order else lanes.feeds[0]
        windows = Windows(feed, built.windows.factors, built.rows.total_steps, built.windows.stream)
        limit = built.experiment.schedule.stop.seconds
        report: Report | None = None
        for report in drive(
            built.program,
            one.state,
            one.setting,
            one.data,
            built.rows,
            windows,
            seconds_per_step=built.seconds_per_step,
            should_stop=lambda: hooks.should_stop() or (limit is not None and time.monotonic() - began > limit),  # noqa: B023
            call=hooks.call,
        ):
            gathered.take_single(place, report)
            hooks.progress(gathered.progress())
        assert report is not None
        if not report.finished and hooks.should_stop():
            return None
        spent += report.seconds
        states.append(report.state)
    stacked = tf.nest.map_structure(lambda *leaves: tf.stack(leaves), *states)
    info = {"strategy": "one after the other", "why": why, "lanes": 1, "seconds": spent, "compile": built.compile}
    return finished_block(spec, block, stacked, gathered, info, timed_out=True)


def final_values(block: GroupInputs, state: TrainState, parameters: Sequence[tf.Tensor]) -> dict[str, np.ndarray]:
    """Return the loss over the training set, as `loss`, and the metrics at each lane's final parameters, float64 (n,).

    Args:
        state: of all lanes.
        parameters: the final ones, each (n, ...).
    """
    built, lanes = block.built, block.lanes
    mapping = Lanes(len(block.trials), lanes.setting_varies, lanes.data_varies)
    per_epoch = built.steps_per_epoch

    def one(state: TrainState, setting: Any, data: Any, order: Any) -> Any:
        moment = Moment(state.step, state.step // per_epoch, None, None)
        return built.assess(state, setting, data, moment)

    look = tf.function(mapping.map(one), autograph=False)
    whole = replace(lanes, state=state._replace(parameters=tuple(parameters)))
    count = len(block.trials)
    size = max(1, _LANE_BYTES // (_activation_bytes(built, built.num_examples or 1)))
    pieces: list[dict[str, np.ndarray]] = []
    for begin in range(0, count, size):
        part = whole if size >= count else picked(whole, np.arange(begin, min(begin + size, count)))
        values = look(part.state, part.setting, part.data, tf.constant(0))
        pieces.append({name: value.numpy().astype(np.float64) for name, value in values.items()})
    numbers = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return {"loss": numbers.pop("loss_all")} | numbers


def _activation_bytes(built: Built, examples: int) -> int:
    """What one lane's predictions and their gradients may take, for so many examples."""
    widths = [int(value.shape[-1]) if value.shape.rank else 1 for value in built.state.parameters]
    return 4 * tf.as_dtype(built.experiment.precision).size * examples * (sum(widths) + 1)
