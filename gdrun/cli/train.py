"""`gdrun train CONFIG... [KEY=VALUE...]`: run experiments, a run directory each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gdrun.errors import ExitCode, UsageError
from gdrun.experiment.loading import LoadedConfig
from gdrun.exports.live import TensorBoardListener
from gdrun.exports.tensorboard import require_tensorboard
from gdrun.rundir.run import Run
from gdrun.sweeping.slurm import read_options, submit_run
from gdrun.training import train
from gdrun.training.listener import Listener
from gdrun.training.prepare import Prepared

from . import arguments, dry_run, progress, saves, session, terminal
from .arguments import Device, Json, Plugins, Quiet, RunsDir, Targets, Threads, Verbose
from .jobs import follow
from .noise import Noise
from .results import Results


def command(
    targets: Targets,
    runs_dir: RunsDir = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the run; default: the config's.")] = None,
    device: Device = None,
    threads: Threads = None,
    plugins: Plugins = None,
    only_plan: Annotated[
        bool, typer.Option("--dry-run", help="Build everything, show parameters, memory and steps, run nothing.")
    ] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Run a few steps to see that it works; keep nothing.")] = False,
    rows: Annotated[bool, typer.Option("--table", help="Print the recorded rows as they come.")] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write TensorBoard's event files there while it runs.")
    ] = None,
    save_diff: Annotated[
        bool, typer.Option("--save-diff", help="Keep how the git work tree differs from its commit, in source/.")
    ] = False,
    cluster: Annotated[str | None, typer.Option(metavar="slurm", help="Train as a job of SLURM.")] = None,
    slurm: arguments.Slurm = None,
    detach: arguments.Detach = False,
    watch: Annotated[bool, typer.Option("--watch", help="Run again whenever a config is saved, until Ctrl-C.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Run experiments and write a run directory for each.

    All configs are checked and built before the first one runs. The path of each run directory goes to stdout, all else
    to stderr. A run directory is a config too: training it again gives the same bits.

    Exit codes: 3 where a run diverged, 2 where a config is refused, 130 after Ctrl-C (what was recorded is saved).
    """
    configs, overrides = arguments.split(targets)
    arguments.check_name(name)
    arguments.cluster_of(cluster, None, slurm, detach=detach)
    if cluster not in (None, "slurm"):
        raise UsageError(f"a run trains here or as a job, not on '{cluster[:80]}'", hint="--cluster slurm")
    if cluster is not None and (smoke or only_plan or watch or rows or save_diff or tensorboard is not None):
        raise UsageError("a job of SLURM goes without --dry-run, --smoke, --table, --tensorboard, --save-diff, --watch")
    options = read_options(slurm or ())
    if tensorboard is not None:
        if smoke or only_plan:
            raise UsageError("--tensorboard shows a run, and --smoke and --dry-run keep none")
        require_tensorboard()
    files = {Path(config, "config.yaml") if Path(config).is_dir() else Path(config) for config in configs}

    def trained(waiting: list[Prepared], listener: Listener, noise: Noise) -> Run:
        """Train the last of the experiments that wait, here or as a job."""
        # Popped: a finished experiment's data need not stay in memory while the others run.
        experiment = waiting.pop()
        if cluster is None:
            return train.execute(
                experiment, runs_dir=runs_dir, name=name, keep=not smoke, listener=listener, log=noise.take,
                save_diff=save_diff,
            )  # fmt: skip
        run = submit_run(experiment, options, runs_dir=runs_dir, name=name, device=device, listener=listener)
        return follow(run, detach=detach, plugins=plugins, listener=listener)

    def once() -> int:
        loaded = session.load_all(configs, overrides, device=device, plugins=plugins)
        files.update(Path(name) for config in loaded for name, _ in config.files)
        if not quiet:
            _note_ignored_sections(loaded, configs)
        results = Results("runs", as_json=as_json)
        with session.quiet() as noise:
            prepared = session.prepare_all(
                loaded, device=device if cluster is None else "cpu", threads=threads, smoke=smoke, silent=quiet
            )
            if only_plan:
                dry_run.show_all(prepared, as_json=as_json)
                return ExitCode.DONE
            names = [name or item.loaded.experiment.name for item in prepared]
            prepared.reverse()
            for config, own_name in zip(configs, names, strict=True):
                label = config if names.count(own_name) > 1 else ""
                display = (
                    progress.TableProgress(label, verbose=verbose)
                    if rows
                    else progress.listener(label, quiet=quiet, verbose=verbose)
                )
                listener = display if tensorboard is None else TensorBoardListener(tensorboard, display)
                try:
                    with closing(listener):
                        run = trained(prepared, listener, noise)
                except Exception as error:  # a bug too: the others are to run
                    session.add_output(error, noise)
                    results.add_error(error, {"config": config})
                    continue
                results.add_run(
                    run, {"config": config}, quiet=quiet or detach, label=label, verbose=verbose, kept=not smoke
                )
                if results.is_interrupted:
                    break
        return results.finish()

    if not watch:
        return once()
    if as_json or "-" in configs:
        raise UsageError(f"--watch goes with config files, and not with {'--json' if as_json else 'stdin'}")
    with session.keeping_programs():
        return saves.repeat(once, files)


def _note_ignored_sections(loaded: Sequence[LoadedConfig], configs: Sequence[str]) -> None:
    """Say in one line that `expect` and `sweep` are for other commands."""
    ignored = []
    for section, command_name in (("expect", "check"), ("sweep", "sweep")):
        names = [
            name for config, name in zip(loaded, configs, strict=True) if section in config.experiment.model_fields_set
        ]
        if names:
            ignored.append((section, f"`gdrun {command_name} {' '.join(names)}`"))
    if ignored:
        parts = " and ".join(f"`{section}`" for section, _ in ignored)
        see = ", ".join(command for _, command in ignored)
        are = "are" if len(ignored) > 1 else "is"
        terminal.message(Text(f"{parts} {are} ignored by train; see {see}", "dim"))
