"""Assembly of a checked experiment into a program, whose first step is tried so that mistakes show before the run."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.config.located import at_config_path, refuse
from gdrun.engine.assess import Assess
from gdrun.engine.drive import Windows
from gdrun.engine.epochs import Begin
from gdrun.engine.feed import Feed
from gdrun.engine.loop import Compile, Program
from gdrun.engine.objective import Objective
from gdrun.engine.rows import Rows
from gdrun.engine.state import Batch, PatienceState, PlateauState, Setting, TrainState
from gdrun.engine.step import NoGradientError, Recorded, Step
from gdrun.errors import ConfigError
from gdrun.experiment.experiment import Experiment
from gdrun.experiment.formulas import loop_formulas
from gdrun.experiment.inputs import Datasets, Inputs
from gdrun.formula.parse import parse
from gdrun.formula.table import functions_without_lanes
from gdrun.optimizers.base import PointUpdate
from gdrun.text import plural_count

from .data import open_stream
from .engine import Engine, choose_engine
from .loss import build_metrics, scalar_formula, tensor_formula
from .optimizer import build_optimizer
from .parts import Parts, build_parts, released
from .schedule import MOST_TRIED_STEPS, build_factor, check_conditions
from .unconnected import unconnected_reason

FEW_NUMBERS = 10
"""Up to so many parameters are written into each row, where `record.parameters` is null."""
_SMALL_STATE = 4096
_CHEAP_EVALUATION = 2048
"""Trained numbers times examples a step, up to which XLA evaluates a row sooner than it takes the norm of a gradient in
every update: see docs/log.md."""
_BUFFER_BYTES = 32 << 20
_LANE_ARITHMETIC = 150_000
"""Trained numbers times examples a step, up to which lanes are faster than one trial after the other: beyond, a step is
long enough for its overhead not to count, and products that differ between lanes are slower than those of one."""


@dataclass(frozen=True)
class Built:
    """An experiment, ready to run."""

    experiment: Experiment
    objective: Objective
    step: Step
    program: Program
    state: TrainState
    setting: Setting
    data: Batch
    datasets: Datasets | None
    files: dict[str, str]
    """Absolute path -> SHA-256 of each file of data and of parameters to start with."""
    assess: Assess
    """Assessment of all metrics, with the loss over the training data."""
    rows: Rows
    windows: Windows
    total_steps: int
    """The step at which the schedule ends."""
    engine: Engine
    seconds_per_step: float
    """Estimate from the first step, an upper bound: it includes overheads that later steps do not have."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def steps_per_epoch(self) -> int:
        """Number of updates in an epoch."""
        return self.rows.epochs.length

    @property
    def begin(self) -> Begin:
        """Step and epoch that it begins with."""
        return self.rows.epochs.begin

    def end_at(self, step: int) -> Begin:
        """Return the beginning of a phase that follows where this one ends at `step`: with an epoch of its own."""
        return Begin(step, math.ceil(self.rows.epochs.done(step)))

    @property
    def named_inputs(self) -> dict[str, tf.Tensor]:
        """Each input of the training data by its name."""
        return self.objective.named_inputs(self.data)

    @property
    def compile(self) -> Compile:
        """The mode that is used."""
        return self.engine.compile

    @property
    def num_examples(self) -> int | None:
        """Number of training examples; None where there is no data."""
        batches = self.program.feed.batches
        return None if batches is None else batches.num_examples

    @property
    def num_parameters(self) -> int:
        """Number of trained numbers."""
        return sum(int(np.prod(value.shape)) for value in self.state.parameters)


def build(
    experiment: Experiment,
    *,
    directory: Path,
    max_steps: int | None = None,
    inputs: Inputs | None = None,
    requires_gradients: bool = True,
    begin: Begin = Begin(),
) -> Built:
    """Build an experiment and try its first step.

    Args:
        experiment: checked.
        directory: folder that relative data paths count from.
        max_steps: bound on the number of updates.
        inputs: as of `build_parts`.
        requires_gradients: refuse a parameter without a gradient; else its gradient is 0.
        begin: step and epoch that it begins with.
    Raises:
        ConfigError: for mistakes that only building shows: shapes, data, a parameter without a gradient.
    """
    parts = build_parts(experiment, directory=directory, inputs=inputs)
    return assemble(parts, max_steps=max_steps, requires_gradients=requires_gradients, begin=begin)


