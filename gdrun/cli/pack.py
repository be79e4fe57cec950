"""`gdrun pack RUN... -o FILE.zip`: runs as one file, to send or to keep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from gdrun.errors import UsageError
from gdrun.rundir.files import refuse_existing
from gdrun.rundir.packing import pack
from gdrun.rundir.run import load_run
from gdrun.text import plural

from . import terminal
from .arguments import RunsArgument, RunsDir, output_option


def command(
    runs: RunsArgument,
    output: Annotated[Path, output_option("FILE.zip", "Where to write it; no file is replaced.")] = Path("runs.zip"),
    runs_dir: RunsDir = None,
) -> None:
    """Pack runs and sweeps into one zip file.

    Commands that read runs take the file in place of a folder: `gdrun ls --runs-dir runs.zip`.
    """
    if output.suffix != ".zip":
        raise UsageError(f"{output} does not end in .zip", hint=f"-o {output}.zip")
    refuse_existing(output)
    directories = list(dict.fromkeys(load_run(reference, runs_dir).directory for reference in runs))
    pack(directories, output)
    terminal.message(f"{plural(len(directories), 'run')}; read them with `--runs-dir {output}`")
    terminal.data(str(output))
