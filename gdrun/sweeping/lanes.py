"""Training of a group of trials: as lanes of one program where that pays, else one after the other.

Shape letters: L lanes, n trials of a block, E events.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from gdrun.assembly import Built
from gdrun.assembly.assemble import lanes_obstacle, lanes_pay
from gdrun.engine.drive import Report, drive
from gdrun.engine.lane_drive import Finals, LaneProgram, drive_lanes, padded, picked, single
from gdrun.engine.loop import Program
from gdrun.engine.rows import Rows, auto_rows
from gdrun.engine.state import TrainState
from gdrun.errors import GdrunError
from gdrun.training.prepare import plugin_hashes
from gdrun.training.signals import time_limit

from .groups import TrialGroup, switches
from .halving import Halving
from .inputs import GroupInputs, build_group, leaf_forms
from .lane_recorder import LANE_BYTES, LaneRecorder, activation_bytes, finished_block
from .phased_trials import train_phases
from .results import LANES, SINGLY, BlockResult, Hooks, failed
from .trials import SweepSpec

MAX_LANES = 16384
_CACHE_BYTES = 8 << 20
"""What lanes' predictions and errors may take before a step leaves the processor's cache; but FEW_LANES always fit."""
FEW_LANES = 256
_CURVE_NUMBERS = 16 << 20
"""Recorded losses of all trials together; with more trials, fewer rows."""
_FAILURES = (GdrunError, tf.errors.OpError, NotImplementedError, ValueError, TypeError)
"""What tracing and training raise where a program does not fit its trials."""


def run_group(spec: SweepSpec, group: TrialGroup, hooks: Hooks) -> Iterator[BlockResult]:
    """Train a group's trials and yield the results, a block at a time; those of a block that was stopped are left out.

    What cannot be built or trained fails with its reason and takes no other group with it.
    """
    if spec.base.phases:
        for trial in group.trials.tolist():
            if hooks.should_stop():
                return
            try:
                result = train_phases(spec, trial, hooks, partial(_program_of_phase, spec, group))
            except _FAILURES as error:
                result = failed(np.asarray([trial]), _reason(error))
            if result is None:
                return
            yield result
        return
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


def run_inputs(spec: SweepSpec, group: TrialGroup, inputs: GroupInputs, hooks: Hooks) -> Iterator[BlockResult]:
    """Train lanes that share a program: trials of `group` whose data has one shape."""
    # Where the sweep has more of this program, even a single one runs as a lane, so that what is left of a sweep has
    # the bits that it would have had among the others.
    lanes, built = spec.base.experiment.sweep.lanes, inputs.built
    strategy, why = how_trials_run(spec, group, built)
    size = max(1, min(lanes_that_fit(inputs), padded(lanes) if isinstance(lanes, int) else MAX_LANES))
    shared = _shared_program(spec, group, inputs, lambda: lane_program(spec, inputs.built))
    inputs = replace(inputs, built=replace(built, program=shared.single))
    for begin in range(0, len(inputs.trials), size):
        places = np.arange(begin, min(begin + size, len(inputs.trials)))
        block = inputs
        if len(places) < len(inputs.trials):
            block = GroupInputs(inputs.built, picked(inputs.lanes, places), inputs.trials[places])
        results: Iterable[BlockResult | None]
        try:
            train = partial(_run_lanes, shared=shared) if strategy == LANES else partial(_run_singly, why=why)
            results = [train(spec, block, hooks)]
        except _FAILURES as error:
            results = _otherwise(spec, group, block, hooks, error, lanes=strategy == LANES)
        yield from (result for result in results if result is not None)
        if hooks.should_stop():
            return


def how_trials_run(spec: SweepSpec, group: TrialGroup, built: Built) -> tuple[str, str]:
    """Return LANES or SINGLY, and why, in words: a rule of the config.

    Args:
        built: one of the group's trials.
    """
    lanes = spec.base.experiment.sweep.lanes
    if spec.base.phases:
        return SINGLY, "phases"
    if group.alone:
        return SINGLY, "a single trial"
    if lanes == "off":
        return SINGLY, "lanes: off"
    if obstacle := lanes_obstacle(built) or built.experiment.optimizer.lanes_obstacle(built.compile):
        return SINGLY, obstacle
    if lanes != "auto":
        return LANES, f"lanes: {lanes}"
    pay, why = lanes_pay(built)
    return LANES if pay else SINGLY, why


def _otherwise(
    spec: SweepSpec, group: TrialGroup, block: GroupInputs, hooks: Hooks, error: Exception, *, lanes: bool
) -> Iterator[BlockResult | None]:
    """Train trials whose program failed by other means, if there are any.

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
        yield from run_group(spec, group.single_trial_group(int(trial)), hooks)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def lanes_that_fit(inputs: GroupInputs) -> int:
    """Return how many lanes a program may have, as far as memory can be foreseen: a multiple of 16."""
    built, lanes = inputs.built, inputs.lanes
    state = sum(leaf.dtype.size * max(1, int(np.prod(leaf.shape[1:]))) for leaf in tf.nest.flatten(lanes.state))
    batches = built.program.feed.batches
    activations = activation_bytes(built, batches.batch_size if batches is not None else 1)
    # At an epoch's end all examples are looked at, by all lanes at once.
    every = activations if built.program.assess is None else activation_bytes(built, built.num_examples or 1)
    flags = zip(tf.nest.flatten(lanes.data), tf.nest.flatten(lanes.data_varies), strict=True)
    data = sum(leaf.dtype.size * int(np.prod(leaf.shape[1:])) for leaf, varies in flags if varies)
    fit = min(LANE_BYTES // (4 * state + every + data), max(FEW_LANES, _CACHE_BYTES // activations))
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
        single=built.program,
        step=replace(built.step, guard="each"),
        assess=built.program.assess,
        rows=lane_rows(built, spec.trials or len(spec)),
        factors=built.windows.factors,
        compile=built.compile,
    )


