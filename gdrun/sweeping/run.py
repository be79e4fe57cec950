"""A sweep, from its config to its directory.

    sweep(source, arguments)    plan, train, write: all trials, or a part of them
    gather(directories)         one sweep of its parts
    resume(run)                 the trials that have no result, or the steps that a run lacks

The results of blocks are written as they come, so that a sweep that is killed loses only the blocks at work.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.config.plugins import PluginSources
from gdrun.errors import RunDirectoryError, UsageError
from gdrun.experiment.loading import LoadedConfig
from gdrun.rundir import layout
from gdrun.rundir.environment import PACKAGES
from gdrun.rundir.lock import WriterLock
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import RunInfo, Status
from gdrun.rundir.seeds import is_seed
from gdrun.rundir.store import RunStore
from gdrun.text import plural, safe_text
from gdrun.training.listener import Listener, Progress, plan_of
from gdrun.training.new_run import new_run, warn
from gdrun.training.notebook import default_listener
from gdrun.training.prepare import Prepared, prepare, with_source_places
from gdrun.training.resume import (
    check_built,
    check_environment,
    continue_run,
    find_resumable,
    prepare_again,
    running_again,
)
from gdrun.training.signals import Abandoned
from gdrun.training.train import training_into

from .executors import Executor, InProcess, make_executor
from .groups import TrialGroup, group_trials, parts_of
from .optuna_sampler import batch_size, check_installed
from .parts import Part, differing_hosts, gathered_table, locked_parts
from .plan import plan_trials
from .results import BestTrial, BlockProgress, BlockResult, Hooks, TrialTable
from .search import group_batch, search
from .store import PART, SweepStore, load_parts, read_blocks
from .trials import SweepSpec

SLURM = "slurm"
"""The engine whose jobs `slurm.py` submits."""
JOBS = "jobs"
"""Key of run.json about jobs."""


def sweep(
    source: str | Path | bytes | LoadedConfig,
    arguments: Sequence[str] | Mapping[str, Any] = (),
    *,
    trials: int | None = None,
    runs_dir: str | Path | None = None,
    name: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    wait: float | None = None,
    part: str | Sequence[int] | None = None,
    search: str | None = None,
    metric: str | None = None,
    maximize: bool | None = None,
    lanes: int | str | None = None,
    plugins: PluginSources = (),
    listener: Listener | None = None,
    command: Sequence[str] | None = None,
    log: Callable[[], str] | None = None,
    submit: Callable[[SweepSpec, Sequence[TrialGroup], Path], dict[str, Any]] | None = None,
) -> Run:
    """Train many trials of one experiment and return their sweep.

    Args:
        source: a config, as for `train`.
        arguments: "KEY=SPACE" texts, or a mapping from key to space. None: the config's `sweep`, else learning rates
            around the configured one.
        trials: points to draw where a space is a distribution, or trials of a search.
        runs_dir: where the sweep's directory is made; default $GDRUN_RUNS or "runs".
        name: of the sweep; default the config's.
        device, threads: as for `train`.
        jobs: worker processes; 1: this process.
        cluster: "tcp://HOST:PORT" of a Dask scheduler, or "local:N".
        wait: seconds that the cluster may be without a worker; None: as long as it takes.
        part: "3/50", the third of fifty parts of the trials, for `gather`; or the numbers of some; None: all of them.
        search: how trials are proposed: "tpe", "random", ...; None: as the config says.
        metric, maximize: what trials are ranked by; None: as the config says.
        lanes: most trials in one program, "auto" or "off"; None: as the config says.
        plugins: as for `train`.
        listener: of its progress; default: in a notebook a bar with a live curve, else none.
        command: what to record as the command line; default `sys.argv`.
        log: returns TensorFlow's messages, for log.txt.
        submit: called with the sweep, its groups and its directory in place of training; returns what run.json says of
            the jobs.
    Raises:
        ConfigError: the config, a space or a value in it is refused; nothing was written.
        ResourceError: the device, an extra or the cluster is not there.
        RunDirectoryError: the disk refused.
    """
    if submit is None:
        _refuse_jobs(cluster)
    spec = plan_trials(
        source, arguments, trials=trials, search=search, metric=metric, maximize=maximize, lanes=lanes, plugins=plugins
    )
    settings = _Settings(device, threads, jobs, cluster, wait)
    listener = listener or default_listener()
    groups = [] if spec.search is not None else group_trials(spec)
    chosen = trials_of_part(spec, groups, part)
    groups = parts_of(groups, chosen)
    run_name = name or spec.base.experiment.name or "sweep"
    # A cluster that is not there leaves no directory, and workers start while the first trial is built.
    with closing(settings.executor(listener, part)) as executor:
        first = _first(spec, settings)
        spec = _with_estimates(spec, first)
        _check_groups(spec, groups, first.device.name)
        fields = _sweep_fields(spec, groups, first, settings, chosen, part)
        with new_run(
            runs_dir, run_name, first, listener, command=command, config=spec.config_text(), **fields
        ) as store:
            if submit is not None:
                return hand_over(store, partial(submit, spec, groups))
            table = TrialTable(chosen)
            return _train_into_store(store, spec, groups, settings, table, executor, first, listener, command, log)


def hand_over(store: RunStore, submit: Callable[[Path], dict[str, Any]]) -> Run:
    """Submit a new run or sweep, and close its store; where that is refused, nothing is left of it."""
    try:
        jobs = submit(store.directory)
    except BaseException:
        shutil.rmtree(store.directory / layout.JOBS, ignore_errors=True)
        store.discard()
        raise
    store.close(Status.SUBMITTED, finished=None, extra={JOBS: jobs})
    return Run(store.directory)


def _refuse_jobs(cluster: str | None) -> None:
    if cluster == SLURM:
        raise UsageError("jobs of SLURM are submitted from the command line", hint="gdrun sweep CONFIG --cluster slurm")


def trials_of_part(spec: SweepSpec, groups: Sequence[TrialGroup], part: str | Sequence[int] | None) -> np.ndarray:
    """Return the trials of a part of a sweep, or all, int64, rising.

    Raises:
        UsageError: there is no such part.
    """
    if part is None:
        return np.arange(len(spec))
    if spec.search is not None:
        raise UsageError("a search cannot be cut in parts: it proposes by what came out", hint="--cluster or --jobs")
    if isinstance(part, str):
        return Part.read(part).trials(groups)
    trials = np.unique(part)
    if len(trials) and trials[0] >= 0 and trials[-1] < len(spec):
        return trials
    raise UsageError(f"a part of {plural(len(spec), 'trial')} is some of 0 to {len(spec) - 1}")


def gather(
    directories: Sequence[str | Path],
    *,
    plugins: PluginSources = (),
    runs_dir: str | Path | None = None,
    name: str | None = None,
    listener: Listener | None = None,
    command: Sequence[str] | None = None,
    log: Callable[[], str] | None = None,
) -> Run:
    """Write one sweep of the parts that `sweep(part=...)` trained, and return it; its table is that of one process.

    Args:
        directories: of the parts, or folders that hold them; or of one sweep whose parts jobs have trained, which
            gets its results.
        plugins: files and modules that they were trained with, unchanged.
        runs_dir, name, listener, command, log: as for `sweep`.
    Raises:
        UsageError: they are not all the parts of one sweep, each once.
        ResourceError: the device or the number of threads of the parts cannot be had.
        RunDirectoryError: another process writes or gathers one of them, one lacks trials, or the disk refused.
    """
    listener = listener or Listener()
    if len(directories) == 1 and Run(Path(directories[0])).value(JOBS):
        directory = find_resumable(Path(directories[0]), runs_dir=runs_dir)
        return resume_sweep(directory, plugins=plugins, cluster=SLURM, listener=listener, log=log)
    with locked_parts([Path(directory) for directory in directories]) as parts:
        record = parts[0].info
        # Nothing is trained, so that this machine need not have the device.
        settings = replace(_recorded_settings(record), jobs=1, cluster=None, device="cpu")
        spec = plan_trials(parts[0].directory, plugins=plugins)
        groups = group_trials(spec)
        table = gathered_table(parts, spec, groups)
        first = _first(spec, settings)
        fields = _sweep_fields(spec, groups, first, settings, table.trials) | {"device": record.device}
        run_name = name or spec.base.experiment.name or "sweep"
        with new_run(
            runs_dir, run_name, first, listener, command=command, config=spec.config_text(), **fields
        ) as store:
            if warning := differing_hosts(parts):
                warn(store, listener, [warning])
            executor = InProcess()
            return _train_into_store(store, spec, [], settings, table, executor, first, listener, command, log)


def resume(
    run: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    plugins: PluginSources = (),
    runs_dir: str | Path | None = None,
    jobs: int | None = None,
    cluster: str | None = None,
    wait: float | None = None,
    failed: bool = False,
    listener: Listener | None = None,
    log: Callable[[], str] | None = None,
) -> Run:
    """Resume a run or a sweep, in its own directory, and return it. A sweep trains the trials that it lacks.

    It ends with the bits of a run that was never interrupted: parameters, optimizer state, metrics without times. Stops
    by `schedule.stop.seconds` are excepted; the limit counts from each resumption anew.

    Args:
        run: its directory, its id or the beginning of it, or "latest"; None: the latest that can be resumed.
        overrides: more steps of a run, and nothing else: ["epochs=200"] or {"steps": 10000}.
        plugins: files and modules that it was trained with, unchanged.
        runs_dir: the folder of runs; default $GDRUN_RUNS or "runs".
        jobs, cluster, wait: of a sweep, as for `sweep`; None: those it began with.
        failed: train the trials of a sweep that failed, too.
        listener: of its progress.
        log: returns TensorFlow's messages, for log.txt.
    Raises:
        UsageError: there is no such run, it has ended, or it cannot be resumed to the same bits; the message says why.
        ConfigError: with the new length the config is refused.
        ResourceError: the device or the number of threads cannot be had.
        RunDirectoryError: another process writes the run, it is damaged, or the disk refuses.
    """
    listener = listener or default_listener()
    _refuse_jobs(cluster)
    directory = find_resumable(run, more=bool(overrides), failed=failed, runs_dir=runs_dir)
    if Run(directory).is_sweep:
        return resume_sweep(
            directory, overrides, plugins=plugins, jobs=jobs, cluster=cluster, wait=wait, failed=failed,
            listener=listener, log=log,
        )  # fmt: skip
    if jobs is not None or cluster is not None:
        raise UsageError("a run has no workers; a sweep has", hint=f"gdrun resume {safe_text(directory.name)}")
    return continue_run(prepare_again(directory, overrides, plugins=plugins), directory, listener=listener, log=log)


def resume_sweep(
    directory: Path,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    plugins: PluginSources = (),
    jobs: int | None = None,
    cluster: str | None = None,
    wait: float | None = None,
    failed: bool = False,
    listener: Listener | None = None,
    log: Callable[[], str] | None = None,
) -> Run:
    """Train the trials of a sweep that have no result; those that have one stay as they are, byte for byte.

    Args:
        directory: as `find_resumable` returned it.
        cluster: SLURM where its jobs have trained all trials: if one is missing, that is refused.
    Raises:
        as `resume`.
    """
    if overrides:
        raise UsageError("a resumed sweep cannot be changed", hint="gdrun resume RUN")
    record = Run(directory).info
    begun = settings = _recorded_settings(record)
    if jobs is not None or cluster is not None or settings.cluster == SLURM:
        settings = replace(settings, jobs=jobs or 1, cluster=cluster)
    settings = replace(settings, wait=wait if wait is not None else settings.wait)
    # Results of other versions or devices are not to end in one table. A cluster asks its workers for their versions.
    check_environment(directory, record, own_machine=settings.trains_here)
    spec = plan_trials(directory, plugins=plugins)
    listener = listener or Listener()
    part = record.extra.get(PART)
    with RunStore.open(directory) as store, closing(settings.executor(listener, part)) as executor:
        groups = [] if spec.search is not None else group_trials(spec)
        table = load_parts(store, trials_of_part(spec, groups, part))
        add_jobs(store, table, listener)
        missing = table.missing() if failed else table.unknown()
        if cluster == SLURM and len(missing):
            name = safe_text(directory)
            raise RunDirectoryError(f"{name} lacks {plural(len(missing), 'trial')}", hint=f"gdrun resume {name}")
        first = _first(spec, settings)
        spec = _with_estimates(spec, first)
        check_built(directory, record, first, own_machine=begun.trains_here and settings.trains_here)
        store.update_info(**running_again(store.info, trials=int(table.total - len(missing))))
        groups = parts_of(groups, missing)
        return _train_into_store(
            store, spec, groups, settings, table, executor, first, listener, log=log, failed_again=failed
        )


def add_jobs(store: RunStore, table: TrialTable, listener: Listener) -> None:
    """Add the results of a sweep's parts that jobs have trained.

    Raises:
        RunDirectoryError: a job is still training one.
    """
    trained_here = [Run(store.directory)] if table.blocks and _recorded_settings(store.info).trains_here else []
    parts = [part for part in Run(store.directory).parts if part.is_sweep]
    for part in parts:
        WriterLock(part.directory).release()
        if part.info.versions != store.info.versions:
            warn(store, listener, [f"{part.directory} is left out: its job had other versions"])
            continue
        for block in read_blocks(part.directory, lambda message: store.log(f"warning: {message}")):
            table.add(block)
    if parts and (warning := differing_hosts([*trained_here, *parts])):
        warn(store, listener, [warning])


def _recorded_settings(record: RunInfo) -> _Settings:
    """Return the workers and the device that a sweep began with."""
    recorded = record.extra.get("settings_of_sweep", {})
    return _Settings(**({"device": None, "threads": None, "jobs": 1, "cluster": None} | recorded))


@dataclass(frozen=True)
class _Settings:
    """Workers and device that train the trials of a sweep."""

    device: str | None
    threads: int | None
    jobs: int
    cluster: str | None
    wait: float | None = None

    @property
    def trains_here(self) -> bool:
        """True where trials are trained on this machine."""
        return self.cluster is None or self.cluster.startswith("local")

    def executor(self, listener: Listener, part: str | Sequence[int] | None) -> Executor:
        """Return the executor that trains the groups; what it waits for is a warning of `listener`. A part is trained
        in a job, which may be stopped at any time."""
        if self.cluster == SLURM:
            return InProcess()  # its jobs train
        return make_executor(**asdict(self), warn=listener.warned, in_pieces=part is not None)

    def prepare(self, loaded: LoadedConfig) -> Prepared:
        """Build a trial. Where a cluster trains, this machine need not have its device."""
        return prepare(loaded, device=self.device if self.trains_here else "cpu", threads=self.threads)


@dataclass
class _Reporter:
    """Reports the progress of a sweep to its listener: what its table has, and the groups that are being trained."""

    spec: SweepSpec
    listener: Listener
    table: TrialTable
    began: float = field(default_factory=time.monotonic)
    finished: BlockProgress = field(default_factory=BlockProgress)
    """Of the blocks that were trained since the sweep was started or resumed."""

    def block(self, block: BlockResult) -> None:
        """Report that a block is done."""
        self.finished += BlockProgress.of(block)
        self.report(BlockProgress())

    def report(self, running: BlockProgress) -> None:
        """Report progress.

        Args:
            running: of the groups that are being trained.
        """
        counts = self.table.counts()
        best = self.table.best(self.spec.ranked, maximize=self.spec.maximize)
        trial, value = best if best is not None else (None, None)
        # Of trials that still run only the loss is known.
        by_loss = self.spec.ranked == "loss" and not self.spec.maximize
        if by_loss and running.best is not None and (value is None or running.best < value):
            trial, value = running.best_trial, running.best
        seconds = time.monotonic() - self.began
        self.listener.progress(
            Progress(
                seconds=seconds,
                steps_per_second=(self.finished.lane_steps + running.lane_steps) / max(seconds, 1e-9),
                trials_done=counts["total"] - counts["missing"] + running.done,
                num_trials=counts["total"],
                diverged=counts["diverged"] + running.diverged,
                best_value=value,
                best_trial=trial,
            )
        )


def _first(spec: SweepSpec, settings: _Settings) -> Prepared:
    """Return the config of the sweep with one trial built: what only building shows is refused before anything is on
    disk."""
    listed = spec
    if spec.search is not None:
        check_installed(spec.search.kind)
        listed = spec.with_rows([[axis.candidates[0] for axis in spec.axes]])
    return replace(settings.prepare(listed.load(0)), loaded=spec.base)


def execution_plan(spec: SweepSpec, *, device: str | None = None, threads: int | None = None) -> dict[str, Any]:
    """Return how the first group of a sweep's trials would run, by building one.

    Keys: compile, compile_why, precision, device, strategy, why.

    Args:
        device, threads: as for `train`.
    Raises:
        ConfigError: it cannot be built.
        ResourceError: the device is not there.
    """
    if spec.search is not None:
        first, last = (tuple(axis.candidates[end if axis.is_numeric else 0] for axis in spec.axes) for end in (0, -1))
        spec = spec.with_rows([first, last])
    (group, *_) = group_trials(spec)
    prepared = prepare(spec.load(int(group.trials[0])), device=device, threads=threads)
    from .lanes import how_trials_run

    built, (strategy, why) = prepared.built, how_trials_run(spec, group, prepared.built)
    return {
        "compile": built.compile,
        "compile_why": built.engine.reason,
        "precision": built.experiment.precision,
        "device": prepared.device.description,
        "strategy": strategy,
        "why": why,
    }


def _with_estimates(spec: SweepSpec, first: Prepared) -> SweepSpec:
    """Return the sweep with what a trial costs, by one that is built."""
    # Forward once, backward twice, a multiplication and an addition each.
    operations = 6.0 * first.built.num_parameters * first.built.program.feed.examples_per_step
    return replace(spec, step_operations=operations, steps_per_trial=first.built.total_steps)


MOST_CHECKED = 64
"""So many programs are tried before anything is on disk."""


def _check_groups(spec: SweepSpec, groups: Sequence[TrialGroup], device: str) -> None:
    """Build what the first trial of each group starts from, as far as that needs no program: sizes, files, shapes.

    Raises:
        ConfigError: with the number of the trial.
    """
    import tensorflow as tf

    from gdrun.assembly import build_parts

    for group in groups[1:MOST_CHECKED]:
        trial = int(group.trials[0])
        loaded = spec.load(trial)
        with with_source_places(loaded, trial), tf.device(device):
            build_parts(loaded.experiment, directory=loaded.directory)


def _retrain_best(spec: SweepSpec, trial: int) -> BestTrial | None:
    """Train a trial again whose rows were not kept, because all rows together were too many."""
    from .lanes import run_group

    groups = group_batch(spec, trial, [spec.values(trial)])[0] if spec.search is not None else group_trials(spec)
    (group,) = parts_of(groups, np.asarray([trial]))
    return next(iter(run_group(spec, group, Hooks()))).best_trial


def _sweep_fields(
    spec: SweepSpec,
    groups: Sequence[TrialGroup],
    first: Prepared,
    settings: _Settings,
    trials: np.ndarray,
    part: str | Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return what run.json has of a sweep and not of a run, before the first trial."""
    extra: dict[str, Any] = {
        "axes": [
            {"key": axis.key, "values": None if axis.values is None or len(axis.values) > 1000 else list(axis.values)}
            for axis in spec.axes
        ],
        "trials": TrialTable(trials).counts(),
        "metric": spec.metric,
        "direction": "maximize" if spec.maximize else "minimize",
        "value": spec.base.experiment.sweep.value,
        "groups": len(groups),
        "settings_of_sweep": asdict(settings),
    }
    if part is not None:
        extra[PART] = part
    packages: tuple[str, ...] = PACKAGES
    if spec.search is not None:
        extra["search"] = {"kind": spec.search.kind, "batch": batch_size(spec), "prune": spec.search.prune}
        packages = (*PACKAGES, "optuna")
    if any(axis.path[-1] == "learning_rate" for axis in spec.axes) and not spec.base.phases:
        import tensorflow as tf

        from gdrun.analysis.stability import predicted_limit

        with tf.device(first.device.name):
            extra["prediction"] = predicted_limit(first.built).as_dict()
        if any(axis.path[-1] != "learning_rate" and not is_seed(axis.key) for axis in spec.axes):
            extra["prediction"]["why"] += ", at the settings of trial 0"
    fields = {"kind": "sweep", "packages": packages, "phases": (), "extra": extra}
    return fields if settings.trains_here else fields | {"device": f"{settings.device or 'auto'} (of a cluster)"}


