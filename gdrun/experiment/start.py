"""Parameters that a model starts with from a file: those of another run, or any .npz with the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdrun.config.located import at_config_path
from gdrun.data.files import open_data, path_text
from gdrun.data.npz import all_npz_arrays
from gdrun.errors import ComponentError, ConfigPath, DataError, ShapeError
from gdrun.models.base import ModelFunction
from gdrun.models.transforms import raw_value

from .experiment import Experiment

_FILE = "parameters.npz"
"""The file of a run directory that has its final parameters."""


@dataclass(frozen=True)
class Start:
    """Arrays that a model, or one of its networks, starts with.

    Args:
        place: of `from` in the config.
        prefix: of the parameters that it is about, "" for all of them.
        file: absolute path.
        digest: SHA-256 of the file, in hex.
        arrays: name -> array.
    """

    place: ConfigPath
    prefix: str
    file: str
    digest: str
    arrays: dict[str, np.ndarray]


def start_files(experiment: Experiment, directory: Path) -> dict[ConfigPath, Path]:
    """Return the file that each `from` means, by its place in the config: of a run directory its parameters.

    Args:
        directory: folder that relative paths count from.
    """
    files = {("model", *place): directory / path for place, path in experiment.model.starts().items()}
    # Resolved: the run that `runs/latest` was then.
    return {place: (file / _FILE if file.is_dir() else file).resolve() for place, file in files.items()}


def read_starts(experiment: Experiment, directory: Path) -> tuple[Start, ...]:
    """Read the files that the model starts from.

    Raises:
        ConfigError: at `from`: a file is missing or damaged.
    """
    starts = []
    for place, file in start_files(experiment, directory).items():
        with at_config_path(*place):
            try:
                with open_data(file) as (content, digest):
                    arrays = all_npz_arrays(content, file)
            except DataError as error:
                hint = "give a run directory with parameters.npz (of a sweep its best/), or an .npz file"
                raise ComponentError(error.message, hint=error.hint or hint) from error
        prefix = f"{place[2]}." if len(place) > 2 else ""
        starts.append(Start(place, prefix, str(file), digest, arrays))
    return tuple(starts)


def started(model: ModelFunction, starts: Sequence[Start]) -> ModelFunction:
    """Return the model with the values of its `starts` before training.

    Raises:
        ConfigError: at `from`: an array is missing, has another shape or no finite numbers.
    """
    initial, state = dict(model.initial), dict(model.state)
    networks = tuple(start.prefix for start in starts if start.prefix)
    for start in starts:
        with at_config_path(*start.place):
            for name in [name for name in (*initial, *state) if name.startswith(start.prefix)]:
                if not start.prefix and name.startswith(networks):
                    continue
                if name in initial:
                    before = initial[name]
                    value = _array(start, name, np.asarray(before.raw))
                    initial[name] = before._replace(raw=raw_value(value, before.transform))
                elif state[name].dtype.kind == "f":  # the rest are seeds, which are the run's own
                    state[name] = _array(start, name, state[name]).astype(state[name].dtype)
    return replace(model, initial=initial, started=state) if starts else model


def _array(start: Start, name: str, like: np.ndarray) -> np.ndarray:
    """Return the array for a parameter: by its name or, of a network, by its name there."""
    own = name.removeprefix(start.prefix)
    key = name if name in start.arrays else own
    where = path_text(start.file)
    if key not in start.arrays:
        there = ", ".join(sorted(start.arrays)[:8]) or "nothing"
        raise ComponentError(
            f"{where} has no parameter '{name}'",
            hint=f"it has {there}; a network's own `from` takes that network's alone",
        )
    value = start.arrays[key]
    if value.dtype.kind not in ("biufc" if like.dtype.kind == "c" else "biuf"):
        raise ComponentError(f"'{key}' in {where} holds no real numbers")
    if value.shape != like.shape:
        raise ShapeError(
            f"'{key}' in {where} has shape {value.shape}, the model's has {like.shape}",
            hint="give the model the settings of the one that was saved",
        )
    if not np.all(np.isfinite(value)):
        raise ComponentError(f"'{key}' in {where} is not finite", hint="start from a run that did not diverge")
    return value.astype(np.complex128 if like.dtype.kind == "c" else np.float64)
