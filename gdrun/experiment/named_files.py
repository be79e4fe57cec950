"""Existence of the files that a config names. Their content is checked when they are read."""

from __future__ import annotations

import os
from pathlib import Path

from gdrun.errors import ConfigError, ConfigPath, Problem
from gdrun.suggest import closest_file

from .loading import LoadedConfig
from .start import start_files


def check_files(loaded: LoadedConfig) -> None:
    """Refuse a config whose files of data, or of parameters to start with, do not exist.

    Raises:
        ConfigError: at each path.
    """
    problems = []
    data = loaded.experiment.data
    places: list[tuple[ConfigPath, object]] = [(("data",), data), (("data", "validation"), None)]
    validation = getattr(data, "validation", None)
    if getattr(validation, "path", None) != getattr(data, "path", None):
        places[1] = (("data", "validation"), validation)
    for path, section in places:
        written = getattr(section, "path", None)
        if isinstance(written, str):
            problem = _problem(loaded.directory / written, written, (*path, "path"))
            problems += [] if problem is None else [loaded.locate(problem)]
    for place, file in start_files(loaded.experiment, loaded.directory).items():
        problem = _problem(file, str(file), place)
        problems += [] if problem is None else [loaded.locate(problem)]
    if problems:
        raise ConfigError(tuple(problems), source=loaded.source)


def _problem(file: Path, written: str, path: ConfigPath) -> Problem | None:
    try:
        if file.is_file():
            return None
        what = "this is a folder, not a file" if file.is_dir() else f"there is no file {file}"
    except (OSError, ValueError):
        return Problem(f"the file {written[:200]} cannot be looked at", path)
    near = closest_file(file)
    if near is None:
        return Problem(what, path, "paths count from the config's folder")
    return Problem(what, path, f"did you mean '{os.path.join(os.path.dirname(written), near.name)}'?")
