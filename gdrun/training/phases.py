"""Phases of a run: each begins with the parameters that the one before it ended with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.rundir.run_info import Values

from .prepare import Prepared, prepare

if TYPE_CHECKING:
    from gdrun.assembly import Begin, Built
    from gdrun.engine.drive import Report
    from gdrun.engine.state import TrainState

    from .outcome import Outcome


@dataclass(frozen=True)
class PhaseRecord:
    """Phases of a run that have begun, as run.json has them.

    Args:
        begun: one mapping a phase: begins (a step), epoch, steps_per_epoch of those after the first, and ended (by
            which rule; null: it has not).
    """

    begun: tuple[Values, ...] = ({"begins": 0, "epoch": 0, "ended": None},)

    @property
    def number(self) -> int:
        """Number of the last one, from 0."""
        return len(self.begun) - 1

    def followed(self, ended: str, built: Built) -> PhaseRecord:
        """Return the record once the last one has ended and the next one, `built`, has begun."""
        begin, per_epoch = built.begin, built.steps_per_epoch
        new = {"begins": begin.step, "epoch": begin.epoch, "steps_per_epoch": per_epoch, "ended": None}
        return PhaseRecord((*self.ended(ended), new))

    def ended(self, rule: str) -> tuple[Values, ...]:
        """Return `begun` once `rule` has ended the last one."""
        return (*self.begun[:-1], {**self.begun[-1], "ended": rule})


def phase_at(prepared: Prepared, number: int, begin: Begin) -> Prepared:
    """Return a phase of a run, built for the step at which it begins.

    Args:
        prepared: the run.
        number: of the phase, from 0.
    """
    phase = (prepared, *prepared.phases)[number]
    if phase.built.begin == begin:
        return phase
    device = prepared.device.description.partition(" ")[0]
    return prepare(phase.loaded, device=device, smoke=prepared.smoke, begin=begin._replace(planned=False))


def raw_parameters(phase: Prepared, state: TrainState) -> dict[str, Any]:
    """Return every parameter before its transform, trained or not, by name, as tensors."""
    objective = phase.built.objective
    trained = zip(objective.trainable_names, state.parameters, strict=True)
    return dict(trained) | dict(zip(objective.fixed_names, phase.built.setting.fixed, strict=True))


def begin_with(phase: Prepared, values: Mapping[str, Any], model_state: Mapping[str, Any]) -> tuple[Prepared, Report]:
    """Return the phase with other initial values, and the report of its start.

    Args:
        values: as of `raw_parameters`.
        model_state: name -> tensor; kept values of `define` that it lacks start anew, from these parameters.
    """
    from gdrun.assembly import start
    from gdrun.engine.device import import_tensorflow
    from gdrun.engine.drive import first_report

    tf = import_tensorflow()
    built = phase.built
    objective = built.objective
    with tf.device(phase.device.name):
        parameters = tuple(values[name] for name in objective.trainable_names)
        setting = built.setting._replace(fixed=tuple(values[name] for name in objective.fixed_names))
        kept = dict(zip(objective.kept, objective.start_kept(parameters, setting), strict=True))
        of_model = tuple({**kept, **model_state}[name] for name in objective.state_names)
        state = built.state._replace(parameters=parameters, model_state=of_model)
        state = start(built.step, state, steps_per_epoch=built.steps_per_epoch)
        record = built.program.prepare(state, setting, built.data, built.windows.at(built.begin.step))
        report = replace(first_report(state, record), is_row=np.ones(1, bool))
    return replace(phase, built=replace(built, state=state, setting=setting)), report


def next_phase(prepared: Prepared, number: int, before: Prepared, outcome: Outcome) -> tuple[Prepared, Report]:
    """Return the phase `number` of a run, which begins where the one before it ended, and the report of its start."""
    from .final import final_state

    end = final_state(before.built.step, outcome.report.state)
    phase = phase_at(prepared, number, before.built.end_at(outcome.report.step))
    model_state = dict(zip(before.built.objective.state_names, end.model_state, strict=True))
    old, new = before.loaded.experiment.define, phase.loaded.experiment.define
    for name in before.built.objective.kept:
        # A value that starts otherwise is another one, and may have another shape.
        if name not in new or getattr(new[name], "start", None) != getattr(old[name], "start", None):
            del model_state[name]
    return begin_with(phase, raw_parameters(before, end), model_state)
