"""The table of exporters, and the export of runs by one of them."""

from __future__ import annotations

from pathlib import Path

from gdrun.errors import UsageError
from gdrun.rundir.run import Run, Runs, load_runs
from gdrun.suggest import did_you_mean

from . import tables, tensorboard, tracking, wandb_runs
from .exporter import Exporter

EXPORTERS: tuple[Exporter, ...] = (
    tables.export_csv,
    tables.export_curves,
    tables.export_parquet,
    tensorboard.export_tensorboard,
    tracking.export_mlflow,
    wandb_runs.export_wandb,
)
"""A line here and a decorated function add a format."""

FORMATS = {exporter.format: exporter for exporter in EXPORTERS}


def export(runs: Runs, to: str, output: str | Path | None = None, *, runs_dir: str | Path | None = None) -> list[str]:
    """Write what runs or sweeps recorded for another program. Nothing is replaced.

    Args:
        runs: one or several: `Run`s, paths, ids, the beginnings of ids, "latest".
        to: one of `FORMATS`.
        output: the file; of tensorboard the folder for `--logdir`; of mlflow the address of the tracking store;
            of wandb a folder to write without a network. Default: the run's name with .csv or .parquet, "tensorboard",
            what the settings of MLflow and W&B say.
        runs_dir: where ids are looked up; default $GDRUN_RUNS or "runs".
    Returns:
        the paths that were written; of mlflow its ids of the runs, of wandb their addresses.
    Raises:
        UsageError: there is no such run or format, or the output is there already.
        ResourceError: an optional package is not installed.
        RunDirectoryError: a run is damaged, or the disk refuses.
    """
    check_format(to)
    return FORMATS[to].write(distinct_runs(runs, runs_dir), None if output is None else str(output))


def check_format(to: str) -> None:
    """Raise UsageError where `to` is no format."""
    if to not in FORMATS:
        raise UsageError(f"there is no format '{to}' to export to", hint=did_you_mean(to, FORMATS, allowed="one of"))


def distinct_runs(runs: Runs, runs_dir: str | Path | None = None) -> list[Run]:
    """Return the runs that are named; the same run under two names is one. Raises: as `load_runs`."""
    return list({str(run.directory.resolve()): run for run in load_runs(runs, runs_dir)}.values())
