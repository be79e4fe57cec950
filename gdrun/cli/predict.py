"""`gdrun predict RUN [DATA]`: predictions of a trained model."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gdrun.analysis.grad_arguments import NAMED, assignments
from gdrun.data import file_suffixes
from gdrun.errors import UsageError
from gdrun.rundir.files import write_file
from gdrun.rundir.run import load_run
from gdrun.rundir.strict_json import dumps
from gdrun.training.predict import load_trained, named_examples, predict, read_examples

from . import session, terminal
from .arguments import Device, Json, Plugins, RunArgument, RunsDir, output_option
from .output import print_json

Examples = Annotated[
    list[str],
    typer.Argument(
        metavar="[DATA|NAME=VALUE...]",
        help=f"A {file_suffixes()} file of examples, or values of the inputs: x=3, x=1,2,3 three points, X=[[5,2]].",
    ),
]
_FORMS = (".csv", ".npz", ".json")


def command(
    run: RunArgument,
    examples: Examples = [],  # noqa: B006
    output: Annotated[Path | None, output_option("FILE", "Write it there: .csv, .npz or .json.")] = None,
    runs_dir: RunsDir = None,
    device: Device = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Print a finished run's predictions as CSV, a row an example, for its training data or for other examples.

    Examples are in the units of the config's data: what `scale` did is done to them, and taken back from the
    predictions. Columns of DATA are those that the config names, or are called like the inputs; an input X of several
    columns has X1, X2, ... or X0, X1, ... JSON and .npz keep the shapes of predictions.
    """
    texts = assignments([text for text in examples if NAMED.fullmatch(text)], "a value")
    files = [text for text in examples if not NAMED.fullmatch(text)]
    if len(files) > 1 or (files and texts):
        raise UsageError("give one file of examples, or values by name", hint="gdrun predict RUN x=1,2,3")
    if output is not None and output.suffix not in _FORMS:
        raise UsageError(f"cannot write predictions to {output}", hint=f"name a {', '.join(_FORMS[:-1])} or .json file")
    trained = load_run(run, runs_dir)
    with session.quiet():
        prepared = load_trained(trained, device=device, plugins=session.load_plugins(plugins))
        if texts:
            inputs: dict[str, np.ndarray] = named_examples(prepared, texts)
        elif files:
            inputs = dict(read_examples(prepared, Path(files[0]), target=False).inputs)
        else:
            inputs = _training_inputs(prepared)
        predictions = predict(prepared, trained, inputs)
    named = predictions if isinstance(predictions, dict) else {"prediction": predictions}
    labels = prepared.built.datasets.train.labels if prepared.built.datasets else ()
    report = {"run": str(trained.directory), "predictions": named}
    if output is not None:
        write_file(output, _content(output.suffix, named, labels, report))
        terminal.data(str(output))
    elif as_json:
        print_json(report)
    else:
        terminal.document(_csv(named, labels))


def _content(suffix: str, named: dict[str, np.ndarray], labels: tuple[str, ...], report: dict[str, Any]) -> bytes:
    """Return what is written to a file of this suffix."""
    if suffix == ".npz":
        file = io.BytesIO()
        np.savez(file, **named)  # type: ignore[arg-type]
        return file.getvalue()
    return (dumps(report, indent=2) if suffix == ".json" else _csv(named, labels)).encode()


def _training_inputs(prepared: Any) -> dict[str, np.ndarray]:
    """Return the run's training inputs in the units of the config."""
    built = prepared.built
    if built.windows.stream is not None:
        hint = "name the examples: gdrun predict RUN DATA"
        raise UsageError("this run's data is read from disk in pieces", hint=hint)
    scalers = built.datasets.scaling.inputs if built.datasets else {}
    values = {name: value.numpy() for name, value in built.named_inputs.items()}
    return {name: scalers[name].invert(value) if name in scalers else value for name, value in values.items()}


def _csv(named: dict[str, np.ndarray], labels: tuple[str, ...]) -> str:
    """Return a column for each number of an example's predictions; a classifier's have its labels."""
    header: list[str] = []
    columns: list[np.ndarray] = []
    for name, values in named.items():
        flat = np.asarray(values).reshape(len(values) if np.ndim(values) else 1, -1)
        count = flat.shape[1]
        if count > 1 and count == len(labels):
            header += [f"{name}.{label}" for label in labels]
        else:
            header += [f"{name}{number}" for number in range(1, count + 1)] if count > 1 else [name]
        columns += list(flat.T)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()
