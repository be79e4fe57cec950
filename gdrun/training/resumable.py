"""Which run can go on, and whether here and now it would end with the same bits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gdrun.config.document import MAX_BYTES
from gdrun.config.plugins import PluginSources
from gdrun.errors import RunDirectoryError, UsageError
from gdrun.experiment.loading import LoadedConfig, load_config
from gdrun.rundir import layout
from gdrun.rundir.environment import describe_host, package_versions
from gdrun.rundir.files import read_file
from gdrun.rundir.layout import default_runs_root, find_run, iterate_runs
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import RunInfo, Status
from gdrun.text import plural, safe_text

from .plugin_record import plugin_hashes
from .train import Prepared, prepare

PREVIOUS_HASH = "previous_config_hash"
"""The record's name of the hash that config.yaml may still have, when a kill came between the record and the config."""

_LENGTHS = ("epochs", "steps", "schedule.epochs", "schedule.steps")
_UNFINISHED = (Status.INTERRUPTED, Status.LOST, Status.FAILED)


def find_resumable(run: str | Path | None = None, *, more: bool = False, runs_dir: str | Path | None = None) -> Path:
    """Return the directory of the run to go on with.

    Args:
        run: as in `resume`.
        more: whether it is to have more steps than it was to have; then a complete one will do.
        runs_dir: as in `resume`.
    Raises:
        UsageError, RunDirectoryError: there is none, or the one that is named cannot go on.
    """
    root = Path(runs_dir) if runs_dir is not None else default_runs_root()
    if run is not None:
        directory = find_run(root, str(run))
        check_unfinished(Run(directory), more=more)
        return directory
    for directory in reversed(list(iterate_runs(root))):
        if _is_resumable(Run(directory), more=more):
            return directory
    raise UsageError(
        f"no run in {safe_text(root)} can go on",
        hint="runs that ended go on with more steps: gdrun resume RUN epochs=200",
    )


def _is_resumable(run: Run, *, more: bool) -> bool:
    try:
        check_unfinished(run, more=more)
    except (UsageError, RunDirectoryError):
        return False
    return not more or run.info.kind == "train"


def check_unfinished(run: Run, *, more: bool) -> None:
    """Refuse to go on with a run that has ended, that somebody writes, or whose record cannot be read.

    Raises:
        UsageError, RunDirectoryError: with the reason.
    """
    record, status, name = run.info, run.status, safe_text(run.directory)
    if status is Status.RUNNING:
        raise RunDirectoryError(f"{name} is busy: another process is writing it", hint="wait until it ends, or stop it")
    if status in _UNFINISHED or record.stopped_by == "seconds" or _lacks_trials(record):
        return
    if record.kind == "sweep":
        raise UsageError(f"every trial of {name} has its result", hint=f"gdrun show {safe_text(run.directory.name)}")
    if status is Status.COMPLETED and record.kind == "train":
        if more:
            return
        steps = plural(record.steps or 0, "step")
        raise UsageError(f"{name} is complete, {steps}", hint="give it more: gdrun resume RUN epochs=200, or steps=")
    why = safe_text(record.why or status.value, limit=200)
    raise UsageError(f"{name} has ended ({status.value}): {why}", hint="`gdrun train RUN KEY=VALUE` makes another run")


def _lacks_trials(record: RunInfo) -> bool:
    """Whether it is a sweep some of whose trials have failed, or never ran."""
    counts = record.extra.get("trials")
    if record.kind != "sweep" or not isinstance(counts, dict):
        return False
    return any(isinstance(counts.get(kind), int) and counts[kind] > 0 for kind in ("failed", "missing"))


