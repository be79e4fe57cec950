"""Train an experiment: config in, run directory out.

    train(source, overrides)            one call
    prepare(loaded) -> Prepared         built and tried; nothing is on disk yet
    execute(prepared) -> Run            trained and written

`Listener`s read along: progress bars, notebooks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import ConfigError, Problem
from gdrun.experiment.loading import LoadedConfig, load_config
from gdrun.rundir.layout import RUN_INFO, default_runs_root
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore

from .listener import Listener as Listener
from .listener import Plan as Plan
from .listener import Progress as Progress
from .listener import plan_of
from .loop import carry_out
from .plugin_record import check_plugins
from .recording import Recorder, first_record

if TYPE_CHECKING:
    from gdrun.assembly import Built
    from gdrun.config.plugins import PluginSources
    from gdrun.engine.device import Device

SMOKE_STEPS = 3
"""What a smoke run does."""


@dataclass(frozen=True)
class Prepared:
    """An experiment that is built; its first step has been looked at."""

    loaded: LoadedConfig
    built: Built
    device: Device
    smoke: bool = False


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
        listener: reads along.
        plugins: files and modules that bring what the config's parts of kind custom name.
    Raises:
        ConfigError: the config is refused; nothing was written.
        ResourceError: the device is not there.
        RunDirectoryError: the disk refused.
    """
    prepared = prepare(load_config(source, overrides, plugins=plugins), device=device, threads=threads, smoke=smoke)
    return execute(prepared, runs_dir=runs_dir, name=name, listener=listener)


def prepare(
    loaded: LoadedConfig, *, device: str | None = None, threads: int | None = None, smoke: bool = False
) -> Prepared:
    """Build an experiment and look at its first step. Raises as `train`."""
    from gdrun.engine.device import configure, import_tensorflow

    check_plugins(loaded)
    tf = import_tensorflow()
    chosen = configure(device=device or loaded.experiment.device, threads=threads)
    from gdrun.assembly import build

    try:
        with tf.device(chosen.name):
            built = build(loaded.experiment, directory=loaded.directory, max_steps=SMOKE_STEPS if smoke else None)
    except ConfigError as error:
        problems = tuple(loaded.locate(problem) for problem in error.problems)
        raise ConfigError(problems, source=loaded.source) from error
    _check_files(loaded, built)
    return Prepared(loaded, built, chosen, smoke)


def _check_files(loaded: LoadedConfig, built: Built) -> None:
    """Refuse to run a run directory's config again on data files that have changed since."""
    if built.datasets is None or not (loaded.directory / RUN_INFO).is_file():
        return
    recorded = Run(loaded.directory).info.data
    for path, digest in built.datasets.files.items():
        if recorded.get(path, digest) != digest:
            raise ConfigError(
                (
                    loaded.locate(
                        Problem(
                            f"{path} is not the file that the run {loaded.directory.name} was trained on",
                            ("data", "path"),
                            "bring the old file back, or train the config that was written",
                        )
                    ),
                ),
                source=loaded.source,
            )


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
    ends the process. Signals are heard in the main thread only.

    Args:
        prepared: from `prepare`. It can be executed again: nothing in it changes.
        runs_dir, name, listener: as in `train`.
        keep: false: the run directory is a temporary one, removed with the returned Run.
        command: what to record as the command line; default `sys.argv`.
        log: returns what TensorFlow said, for log.txt.
    """
    listener = listener or Listener()
    temporary = None if keep else tempfile.TemporaryDirectory(prefix="gdrun-")
    root = Path(temporary.name) if temporary else Path(runs_dir) if runs_dir is not None else default_runs_root()
    record = first_record(prepared, command)
    experiment = prepared.loaded.experiment
    with RunStore.create(root, name or experiment.name or "run", **record) as store:
        Recorder(store, prepared).write_sources()
        for message in (*prepared.built.warnings, *store.warnings):
            store.log(f"warning: {message}")
            listener.warned(message)
        carry_out(store, prepared, listener, name=name, resumable=keep, log=log)
    run = Run(store.directory)
    if temporary is not None:
        run.temporary = temporary  # type: ignore[attr-defined]  # lives as long as the run does
    listener.finished(run)
    return run


def plan(prepared: Prepared) -> Plan:
    """Return what `prepared` would run; for a dry run."""
    return plan_of(prepared, None)
