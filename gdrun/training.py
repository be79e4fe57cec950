"""Train an experiment: config in, run directory out.

    train(source, overrides)            one call
    prepare(loaded) -> Prepared         built and tried; nothing is on disk yet
    execute(prepared) -> Run            trained and written

`Listener`s read along: progress bars, notebooks.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.config.loading import LoadedConfig, load_config
from gdrun.errors import ConfigError, Problem
from gdrun.outcome import Outcome, describe_outcome
from gdrun.recording import Recorder, first_record
from gdrun.rundir.layout import RECORD, default_runs_root
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from gdrun.signals import Abandoned, StopRequests

if TYPE_CHECKING:
    from gdrun.build import Built
    from gdrun.engine.device import Device

SMOKE_STEPS = 3
"""What a smoke run does."""


@dataclass(frozen=True)
class Plan:
    """What is about to run."""

    name: str
    description: str
    total_steps: int
    steps_per_epoch: int
    num_parameters: int
    parameter_names: tuple[str, ...]
    device: str
    compile: str
    precision: str
    directory: Path | None
    """The run directory."""

    @property
    def total_epochs(self) -> float:
        """Passes over the data."""
        return self.total_steps / self.steps_per_epoch


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    parameters: Mapping[str, np.ndarray]
    """By name, while they are few; else empty."""
    seconds: float
    """In compiled code, since the start."""
    steps_per_second: float
    row: Mapping[str, Any]
    """The newest row."""


class Listener:
    """Reads along while a run goes on. Every method may be left as it is."""

    def planned(self, plan: Plan) -> None:
        """The run directory exists; the first step comes next."""

    def progress(self, progress: Progress) -> None:
        """A chunk is done."""

    def warned(self, message: str) -> None:
        """Something that the user should know."""

    def finished(self, run: Run) -> None:
        """The run directory is complete."""


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
    Raises:
        ConfigError: the config is refused; nothing was written.
        ResourceError: the device is not there.
        RunDirectoryError: the disk refused.
    """
    prepared = prepare(load_config(source, overrides), device=device, threads=threads, smoke=smoke)
    return execute(prepared, runs_dir=runs_dir, name=name, listener=listener)


def prepare(
    loaded: LoadedConfig, *, device: str | None = None, threads: int | None = None, smoke: bool = False
) -> Prepared:
    """Build an experiment and look at its first step. Raises as `train`."""
    from gdrun.engine.device import configure, import_tensorflow

    tf = import_tensorflow()
    chosen = configure(device=device or loaded.experiment.device, threads=threads)
    from gdrun.build import build

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
    if built.datasets is None or not (loaded.directory / RECORD).is_file():
        return
    recorded = Run(loaded.directory).record.data
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
        recorder = Recorder(store, prepared)
        recorder.write_sources()
        for message in (*prepared.built.warnings, *store.warnings):
            store.log(f"warning: {message}")
            listener.warned(message)
        listener.planned(_plan(prepared, store.directory, name))
        try:
            outcome = _run(prepared, recorder, listener)
        finally:
            if log is not None and (said := log()):
                store.log(said)
        recorder.finish(outcome)
    run = Run(store.directory)
    if temporary is not None:
        run.temporary = temporary  # type: ignore[attr-defined]  # lives as long as the run does
    listener.finished(run)
    return run


def _run(prepared: Prepared, recorder: Recorder, listener: Listener) -> Outcome:
    """Train, handing each report to its readers."""
    from gdrun.engine.device import import_tensorflow
    from gdrun.engine.drive import drive, first_report

    tf = import_tensorflow()
    built, stop = prepared.built, prepared.loaded.experiment.schedule.stop
    began = time.monotonic()
    with StopRequests() as requests, tf.device(prepared.device.name):

        def should_stop() -> bool:
            return requests.signal is not None or (stop.seconds is not None and time.monotonic() - began > stop.seconds)

        def call(function: Callable[..., Any], *arguments: Any) -> Any:
            # The device is a setting of the thread.
            with tf.device(prepared.device.name):
                return function(*arguments)

        reports = drive(
            built.program,
            built.state,
            built.setting,
            built.data,
            built.rows,
            built.windows,
            seconds_per_step=built.seconds_per_step,
            should_stop=should_stop,
            call=partial(requests.call, call),
        )
        last = first_report(built.state, built.program.first_record)
        try:
            for last in reports:
                recorder.write(last)
                listener.progress(_progress(prepared, last))
        except Abandoned:
            # The last report was not known to be the last, so its state may have no row yet.
            if not last.is_row[-1]:
                newest = {name: values[-1:] for name, values in last.records.items()}
                recorder.write(replace(last, records=newest, is_row=np.ones(1, bool)))
        return describe_outcome(prepared, last, requests.signal, time.monotonic() - began)


def _plan(prepared: Prepared, directory: Path | None, name: str | None = None) -> Plan:
    experiment, built = prepared.loaded.experiment, prepared.built
    return Plan(
        name=name or experiment.name or "run",
        description=experiment.description,
        total_steps=built.total_steps,
        steps_per_epoch=built.steps_per_epoch,
        num_parameters=built.num_parameters,
        parameter_names=(*built.objective.trainable_names, *built.objective.fixed_names),
        device=prepared.device.description,
        compile=built.compile,
        precision=experiment.precision,
        directory=directory,
    )


def plan(prepared: Prepared) -> Plan:
    """Return what `prepared` would run; for a dry run."""
    return _plan(prepared, None)


def _progress(prepared: Prepared, report: Any) -> Progress:
    records = {name: values[-1] for name, values in report.records.items()}
    few = {name.removeprefix("parameters."): value for name, value in records.items() if name.startswith("parameters.")}
    if sum(value.size for value in few.values()) > 10:
        few = {}
    return Progress(
        step=report.step,
        epoch=report.step // prepared.built.steps_per_epoch,
        loss=float(records["loss"]),
        learning_rate=float(records["learning_rate"]),
        parameters=few,
        seconds=report.seconds,
        steps_per_second=report.steps_per_second,
        row=records,
    )
