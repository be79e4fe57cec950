"""TensorBoard's event files, by its own record writer, without TensorFlow: of runs and of a sweep's trials."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.errors import RunDirectoryError
from gdrun.extras import require
from gdrun.rundir.files import disk_error, refuse_existing
from gdrun.rundir.run import Run

from .exporter import exporter
from .recorded import (
    RecordedCurve,
    curve_of,
    finite_numbers,
    hyperparameters,
    seconds_of,
    trials_of,
)

BUCKETS = 30
GOOD = ("completed", "stopped")


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
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = RecordWriter(self.path.open("xb"))
        except OSError as error:
            raise disk_error("write", self.path, error) from error
        self._write(Event(wall_time=now, step=0, file_version="brain.Event:2"))

    def scalars(self, values: Mapping[str, float], *, step: int, at: float) -> None:
        """Write named numbers of one step; nan and infinities are what TensorBoard shows as such."""
        if values:
            parts = [self._summary.Value(tag=name, simple_value=_float32(value)) for name, value in values.items()]
            self._write(self._event(wall_time=at, step=step, summary=self._summary(value=parts)))

    def histogram(self, name: str, values: np.ndarray, *, step: int, at: float) -> None:
        """Write the distribution of an array's finite numbers."""
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        flat = np.asarray(values, np.float64).reshape(-1)
        flat = flat[np.isfinite(flat)]
        if len(flat):
            self._write(self._event(wall_time=at, step=step, summary=histogram_pb(name, flat, buckets=BUCKETS)))

    def begin(self, settings: Mapping[str, Any], *, name: str, at: float) -> None:
        """Write the hyperparameters with which the run began: numbers, bools and texts."""
        from tensorboard.plugins.hparams import metadata, plugin_data_pb2

        info = plugin_data_pb2.SessionStartInfo(group_name=name, start_time_secs=at)
        for key, value in settings.items():
            if isinstance(value, bool):
                info.hparams[key].bool_value = value
            elif isinstance(value, int | float):
                info.hparams[key].number_value = float(value)
            else:
                info.hparams[key].string_value = str(value)
        data = plugin_data_pb2.HParamsPluginData(session_start_info=info)
        self._session(metadata.SESSION_START_INFO_TAG, data, at)

    def end(self, *, at: float, good: bool) -> None:
        """Write when the run ended, and whether it completed."""
        from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

        status = api_pb2.STATUS_SUCCESS if good else api_pb2.STATUS_FAILURE
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=at)
        data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
        self._session(metadata.SESSION_END_INFO_TAG, data, at)

    def flush(self) -> None:
        """Make readers see what was written."""
        self._guard(self._writer.flush)

    def close(self) -> None:
        """Write what is left."""
        if not self._writer.closed:
            self._guard(self._writer.close)

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _session(self, tag: str, data: Any, at: float) -> None:
        from tensorboard.plugins.hparams import metadata

        part = self._summary.Value(
            tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
        )
        self._write(self._event(wall_time=at, step=0, summary=self._summary(value=[part])))

    def _write(self, event: Any) -> None:
        self._guard(lambda: self._writer.write(event.SerializeToString()))

    def _guard(self, act: Any) -> None:
        try:
            act()
        except OSError as error:
            raise disk_error("write", self.path, error) from error
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
        if run.is_sweep:
            _write_sweep(run, target)
        else:
            _write_run(run, target)
    return [str(target) for target in targets]


def _write_run(run: Run, target: Path) -> None:
    curve = curve_of(run)
    start = float(curve.times[0]) if len(curve.times) else seconds_of(run.info.started) or 0.0
    with EventFile(target, now=start) as file:
        file.begin(hyperparameters(run), name=run.id, at=start)
        _write_curve(file, curve)
        finish(file, run)


def _write_sweep(run: Run, target: Path) -> None:
    start = seconds_of(run.info.started) or 0.0
    end = seconds_of(run.info.finished) or start
    trials = list(trials_of(run))
    width = len(str(max((trial.number for trial in trials), default=0)))
    for trial in trials:
        with EventFile(target / f"{trial.number:0{width}d}", now=start) as file:
            file.begin(trial.settings, name=f"{run.id}/{trial.number}", at=start)
            if trial.curve is not None:
                _write_curve(file, trial.curve)
            _write_end(file, trial.results, trial.parameters, trial.status, step=trial.num_steps, at=end)


def finish(file: EventFile, run: Run) -> None:
    """Write the end of a run: final values, the distribution of each parameter, its status."""
    end = seconds_of(run.info.finished) or seconds_of(run.info.started) or 0.0
    results = finite_numbers(run.info.final)
    _write_end(file, results, run.known_parameters, str(run.status), step=run.info.steps or 0, at=end)


def _write_end(
    file: EventFile,
    results: Mapping[str, float],
    parameters: Mapping[str, np.ndarray],
    status: str,
    *,
    step: int,
    at: float,
) -> None:
    file.scalars({f"final/{name}": value for name, value in results.items()}, step=step, at=at)
    for name, array in parameters.items():
        parts = {".re": array.real, ".im": array.imag} if array.dtype.kind == "c" else {"": array}
        for ending, part in parts.items():
            if part.dtype.kind in "iuf":
                file.histogram(f"parameters/{name}{ending}", part, step=step, at=at)
    file.end(at=at, good=status in GOOD)


def _write_curve(file: EventFile, curve: RecordedCurve) -> None:
    for step, time_, row in curve.rows():
        file.scalars(row, step=step, at=time_)
