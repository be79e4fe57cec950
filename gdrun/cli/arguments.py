"""Arguments and options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gdrun.errors import UsageError

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="CONFIG|KEY=VALUE",
        help="Config files, run directories, or - for stdin; then settings to change, e.g. lr=0.1 epochs=20. "
        "An argument with a slash before any = is a file.",
        show_default=False,
    ),
]
RunsDir = Annotated[
    Path | None,
    typer.Option(
        "--runs-dir", envvar="GDRUN_RUNS", metavar="DIR", help="Where run directories go (default: runs).",
        show_default=False,
    ),
]  # fmt: skip
Device = Annotated[str | None, typer.Option(metavar="DEVICE", help="auto, cpu, gpu or gpu:N; overrides the config.")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="Processor threads (default: all).")]
PLUGIN_HELP = "Python code that brings what `kind: custom` names; may be given several times."
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin", metavar="FILE_OR_MODULE", help=PLUGIN_HELP, show_default=False
    ),
]  # fmt: skip
FREE_PLUGINS = "gdrun.plugins"
"""Where a command with FREE_ARGUMENTS finds what `--plugin` named: in its context's `meta`."""
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no table; warnings and errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def take_plugins(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (what `--plugin` names, the other arguments), for commands whose options typer does not declare.

    Raises:
        UsageError: nothing follows the option.
    """
    plugins: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--plugin":
            if not waiting:
                raise UsageError("--plugin needs a file or a module", hint="--plugin FILE_OR_MODULE")
            plugins.append(waiting.pop(0))
        elif argument.startswith("--plugin="):
            plugins.append(argument.partition("=")[2])
        elif argument == "--":
            return plugins, [*rest, argument, *waiting]
        else:
            rest.append(argument)
    return plugins, rest


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (configs, overrides).

    An argument is a config where it has no `=`, or a slash before the first one; `KEY=VALUE` is an override.

    Raises:
        UsageError: there is no config among them, or stdin is named twice.
    """
    configs = [text for text in arguments if "/" in text.partition("=")[0] or "=" not in text]
    overrides = [text for text in arguments if not ("/" in text.partition("=")[0] or "=" not in text)]
    if not configs:
        raise UsageError("no config is named, only settings", hint="gdrun COMMAND CONFIG KEY=VALUE")
    if configs.count("-") > 1:
        raise UsageError("stdin (-) can be read only once")
    return configs, overrides


def check_name(name: str | None) -> None:
    """Raise UsageError where `name` cannot be the name of a run."""
    from gdrun.experiment.experiment import NAME_PATTERN

    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            f"'{name}' cannot be the name of a run",
            hint="a-z, 0-9, '.', '_', '-', at most 64 of them, a letter or digit first",
        )
