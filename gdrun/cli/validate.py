"""`gdrun validate CONFIG... [KEY=VALUE...]`: the mistakes of configs, without running anything."""

from __future__ import annotations

from rich.text import Text

from gdrun.errors import ConfigError, ExitCode, GdrunError, ResourceError
from gdrun.experiment.loading import LoadedConfig, load_config
from gdrun.experiment.named_files import check_files
from gdrun.training.prepare import read

from . import arguments, failures, session, terminal
from .arguments import Json, Plugins, Quiet, Targets
from .results import Results


def command(targets: Targets, plugins: Plugins = None, quiet: Quiet = False, as_json: Json = False) -> int:
    """Check configs without running them: all mistakes in values at once, then all between settings.

    The data is read, and models by formula are tried on it in NumPy. Exit code 2 if a config is refused. TensorFlow is
    not started: a dry run of `gdrun train` shows whether networks fit, too.
    """
    configs, overrides = arguments.split(targets)
    loaded_plugins = session.load_plugins(plugins)
    results = Results("configs", as_json=as_json)
    for config in configs:
        try:
            _look_at(load_config(config, overrides, plugins=loaded_plugins), config)
        except GdrunError as error:
            described = failures.describe(error)
            if isinstance(error, ConfigError):
                described.pop("kind")
            results.add(failures.show_error(error), {"config": config, "ok": False} | described)
            continue
        results.add(ExitCode.DONE, {"config": config, "ok": True})
        if not as_json and not quiet:
            terminal.data(Text.assemble(f"{config}: ", ("ok", "green")))
    return results.finish()


def _look_at(loaded: LoadedConfig, config: str) -> None:
    """Refuse what the data shows to be wrong, as far as neither TensorFlow nor a plugin's code is needed to see it."""
    check_files(loaded)
    data = loaded.experiment.data
    if data is not None and data.needs_tensorflow:
        return
    try:
        read(loaded)
    except ResourceError as error:
        # The config may be right, and another machine have what is missing.
        terminal.warn(f"{config}: the data is not read: {error.message}")
