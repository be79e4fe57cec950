"""`gdrun evaluate RUN [DATA]`: loss and metrics of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdrun.data import file_suffixes
from gdrun.rundir.run import load_run
from gdrun.text import short
from gdrun.training.predict import evaluate, load_trained, read_examples

from . import session
from .arguments import Device, Json, Plugins, RunArgument, RunsDir
from .output import print_result
from .tables import table


def command(
    run: RunArgument,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help=f"A {file_suffixes()} file of examples.")
    ] = None,
    runs_dir: RunsDir = None,
    device: Device = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Print a finished run's loss and metrics, on its own data or on other examples with a target."""
    trained = load_run(run, runs_dir)
    with session.quiet():
        prepared = load_trained(trained, device=device, plugins=session.load_plugins(plugins))
        examples = read_examples(prepared, data, target=True) if data else None
        values = evaluate(prepared, trained, examples)
    lines = table([(name, short(value, 9)) for name, value in values.items()])
    print_result({"run": str(trained.directory), "values": values}, *lines, as_json=as_json)
