"""`gdrun sweep CONFIG [KEY=SPACE...]`: many trials of one experiment, as lanes of one program."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gdrun.errors import ExitCode, UsageError

from . import arguments, session, terminal
from .arguments import Device, Json, Plugins, Quiet, RunsDir, Threads, Verbose

if TYPE_CHECKING:
    from gdrun.sweeping.trials import SweepSpec

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="CONFIG|KEY=SPACE",
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
        named = " ".join(configs)
        raise UsageError(f"a sweep is of one config, not of {len(configs)}: {named}")
    arguments.check_name(name)
    session.check_device(device)
    ranking: dict[str, Any] = {"search": search, "metric": metric, "maximize": maximize}
    if dry_run:
        from gdrun.sweeping.trials import plan_trials

        known = session.load_plugins(plugins)
        return _dry_run(plan_trials(configs[0], spaces, trials=trials, plugins=known, **ranking), as_json=as_json)
    where: dict[str, Any] = {
        "runs_dir": runs_dir,
        "name": name,
        "device": device,
        "threads": threads,
        "jobs": jobs,
        "cluster": cluster,
    }
    where |= {"plugins": plugins} if plugins else {}
    return _sweep(
        configs[0], spaces, {"trials": trials, **ranking, **where}, quiet=quiet, verbose=verbose, as_json=as_json
    )


def _sweep(
    config: str, spaces: list[str], options: dict[str, Any], *, quiet: bool, verbose: bool, as_json: bool
) -> int:
    from gdrun.experiment.loading import default_name
    from gdrun.sweeping.run import sweep
    from gdrun.sweeping.summary import summarize

    from . import progress, sweep_summary

    label = options["name"] or default_name("experiment" if config == "-" else config)
    listener = progress.listener(label, quiet=quiet, verbose=verbose)
    with session.quiet():
        try:
            run = sweep(config, spaces, listener=listener, **options)
        finally:
            listener.close()
    told = summarize(run)
    code = sweep_summary.exit_code(run, told)
    if not quiet:
        sweep_summary.show(run, told)
    if as_json:
        from .output import print_json

        print_json({"config": config, **sweep_summary.describe(run, told), "exit_code": int(code)})
    else:
        with suppress(terminal.OutputClosed):
            terminal.data(str(run.directory))
    return code


def _dry_run(spec: SweepSpec, *, as_json: bool) -> int:
    from . import sweep_table
    from .output import print_json

    if as_json:
        print_json({"plans": [sweep_table.describe(spec)]})
    else:
        sweep_table.show(spec)
    return ExitCode.DONE
