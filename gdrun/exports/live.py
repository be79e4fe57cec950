"""TensorBoard's event files of a run, written while it trains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gdrun.errors import RunDirectoryError
from gdrun.rundir.column_parts import column_parts
from gdrun.rundir.metrics import column_of
from gdrun.rundir.run import Run
from gdrun.rundir.tail import Tail
from gdrun.training.listener import Listener, Plan, Progress

from .recorded import exported, hyperparameters
from .tensorboard import EventFile, finish, require_tensorboard

MOST_NUMBERS = 64
"""Of one recorded column: larger arrays are written as histograms at the end alone."""


class TensorBoardListener(Listener):
    """Writes a run's rows as event files into FOLDER/ID while it trains, and calls another listener.

    A disk that refuses ends the event file, with a warning, and not the run.
    """

    def __init__(self, folder: str | Path, inner: Listener | None = None) -> None:
        """
        Args:
            folder: TensorBoard's `--logdir`.
            inner: another listener, called first.
        Raises:
            ResourceError: tensorboard is not installed.
        """
        require_tensorboard()
        self._folder = Path(folder)
        self._inner = inner or Listener()
        self._file: EventFile | None = None
        self._tail: Tail | None = None

    def planned(self, plan: Plan) -> None:
        """Begin the event file."""
        self._inner.planned(plan)
        self._end_file()
        if plan.directory is None or plan.num_trials is not None:
            return  # A sweep has no rows; its trials are exported when they have ended.
        run = Run(plan.directory)
        with self._warning():
            self._file = EventFile(self._folder / run.id)
            self._file.begin(hyperparameters(run), name=run.id, at=time.time())
            self._tail = Tail(run.directory)
            if plan.first_step:
                self._tail.new_rows()  # written when they were recorded

    def progress(self, progress: Progress) -> None:
        """Write the rows that are new."""
        self._inner.progress(progress)
        self._follow()

    def warned(self, message: str) -> None:
        """Call the other listener."""
        self._inner.warned(message)

    def finished(self, run: Run) -> None:
        """Write the rest, and what the run ended with."""
        self._inner.finished(run)
        self._follow()
        if self._file is not None:
            with self._warning():
                finish(self._file, exported(run))
        self._end_file()

    def close(self) -> None:
        """Close the event file; what the run has written stays."""
        self._end_file()
        self._inner.close()

    @contextmanager
    def _warning(self) -> Iterator[None]:
        """Turn a disk's refusal into a warning and the end of the event file."""
        try:
            yield
        except RunDirectoryError as error:
            self._file = None
            self.warned(f"TensorBoard's files are not written any more: {error.message}")

    def _end_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with self._warning():
                file.close()

    def _follow(self) -> None:
        if self._file is None or self._tail is None:
            return
        with self._warning():
            now = time.time()
            for row in self._tail.new_rows():
                self._file.scalars(numbers_in(row), step=row["step"], at=now)
            self._file.flush()


def numbers_in(row: dict[str, Any]) -> dict[str, float]:
    """Return the numbers in a row of metrics.jsonl by name: "loss", "parameters.W[0,1]", "parameters.c.re"."""
    numbers: dict[str, float] = {}
    for name, value in row.items():
        has_value = value is not None and not (isinstance(value, dict) and "reason" in value)
        if name not in ("step", "epoch") and has_value:
            column = column_of([value])
            if column.dtype.kind in "iufc" and column.size <= MOST_NUMBERS:
                numbers |= {label: float(part[0]) for label, part in column_parts(name, column)}
    return numbers
