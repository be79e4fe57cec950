"""`gdrun init [KIND]`: a commented config to start from."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from gdrun.errors import UsageError
from gdrun.suggest import did_you_mean

from . import terminal
from .output import write_file
from .tables import table

KINDS = {
    "formula": "a curve with unknown numbers, fitted to data",
    "minimise": "the minimum of a function, no data",
    "regression": "linear regression with batches, validation and early stopping",
    "csv": "regression on the columns of a CSV file",
    "mlp": "a small neural network",
    "classifier": "classification with Keras layers",
}

_BESIDE = {"csv": ("csv-example.csv",)}
"""Further files that a starter needs."""


def starter(name: str) -> str:
    """Return the text of a starter's file, e.g. "formula.yaml"."""
    return (files("gdrun.cli") / "starters" / name).read_text(encoding="utf-8")


def command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")] = "formula",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to write it (default: KIND.yaml); - is stdout."),
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the kinds.")] = False,
) -> None:
    """Write a commented config to start from; no file is replaced.

    It runs as it is: `gdrun train KIND.yaml`.
    """
    if show_list:
        return terminal.data(*table(list(KINDS.items())))
    if kind not in KINDS:
        raise UsageError(f"there is no starter '{kind}'", hint=did_you_mean(kind, KINDS, allowed="kinds"))
    text = starter(f"{kind}.yaml")
    if str(output) == "-":
        return terminal.document(text)
    path = output or Path(f"{kind}.yaml")
    files_to_write = {path: text} | {path.parent / name: starter(name) for name in _BESIDE.get(kind, ())}
    for file in files_to_write:  # all of them first: a refusal leaves nothing half done
        if os.path.lexists(file):
            raise UsageError(f"{file} exists; it is not replaced", hint="name another file with -o")
    for file, content in files_to_write.items():
        write_file(file, content.encode(), new=True)
    terminal.data(str(path))
    terminal.message(f"now: gdrun train {path}")
    return None