def _train_into_store(
    store: RunStore,
    spec: SweepSpec,
    groups: list[TrialGroup],
    settings: _Settings,
    table: TrialTable,
    executor: Executor,
    first: Prepared,
    listener: Listener,
    command: Sequence[str] | None = None,
    log: Callable[[], str] | None = None,
    *,
    failed_again: bool = False,
) -> Run:
    """Train the groups, keeping each block as it comes, and close the store and the executor."""
    import tensorflow as tf

    sizes = tuple(map(len, groups))
    plan = plan_of(first, store.directory, store.info.name, num_trials=table.total, group_sizes=sizes)
    sweep_store = SweepStore(store, spec, table)
    reporter = _Reporter(spec, listener, table)
    # What is built for the groups, and not only the steps, belongs on the device.
    with training_into(store, plan, listener, log) as requests, tf.device(first.device.name):
        hooks = Hooks(
            should_stop=lambda: requests.signal is not None,
            call=requests.calls_on(first.device.name),
            progress=reporter.report,
            warn=lambda message: warn(store, listener, [message]),
            device=settings.device,
        )

        def keep(block: BlockResult) -> None:
            sweep_store.keep(block)
            reporter.block(block)

        try:
            if spec.search is not None:
                spec = search(spec, executor, hooks, sweep_store, keep, failed_again=failed_again)
            else:
                for block in executor.run(spec, groups, hooks):
                    keep(block)
        except Abandoned:
            pass
        finally:
            executor.close()
    if requests.signal is not None:
        sweep_store.close(Status.INTERRUPTED, signal=requests.signal, seconds=time.monotonic() - reporter.began)
    else:
        sweep_store.spec = spec
        with tf.device(first.device.name):
            sweep_store.finish(partial(_retrain_best, spec), settings.prepare, command)
        counts = table.counts()
        why = f"{plural(counts['total'], 'trial')}, {counts['diverged']} diverged, {counts['failed']} failed"
        sweep_store.close(Status.COMPLETED, why=why, seconds=time.monotonic() - reporter.began)
    run = Run(store.directory)
    listener.finished(run)
    return run
