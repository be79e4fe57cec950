"""`gdrun resume [RUN] [epochs=N | steps=N]`: continue an interrupted run, or a complete one beyond its end."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from gdrun.errors import ResourceError, UsageError
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.sweeping.run import SLURM, resume
from gdrun.sweeping.slurm import check_not_queued, read_options, resume_there
from gdrun.training.resume import find_resumable

from . import arguments, progress, session
from .arguments import Json, Plugins, Quiet, RunsDir, Verbose, is_setting, run_names
from .jobs import follow
from .results import Results


def command(
    targets: Annotated[
        list[str] | None,
        run_names(
            "[RUN] [epochs=N|steps=N]",
            "A run directory, its id or the beginning of it, or latest (default: the latest that can be resumed); "
            "then a new length, for a run that is to have more steps.",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Worker processes of a sweep (default: as it began).")
    ] = None,
    cluster: arguments.Cluster = None,
    scheduler_file: arguments.SchedulerFile = None,
    slurm: arguments.Slurm = None,
    detach: arguments.Detach = False,
    wait: arguments.Wait = None,
    failed: Annotated[bool, typer.Option("--failed", help="Train the trials of a sweep that failed, too.")] = False,
    plugins: Plugins = None,
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Resume a run that was interrupted or killed, in its own directory.

    It ends with the same bits as a run that was never interrupted; what cannot is refused: a changed config, data file
    or plugin, other versions, another processor or device. A complete run can be given more steps: epochs=200. A
    sweep trains the trials that have no result, wherever it began; those that have one stay as they are.

    Exit codes: as of train; 2 where a run has ended or cannot be resumed, 5 where it is busy or damaged.
    """
    runs = [text for text in targets or () if not is_setting(text)]
    overrides = [text for text in targets or () if is_setting(text)]
    if len(runs) > 1:
        raise UsageError("one run at a time can be resumed", hint="gdrun resume RUN")
    if slurm or detach:
        cluster = cluster or SLURM
    cluster = arguments.cluster_of(cluster, scheduler_file, slurm, detach=detach)
    loaded_plugins = session.load_plugins(plugins)
    listener = progress.listener(quiet=quiet, verbose=verbose)
    with session.quiet() as noise:
        try:
            listener.wait("starting TensorFlow")
            directory = find_resumable(
                runs[0] if runs else None, more=bool(overrides), failed=failed, runs_dir=runs_dir
            )
            began_there = jobs is None and cluster is None and Run(directory).status is Status.SUBMITTED
            if cluster == SLURM or began_there:
                if overrides or failed:
                    raise UsageError("jobs train what is missing, and nothing else", hint="--jobs N trains it here")
                run = resume_there(directory, loaded_plugins, read_options(slurm) if slurm else None, listener)
                if run.status is Status.SUBMITTED:
                    run = follow(run, plugins=loaded_plugins, listener=listener, detach=detach)
            else:
                with suppress(ResourceError):
                    check_not_queued(Run(directory))
                run = resume(
                    directory,
                    overrides,
                    plugins=loaded_plugins,
                    runs_dir=runs_dir,
                    jobs=jobs,
                    cluster=cluster,
                    wait=wait,
                    failed=failed,
                    listener=listener,
                    log=noise.take,
                )
        finally:
            listener.close()
    results = Results("runs", as_json=as_json)
    results.add_run(run, {}, quiet=quiet or detach, verbose=verbose)
    return results.finish()