def assemble(
    parts: Parts,
    *,
    max_steps: int | None = None,
    requires_gradients: bool = True,
    begin: Begin = Begin(),
) -> Built:
    """Build the program of the parts that `build_parts` returned, and try its first step. See `build`."""
    experiment, constants, datasets, objective = parts.experiment, parts.constants, parts.datasets, parts.objective
    dtype = tf.as_dtype(experiment.precision)
    data, validation, state, setting, batches = parts.data, parts.validation, parts.state, parts.setting, parts.batches
    per_epoch = parts.steps_per_epoch
    scheduled = experiment.schedule.total_steps(per_epoch)
    steps = begin.step + (scheduled if max_steps is None else min(scheduled, max_steps))
    # The schedule's own length, not `steps`: a run cut by max_steps has the first rates of the whole one.
    factor = build_factor(experiment.schedule, constants, steps_per_epoch=per_epoch, total_steps=scheduled)
    tried = np.arange(min(scheduled, MOST_TRIED_STEPS + 1) if begin.planned else 0)
    check_conditions(experiment.optimizer, constants, begin.step + tried, begin.epoch + tried // per_epoch)
    optimizer = build_optimizer(experiment.optimizer, objective)
    metrics = build_metrics(experiment, dtype)
    stream, whole_loss = None, None
    if datasets is not None and batches is not None and datasets.train.mapped:
        offset = begin.epoch * per_epoch - begin.step
        stream = open_stream(datasets, batches, data, experiment.precision, steps, offset)
        whole_loss = stream.whole_loss(objective, is_sum=experiment.objective_loss.adds_up)
    assess = Assess(objective, metrics, validation, whole_loss=whole_loss)
    # The checks of the config know it, but for data whose number of examples only loading shows.
    for problem in experiment.watch_problems(("loss_epoch" if per_epoch > 1 else "loss", *assess.names)):
        raise ConfigError((problem,))
    checkpoint = experiment.checkpoint
    if checkpoint.metric not in (None, "loss") and (checkpoint.every_steps or 0) % per_epoch:
        raise refuse(
            f"{checkpoint.metric} is known at the end of each epoch, after {per_epoch:,} steps",
            ("checkpoint", "every_steps"),
            f"give a multiple of it: every_steps: {per_epoch}",
        )
    engine = choose_engine(parts, optimizer, metrics, total_steps=steps)
    small = _size(state.parameters) <= _SMALL_STATE
    warnings = (*engine.warnings, *parts.warnings, *experiment.optimizer.warnings(experiment.precision))
    warnings += experiment.objective_loss.warnings(experiment.model.last_activation)
    step = Step(
        objective,
        optimizer,
        optimizer_with=partial(build_optimizer, experiment.optimizer, objective),
        stop=experiment.schedule.stop,
        stop_formula=_stop_formula(experiment),
        recorded=_recorded(experiment, state),
        # In a graph every operation costs a microsecond, and in XLA a large state's selects cost time.
        guard="each" if engine.compile == "xla" and small else "late",
        # A loop on the host takes the last record of a chunk from an update, too.
        check_gradient=experiment.optimizer.hides_gradients or engine.host_loop,
        plateau=experiment.schedule.plateau,
        requires_gradients=requires_gradients,
    )
    state = start(step, state._replace(step=tf.constant(begin.step, tf.int64)), steps_per_epoch=per_epoch)
    feed = Feed(batches, factor is not None, stream is not None, begin)
    every: Any = experiment.record.every
    rows = Rows(
        every,
        steps,
        feed.epochs,
        extra=tuple(row.step for row in experiment.expect.trace if row.step <= steps),
        assess=bool(assess.names),
        every_epoch=bool(list(experiment.schedule.watches())),
    )
    cheap = _size(state.parameters) * feed.examples_per_step <= _CHEAP_EVALUATION
    windows = Windows(feed, factor, steps, stream)
    data = windows.examples(begin.step, data)
    program = Program(
        step,
        feed,
        assess=assess if assess.names else None,
        compile=engine.compile,
        buffer_bytes=_BUFFER_BYTES,
        host_loop=engine.host_loop,
        joint=step.update_evaluates_rows and (engine.compile != "xla" or engine.host_loop or not cheap),
    )
    everything = replace(assess, loss=True)
    # Mistakes that only a whole data set or a metric shows are raised here and not at the end of an epoch.
    assessed = everything if stream is None else assess
    whole = bool(assess.names) or not feed.full_batch
    began = time.perf_counter()
    _try_step(program, experiment, state, setting, data, windows, assessed if whole else None)
    seconds = time.perf_counter() - began
    return Built(
        experiment=experiment,
        objective=objective,
        step=step,
        program=program,
        state=state,
        setting=setting,
        data=data,
        datasets=None if datasets is None else released(datasets),
        files=parts.files,
        assess=everything,
        rows=rows,
        windows=windows,
        total_steps=steps,
        engine=engine,
        seconds_per_step=seconds,
        warnings=warnings,
    )


def _try_step(
    program: Program,
    experiment: Experiment,
    state: TrainState,
    setting: Setting,
    data: Batch,
    windows: Windows,
    assess: Assess | None,
) -> None:
    """Compile the program, try what its first step does, and assess once.

    Raises:
        ConfigError: for mistakes that only this shows, such as a parameter without a gradient.
    """
    window = windows.at(int(state.step))
    try:
        program.prepare(state, setting, data, window)
    except NoGradientError as error:
        path = experiment.model.parameter_path(error.name)
        why = NoGradientError(error.name, unconnected_reason(experiment, program.step.objective, error.name))
        raise why.at(("model", *path), key=bool(path)) from error
    if isinstance(program.step.optimizer, PointUpdate):
        with at_config_path("optimizer"):
            program.try_update(state, setting, data, window)
    elif program.step.recorded.means:
        program.try_update(state, setting, data, window)
    if assess is not None:
        feed = program.feed
        with _about_all_examples(None if feed.full_batch or feed.batches is None else feed.batches.num_examples):
            assess(state, setting, data, feed.moment(window, state.step))


@contextmanager
def _about_all_examples(num_examples: int | None) -> Iterator[None]:
    """Say of what goes wrong in the block that it was no batch, for which it went well; None: it was one."""
    try:
        yield
    except ConfigError as error:
        if num_examples is None:
            raise
        note = f"; this is the evaluation over all {num_examples:,} examples, of which a batch is a part"
        hint = "let shapes follow from the data, as in normal(zeros_like(x), 1)"
        problems = (replace(p, message=p.message.rstrip(".") + note, hint=p.hint or hint) for p in error.problems)
        raise ConfigError(tuple(problems), source=error.source) from error


def start(step: Step, state: TrainState, *, steps_per_epoch: int) -> TrainState:
    """Return `state` with the initial memory of the optimizer and the rules of `step`."""
    with at_config_path("optimizer"):
        optimizer_state = tuple(step.optimizer.initial_state(state.parameters))
    mean = (tf.zeros([], tf.float64), tf.zeros([], tf.float64))
    none, best = tf.constant(0, tf.int64), tf.constant(float("inf"), tf.float64)
    patience = step.stop.patience
    kept = (state.parameters, state.model_state) if patience is not None and patience.restore_best else ((), ())
    return state._replace(
        optimizer=optimizer_state,
        epoch_loss=mean if steps_per_epoch > 1 else (),
        epoch_means=(mean,) * len(step.recorded.means),
        patience=PatienceState(best, none, none, *kept) if patience is not None else (),
        plateau=PlateauState(tf.constant(1.0, tf.float64), best, none, none) if step.plateau is not None else (),
    )


def _stop_formula(experiment: Experiment) -> Any:
    text = experiment.schedule.stop.formula
    return None if text is None else scalar_formula(text, ("schedule", "stop", "formula"), tf.bool, "a condition")


def _recorded(experiment: Experiment, state: TrainState) -> Recorded:
    section = experiment.record
    few = _size(state.parameters) <= FEW_NUMBERS
    return Recorded(
        parameters=few if section.parameters is None else section.parameters,
        gradients=section.gradients,
        state=section.state,
        norms=section.norms,
        **{
            key: {name: tensor_formula(text, ("record", key, name)) for name, text in getattr(section, key).items()}
            for key in ("formulas", "after")
        },
        **{
            key: {
                name: scalar_formula(text, ("record", key, name), tf.float64, "what a mean is taken of")
                for name, text in getattr(section, key).items()
            }
            for key in ("batch_means", "example_means")
        },
    )


def _size(tensors: Any) -> int:
    return sum(int(np.prod(value.shape)) for value in tensors)


def lanes_obstacle(built: Built) -> str | None:
    """Return the reason why trials of this program cannot run as lanes, in words; None where they can."""
    if built.objective.model.convolutional:
        return "convolutions do not pay in lanes"
    if built.windows.stream is not None:
        return "the data is read from disk while training"
    if built.compile == "eager":
        return "compile: eager"
    loops = [name for name, value in built.objective.definitions.items() if not getattr(value, "fits_lanes", True)]
    if loops:
        return f"the loop {loops[0]} is too long for lanes"
    called = frozenset().union(*(parse(formula).functions for formula in loop_formulas(built.experiment)))
    missing = sorted(functions_without_lanes(called))
    return f"{missing[0]} does not work in lanes" if missing else None


def lanes_pay(built: Built) -> tuple[bool, str]:
    """Return whether trials of this program are faster as lanes than one after the other, and why, in words."""
    examples = built.program.feed.examples_per_step
    pay = built.num_parameters * examples <= _LANE_ARITHMETIC
    amount = "little" if pay else "much"
    size = f"{plural_count(built.num_parameters, 'parameter')} times {plural_count(examples, 'example')}"
    return pay, f"a step has {amount} arithmetic: {size}"
