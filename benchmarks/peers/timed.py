"""The time that gdrun spends in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gdrun import Listener, execute

from .sample import Sample, now


class TrainingTime:
    """Runs a prepared experiment again and again, timing from the first step to the last row written.

    Preparing the run directory and the files of its end are left out, as import and compiling are: the first sample
    has the compiling in it.
    """

    def __init__(self, prepared: Any, runs_dir: Path) -> None:
        self.prepared = prepared
        self.runs_dir = runs_dir

    def sample(self) -> Sample:
        """Train from the start."""
        clock = _Clock()
        run = execute(self.prepared, runs_dir=self.runs_dir, listener=clock)
        wall, processor = (end - begin for begin, end in zip(clock.began, clock.ended, strict=True))
        return Sample(wall, run.info.steps, float(run.info.final["loss"]), self.prepared.built.compile, processor)


class _Clock(Listener):
    began = ended = (0.0, 0.0)

    def planned(self, plan: Any) -> None:
        self.began = now()

    def progress(self, progress: Any) -> None:
        self.ended = now()
