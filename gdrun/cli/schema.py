"""`gdrun schema`: the JSON Schema of configs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from gdrun.experiment.schema import schema
from gdrun.rundir.files import write_file
from gdrun.rundir.strict_json import dumps

from . import session, terminal
from .arguments import Plugins, output_option


def command(
    output: Annotated[Path | None, output_option("FILE", "Write it there, not to stdout.")] = None,
    plugin: Plugins = None,
) -> None:
    """Print the JSON Schema of configs, with the parts that plugins bring.

    An editor that knows it completes keys and underlines mistakes: begin a config with the line
    `# yaml-language-server: $schema=gdrun.schema.json`.
    """
    text = dumps(schema(session.load_plugins(plugin)), indent=2) + "\n"
    if output is None:
        terminal.document(text)
        return
    write_file(output, text.encode())
    terminal.message(f"wrote {output}")
