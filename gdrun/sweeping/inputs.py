"""Inputs of a group of trials: what its lanes start from.

Shape letters: L lanes, C combinations of the values that change data or initial state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.assembly import Built, assemble, build_parts
from gdrun.assembly.assemble import start
from gdrun.assembly.initial import initial_state
from gdrun.assembly.objective import build_model
from gdrun.assembly.optimizer import build_optimizer
from gdrun.assembly.parts import Parts
from gdrun.engine.feed import Feed
from gdrun.engine.lane_drive import LaneInputs
from gdrun.engine.lanes import in_lanes
from gdrun.engine.state import Batch, Setting, TrainState
from gdrun.errors import GdrunError
from gdrun.experiment.experiment import Experiment
from gdrun.formula.parse import parse
from gdrun.training.prepare import with_source_places

from .groups import TrialGroup, constant_axes, probe
from .trials import SweepSpec


@dataclass(frozen=True)
class GroupInputs:
    """A group's program and the lanes that it is for."""

    built: Built
    """Of the group's first trial."""
    lanes: LaneInputs
    trials: np.ndarray
    """int64 (L,)."""


def build_group(
    spec: SweepSpec, group: TrialGroup, failures: list[tuple[np.ndarray, GdrunError]] | None = None
) -> list[GroupInputs]:
    """Build what a group of trials starts from: one entry for each shape that its data has.

    Args:
        failures: takes the trials that cannot be built, and why; None: the first such error is raised.
    Raises:
        ConfigError: a trial cannot be built; located.
    """
    early = [axis for axis, change in enumerate(group.changes) if change in ("initial", "parts")]
    combination, firsts = _combinations(spec, group, early)
    only_initial = all(group.changes[axis] == "initial" for axis in early)
    parts: dict[int, Parts] = {}

    def build(trial: int) -> Parts:
        loaded = spec.load(trial)
        experiment, first = loaded.experiment, next(iter(parts.values()), None)
        with with_source_places(loaded):
            # What comes from the model's section and the constants alone needs no data loaded again.
            if (
                first is not None
                and only_initial
                and experiment.model.starts_by_formula
                and experiment.random != "legacy"
            ):
                return _restarted(first, experiment)
            return build_parts(experiment, directory=loaded.directory)

    for number, trial in enumerate(firsts):
        try:
            parts[number] = build(trial)
        except GdrunError as error:
            if failures is None:
                raise
            failures.append((group.trials[combination == number], error))
    results = []
    signatures = {number: _signature(part) for number, part in parts.items()}
    of_shape: set[int] = set()
    for signature in dict.fromkeys(signatures.values()):
        alike = [number for number, other in signatures.items() if other == signature]
        chosen = np.isin(combination, alike)
        place = np.searchsorted(np.asarray(alike), combination[chosen])
        own = [firsts[number] for number in alike]
        probe_parts: list[Parts] = []
        for axis in constant_axes(spec, own, [axis for axis in early if axis not in of_shape]):
            other = probe(spec, group, own[0], axis)
            if other is not None:
                probe_part = build(other)
                if _signature(probe_part) == signature:
                    probe_parts.append(probe_part)
                else:
                    of_shape.add(axis)
        with with_source_places(spec.load(own[0])):
            built = assemble(parts[alike[0]])
        trials = group.trials[chosen]
        # The probe_parts come last: no lane starts from them, but what differs in them varies.
        lane_parts = [*(parts[number] for number in alike), *probe_parts]
        lanes = _lane_inputs(spec, group.changes, trials, built, lane_parts, place)
        results.append(GroupInputs(built, lanes, trials))
    return results


def _combinations(spec: SweepSpec, group: TrialGroup, axes: Sequence[int]) -> tuple[np.ndarray, list[int]]:
    """Return the combination of `axes`' values of each trial, (n,), and the first trial that has each."""
    if not axes:
        return np.zeros(len(group), np.int64), [int(group.trials[0])]
    columns = [spec.column(axis)[group.trials].tolist() for axis in axes]
    keys = list(map(repr, zip(*columns, strict=True)))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    combination = np.asarray([numbers[key] for key in keys], np.int64)
    return combination, group.trials[np.unique(combination, return_index=True)[1]].tolist()


