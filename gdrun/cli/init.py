"""`gdrun init [NAME]`: a commented config to start from, or one of the gallery."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
import yaml

from gdrun.errors import UsageError
from gdrun.experiment.gallery import PREFIX, descriptions, gallery, gallery_folder
from gdrun.rundir.files import refuse_existing, write_file
from gdrun.rundir.strict_json import dumps
from gdrun.suggest import did_you_mean

from . import terminal
from .arguments import output_option
from .tables import table

SCHEMA_FILE = "gdrun.schema.json"
MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"

KINDS = {
    "formula": "a curve with unknown numbers, fitted to data",
    "minimise": "the minimum of a function, no data",
    "regression": "linear regression with batches, validation and early stopping",
    "csv": "regression on the columns of a CSV file",
    "mlp": "a small neural network",
    "classifier": "classification with Keras layers",
}
PLUGIN = "quantiles"
"""The config that comes with a plugin."""


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=lambda: [*KINDS, PLUGIN, *gallery()],
            help=f"{', '.join(KINDS)}; or a config of the gallery, which --list shows.",
        ),
    ] = "formula",
    output: Annotated[
        Path | None, output_option("FILE", "Where to write it (default: NAME.yaml); - is stdout.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the starters and the gallery.")] = False,
) -> None:
    """Write a commented config to start from; no file is replaced.

    It runs as it is: `gdrun train NAME.yaml`. Its first line names gdrun.schema.json, which is written beside it where
    there is none, for completion and help in editors. Configs of the gallery also run where they are: `gdrun train
    gallery:pi`.
    """
    if show_list:
        shipped = [(PREFIX + shipped_name, text) for shipped_name, text in descriptions().items()]
        plugin = (PLUGIN, "data, model, loss, metric and optimizer of your own, in Python")
        return terminal.data(*table([*KINDS.items(), plugin, *shipped]))
    text, beside = _content(name)
    if str(output) == "-":
        return terminal.document(text)
    path = output or Path(f"{name.removeprefix(PREFIX)}.yaml")
    files_to_write = {path: f"{MODELINE}{text}"} | {path.parent / file: content for file, content in beside.items()}
    for file in files_to_write:  # all of them first: a refusal leaves nothing half done
        refuse_existing(file)
    for file, content in files_to_write.items():
        write_file(file, content.encode(), new=True)
    if not os.path.lexists(path.parent / SCHEMA_FILE):
        from gdrun.experiment.schema import schema  # takes a moment

        write_file(path.parent / SCHEMA_FILE, dumps(schema()).encode(), new=True)
    terminal.data(str(path))
    option = f" --plugin {path.parent / f'{PLUGIN}.py'}" if name == PLUGIN else ""
    terminal.message(f"now: gdrun train {path}{option}")
    return None


def _content(name: str) -> tuple[str, dict[str, str]]:
    """Return the text of the config `name`, and of the files that it reads by their relative paths."""
    shipped = gallery() | {PLUGIN: gallery_folder() / "extras" / f"{PLUGIN}.yaml"}
    if name in KINDS:
        folder = Path(str(files("gdrun.cli"))) / "starters"
        path = folder / f"{name}.yaml"
    elif name.removeprefix(PREFIX) in shipped:
        path = shipped[name.removeprefix(PREFIX)]
    else:
        raise UsageError(
            f"there is no starter '{name[:80]}'",
            hint=did_you_mean(name, [*KINDS, *shipped], allowed="starters") or "gdrun init --list",
        )
    text = path.read_text(encoding="utf-8")
    data = yaml.safe_load(text).get("data") or {}
    beside = [data["path"]] if isinstance(data.get("path"), str) else [f"{PLUGIN}.py"] if name == PLUGIN else []
    return text, {file: (path.parent / file).read_text(encoding="utf-8") for file in beside}
