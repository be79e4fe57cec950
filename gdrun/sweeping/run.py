"""A sweep, from its config to its directory.

    sweep(source, arguments)    plan, train, write
    resume(directory)           the trials that have no result

What blocks of trials come to is written as it comes, so that a sweep that is killed loses only what was going on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import ConfigError, RunDirectoryError, UsageError
from gdrun.experiment.loading import LoadedConfig
from gdrun.rundir.environment import PACKAGES, describe_environment
from gdrun.rundir.layout import default_runs_root
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.settings import flatten
from gdrun.rundir.store import RunStore
from gdrun.text import plural, safe_text
from gdrun.training.listener import Listener, Plan, Progress, plan_of
from gdrun.training.signals import Abandoned, StopRequests

from .executors import Executor, make_executor
from .grouping import Group, group_trials, parts_of
from .keeping import Keeper, load_parts
from .proposals import batch_size, check_installed
from .results import BlockProgress, BlockResult, Hooks, Table
from .trials import SweepSpec, plan_trials

if TYPE_CHECKING:
    from gdrun.config.plugins import PluginSources
    from gdrun.training.train import Prepared


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
    search: str | None = None,
    metric: str | None = None,
    maximize: bool | None = None,
    plugins: PluginSources = (),
    listener: Listener | None = None,
    command: Sequence[str] | None = None,
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
        search: how trials are proposed: "tpe", "random", ...; None: as the config says.
        metric, maximize: what trials are ranked by; None: as the config says.
        plugins: as for `train`.
        listener: of its progress.
        command: what to record as the command line; default `sys.argv`.
    Raises:
        ConfigError: the config, a space or a value in it is refused; nothing was written.
        ResourceError: the device, an extra or the cluster is not there.
        RunDirectoryError: the disk refused.
    """
    spec = plan_trials(
        source, arguments, trials=trials, search=search, metric=metric, maximize=maximize, plugins=plugins
    )
    settings = _Settings(device, threads, jobs, cluster, listener or Listener(), command)
    groups = [] if spec.search is not None else group_trials(spec)
    root = Path(runs_dir) if runs_dir is not None else default_runs_root()
    # A cluster that is not there leaves no directory, and workers start while the first trial is built.
    with closing(settings.executor()) as executor:
        first = _first(spec, settings)
        _check_groups(spec, groups)
        record = _first_record(spec, groups, first, settings)
        with RunStore.create(root, name or spec.base.experiment.name or "sweep", **record) as store:
            _write_sources(store, spec)
            for message in (*first.built.warnings, *store.warnings):
                store.log(f"warning: {message}")
                settings.listener.warned(message)
            settings.listener.planned(_plan(first, store, spec, groups))
            _carry_out(store, spec, groups, settings, Table(len(spec)), executor)
    return _finished(store, settings)


def resume(directory: str | Path, *, plugins: PluginSources = (), listener: Listener | None = None) -> Run:
    """Train the trials of a sweep that have no result; those that have one stay as they are, byte for byte.

    Args:
        plugins: those that it was begun with.
        listener: of its progress.
    Raises:
        UsageError: every trial has its result.
        ConfigError: its config is not what it was.
        RunDirectoryError: it is busy, damaged, or the disk refuses.
    """
    directory = Path(directory)
    record = Run(directory).info
    if record.kind != "sweep":
        raise UsageError(f"{directory} is not a sweep")
    counts = record.extra.get("trials", {})
    if record.status == Status.COMPLETED and not counts.get("failed") and not counts.get("missing"):
        name = safe_text(directory.name)
        raise UsageError(f"every trial of {name} has its result", hint=f"gdrun show {name}")
    spec = plan_trials(directory, plugins=plugins)
    text = spec.config_text()
    if record.config_hash not in (None, hashlib.sha256(text.encode()).hexdigest()):
        raise RunDirectoryError(f"the config of {directory} is not the one that the sweep began with")
    told = record.extra.get("settings_of_sweep", {})
    told = {"device": None, "threads": None, "jobs": 1, "cluster": None} | told
    settings = _Settings(**told, listener=listener or Listener(), command=None)
    store = RunStore.open(directory)
    with ExitStack() as open_things:
        try:
            table = load_parts(store, len(spec))
            missing = table.missing()
            executor = open_things.enter_context(closing(settings.executor()))
            first = _first(spec, settings)
        except BaseException:
            store.leave()
            raise
        open_things.enter_context(store)
        resumed = (*store.info.resumed, {"trials": int(table.total - len(missing))})
        store.update_info(status=str(Status.RUNNING), finished=None, stopped_by=None, why=None, resumed=resumed)
        groups = [] if spec.search is not None else parts_of(group_trials(spec), missing)
        settings.listener.planned(_plan(first, store, spec, groups))
        _carry_out(store, spec, groups, settings, table, executor)
    return _finished(store, settings)