def _run_lanes(spec: SweepSpec, block: GroupInputs, hooks: Hooks, shared: LaneProgram) -> BlockResult | None:
    """Train a block as lanes; None where it was stopped."""
    built, trials = block.built, block.trials
    is_over = time_limit(built.experiment.schedule.stop.seconds)
    finals = Finals(len(trials))
    recorder = LaneRecorder(trials, built)
    halving = _halving(spec, built, len(trials))
    last = None
    for last in drive_lanes(
        shared,
        block.lanes,
        finals,
        should_stop=lambda: is_over() or hooks.should_stop(),
        call=hooks.call,
        keep=halving.keep,
        pauses=halving.rungs,
    ):
        recorder.take(last)
        hooks.progress(recorder.progress())
    assert last is not None
    if hooks.should_stop() and bool(last.active.any()) and last.step < shared.rows.total_steps:
        return None
    state = finals.state(block.lanes.state)
    info = {"strategy": LANES, "lanes": padded(len(trials)), "seconds": last.seconds, "compile": built.compile}
    return finished_block(spec, block, state, recorder, info, timed_out=is_over(), pruned=halving.pruned)


def _halving(spec: SweepSpec, built: Built, num_lanes: int) -> Halving:
    """Return the choice of lanes that continue; without a search that prunes, there are no rungs."""
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
    recorder = LaneRecorder(trials, built)
    states: list[TrainState] = []
    spent, seconds_per_step = 0.0, built.seconds_per_step
    for place in range(len(trials)):
        is_over = time_limit(built.experiment.schedule.stop.seconds)
        one = single(lanes, place)
        windows = replace(built.windows, feed=one.feeds[0])
        report: Report | None = None
        for report in drive(
            built.program,
            one.state,
            one.setting,
            one.data,
            built.rows,
            windows,
            seconds_per_step=seconds_per_step,
            should_stop=lambda: hooks.should_stop() or is_over(),  # noqa: B023
            call=hooks.call,
        ):
            recorder.take_single(place, report)
            hooks.progress(recorder.progress())
            if report.steps_per_second:
                # What one trial took is the guess for the next: fewer chunks, of which each has a cost of its own.
                seconds_per_step = 1 / report.steps_per_second
        assert report is not None
        if not report.finished and hooks.should_stop():
            return None
        spent += report.seconds
        states.append(report.state)
    stacked = tf.nest.map_structure(lambda *leaves: tf.stack(leaves), *states)
    info = {"strategy": SINGLY, "why": why, "lanes": 1, "seconds": spent, "compile": built.compile}
    return finished_block(spec, block, stacked, recorder, info, timed_out=True, pruned=np.zeros(len(trials), bool))


MAX_PROGRAMS = 8
"""Programs that are kept; the one that was not used for longest goes first."""

_AnyProgram = TypeVar("_AnyProgram", LaneProgram, Program)
_programs: OrderedDict[Any, Any] = OrderedDict()


def _kept(key: tuple[Any, ...], make: Callable[[], _AnyProgram]) -> _AnyProgram:
    """Return the program that was made for `key`, if it is still there, else a new one."""
    program: _AnyProgram = _programs.pop(key, None) or make()
    _programs[key] = program
    while len(_programs) > MAX_PROGRAMS:
        _programs.popitem(last=False)
    return program


def _shared_program(
    spec: SweepSpec, group: TrialGroup, inputs: GroupInputs, make: Callable[[], LaneProgram]
) -> LaneProgram:
    """Return the program of an earlier piece of the same sweep, if it is the one that `make` would return.

    Compiling takes longer than most pieces train. What decides about a program is what would put two trials into one
    group, so that trials of one piece may run in the program of another as they would beside each other. Groups whose
    data differs are left out: a program may hold parts of it, such as the validation set.
    """
    if "parts" in group.changes:
        return make()
    lanes = inputs.lanes
    everywhere = tf.nest.map_structure(lambda _: True, lanes.state)
    forms = leaf_forms((lanes.state, lanes.setting, lanes.data), (everywhere, lanes.setting_varies, lanes.data_varies))
    names = (*lanes.setting.constants, *lanes.setting.optimizer)
    return _kept((*_program_key(spec, group, inputs.built), names, forms, lanes.own_order), make)


def _program_of_phase(spec: SweepSpec, group: TrialGroup, number: int, built: Built) -> Program:
    """Return the program of phase `number` of an earlier trial of the group, if there is one."""
    if group.alone:
        return built.program
    forms = leaf_forms((built.state, built.setting, built.data))
    return _kept((*_program_key(spec, group, built), number, built.begin, forms), lambda: built.program)


def _program_key(spec: SweepSpec, group: TrialGroup, built: Built) -> tuple[Any, ...]:
    """Return what decides about a program beside the forms of its arguments: the config and values built into it."""
    values = spec.values(int(group.trials[0]))
    fixed = [repr(value) for value, change in zip(values, group.changes, strict=True) if change == "program"]
    config = hashlib.sha256(spec.config_text().encode()).hexdigest()
    where = (str(spec.base.directory), repr(sorted(built.files.items())), repr(plugin_hashes(spec.base)))
    return config, *where, group.changes, tuple(fixed), tuple(switches(spec, group))
