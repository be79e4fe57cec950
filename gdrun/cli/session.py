"""Steps that commands share: plugins, configs that are all checked and built before the first one runs, silence.

Configs and training are imported by the functions that need them, since `show` and `watch` only want the silence.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gdrun.errors import GdrunError, UsageError
from gdrun.text import safe_text

from . import failures, terminal
from .noise import Noise
from .progress import DelayedMessage

if TYPE_CHECKING:
    from gdrun.config.plugins import Plugins
    from gdrun.experiment.inputs import Inputs
    from gdrun.experiment.loading import LoadedConfig
    from gdrun.training.prepare import Prepared

PLUGINS_VARIABLE = "GDRUN_PLUGINS"
"""Environment variable that keeps pyproject.toml unread where it is "off": for checkouts that may be a stranger's."""

_DEVICE = re.compile(r"auto|cpu|gpu(:\d{1,4})?")


def load_all(
    configs: Sequence[str],
    overrides: Sequence[str],
    *,
    device: str | None = None,
    plugins: Sequence[str] | None = None,
) -> list[LoadedConfig]:
    """Return the configs, checked as far as their texts go; `plugins` are loaded once for all of them.

    Raises:
        UsageError: `device` is none.
        GdrunError: what is wrong with the configs, all of them.
    """
    from gdrun.experiment.loading import load_config

    check_device(device)
    loaded_plugins = load_plugins(plugins)
    return failures.for_all(configs, lambda config: load_config(config, overrides, plugins=loaded_plugins))


def load_plugins(plugins: Sequence[str] | None) -> Plugins:
    """Return the plugins of the project and the command line; what they print goes to stderr."""
    from gdrun.config.plugins import NO_PLUGINS
    from gdrun.config.plugins import load_plugins as load

    sources = [*project_sources(), *(plugins or ())]
    if not sources:
        return NO_PLUGINS
    with quiet():
        return load(sources, output=lambda text: terminal.message(*text[:4000].split("\n")))


def project_sources() -> list[str]:
    """Return the plugins that pyproject.toml in the current directory names, and say so: their code will run.

    Raises:
        UsageError: the file's table cannot be read, or GDRUN_PLUGINS is misspelt: then nobody's code may run.
    """
    from gdrun.config.project import PROJECT_FILE, project_plugins

    switch = os.environ.get(PLUGINS_VARIABLE) or "on"
    if switch not in ("on", "off"):
        raise UsageError(f"{PLUGINS_VARIABLE} is on or off, not '{safe_text(switch, limit=80)}'")
    if switch == "off":
        return []
    if plugins := project_plugins():
        terminal.message(safe_text(f"plugins of {PROJECT_FILE}: {', '.join(plugins)}", limit=400))
    return plugins


def check_device(device: str | None) -> None:
    """Raise UsageError where `device` is none."""
    if device is not None and not _DEVICE.fullmatch(device):
        raise UsageError(f"there is no device '{device}'", hint="auto, cpu, gpu or gpu:N")


def prepare_all(
    loaded: Sequence[LoadedConfig],
    *,
    device: str | None,
    threads: int | None,
    smoke: bool = False,
    silent: bool = False,
) -> list[Prepared]:
    """Return the configs built; imports TensorFlow once the data of all of them is read.

    What takes long is said on stderr, unless `silent`.

    Raises:
        GdrunError: what is wrong with them, all of them.
    """
    from gdrun.training.prepare import read

    with waiting(silent=silent) as say:
        say("reading the data")
        inputs = failures.for_all(loaded, read)[::-1]

        def prepared(config: LoadedConfig) -> Prepared:
            start = "" if "tensorflow" in sys.modules else "starting TensorFlow, "
            say(f"{start}building {safe_text(config.source, limit=60)}")
            return _prepared(config, inputs.pop(), device=device, threads=threads, smoke=smoke)

        return failures.for_all(loaded, prepared)


MOST_PROGRAMS = 4
"""Compiled experiments that are kept where commands follow each other in one process: the last ones."""

MOST_KEPT_BYTES = 64 << 20
"""An experiment with more data is not kept."""

_programs: list[tuple[Any, Prepared]] | None = None
"""Compiled experiments and what each is of; None: none is kept."""


def is_keeping_programs() -> bool:
    """Return whether commands follow each other in this process."""
    return _programs is not None


@contextmanager
def keeping_programs() -> Iterator[None]:
    """Keep compiled experiments, so that a command on the same config and data does not compile again."""
    global _programs
    before, _programs = _programs, [] if _programs is None else _programs
    try:
        yield
    finally:
        _programs = before


def _prepared(loaded: LoadedConfig, inputs: Inputs, **options: Any) -> Prepared:
    """Return a config built, or as it was built before: nothing changes in what was prepared when it is executed."""
    from gdrun.training.prepare import prepare

    datasets = inputs.datasets
    num_bytes = 0 if datasets is None else sum(array.nbytes for array in datasets.train.arrays().values())
    is_large = num_bytes > MOST_KEPT_BYTES or (datasets is not None and datasets.train.mapped)
    # A plugin's code may remember what it likes.
    if _programs is None or is_large or any(loaded.experiment.custom_parts()):
        return prepare(loaded, inputs, **options)
    key = (loaded.experiment, loaded.directory, None if datasets is None else datasets.files, options)
    prepared = next((prepared for other, prepared in _programs if other == key), None)
    if prepared is None:
        prepared = prepare(loaded, inputs, **options)
        _programs.append((key, prepared))
        del _programs[:-MOST_PROGRAMS]
    return replace(prepared, loaded=loaded)


@contextmanager
def quiet() -> Iterator[Noise]:
    """Hold back what libraries print; where the command dies of a bug, add it to the error's notes."""
    with Noise() as noise:
        try:
            yield noise
        except Exception as error:
            add_output(error, noise)
            raise


def add_output(error: Exception, noise: Noise) -> None:
    """Add what libraries printed to the notes of a bug."""
    if not isinstance(error, GdrunError) and (output := noise.take().strip()):
        error.add_note(output[-2000:])


@contextmanager
def waiting(text: str = "", *, silent: bool = False) -> Iterator[Callable[[str], None]]:
    """Say that something takes its time, in a pipe only if it does; yield a function that says what comes next."""
    if silent:
        yield lambda text: None
    elif terminal.is_live():
        with terminal.console().status(text, spinner="dots") as status:
            yield status.update
    else:
        message = DelayedMessage()
        if text:
            message.begin(text)
        try:
            yield message.begin
        finally:
            message.end()
