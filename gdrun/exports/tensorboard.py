"""TensorBoard's event files, by its own record writer, without TensorFlow: of runs and of a sweep's trials."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.errors import RunDirectoryError
from gdrun.extras import require
from gdrun.rundir.files import disk_errors, refuse_existing
from gdrun.rundir.run import Run

from .exporter import exporter
from .recorded import ExportedRun, with_trials

BUCKETS = 30


def require_tensorboard() -> None:
    """Raise ResourceError where tensorboard is not installed."""
    require("tensorboard.summary.writer.record_writer", extra="tensorboard", what="TensorBoard's files")


class EventFile:
    """Writes scalars, histograms and hyperparameters of one run. Steps are updates; times are seconds since 1970.

    Every method raises RunDirectoryError where the disk refuses.
    """

    def __init__(self, folder: Path, *, now: float | None = None) -> None:
        """
        Args:
            folder: of the run, made if it is not there; TensorBoard calls the run after it.
            now: when the file begins; default now.
        Raises:
            ResourceError: tensorboard is not installed.
        """
        require_tensorboard()
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        now = time.time() if now is None else now
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self.path = folder / name
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = RecordWriter(self.path.open("xb"))
            self._writer.write(Event(wall_time=now, step=0, file_version="brain.Event:2").SerializeToString())

    def scalars(self, values: Mapping[str, float], *, step: int, at: float) -> None:
        """Write named numbers of one step; nan and infinities are what TensorBoard shows as such."""
        if values:
            parts = [self._summary.Value(tag=name, simple_value=_float32(value)) for name, value in values.items()]
            self._write(self._summary(value=parts), step=step, at=at)

    def histogram(self, name: str, values: np.ndarray, *, step: int, at: float) -> None:
        """Write the distribution of an array's finite numbers."""
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        flat = np.asarray(values, np.float64).reshape(-1)
        flat = flat[np.isfinite(flat)]
        if len(flat):
            self._write(histogram_pb(name, flat, buckets=BUCKETS), step=step, at=at)

    def begin(self, settings: Mapping[str, Any], *, name: str, at: float) -> None:
        """Write the hyperparameters with which the run began: numbers, bools and texts."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        self._write(hparams_pb(dict(settings), trial_id=name, start_time_secs=at), step=0, at=at)

    def end(self, *, at: float, good: bool) -> None:
        """Write when the run ended, and whether it completed."""
        from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

        status = api_pb2.STATUS_SUCCESS if good else api_pb2.STATUS_FAILURE
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=at)
        content = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=info))
        tag, tensor = metadata.SESSION_END_INFO_TAG, metadata.NULL_TENSOR
        self._write(self._summary(value=[self._summary.Value(tag=tag, metadata=content, tensor=tensor)]), step=0, at=at)

    def flush(self) -> None:
        """Make readers see what was written."""
        with self._writing():
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if not self._writer.closed:
            with self._writing():
                self._writer.close()

    def _write(self, summary: Any, *, step: int, at: float) -> None:
        with self._writing():
            self._writer.write(self._event(wall_time=at, step=step, summary=summary).SerializeToString())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with disk_errors("write", self.path):
            try:
                yield
            except ValueError as error:  # of a file that was closed after a failure
                raise RunDirectoryError(f"cannot write {self.path}: {error}") from error


def _float32(value: float) -> float:
    """Return a number as event files hold it: an infinity where it is too large for float32."""
    # protobuf refuses to convert such a number itself.
    with np.errstate(over="ignore"):
        return float(np.float32(value))


@exporter("tensorboard")
def export_tensorboard(runs: Sequence[Run], output: str | None) -> list[str]:
    """Write event files: curves, histograms, hyperparameters (needs tensorboard).

    Those of a run lie in OUTPUT/ID, those of a sweep's trials in OUTPUT/ID/TRIAL; the folders are returned.

    Raises:
        ResourceError: tensorboard is not installed.
        UsageError: there are event files already.
        RunDirectoryError: a run is damaged, or the disk refuses.
    """
    require_tensorboard()
    folder = Path("tensorboard" if output is None else output)
    targets = [folder / run.id for run in runs]
    for target in targets:
        refuse_existing(target, "folder")
    for run, target in zip(runs, targets, strict=True):
        whole, *trials = with_trials(run)
        width = len(str(max((trial.number for trial in trials), default=0)))
        for part in trials if run.is_sweep else [whole]:
            _write_events(part, target / f"{part.number:0{width}d}" if run.is_sweep else target)
    return [str(target) for target in targets]


def _write_events(run: ExportedRun, folder: Path) -> None:
    """Write the event file of a run or of a trial."""
    rows = [] if run.curve is None else list(run.curve.rows())
    start = rows[0][1] if rows else run.start
    with closing(EventFile(folder, now=start)) as file:
        file.begin(run.settings, name=run.id, at=start)
        for step, at, row in rows:
            file.scalars(row, step=step, at=at)
        finish(file, run)


def finish(file: EventFile, run: ExportedRun) -> None:
    """Write the end of a run: final values, the distribution of each parameter, its status."""
    step, at = run.num_steps, run.end
    file.scalars({f"final/{name}": value for name, value in run.results.items()}, step=step, at=at)
    for name, array in run.parameters.items():
        parts = {".re": array.real, ".im": array.imag} if array.dtype.kind == "c" else {"": array}
        for ending, part in parts.items():
            if part.dtype.kind in "iuf":
                file.histogram(f"parameters/{name}{ending}", part, step=step, at=at)
    file.end(at=at, good=run.ended_well)
