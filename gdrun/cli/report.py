"""`gdrun report RUN`: one HTML page about a run or a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdrun.errors import ExitCode
from gdrun.reporting.make import report

from . import session, terminal
from .arguments import Json, RunArgument, RunsDir
from .output import print_json


def command(
    run: RunArgument = "latest",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Default: report.html in the run directory.", show_default=False
        ),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Write a page about a run or a sweep and print where it is.

    One HTML file that opens in any browser and needs neither network nor other files: status, interactive curves,
    tables, config, environment. TensorFlow is not started.
    """
    with session.quiet():
        written = report(run, output, runs_dir=runs_dir)
    if as_json:
        print_json({"file": str(written), "bytes": written.stat().st_size})
    else:
        terminal.data(str(written))
    return ExitCode.DONE