def _restarted(like: Parts, experiment: Experiment) -> Parts:
    """Return the parts of a trial that differs from `like` in initial values alone."""
    model = build_model(experiment, like.constants, like.data)
    state, setting = initial_state(like.experiment, like.objective, model.initial)
    return replace(like, state=state, setting=setting)


def _signature(parts: Parts) -> Any:
    """Return the facts that have to be equal for trials to share a program."""
    batches = parts.batches
    order = (
        None if batches is None else (batches.num_examples, batches.batch_size, batches.order, batches.remainder_size)
    )
    shapes = leaf_forms((parts.state, parts.setting.fixed, parts.data, parts.validation))
    objective = parts.objective
    inputs = (*parts.data.inputs, *objective.input_shapes)
    names = (objective.trainable_names, objective.fixed_names, inputs)
    constants = tuple((name, np.shape(value)) for name, value in parts.constants.items())
    return (order, shapes, names, constants, parts.mapped, _of_factor(parts))


def leaf_forms(structure: Any, varies: Any = None) -> tuple[Any, ...]:
    """Return shape, dtype and flag of each leaf of a structure of tensors.

    Args:
        varies: the structure with a flag at each leaf: it has the axis of lanes. That is left out of its shape, since a
            program has a loop for each number of lanes. None: no leaf has it.
    """
    leaves = tf.nest.flatten(structure)
    flags = [False] * len(leaves) if varies is None else tf.nest.flatten(varies)
    return tuple(
        None if leaf is None else (tuple(leaf.shape[1:] if flag else leaf.shape), leaf.dtype.name, flag)
        for leaf, flag in zip(leaves, flags, strict=True)
    )


def _of_factor(parts: Parts) -> tuple[Any, ...]:
    """Return the constants that learning-rate factors use: all lanes of a program have the same factors."""
    factor = parts.experiment.schedule.learning_rate_factor
    names = {name for formula in (factor.formulas() if factor is not None else ()) for name in parse(formula).names}
    return tuple((name, np.asarray(value).tobytes()) for name, value in parts.constants.items() if name in names)


def _lane_inputs(
    spec: SweepSpec,
    changes: Sequence[str],
    trials: np.ndarray,
    built: Built,
    parts: Sequence[Parts],
    place: np.ndarray,
) -> LaneInputs:
    """Put the lanes together; lane k starts from parts[place[k]]. What differs between any of the parts varies."""
    per_epoch = built.steps_per_epoch
    setting, setting_varies = _stacked([part.setting for part in parts], place)
    setting, setting_varies = _with_columns(spec, changes, trials, built, parts, place, setting, setting_varies)
    if parts[0].experiment.optimizer.start_formulas():
        # Its variables may start at values of the constants.
        started = [
            start(replace(built.step, optimizer=build_optimizer(part.experiment.optimizer, part.objective)), part.state,
                  steps_per_epoch=per_epoch)
            for part in parts
        ]  # fmt: skip
        state = _stacked_state(started, place)
    else:
        state = _stacked_state([part.state for part in parts], place)
        state = _start_lanes(built, state, per_epoch, setting.optimizer)
    data, data_varies = _stacked([_with_validation(part, parts) for part in parts], place)
    own_order = len(parts) > 1 and built.program.feed.ordered
    feeds: tuple[Feed, ...] = (built.program.feed,)
    if own_order:
        own = [Feed(part.batches, has_factor=built.program.feed.has_factor) for part in parts]
        feeds = tuple(own[number] for number in place)
    return LaneInputs(state, setting, data, setting_varies, data_varies, feeds, own_order)


def _stacked(structures: Sequence[Any], place: np.ndarray) -> tuple[Any, Any]:
    """Return the structures as one, and which leaves vary; those that do have a leading axis L."""
    flat = [tf.nest.flatten(structure) for structure in structures]
    leaves, varies = [], []
    for column in zip(*flat, strict=True):
        differs = any(leaf is not column[0] and not _same(leaf, column[0]) for leaf in column[1:])
        varies.append(differs)
        leaves.append(tf.gather(tf.stack(column), place) if differs else column[0])
    pack = tf.nest.pack_sequence_as
    return pack(structures[0], leaves), pack(structures[0], varies)


