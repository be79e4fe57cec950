"""`gdrun export RUN...`: what runs recorded, or the trained model, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdrun.errors import UsageError
from gdrun.exports.data import FORMATS, check_format, distinct_runs, export
from gdrun.exports.models import FORMATS as MODEL_FORMATS
from gdrun.exports.models import export_model
from gdrun.exports.tables import csv_text
from gdrun.rundir.run import load_run

from . import session, terminal
from .arguments import Device, Plugins, RunsDir, output_option, run_names

_DATA, _MODELS = list(FORMATS), list(MODEL_FORMATS)
_TO = f"{', '.join(_DATA[:-1])} or {_DATA[-1]}"
_MODEL = f"{', '.join(_MODELS[:-1])} or {_MODELS[-1]}"


def _formats(incomplete: str) -> list[tuple[str, str]]:
    return [(name, exporter.help) for name, exporter in FORMATS.items() if name.startswith(incomplete)]


def command(
    runs: Annotated[list[str], run_names("RUN", "Paths, ids or the beginnings of ids, or latest; a model is of one.")],
    to: Annotated[str | None, typer.Option(metavar="FORMAT", help=f"{_TO}.", autocompletion=_formats)] = None,
    model: Annotated[str | None, typer.Option(metavar="FORMAT", help=f"{_MODEL}.")] = None,
    output: Annotated[
        str | None,
        output_option(
            "PATH",
            "Default: the run's name here; of tensorboard the folder tensorboard; of mlflow its address; of "
            "wandb a folder to write without a network.",
        ),
    ] = None,
    runs_dir: RunsDir = None,
    device: Device = None,
    plugins: Plugins = None,
) -> None:
    """Write what runs recorded, or a finished run's model, for other programs, and print where it is.

    --to csv, parquet: a row for each recorded step; of a sweep, for each trial; `-o -` prints CSV. curves: CSV of
    sweeps with a row for each trial and recorded step. tensorboard: event files. mlflow: runs in MLflow's tracking
    store. wandb: runs of Weights & Biases.

    --model npz: the parameters, as NumPy arrays by name. keras: a Keras model, for models of Keras layers. savedmodel:
    a TensorFlow SavedModel whose function `predict` takes the inputs by name.
    """
    if (to is None) == (model is None):
        problem = "a model and data are two exports" if to else "what to export is not said"
        raise UsageError(problem, hint=f"--to {_TO}; or --model {_MODEL}")
    if to is not None:
        if device is not None or plugins:
            raise UsageError("--device and --plugin are for models, which --to does not touch")
        check_format(to)
        if output == "-":
            if to != "csv":
                raise UsageError(f"{to} cannot be printed; only csv can", hint="name a file with -o")
            return terminal.document(csv_text(distinct_runs(runs, runs_dir)))
        with session.quiet():
            written = export(runs, to, output, runs_dir=runs_dir)
        return terminal.data(*map(str, written))
    if model is None or model not in MODEL_FORMATS:
        raise UsageError(f"there is no format '{model}'", hint=f"one of {', '.join(MODEL_FORMATS)}")
    if len(runs) > 1:
        raise UsageError(f"a model is of one run, but {len(runs)} are named")
    trained = load_run(runs[0], runs_dir)
    path = Path(output or f"{trained.info.name}{MODEL_FORMATS[model].suffix}")
    with session.quiet():
        file = export_model(trained, path, format=model, device=device, plugins=session.load_plugins(plugins))
    return terminal.data(str(file))
