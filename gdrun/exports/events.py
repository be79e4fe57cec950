"""One event file of TensorBoard's, by TensorBoard's own record writer: no TensorFlow is needed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.errors import ResourceError, RunDirectoryError
from gdrun.rundir.files import disk_error

BUCKETS = 30
_MARK = "tfevents"


def require_tensorboard() -> None:
    """Raise ResourceError where tensorboard is not installed."""
    try:
        import_module("tensorboard.summary.writer.record_writer")
    except ImportError as error:
        raise ResourceError("tensorboard is not installed", hint="pip install 'gdrun[tensorboard]'") from error


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
        name = f"events.out.{_MARK}.{int(now)}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
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
        """Say with which hyperparameters the run began. Values are numbers, bools and texts."""
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
        """Say when the run ended, and whether by itself."""
        from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

        status = api_pb2.STATUS_SUCCESS if good else api_pb2.STATUS_FAILURE
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=at)
        data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
        self._session(metadata.SESSION_END_INFO_TAG, data, at)

    def flush(self) -> None:
        """Let readers see what was written."""
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

        told = metadata.create_summary_metadata(data)
        part = self._summary.Value(tag=tag, metadata=told, tensor=metadata.NULL_TENSOR)
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
    """Event files hold float32: what is larger is an infinity there, which protobuf would refuse to make of it."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))
