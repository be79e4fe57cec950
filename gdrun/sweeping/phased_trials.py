"""Training of a trial that has phases: alone, as a run is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gdrun.assembly import Built
from gdrun.engine.drive import drive, first_report
from gdrun.engine.loop import Program
from gdrun.rundir.run_info import Status
from gdrun.training.final import final_state, final_values
from gdrun.training.outcome import describe_outcome
from gdrun.training.phases import next_phase
from gdrun.training.prepare import prepare
from gdrun.training.signals import time_limit

from .lane_recorder import LaneRecorder, best_values
from .results import SINGLY, BlockResult, Hooks
from .trials import SweepSpec


def train_phases(
    spec: SweepSpec, trial: int, hooks: Hooks, shared_program: Callable[[int, Built], Program]
) -> BlockResult | None:
    """Train the phases of a trial one after the other; None where that was stopped.

    Args:
        shared_program: (number of a phase, the phase) -> its program, which other trials may share.
    Raises:
        ConfigError: it cannot be built.
    """
    prepared = prepare(spec.load(trial), device=hooks.device)
    phase, report, recorders, seconds = prepared, None, list[LaneRecorder](), 0.0
    while True:
        built = replace(phase.built, program=shared_program(len(recorders), phase.built))
        recorder = LaneRecorder(np.asarray([trial]), built)
        recorders.append(recorder)
        is_over = time_limit(built.experiment.schedule.stop.seconds)
        last = start = report or first_report(built.state, built.program.first_record)
        for last in drive(
            built.program,
            start.state,
            built.setting,
            built.data,
            built.rows,
            built.windows,
            seconds_per_step=built.seconds_per_step,
            should_stop=lambda: hooks.should_stop() or is_over(),  # noqa: B023
            call=hooks.call,
            resumed=report is not None,
        ):
            recorder.take_single(0, last)
            hooks.progress(replace(recorder.progress(), done=0, diverged=0, lane_steps=last.step))
        if not last.finished and hooks.should_stop():
            return None
        seconds += last.seconds
        outcome = describe_outcome(phase, last, None)
        if outcome.status not in (Status.COMPLETED, Status.STOPPED) or len(recorders) > len(prepared.phases):
            break
        phase, report = next_phase(prepared, len(recorders), phase, outcome)
    state = final_state(built.step, last.state)
    moment = built.program.feed.moment(built.windows.at(last.step), state.step)
    final = final_values(built, state, built.setting, built.data, moment)
    end, (steps, curves) = np.asarray([last.step], np.int64), _joined([recorder.curves() for recorder in recorders])
    diverged = outcome.diverged or {"step": -1, "quantity": ""}
    named = built.objective.named(state.parameters, built.setting)
    return BlockResult(
        trials=np.asarray([trial], np.int64),
        status=[str(outcome.status)],
        stopped_by=[outcome.stopped_by],
        steps=end,
        diverged_at=np.asarray([diverged["step"]], np.int64),
        diverged=[diverged["quantity"]],
        why=[""],
        values={name: np.asarray([float(value)]) for name, value in final.items()}
        | best_values(spec, steps, curves, end, {}),
        parameters={name: value.numpy()[None] for name, value in named.items()},
        curve_steps=steps,
        curves=curves,
        info={"strategy": SINGLY, "why": "phases", "seconds": seconds, "compile": built.compile},
    )


def _joined(parts: list[tuple[np.ndarray, dict[str, np.ndarray]]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the curves of phases as one: steps (R,), and each column, (1, R, ...), nan in phases that lack it."""
    steps = np.concatenate([own for own, _ in parts])
    by_epoch = any("loss_epoch" in curves for _, curves in parts)
    joined: dict[str, np.ndarray] = {}
    for own, curves in parts:
        if by_epoch and len(own):
            curves = {"loss_epoch": curves["loss"], **curves}  # the mean over an epoch of one step
        for name, values in curves.items():
            whole = joined.setdefault(name, np.full((1, len(steps), *values.shape[2:]), np.nan, values.dtype))
            if whole.shape[2:] == values.shape[2:]:
                whole[:, np.searchsorted(steps, own)] = values
    return steps, joined