def _stacked_state(states: Sequence[TrainState], place: np.ndarray) -> TrainState:
    """Return the states as one, every leaf of which has a leading axis L."""
    state, varies = _stacked(states, place)
    return in_lanes(state, len(place), varies)


def _same(one: Any, other: Any) -> bool:
    return one is other or (one is not None and np.array_equal(one.numpy(), other.numpy(), equal_nan=True))


def _start_lanes(built: Built, state: TrainState, per_epoch: int, per_lane: Mapping[str, tf.Tensor]) -> TrainState:
    """Return what each lane remembers before the first update; Adagrad's accumulators start at a setting of a lane."""
    step = built.step

    @tf.autograph.experimental.do_not_convert
    def start_lane(arguments: tuple[TrainState, dict[str, tf.Tensor]]) -> TrainState:
        state, settings = arguments
        if settings:
            assert step.optimizer_with is not None
            return start(replace(step, optimizer=step.optimizer_with(settings)), state, steps_per_epoch=per_epoch)
        return start(step, state, steps_per_epoch=per_epoch)

    return tf.function(lambda *arguments: tf.vectorized_map(start_lane, arguments), autograph=False)(state, per_lane)


def _with_validation(part: Parts, parts: Sequence[Parts]) -> Batch:
    """Return the data, with the validation data where that differs between trials."""
    if part.validation is None or len(parts) == 1:
        return part.data
    flat = [tf.nest.flatten(each.validation) for each in parts]
    same = all(_same(one, other) for leaves in flat for one, other in zip(leaves, flat[0], strict=True))
    return part.data if same else part.data._replace(validation=part.validation)


def _with_columns(
    spec: SweepSpec,
    changes: Sequence[str],
    trials: np.ndarray,
    built: Built,
    parts: Sequence[Parts],
    place: np.ndarray,
    setting: Setting,
    varies: Setting,
) -> tuple[Setting, Setting]:
    """Put into the setting what the sweep varies directly."""
    dtype = tf.as_dtype(built.experiment.precision)
    constants: dict[str, tf.Tensor] = {}
    optimizer: dict[str, tf.Tensor] = {}
    for axis, change in enumerate(changes):
        path = spec.axes[axis].path
        values = spec.column(axis)[trials]
        if change == "constant":
            constants[str(path[1])] = _cast(values, dtype)
        elif change == "loss":
            numbers = np.asarray(values.tolist(), np.float64)
            constants[".".join(map(str, path))] = tf.constant(numbers, dtype)
        elif change == "optimizer":
            optimizer[str(path[-1])] = tf.constant(np.asarray(values.tolist(), np.float64))
    for name in parts[0].constants:
        if name not in constants and any(
            not np.array_equal(part.constants[name], parts[0].constants[name]) for part in parts
        ):
            stacked = np.stack([part.constants[name] for part in parts])[place]
            constants[name] = _cast(stacked, dtype)
    rates = [axis for axis, change in enumerate(changes) if change == "rate"]
    if rates:
        setting = setting._replace(learning_rate=_rates(spec, rates, trials, built))
        varies = varies._replace(learning_rate=True)
    setting = setting._replace(constants=constants, optimizer=optimizer)
    varies = varies._replace(constants=dict.fromkeys(constants, True), optimizer=dict.fromkeys(optimizer, True))
    return setting, varies


def _rates(spec: SweepSpec, axes: Sequence[int], trials: np.ndarray, built: Built) -> tf.Tensor:
    """Return the learning rates, float64 (L,), or (L, groups) where groups of parameters have their own."""
    if built.setting.learning_rate.shape.rank == 0 and spec.axes[axes[0]].path == ("optimizer", "learning_rate"):
        return tf.constant(np.asarray(spec.column(axes[0])[trials].tolist(), np.float64))
    names = built.objective.trainable_names
    return tf.constant(
        [spec.load(int(trial)).experiment.optimizer.learning_rates(names) for trial in trials], tf.float64
    )


def _cast(values: np.ndarray, dtype: tf.DType) -> tf.Tensor:
    if values.dtype.kind == "c":
        return tf.constant(values, tf.complex64 if dtype == tf.float32 else tf.complex128)
    return tf.constant(values, dtype)