def prepare_again(
    directory: Path, overrides: Sequence[str] | Mapping[str, Any] = (), *, plugins: PluginSources = ()
) -> Prepared:
    """Build the experiment of a run as it was built then; see `gdrun.training.resuming.resume`.

    Raises:
        UsageError: it cannot be what it was then; the message says why.
        ConfigError, ResourceError, RunDirectoryError: as `resume`.
    """
    from gdrun.assembly.schedule import total_steps
    from gdrun.engine.device import num_threads

    record = Run(directory).info
    _check_config(directory, record)
    _check_overrides(overrides)
    _refuse_changes(directory, _changes(record))
    before = load_config(directory, plugins=plugins)
    loaded = load_config(directory, overrides, plugins=before.plugins)
    _check_factor(loaded, before)
    device = (record.device or "auto").partition(" ")[0]
    threads = record.threads if record.threads not in (None, num_threads()) else None
    prepared = prepare(loaded, device=device, threads=threads)
    now = {"device": prepared.device.description, "compile": prepared.built.compile}
    _refuse_changes(directory, [_change(key, getattr(record, key), value) for key, value in now.items()])
    files = dict(prepared.built.datasets.files) if prepared.built.datasets else {}
    if files != record.data:
        raise UsageError(f"{safe_text(directory)} cannot go on: its data files have changed")
    if set(plugin_hashes(loaded).values()) != set(record.plugins.values()):
        raise UsageError(f"{safe_text(directory)} cannot go on: its plugins have changed")
    was = total_steps(before.experiment.schedule, prepared.built.steps_per_epoch)
    total = prepared.built.total_steps
    if total < was:
        raise UsageError(f"the run was to have {plural(was, 'step')}; it can have more, but not {total}")
    if record.status == Status.COMPLETED and total == was:
        raise UsageError(f"the run is complete with {plural(was, 'step')}", hint="give it more than that")
    return prepared


def _check_config(directory: Path, record: RunInfo) -> None:
    try:
        text = read_file(directory / layout.CONFIG, limit=MAX_BYTES)
    except FileNotFoundError:
        raise UsageError(
            f"{safe_text(directory)} was killed before it had a config; there is nothing to go on with"
        ) from None
    digest = hashlib.sha256(text).hexdigest()
    if digest not in (record.config_hash, record.extra.get(PREVIOUS_HASH)):
        raise UsageError(
            f"{safe_text(directory / layout.CONFIG)} was changed since the run began; a run goes on with its own",
            hint="`gdrun train` makes a new run of the changed config",
        )


def _check_overrides(overrides: Sequence[str] | Mapping[str, Any]) -> None:
    keys = overrides if isinstance(overrides, Mapping) else [text.partition("=")[0].strip() for text in overrides]
    for key in keys:
        if key not in _LENGTHS:
            raise UsageError(
                f"'{safe_text(key, limit=100)}' cannot change when a run goes on; epochs or steps can",
                hint="`gdrun train RUN KEY=VALUE` makes another run",
            )


def _changes(record: RunInfo) -> list[str | None]:
    """What of versions and machine is not what it was, in words."""
    versions = package_versions()
    before, now = (_minor(values.pop("python", None)) for values in (dict(record.versions), versions))
    found = [_change("python", before, now)]
    found += [_change(name, record.versions.get(name), value) for name, value in versions.items()]
    return [*found, _change("processor", record.host.get("processor"), describe_host()["processor"])]


def _minor(version: Any) -> str:
    return ".".join(str(version).split(".")[:2])


def _change(name: str, before: Any, now: Any) -> str | None:
    return None if before == now else f"{name} was {safe_text(before, limit=80)} and is {safe_text(now, limit=80)}"


def _refuse_changes(directory: Path, changes: Sequence[str | None]) -> None:
    if told := [change for change in changes if change]:
        raise UsageError(
            f"{safe_text(directory)} cannot go on to the same bits: {'; '.join(told)}",
            hint="go on where it was begun, or train its config again",
        )


def _check_factor(loaded: LoadedConfig, before: LoadedConfig) -> None:
    """Refuse a new length that would have given the steps that are done other learning rates."""
    now, then = loaded.experiment.schedule, before.experiment.schedule
    if (now.epochs, now.steps) == (then.epochs, then.steps):
        return
    factor = now.learning_rate_factor
    if factor is not None and getattr(factor, "length", 0) is None:
        raise UsageError(
            f"the learning-rate factor '{factor.kind}' is spread over the whole schedule: with another length, the "
            "steps that are done would have had other rates",
            hint="only schedule.learning_rate_factor.length, given from the start, lets such a run go on",
        )
