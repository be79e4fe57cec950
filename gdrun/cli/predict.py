"""`gdrun predict RUN [DATA]`: predictions of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gdrun.data import file_suffixes
from gdrun.errors import ExitCode, UsageError
from gdrun.rundir.run import load_run
from gdrun.training.predict import load_trained, predict, read_examples

from . import session, terminal
from .arguments import Device, Json, Plugins, RunArgument, RunsDir
from .output import print_json, write_file

Examples = Annotated[
    Path | None,
    typer.Argument(metavar="[DATA]", help=f"A {file_suffixes()} file of examples.", show_default=False),
]


def command(
    run: RunArgument,
    data: Examples = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the CSV there.", show_default=False)
    ] = None,
    runs_dir: RunsDir = None,
    device: Device = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> int:
    """Print a finished run's predictions as CSV, a row an example, for its training data or for other examples.

    Examples are in the units of the config's data: what `scale` did is done to them, and taken back from the
    predictions. Columns of DATA are those that the config names, or are called like the inputs.
    """
    trained = load_run(run, runs_dir)
    with session.quiet():
        prepared = load_trained(trained, device=device, plugins=session.load_plugins(plugins))
        inputs = dict(read_examples(prepared, data, target=False).inputs) if data else _training_inputs(prepared)
        predictions = predict(prepared, trained, inputs)
    named = predictions if isinstance(predictions, dict) else {"prediction": predictions}
    if as_json:
        print_json({"run": str(trained.directory), "predictions": named})
        return ExitCode.DONE
    text = "".join(f"{line}\n" for line in _csv_lines(named))
    if output is None:
        terminal.document(text)
    else:
        write_file(output, text.encode())
        terminal.data(str(output))
    return ExitCode.DONE


def _training_inputs(prepared: Any) -> dict[str, np.ndarray]:
    """Return the run's training inputs in the units of the config."""
    built = prepared.built
    if built.windows.stream is not None:
        hint = "name the examples: gdrun predict RUN DATA"
        raise UsageError("this run's data is read from disk in pieces", hint=hint)
    scalers = built.datasets.scaling.inputs if built.datasets else {}
    values = {name: value.numpy() for name, value in built.data.inputs.items()}
    return {name: scalers[name].invert(value) if name in scalers else value for name, value in values.items()}


def _csv_lines(named: dict[str, np.ndarray]) -> list[str]:
    header, columns = [], []
    for name, values in named.items():
        flat = np.asarray(values).reshape(len(values) if np.ndim(values) else 1, -1)
        header += [name] if flat.shape[1] == 1 else [f"{name}{number}" for number in range(1, flat.shape[1] + 1)]
        columns += list(flat.T)
    rows = zip(*columns, strict=True)
    return [",".join(header), *(",".join(str(value) for value in row) for row in rows)]
