"""`gdrun gather DIR...`: one sweep of parts that were trained apart."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from gdrun.sweeping.run import gather

from . import arguments, progress, session
from .arguments import Json, Plugins, Quiet, RunsDir, Verbose, run_names
from .results import Results


def command(
    directories: Annotated[list[str], run_names("DIR...", "Directories of the parts, or folders that hold them.")],
    plugins: Plugins = None,
    runs_dir: RunsDir = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the sweep; default: the config's.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Write one sweep of the parts that `gdrun sweep --part` trained; the parts stay.

    Its table is, byte for byte, that of a sweep in one process on the same kind of processor.

    Exit codes: as of sweep; 2 where parts are missing, overlap or are of several sweeps, 5 where one is not whole or
    is written or gathered by another process.
    """
    arguments.check_name(name)
    loaded_plugins = session.load_plugins(plugins)
    with session.quiet() as noise, closing(progress.listener(quiet=quiet, verbose=verbose)) as listener:
        listener.wait("starting TensorFlow")
        run = gather(
            directories, plugins=loaded_plugins, runs_dir=runs_dir, name=name, listener=listener, log=noise.take
        )
    results = Results("sweeps", as_json=as_json)
    results.add_run(run, {}, quiet=quiet, verbose=verbose)
    return results.finish()
