"""Listeners of training: progress bars, notebooks, other programs' files. A run is a sweep with one trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.rundir.run import Run

if TYPE_CHECKING:
    from gdrun.engine.drive import Report

    from .prepare import Prepared

_MOST_NUMBERS = 10
"""Parameters are reported while they are at most so many numbers."""


@dataclass(frozen=True)
class Plan:
    """A run or a sweep that is about to train."""

    name: str
    description: str
    total_steps: int
    """Of one trial."""
    steps_per_epoch: int
    num_parameters: int
    parameter_names: tuple[str, ...]
    device: str
    compile: str
    precision: str
    directory: Path | None
    """The run directory."""
    first_step: int = 0
    """Updates that were done before: more than none where a run is resumed."""
    num_trials: int | None = None
    """Trials of a sweep, of a search at most; None: it is a run."""
    group_sizes: tuple[int, ...] = ()
    """Trials of each group of a sweep that shares a program; empty for a search, which groups them as it goes."""


@dataclass(frozen=True)
class Progress:
    """Progress of a run or a sweep. A run fills in the first part, a sweep the second, both the times."""

    seconds: float
    """Of a run in compiled code, of a sweep by the clock, since it was started or resumed."""
    steps_per_second: float | None = None
    """Of all trials together; None or 0 while unknown."""

    step: int = 0
    epoch: int = 0
    loss: float = math.nan
    learning_rate: float = math.nan
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    """By name, while they are few; else empty."""
    row: Mapping[str, Any] = field(default_factory=dict)
    """The newest row."""

    trials_done: int = 0
    """Trials that have a result, those of an earlier start included."""
    num_trials: int | None = None
    """All trials, of a search at most; None: it is a run."""
    diverged: int = 0
    """Trials of those done."""
    best_value: float | None = None
    """What trials are ranked by, of the best so far; None while there is none."""
    best_trial: int | None = None


class Listener:
    """Listener of a run or a sweep. Every method may be left as it is.

    Methods are called from the process that training was started in, none of them at the same time as another.
    """

    def planned(self, plan: Plan) -> None:
        """The run directory exists; the first step comes next."""

    def progress(self, progress: Progress) -> None:
        """A chunk of steps is done."""

    def warned(self, message: str) -> None:
        """Something that the user should know, and that does not end the run."""

    def finished(self, run: Run) -> None:
        """The run directory is complete. `run` is a Run where a sweep has ended."""

    def close(self) -> None:
        """Nothing more will come, however the run ended."""


def plan_of(prepared: Prepared, directory: Path | None, name: str | None = None, **more: Any) -> Plan:
    """Return the plan of a run, or of a sweep whose first trial is `prepared`.

    Args:
        more: further fields of the Plan.
    """
    experiment, built = prepared.loaded.experiment, prepared.built
    return Plan(
        name=name or experiment.name or "run",
        description=experiment.description,
        total_steps=prepared.last.built.total_steps,
        steps_per_epoch=built.steps_per_epoch,
        num_parameters=built.num_parameters,
        parameter_names=(*built.objective.trainable_names, *built.objective.fixed_names),
        device=prepared.device.description,
        compile=built.compile,
        precision=experiment.precision,
        directory=directory,
        **more,
    )


def progress_of(prepared: Prepared, report: Report) -> Progress:
    """Return the progress of a run at a report of the loop."""
    row = {name: values[-1] for name, values in report.records.items()}
    few = {name.removeprefix("parameters."): value for name, value in row.items() if name.startswith("parameters.")}
    return Progress(
        seconds=report.seconds,
        steps_per_second=report.steps_per_second,
        step=report.step,
        epoch=int(prepared.built.rows.epochs.number(report.step)),
        loss=float(row["loss"]),
        learning_rate=float(row["learning_rate"]),
        parameters=few if sum(value.size for value in few.values()) <= _MOST_NUMBERS else {},
        row=row,
    )
