"""`gdrun sweep CONFIG... [KEY=SPACE...]`: many trials of an experiment, as lanes of one program."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Any

import typer

from gdrun.errors import ExitCode, GdrunError, ResourceError, UsageError
from gdrun.experiment.loading import default_name
from gdrun.sweeping import run as sweeping
from gdrun.sweeping.plan import plan_trials
from gdrun.sweeping.slurm import read_options, submit_sweep
from gdrun.sweeping.trials import SweepSpec

from . import arguments, failures, progress, session, sweep_table, terminal
from .arguments import Device, Json, Plugins, Quiet, RunsDir, Threads, Verbose, config_names
from .jobs import follow
from .output import print_json
from .results import Results

Targets = Annotated[
    list[str],
    config_names(
        "CONFIG|KEY=SPACE",
        "Config files, run directories, or - for stdin; then what to vary: lr=log:1e-4:1:50, lr=lin:0:1:11, "
        "seed=range:0:5, lr=0.1,0.2, optimizer.kind=sgd,adam, with --trials lr=loguniform:1e-5:1. One value is a "
        "setting of all trials. Without any: the config's `sweep:`, else learning rates around the configured one.",
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
        bool | None, typer.Option("--maximize/--minimize", help="Whether more of it is better.")
    ] = None,
    lanes: Annotated[
        str | None,
        typer.Option(metavar="N|off", help="Most trials side by side in one program; off: one after the other."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Worker processes (default: 1, this one).", show_default=False)
    ] = 1,
    cluster: arguments.Cluster = None,
    scheduler_file: arguments.SchedulerFile = None,
    slurm: arguments.Slurm = None,
    detach: arguments.Detach = False,
    wait: arguments.Wait = None,
    part: Annotated[
        str | None, typer.Option(metavar="K/N", help="Train part K of N alone; `gdrun gather` joins the parts.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the table of trials and how they would run, run nothing.")
    ] = False,
    plugins: Plugins = None,
    runs_dir: RunsDir = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the sweep; default: the config's.")] = None,
    device: Device = None,
    threads: Threads = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Run many trials of an experiment at once and write one directory with their table, curves and the best run.

    Of several configs each is a sweep. All spaces and values are checked before anything runs. A trial that diverges is
    a result: its row says so and no other trial notices. The sweep's directory goes to stdout, all else to stderr.

    Exit codes: 3 where every trial diverged, 7 where a trial has no result (`gdrun resume` runs those), 2 where the
    config or a space is refused, 8 where a cluster does not answer.
    """
    configs, spaces = arguments.split(targets)
    if len(configs) > 1 and "-" in configs:
        raise UsageError("a sweep of stdin (-) goes without other configs")
    arguments.check_name(name)
    session.check_device(device)
    cluster = arguments.cluster_of(cluster, scheduler_file, slurm, detach=detach)
    if cluster == "slurm" and (part is not None or jobs != 1):
        raise UsageError(f"{'--part' if part else '--jobs'} and --cluster slurm are two ways to divide a sweep")
    planned: dict[str, Any] = {"trials": trials, "search": search, "metric": metric, "maximize": maximize}
    planned["lanes"] = int(lanes) if lanes is not None and lanes.isdecimal() else lanes
    if dry_run or len(configs) > 1:
        loaded_plugins = session.load_plugins(plugins)
        specs = failures.for_all(configs, lambda config: plan_trials(config, spaces, plugins=loaded_plugins, **planned))
    if dry_run:
        return _show_plans(specs, as_json=as_json, device="cpu" if cluster is not None else device, threads=threads)
    options = planned | ({"plugins": plugins} if plugins else {})
    options |= {"runs_dir": runs_dir, "name": name, "device": device, "threads": threads}
    results = Results("sweeps", as_json=as_json)
    for config in configs:
        label = name or default_name("experiment" if config == "-" else config)
        display = progress.listener(label, quiet=quiet, verbose=verbose)
        try:
            with session.quiet() as noise, closing(display) as listener:
                listener.wait("starting TensorFlow")
                if cluster == "slurm":
                    run = submit_sweep(config, spaces, read_options(slurm or ()), listener=listener, **options)
                    run = follow(run, plugins=plugins, listener=listener, detach=detach)
                else:
                    how: dict[str, Any] = {"jobs": jobs, "cluster": cluster, "wait": wait, "part": part}
                    run = sweeping.sweep(config, spaces, listener=listener, log=noise.take, **options, **how)
        except GdrunError as error:
            results.add_error(error, {"config": config})
            continue
        results.add_run(run, {"config": config}, quiet=quiet or detach)
        if results.is_interrupted:
            break
    return results.finish()


def _show_plans(specs: Sequence[SweepSpec], *, as_json: bool, device: str | None, threads: int | None) -> int:
    """Print the table of each sweep, and then, since that takes TensorFlow, how its trials would run."""
    plans = []
    for spec in specs:
        described = sweep_table.describe(spec)
        if not as_json:
            sweep_table.show(spec)
        execution = None
        try:
            with session.quiet(), session.waiting(silent=as_json) as say:
                say("building a trial")
                execution = sweeping.execution_plan(spec, device=device, threads=threads)
        except ResourceError as error:
            terminal.warn(f"how trials would run is not known here: {error.message}")
        if execution is not None and not as_json:
            sweep_table.show_execution(execution, of_several=len(described["groups"] or ()) > 1)
        plans.append(described | {"execution": execution})
    if as_json:
        print_json({"plans": plans})
    return ExitCode.DONE
