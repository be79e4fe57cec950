"""What is in event files, read by TensorBoard's own reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def events(folder: Path) -> Iterator[Any]:
    """Yield the events of all files in a folder."""
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub import errors
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    for path in sorted(folder.iterdir()):
        reader = PyRecordReader_New(str(path))
        while True:
            try:
                reader.GetNext()
            except errors.OutOfRangeError:
                break
            yield Event.FromString(reader.record())


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return tag -> (step, value) of each scalar."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def histograms(folder: Path) -> dict[str, Any]:
    """Return tag -> (buckets, 3): left, right, count."""
    from tensorboard.util.tensor_util import make_ndarray

    return {
        value.tag: make_ndarray(value.tensor)
        for event in events(folder)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "histograms"
    }


def session(folder: Path) -> tuple[dict[str, Any], int | None]:
    """Return the hyperparameters that a run began with, and the status that it ended with."""
    from tensorboard.plugins.hparams import metadata

    settings: dict[str, Any] = {}
    status = None
    for event in events(folder):
        for value in event.summary.value:
            content = value.metadata.plugin_data.content
            if value.tag == metadata.SESSION_START_INFO_TAG:
                told = metadata.parse_session_start_info_plugin_data(content).hparams
                settings = {key: getattr(one, str(one.WhichOneof("kind"))) for key, one in told.items()}
            elif value.tag == metadata.SESSION_END_INFO_TAG:
                status = metadata.parse_session_end_info_plugin_data(content).status
    return settings, status
