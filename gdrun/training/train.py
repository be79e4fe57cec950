"""Training of an experiment: config in, run directory out.

    train(source, overrides)            one call
    prepare(loaded) -> Prepared         built and tried; nothing is on disk yet
    execute(prepared) -> Run            trained and written

A `Listener` is called meanwhile: progress bars, notebooks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdrun.config.plugins import PluginSources
from gdrun.experiment.loading import load_config
from gdrun.rundir.layout import default_runs_root
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore

from .listener import Listener, Plan, plan_of
from .loop import carry_out
from .prepare import Prepared, prepare
from .recorder import begin, run_info


def train(
    source: str | Path,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    runs_dir: str | Path | None = None,
    name: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    smoke: bool = False,
    listener: Listener | None = None,
    plugins: PluginSources = (),
) -> Run:
    """Train the experiment in `source` and return its run.

    Args:
        source: path of a YAML file or a run directory.
        overrides: ["optimizer.learning_rate=1e-5"] or {"optimizer.learning_rate": 1e-5}.
        runs_dir: where the run directory is made; default $GDRUN_RUNS or "runs".
        name: of the run; default the config's.
        device: "auto", "cpu", "gpu" or "gpu:1"; default the config's.
        threads: CPU threads.
        smoke: run a few steps only.
        listener: of its progress.
        plugins: files and modules with the config's parts of kind custom.
    Raises:
        ConfigError: the config is refused; nothing was written.
        ResourceError: the device is not there.
        RunDirectoryError: the disk refused.
    """
    prepared = prepare(load_config(source, overrides, plugins=plugins), device=device, threads=threads, smoke=smoke)
    return execute(prepared, runs_dir=runs_dir, name=name, listener=listener)


def execute(
    prepared: Prepared,
    *,
    runs_dir: str | Path | None = None,
    name: str | None = None,
    listener: Listener | None = None,
    keep: bool = True,
    command: Sequence[str] | None = None,
    log: Callable[[], str] | None = None,
) -> Run:
    """Train what was prepared and write its run directory.

    The first SIGINT or SIGTERM ends the run at the next chunk with status `interrupted`, everything saved; the second
    ends the process. Signals reach the main thread only.

    Args:
        prepared: from `prepare`.
        runs_dir, name, listener: as in `train`.
        keep: false: the run directory is a temporary one, removed with the returned Run.
        command: what to record as the command line; default `sys.argv`.
        log: returns TensorFlow's messages, for log.txt.
    """
    listener = listener or Listener()
    folder = None if keep else tempfile.TemporaryDirectory(prefix="gdrun-")
    root = Path(folder.name) if folder else Path(runs_dir) if runs_dir is not None else default_runs_root()
    experiment = prepared.loaded.experiment
    with RunStore.create(root, name or experiment.name or "run", **run_info(prepared, command)) as store:
        begin(store, prepared.loaded, listener, prepared.built.warnings)
        carry_out(store, prepared, listener, name=name, resumable=keep, log=log)
    run = Run(store.directory) if folder is None else _TemporaryRun(store.directory, folder)
    listener.finished(run)
    return run


class _TemporaryRun(Run):
    """A run whose directory is removed with it."""

    def __init__(self, directory: Path, folder: tempfile.TemporaryDirectory[str]) -> None:
        super().__init__(directory)
        self._folder = folder


def plan(prepared: Prepared) -> Plan:
    """Return what `prepared` would run; for a dry run."""
    return plan_of(prepared, None)