@dataclass(frozen=True)
class _Settings:
    """How a sweep is carried out."""

    device: str | None
    threads: int | None
    jobs: int
    cluster: str | None
    listener: Listener
    command: Sequence[str] | None

    def executor(self) -> Executor:
        """Return the executor that trains the groups."""
        return make_executor(jobs=self.jobs, cluster=self.cluster, device=self.device, threads=self.threads)


@dataclass
class _Reporter:
    """Reports the progress of a sweep to its listener: what its table has, and the groups that are being trained."""

    spec: SweepSpec
    listener: Listener
    table: Table
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
        # What trials are ranked by is known of those that go on only if it is their loss.
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
    """Build one trial, so that what only building shows is told before anything is on disk."""
    from gdrun.training.train import prepare

    if spec.search is not None:
        check_installed(spec.search.kind)
    one = spec if spec.search is None else spec.with_rows([_first_values(spec)])
    return prepare(one.load(0), device=settings.device, threads=settings.threads)


MOST_CHECKED = 64
"""So many programs are tried before anything is on disk."""


def _check_groups(spec: SweepSpec, groups: Sequence[Group]) -> None:
    """Build what the first trial of each group starts from, as far as that needs no program: sizes, files, shapes.

    Raises:
        ConfigError: with the number of the trial.
    """
    from gdrun.assembly import build_parts

    for group in groups[1:MOST_CHECKED]:
        trial = int(group.trials[0])
        loaded = spec.load(trial)
        try:
            build_parts(loaded.experiment, directory=loaded.directory)
        except ConfigError as error:
            placed = (loaded.locate(problem) for problem in error.problems)
            problems = tuple(replace(problem, message=f"trial {trial}: {problem.message}") for problem in placed)
            raise ConfigError(problems, source=spec.base.source) from error


def _first_values(spec: SweepSpec) -> tuple[Any, ...]:
    return tuple(axis.values[0] if axis.values is not None else axis.distribution.low for axis in spec.axes)  # type: ignore[union-attr]


