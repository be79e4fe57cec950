"""Steps that commands share: plugins, configs that are all checked and built before the first one runs, silence.

Configs and training are imported by the functions that need them, since `show` and `watch` only want the silence.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gdrun.errors import GdrunError, UsageError
from gdrun.text import safe_text

from . import failures, terminal
from .noise import Noise
from .progress import DelayedMessage

if TYPE_CHECKING:
    from gdrun.config.plugins import Plugins
    from gdrun.experiment.loading import LoadedConfig
    from gdrun.training.prepare import Prepared

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
    """Return the plugins that the command line names. What they print goes to stderr, libraries' output nowhere."""
    from gdrun.config.plugins import NO_PLUGINS
    from gdrun.config.plugins import load_plugins as load

    if not plugins:
        return NO_PLUGINS
    with quiet():
        return load(plugins, output=lambda text: terminal.message(*text[:4000].split("\n")))


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
    """Return the configs built; imports TensorFlow. What takes long is said on stderr, unless `silent`.

    Raises:
        GdrunError: what is wrong with them, all of them.
    """
    with waiting(silent=silent) as say:
        from gdrun.training.prepare import prepare

        def prepared(config: LoadedConfig) -> Prepared:
            start = "" if "tensorflow" in sys.modules else "starting TensorFlow, "
            say(f"{start}building {safe_text(config.source, limit=60)}")
            return prepare(config, device=device, threads=threads, smoke=smoke)

        return failures.for_all(loaded, prepared)


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
