"""Who reads along while a run goes on, and what they are told: progress bars, notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.rundir.run import Run

if TYPE_CHECKING:
    from .train import Prepared


@dataclass(frozen=True)
class Plan:
    """What is about to run."""

    name: str
    description: str
    total_steps: int
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

    @property
    def total_epochs(self) -> float:
        """Passes over the data."""
        return self.total_steps / self.steps_per_epoch


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    parameters: Mapping[str, np.ndarray]
    """By name, while they are few; else empty."""
    seconds: float
    """In compiled code, since the start."""
    steps_per_second: float
    row: Mapping[str, Any]
    """The newest row."""


class Listener:
    """Reads along while a run goes on. Every method may be left as it is."""

    def planned(self, plan: Plan) -> None:
        """The run directory exists; the first step comes next."""

    def progress(self, progress: Progress) -> None:
        """A chunk is done."""

    def warned(self, message: str) -> None:
        """Something that the user should know."""

    def finished(self, run: Run) -> None:
        """The run directory is complete."""


def plan_of(prepared: Prepared, directory: Path | None, name: str | None = None, *, first_step: int = 0) -> Plan:
    """Return what is about to run, for listeners."""
    experiment, built = prepared.loaded.experiment, prepared.built
    return Plan(
        name=name or experiment.name or "run",
        description=experiment.description,
        total_steps=built.total_steps,
        steps_per_epoch=built.steps_per_epoch,
        num_parameters=built.num_parameters,
        parameter_names=(*built.objective.trainable_names, *built.objective.fixed_names),
        device=prepared.device.description,
        compile=built.compile,
        precision=experiment.precision,
        directory=directory,
        first_step=first_step,
    )


def progress_of(prepared: Prepared, report: Any) -> Progress:
    """Return what a report says, for listeners."""
    records = {name: values[-1] for name, values in report.records.items()}
    few = {name.removeprefix("parameters."): value for name, value in records.items() if name.startswith("parameters.")}
    if sum(value.size for value in few.values()) > 10:
        few = {}
    return Progress(
        step=report.step,
        epoch=report.step // prepared.built.steps_per_epoch,
        loss=float(records["loss"]),
        learning_rate=float(records["learning_rate"]),
        parameters=few,
        seconds=report.seconds,
        steps_per_second=report.steps_per_second,
        row=records,
    )
