"""Arguments and options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.errors import UsageError

from .completion import complete_configs, complete_configs_and_runs, complete_runs


def run_names(metavar: str, help: str) -> Any:
    """Return typer's argument for runs, which the shell completes."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=complete_runs)


def config_names(metavar: str, help: str) -> Any:
    """Return typer's argument for configs and settings, which the shell completes."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=complete_configs)


def config_or_run_names(metavar: str, help: str) -> Any:
    """Return typer's argument for what is a config or a run, which the shell completes."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=complete_configs_and_runs)


def output_option(metavar: str, help: str) -> Any:
    """Return typer's option for where to write."""
    return typer.Option("-o", "--output", metavar=metavar, help=help)


Targets = Annotated[
    list[str],
    config_names(
        "CONFIG|KEY=VALUE",
        "Config files, run directories, or - for stdin; then settings to change, e.g. lr=0.1 epochs=20. "
        "An argument with a slash before any = is a file.",
    ),
]
RunArgument = Annotated[str, run_names("RUN", "A run's path, id or the beginning of it, or latest.")]
RunsArgument = Annotated[list[str], run_names("RUN...", "Paths, ids or beginnings of ids, latest, latest~1, ...")]
FilterOption = Annotated[
    str | None, typer.Option("--filter", metavar="CONDITION", help="For example 'lr >= 0.1 and status == diverged'.")
]
Over = Annotated[
    str | None,
    typer.Option("--over", metavar="seed", help="Sum up runs, and trials of sweeps, that differ in the seed alone."),
]
BandOption = Annotated[
    str,
    typer.Option(
        "--band", metavar="BAND", autocompletion=lambda: ["quartiles", "deviation"],
        help="Over seeds: quartiles (median, middle half) or deviation (mean and standard deviation); in plot, none.",
    ),
]  # fmt: skip
RunsDir = Annotated[
    Path | None,
    typer.Option("--runs-dir", envvar="GDRUN_RUNS", metavar="DIR", help="Where run directories go (default: runs)."),
]
Device = Annotated[str | None, typer.Option(metavar="DEVICE", help="auto, cpu, gpu or gpu:N; overrides the config.")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="Processor threads (default: all).")]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin", metavar="FILE_OR_MODULE",
        help="Python code that brings what `kind: custom` names; may be given several times.",
    ),
]  # fmt: skip
Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Workers on Dask, tcp://HOST:PORT or local:N; or slurm, for jobs of SLURM."),
]
SchedulerFile = Annotated[
    Path | None, typer.Option("--scheduler-file", metavar="FILE", help="Where a Dask scheduler wrote its address.")
]
Slurm = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE|FILE",
        help="Of jobs: partition, minutes, cpus, gpus, memory, array, at_once, account, setup; or a YAML file of them.",
    ),
]
Wait = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", min=0, help="How long a cluster may have no worker; default: as it takes."),
]
Detach = Annotated[bool, typer.Option("--detach", help="Submit to SLURM and return; `gdrun watch` follows.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no table; warnings and errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def cluster_of(
    cluster: str | None, scheduler_file: Path | None, slurm: list[str] | None, *, detach: bool
) -> str | None:
    """Return the cluster that options mean.

    Raises:
        UsageError: they do not go together, or the file is none of a scheduler.
    """
    if scheduler_file is not None:
        if cluster is not None:
            raise UsageError("--cluster and --scheduler-file are two ways to name a cluster")
        from gdrun.sweeping.dask_pool import address_in

        cluster = address_in(scheduler_file)
    if cluster != "slurm" and (detach or slurm):
        option = "--detach" if detach else "--slurm"
        raise UsageError(
            f"{option} goes with --cluster slurm", hint="--cluster slurm; on this machine nohup gdrun ... &"
        )
    return cluster


def is_setting(argument: str) -> bool:
    """Return whether an argument is KEY=VALUE: it has an `=`, and no slash before it, which makes it a file."""
    key, equals, _ = argument.partition("=")
    return bool(equals) and "/" not in key


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (configs, overrides): an argument that is no KEY=VALUE is a config, a run directory or - for stdin.

    Raises:
        UsageError: there is no config among them, or stdin is named twice.
    """
    configs = [argument for argument in arguments if not is_setting(argument)]
    if not configs:
        raise UsageError("no config is named, only settings", hint="gdrun COMMAND CONFIG KEY=VALUE")
    if configs.count("-") > 1:
        raise UsageError("stdin (-) can be read only once")
    return configs, [argument for argument in arguments if is_setting(argument)]


def split_one(arguments: Sequence[str], command: str, what: str = "config") -> tuple[str, list[str]]:
    """Return (config, overrides) of a command that takes one config.

    Raises:
        UsageError: there are more or none.
    """
    configs, overrides = split(arguments)
    if len(configs) != 1:
        raise UsageError(f"{command} looks at one {what} at a time")
    return configs[0], overrides


def check_name(name: str | None) -> None:
    """Raise UsageError where `name` cannot be the name of a run."""
    from gdrun.experiment.experiment import NAME_PATTERN

    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            f"'{name[:80]}' cannot be the name of a run",
            hint="a-z, 0-9, '.', '_', '-', at most 64 of them, a letter or digit first",
        )
