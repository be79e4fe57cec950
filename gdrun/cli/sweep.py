"""`gdrun sweep CONFIG [KEY=SPACE...]`: many trials of one experiment, as lanes of one program."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from gdrun.errors import ExitCode, UsageError
from gdrun.experiment.loading import default_name
from gdrun.sweeping import run as sweeping
from gdrun.sweeping.plan import plan_trials

from . import arguments, progress, session, sweep_table, terminal
from .arguments import Device, Json, Plugins, Quiet, RunsDir, Threads, Verbose
from .completion import complete_configs
from .output import print_json
from .summary import summary_of

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="CONFIG|KEY=SPACE",
        autocompletion=complete_configs,
        help="A config file, a run directory, or - for stdin; then what to vary: lr=log:1e-4:1:50, lr=lin:0:1:11, "
        "seed=range:0:5, lr=0.1,0.2, optimizer.kind=sgd,adam, with --trials lr=loguniform:1e-5:1. One value is a "
        "setting of all trials. Without any: the config's `sweep:`, else learning rates around the configured one.",
        show_default=False,
    ),
]


def command(
    targets: Targets,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Points to draw from distributions, or trials of a search.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(metavar="KIND", help="Propose trials: tpe, random, cmaes, gp, qmc; or none.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="What trials are ranked by (default: loss).")
    ] = None,
    maximize: Annotated[
        bool | None, typer.Option("--maximize/--minimize", help="Whether more of it is better.", show_default=False)
    ] = None,
    lanes: Annotated[
        str | None,
        typer.Option(metavar="N|off", help="Most trials side by side in one program; off: one after the other."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Worker processes (default: 1, this one).", show_default=False)
    ] = 1,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on Dask: tcp://HOST:PORT, or local:N workers.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the table of trials, run nothing.")] = False,
    plugins: Plugins = None,
    runs_dir: RunsDir = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the sweep; default: the config's.")] = None,
    device: Device = None,
    threads: Threads = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Run many trials of one experiment at once and write one directory with their table, curves and the best run.

    All spaces and values are checked before anything runs. A trial that diverges is a result: its row says so and no
    other trial notices. The sweep's directory goes to stdout, all else to stderr.

    Exit codes: 3 where every trial diverged, 7 where a trial has no result (`gdrun resume` runs those), 2 where the
    config or a space is refused, 8 where a cluster does not answer.
    """
    configs, spaces = arguments.split(targets)
    if len(configs) > 1:
        raise UsageError(f"a sweep is of one config, not of {len(configs)}: {' '.join(configs)}")
    config = configs[0]
    arguments.check_name(name)
    session.check_device(device)
    planned: dict[str, Any] = {"trials": trials, "search": search, "metric": metric, "maximize": maximize}
    planned["lanes"] = int(lanes) if lanes is not None and lanes.isdecimal() else lanes
    if dry_run:
        spec = plan_trials(config, spaces, plugins=session.load_plugins(plugins), **planned)
        if as_json:
            print_json({"plans": [sweep_table.describe(spec)]})
        else:
            sweep_table.show(spec)
        return ExitCode.DONE
    options = planned | {"jobs": jobs, "cluster": cluster} | ({"plugins": plugins} if plugins else {})
    options |= {"runs_dir": runs_dir, "name": name, "device": device, "threads": threads}
    label = name or default_name("experiment" if config == "-" else config)
    listener = progress.listener(label, quiet=quiet, verbose=verbose)
    with session.quiet() as noise:
        try:
            listener.wait("starting TensorFlow")
            run = sweeping.sweep(config, spaces, listener=listener, log=noise.take, **options)
        finally:
            listener.close()
    ended = summary_of(run)
    if not quiet:
        ended.show()
    if as_json:
        print_json({"config": config, **ended.as_dict(), "exit_code": int(ended.exit_code)})
    else:
        with suppress(terminal.OutputClosed):
            terminal.data(str(run.directory))
    return ended.exit_code
