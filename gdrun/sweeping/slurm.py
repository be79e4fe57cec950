"""Jobs of SLURM: a run, or the parts of a sweep, trained where the scheduler puts them.

A submitted directory has status "submitted" and all that a job needs. A run is resumed by its job, from its start or
from its newest checkpoint. The trials that a sweep lacks, wherever it began, are cut in parts. Each has a run directory
of its own in `jobs/`, which other machines read while it grows; `gather` and `resume` put them together. A job that
gets SIGUSR1, 90 s before its time is over, saves what it has and asks to be queued again; one that SLURM preempts gets
SIGTERM, saves, and is queued again by SLURM.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from gdrun.config.document import read_document
from gdrun.config.files import read_regular_file
from gdrun.config.forms import Form
from gdrun.config.overrides import apply_overrides, parse_overrides
from gdrun.config.plugins import Plugins, PluginSources, load_plugins
from gdrun.config.problems import in_order, locate, validation_problems
from gdrun.config.section import Section
from gdrun.errors import ConfigError, GdrunError, ResourceError, UsageError
from gdrun.rundir import layout
from gdrun.rundir.lock import BEAT_SECONDS, is_locked
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from gdrun.text import plural, safe_text
from gdrun.training.listener import Listener
from gdrun.training.new_run import new_run
from gdrun.training.prepare import Prepared
from gdrun.training.resume import OF_A_JOB, check_environment
from gdrun.training.signals import StopRequests

from .groups import TrialGroup, group_trials, parts_of
from .parts import Part
from .plan import plan_trials
from .run import JOBS, SLURM, add_jobs, hand_over, resume, resume_sweep, sweep, trials_of_part
from .store import PART, SweepStore, load_parts
from .trials import SweepSpec

LOGS = "slurm"
"""Folder of the scheduler's files, in `jobs/`."""
_LOOK_SECONDS = 2.0

Count = Annotated[int, Field(ge=1)]


