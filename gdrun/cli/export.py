"""`gdrun export RUN --model FORMAT`: the trained model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdrun.cli import session, terminal
from gdrun.cli.arguments import Device, Plugins, RunsDir
from gdrun.cli.predict import RunArgument
from gdrun.errors import ExitCode, UsageError
from gdrun.text import safe_text

_SUFFIXES = {"npz": ".npz", "keras": ".keras", "savedmodel": ""}


def command(
    run: RunArgument,
    model: Annotated[str, typer.Option("--model", metavar="FORMAT", help="npz, keras or savedmodel.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="Default: the run's name here.", show_default=False),
    ] = None,
    runs_dir: RunsDir = None,
    device: Device = None,
    plugins: Plugins = None,
) -> int:
    """Write a finished run's model and print where it is.

    npz: the parameters, as NumPy arrays by name. keras: a Keras model, for models of Keras layers. savedmodel: a
    TensorFlow SavedModel whose function `predict` takes the inputs by name.
    """
    from gdrun.exporting import FORMATS, export_model
    from gdrun.rundir.run import load_run

    if model not in FORMATS:
        raise UsageError(f"there is no format '{safe_text(model, limit=40)}'", hint=f"one of {', '.join(FORMATS)}")
    trained = load_run(run, runs_dir)
    path = output or Path(f"{trained.record.name}{_SUFFIXES[model] or '-model'}")
    with session.quiet():
        written = export_model(trained, path, format=model, device=device, plugins=session.load_plugins(plugins))  # type: ignore[arg-type]
    terminal.data(safe_text(written))
    return ExitCode.DONE