def _first_record(spec: SweepSpec, groups: Sequence[Group], first: Prepared, settings: _Settings) -> dict[str, Any]:
    from gdrun.engine.device import num_threads
    from gdrun.experiment.dump import plain
    from gdrun.training.plugin_record import plugin_hashes

    experiment, built = spec.base.experiment, first.built
    axes = [
        {"key": axis.key, "values": None if axis.values is None or len(axis.values) > 1000 else list(axis.values)}
        for axis in spec.axes
    ]
    extra: dict[str, Any] = {
        "axes": axes,
        "trials": Table(len(spec)).counts(),
        "metric": spec.metric,
        "direction": "maximize" if spec.maximize else "minimize",
        "value": experiment.sweep.value,
        "groups": len(groups),
        "settings_of_sweep": {
            "device": settings.device,
            "threads": settings.threads,
            "jobs": settings.jobs,
            "cluster": settings.cluster,
        },
    }
    if spec.search is not None:
        extra["search"] = {"kind": spec.search.kind, "batch": batch_size(spec), "prune": spec.search.prune}
    if any(axis.path[-1] == "learning_rate" for axis in spec.axes):
        from gdrun.analysis.stability import predicted_limit

        extra["prediction"] = predicted_limit(built).as_dict()
        if any(axis.path[-1] not in ("learning_rate", "seed") for axis in spec.axes):
            extra["prediction"]["why"] += ", at the settings of trial 0"
    return {
        **describe_environment(
            command=settings.command, packages=(*PACKAGES, "optuna") if spec.search is not None else PACKAGES
        ),
        "kind": "sweep",
        "description": experiment.description or None,
        "device": first.device.description,
        "threads": num_threads(),
        "precision": experiment.precision,
        "compile": built.compile,
        "seeds": {"seed": experiment.seed},
        "config_hash": hashlib.sha256(spec.config_text().encode()).hexdigest(),
        "settings": flatten(plain(experiment)),
        "plugins": plugin_hashes(spec.base),
        "data": dict(built.datasets.files) if built.datasets else {},
        "warnings": built.warnings,
        "extra": extra,
    }


def _write_sources(store: RunStore, spec: SweepSpec) -> None:
    from gdrun.training.recording import write_sources

    write_sources(store, spec.base, spec.config_text())


def _plan(first: Prepared, store: RunStore, spec: SweepSpec, groups: Sequence[Group]) -> Plan:
    sizes = tuple(map(len, groups))
    return plan_of(first, store.directory, store.info.name, num_trials=len(spec), group_sizes=sizes)


def _carry_out(
    store: RunStore, spec: SweepSpec, groups: list[Group], settings: _Settings, table: Table, executor: Executor
) -> None:
    """Train what is missing, keeping each block as it comes, and close the store and the executor."""
    listener = settings.listener
    keeper = Keeper(store, spec, table)
    reporter = _Reporter(spec, listener, table)
    with StopRequests() as requests:
        hooks = Hooks(
            should_stop=lambda: requests.signal is not None,
            call=_on_device(settings, requests),
            progress=reporter.report,
            warn=partial(_warn, store, listener),
        )
        try:
            if spec.search is not None:
                from .searching import search

                spec = search(spec, executor, hooks, keeper, reporter.block)
            else:
                for block in executor.run(spec, groups, hooks):
                    keeper.keep(block)
                    reporter.block(block)
        except Abandoned:
            pass
        finally:
            executor.close()
        signal = requests.signal
    if signal is not None:
        keeper.close(Status.INTERRUPTED, signal=signal, seconds=time.monotonic() - reporter.began)
        return
    prepare_best = partial(_prepare, settings)
    keeper.finish(spec, prepare_best, settings.command)
    counts = table.counts()
    why = f"{plural(counts['total'], 'trial')}, {counts['diverged']} diverged, {counts['failed']} failed"
    keeper.close(Status.COMPLETED, why=why, seconds=time.monotonic() - reporter.began)


def _warn(store: RunStore, listener: Listener, message: str) -> None:
    store.log(f"warning: {message}")
    listener.warned(message)


def _prepare(settings: _Settings, loaded: LoadedConfig) -> Prepared:
    from gdrun.training.train import prepare

    return prepare(loaded, device=settings.device, threads=settings.threads)


def _on_device(settings: _Settings, requests: StopRequests) -> Any:
    """How compiled code is called: on the sweep's device, while signals are heard."""
    from gdrun.engine.device import configure, import_tensorflow

    tf = import_tensorflow()
    name = configure(device=settings.device or "auto", threads=settings.threads).name

    def call(function: Any, *arguments: Any) -> Any:
        with tf.device(name):
            return function(*arguments)

    return partial(requests.call, call)


def _finished(store: RunStore, settings: _Settings) -> Run:
    run = Run(store.directory)
    settings.listener.finished(run)
    return run