class SlurmOptions(Section):
    """Resources of a job."""

    partition: str | None = None
    """Partition; null: SLURM's default."""
    minutes: Annotated[int, Field(ge=3)] = 60
    """Time limit of a job; one that needs more is queued again and goes on. The signal before it takes 1.5 of them."""
    cpus: Count = 1
    """Processor cores of a job, and its threads."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs of a job."""
    memory: str | None = None
    """Memory of a job, for example 4GB; null: SLURM's default."""
    array: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Most jobs that a sweep is cut in."""
    at_once: Count | None = None
    """Most of them that run at the same time; null: as many as SLURM lets."""
    account: str | None = None
    """Account that pays."""
    setup: tuple[str, ...] = ()
    """Shell lines before each job, for example `module load cuda`."""


def read_options(texts: Sequence[str]) -> SlurmOptions:
    """Return the options that are written as KEY=VALUE or in YAML files.

    Raises:
        ConfigError, UsageError: with every mistake, placed.
    """
    files = [text for text in texts if "=" not in text]
    if len(files) > 1:
        raise UsageError("the options of jobs stand in one file", hint="--slurm FILE --slurm KEY=VALUE")
    name = files[0] if files else "--slurm"
    root = read_document(read_regular_file(Path(name)) if files else b"{}", name)
    form = Form(SlurmOptions)
    parsed, problems = parse_overrides([text for text in texts if "=" in text])
    if isinstance(root.value, dict):
        root, more = apply_overrides(root, parsed, form)
        problems += more
    try:
        options = SlurmOptions.model_validate(root.plain())
    except ValidationError as error:
        problems += validation_problems(error, root, form)
    if problems:
        order = [name, *(override.span.source.name for override in parsed)]
        raise ConfigError(in_order([locate(problem, root) for problem in problems], order), source=name)
    return options


@dataclass(frozen=True)
class Job:
    """The work of one job, called on its node.

    Args:
        directory: absolute, of the run or the sweep.
        trials: of the sweep; None: the whole run, or what a search lacks.
    """

    directory: Path
    trials: list[int] | None
    plugins: Plugins
    device: str | None
    options: SlurmOptions

    def __call__(self) -> None:
        """Train until the end or a signal; after SIGUSR1 be queued again."""
        with StopRequests() as requests:
            try:
                run = self._train() if self.trials is None else self._train_part(self.trials)
            except GdrunError as error:
                # The scheduler's log has it too, but nobody looks there first.
                with suppress(GdrunError), RunStore.open(self.directory) as store:
                    if self.trials is None:
                        store.abandon(error.message)
                    else:
                        store.log(f"job of {plural(len(self.trials), 'trial')} from {self.trials[0]}: {error.message}")
                        store.leave()
                raise
        interrupted = run.status is Status.INTERRUPTED
        if interrupted and self.trials is None:
            # By whatever signal: whether SLURM has queued it again, SLURM is asked.
            with RunStore.open(self.directory) as store:
                store.close(Status.SUBMITTED, finished=None)
        if signal.SIGUSR1 in (requests.signal, run.info.signal if interrupted else None):
            subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True)

    @property
    def _workers(self) -> int:
        # SLURM says in CUDA_VISIBLE_DEVICES which GPUs are this job's; workers take one each.
        return max(1, self.options.gpus)

    def _train(self) -> Run:
        self._wait_for_writer(self.directory)
        run = Run(self.directory)
        if run.status in _ENDED:
            return run
        jobs = max(self._workers, self.options.cpus) if run.is_sweep else None
        return resume(self.directory, plugins=self.plugins, jobs=jobs)

    def _train_part(self, trials: list[int]) -> Run:
        for run in Run(self.directory).parts:
            if run.value(PART) != trials:
                continue
            self._wait_for_writer(run.directory)
            if run.status in _ENDED:
                return run
            try:
                return resume_sweep(run.directory, plugins=self.plugins)
            except UsageError:
                # On another kind of node it is trained anew: one part has the bits of one processor.
                shutil.rmtree(run.directory)
        return sweep(
            self.directory, part=trials, runs_dir=self.directory / layout.JOBS, plugins=self.plugins,
            device=self.device, jobs=self._workers, threads=max(1, self.options.cpus // self._workers),
        )  # fmt: skip

    @staticmethod
    def _wait_for_writer(directory: Path) -> None:
        # A node that died beats no more, which shows after a while; two jobs of one part there are not.
        while is_locked(directory):
            time.sleep(BEAT_SECONDS)


_ENDED = (Status.COMPLETED, Status.STOPPED, Status.DIVERGED)


def _submit(directory: Path, jobs: Sequence[Job], options: SlurmOptions) -> dict[str, Any]:
    """Submit jobs as an array, and return what run.json says of them.

    Raises:
        ResourceError: submitit or SLURM is not there, or SLURM refuses; with its words.
    """
    try:
        # Its own signal, SIGUSR2, has a handler that knows nothing of what is to be saved.
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError
    except ImportError:
        raise ResourceError("SLURM needs submitit, which is not installed", hint="pip install 'gdrun[slurm]'") from None
    if shutil.which("sbatch") is None:
        raise ResourceError("there is no SLURM here: sbatch is not found", hint="--cluster goes on its login node")
    executor = SlurmExecutor(directory / layout.JOBS / LOGS)
    executor.update_parameters(
        job_name=f"gdrun-{layout.name_in(directory.name)}",
        partition=options.partition,
        time=options.minutes,
        cpus_per_task=options.cpus,
        gpus_per_node=options.gpus or None,
        mem=options.memory,
        account=options.account,
        setup=list(options.setup),
        array_parallelism=options.at_once or len(jobs),
        additional_parameters={"signal": "USR1@90", "requeue": True},
    )
    try:
        with executor.batch():
            submitted = [executor.submit(job) for job in jobs]
    except (FailedJobError, OSError) as error:
        why = safe_text(str(error).strip().splitlines()[-1].partition("error: ")[2] or str(error), limit=300)
        raise ResourceError(f"SLURM refuses the jobs: {why}", hint="sinfo lists its partitions") from None
    return {"id": str(submitted[0].job_id).partition("_")[0], "options": options.model_dump(mode="json")}


def is_queued(job: str) -> bool:
    """Return whether jobs of an array wait or run, as far as SLURM says so.

    Raises:
        ResourceError: there is no SLURM here to be asked.
    """
    if shutil.which("squeue") is None:
        raise ResourceError(f"there is no SLURM here to say whether job {job} is queued", hint="ask on its login node")
    done = subprocess.run(["squeue", "--noheader", "--jobs", job], capture_output=True, text=True, check=False)
    # It refuses ids that it has forgotten; for any other reason it is asked again.
    return bool(done.stdout.strip()) if done.returncode == 0 else "Invalid job id" not in done.stderr


def submit_sweep(source: Any, arguments: Any, options: SlurmOptions, **how: Any) -> Run:
    """Submit the parts of a sweep as jobs, and return the sweep.

    Args:
        source, arguments, how: as for `sweep`.
    Raises:
        UsageError: a search, which cannot be cut.
        as `sweep`; ResourceError: SLURM is not there or refuses; nothing was written.
    """

    def submit(spec: SweepSpec, groups: Sequence[TrialGroup], directory: Path) -> dict[str, Any]:
        if spec.search is not None:
            raise UsageError(
                "a search cannot be cut in jobs: it proposes by what came out",
                hint="give it workers that Dask starts on SLURM, or put `gdrun sweep` itself into a job",
            )
        return _submit_parts(directory, groups, spec.base.plugins, how.get("device"), options)

    return sweep(source, arguments, cluster=SLURM, submit=submit, **how)


def _submit_parts(
    directory: Path, groups: Sequence[TrialGroup], plugins: Plugins, device: str | None, options: SlurmOptions
) -> dict[str, Any]:
    path, of = directory.absolute(), min(options.array, sum(map(len, groups)))
    parts = [Part(of, number).trials(groups).tolist() for number in range(1, of + 1)]
    return _submit(path, [Job(path, part, plugins, device, options) for part in parts], options)


def submit_run(
    prepared: Prepared,
    options: SlurmOptions,
    *,
    runs_dir: str | Path | None = None,
    name: str | None = None,
    device: str | None = None,
    listener: Listener | None = None,
) -> Run:
    """Submit the training of what was prepared as a job, and return the run.

    Args:
        prepared: on any device; the job's is `device`.
        runs_dir, name, listener: as for `train`.
    Raises:
        ResourceError: SLURM is not there or refuses; nothing was written.
    """
    run_name = name or prepared.loaded.experiment.name or "run"
    described = f"{device or prepared.loaded.experiment.device} {OF_A_JOB}"
    with new_run(runs_dir, run_name, prepared, listener or Listener(), command=None, device=described) as store:
        return hand_over(store, lambda directory: _submit_one(directory, prepared.loaded.plugins, options))


def _submit_one(directory: Path, plugins: Plugins, options: SlurmOptions) -> dict[str, Any]:
    path = directory.absolute()
    return _submit(path, [Job(path, None, plugins, None, options)], options)


def check_not_queued(run: Run) -> None:
    """Refuse to resume what jobs are to train, or are training.

    Raises:
        UsageError: they are still queued; ResourceError: there is no SLURM here to be asked.
    """
    if (before := run.value(JOBS)) and is_queued(before["id"]):
        raise UsageError(
            f"jobs of {safe_text(run.directory)} are still queued",
            hint=f"gdrun watch, or `scancel {before['id']}` first",
        )


def resume_there(directory: Path, plugins: PluginSources, options: SlurmOptions | None, listener: Listener) -> Run:
    """Submit what a run or a sweep lacks, and return it; where nothing is missing but the table of its parts, write it.

    Args:
        directory: as `find_resumable` returned it.
        options: of the jobs; None: as before.
    Raises:
        UsageError: jobs for it are still queued, or its config or the versions have changed.
        ResourceError: SLURM is not there or refuses.
    """
    run, loaded = Run(directory), load_plugins(plugins)
    check_not_queued(run)
    options = options or SlurmOptions.model_validate_json(json.dumps((run.value(JOBS) or {}).get("options", {})))
    check_environment(directory, run.info, own_machine=False)
    spec = plan_trials(directory, plugins=loaded) if run.is_sweep else None
    with RunStore.open(directory) as store:
        if spec is None or spec.search is not None:
            jobs = _submit_one(directory, loaded, options)
        else:
            groups = group_trials(spec)
            table = load_parts(store, trials_of_part(spec, groups, run.value(PART)))
            add_jobs(store, table, listener)
            # For readers: the table of a sweep that was killed may be older than its results.
            SweepStore(store, spec, table).write_table()
            groups = parts_of(groups, table.unknown())
            if not groups:
                store.leave()
                return resume_sweep(directory, plugins=loaded, cluster=SLURM, listener=listener)
            jobs = _submit_parts(directory, groups, loaded, run.info.extra["settings_of_sweep"]["device"], options)
        store.close(Status.SUBMITTED, finished=None, extra={JOBS: jobs})
    return Run(directory)


def why_unfinished(run: Run) -> str:
    """Return why a submitted run or sweep has not ended though no job of it is queued; "" where one is, as far as
    SLURM can be asked from here."""
    with suppress(ResourceError):
        if run.status is Status.SUBMITTED and not is_queued(run.value(JOBS)["id"]):
            run, name = Run(run.directory), safe_text(run.directory)
            missing = run.value("trials")["total"] - len(run.trials) if run.is_sweep else None
            if missing == 0:
                return f"its jobs are through: `gdrun gather {name}`"
            lacks = "" if missing is None else f" without {plural(missing, 'trial')}"
            return f"its jobs have ended{lacks}: see {name}/{layout.JOBS}/{LOGS}, then `gdrun resume {name}`"
    return ""


def wait_for(run: Run) -> Run:
    """Wait until no job of a run or sweep waits or runs, and return it as it is then."""
    while is_queued(run.value(JOBS)["id"]):
        time.sleep(_LOOK_SECONDS)
    return Run(run.directory)
