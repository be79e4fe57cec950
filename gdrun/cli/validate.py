"""`gdrun validate FILE... [KEY=VALUE...]`: what is wrong with configs, all of it, without running anything."""

from __future__ import annotations

import typer
from rich.text import Text

from gdrun.errors import ConfigError, ExitCode, GdrunError

from . import arguments, failures, session, terminal
from .arguments import FREE_PLUGINS, Json, Quiet

FREE_ARGUMENTS = True


def command(context: typer.Context, quiet: Quiet = False, as_json: Json = False) -> int:
    """Check configs without running them; all mistakes of all files at once.

    CONFIG is a config file, a run directory, or - for stdin; KEY=VALUE changes a setting in all of them.

    Exit code 2 if a config is refused. TensorFlow is not started, and data files are only looked for. A dry run of
    `gdrun train` shows whether shapes and data fit.
    """
    from gdrun.experiment import load_config
    from gdrun.experiment.named_files import check_files

    configs, overrides = arguments.split(context.args)
    plugins = session.load_plugins(context.meta.get(FREE_PLUGINS, ()))
    results = []
    codes = []
    for config in configs:
        error: GdrunError | None = None
        try:
            check_files(load_config(config, overrides, plugins=plugins))
        except GdrunError as found:
            error = found
            failures.tell(found)
        codes.append(error.exit_code if error else ExitCode.DONE)
        results.append({"config": config, "ok": error is None} | (failures.describe(error) if error else {}))
        if not as_json and not quiet and error is None:
            terminal.data(Text.assemble(f"{config}: ", ("ok", "green")))
        if as_json and isinstance(error, ConfigError):
            results[-1].pop("kind", None)
    if as_json:
        from .output import print_json

        print_json({"configs": results, "exit_code": int(failures.worst(codes))})
    return failures.worst(codes)
