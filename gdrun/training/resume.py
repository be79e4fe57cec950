"""Resumption of a run that was interrupted, or that is to have more steps: the same bits as one without a break.

    find_resumable()                     the latest run that can be resumed
    prepare_again(directory, overrides)  its experiment, built as it was, or a refusal
    continue_run(prepared, directory)    trained from its newest checkpoint on

What cannot end with the same bits is refused, with the reason: a changed config, data file or plugin, other versions,
another processor or device. What a kill left behind is no reason: rows after the checkpoint are recorded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.config.document import MAX_BYTES
from gdrun.config.plugins import PluginSources
from gdrun.engine.device import set_compiler_flags
from gdrun.engine.epochs import Begin
from gdrun.errors import RunDirectoryError, UsageError
from gdrun.experiment.loading import LoadedConfig, load_config
from gdrun.rundir import layout
from gdrun.rundir.environment import PACKAGES, command_line, describe_host, digit_variables, package_versions
from gdrun.rundir.files import read_file
from gdrun.rundir.layout import default_runs_root, find_run, iterate_runs
from gdrun.rundir.lock import busy
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import RunInfo, Status, now_text
from gdrun.rundir.store import RunStore
from gdrun.text import plural, safe_text

from .checkpoints import Position, position_at
from .listener import Listener
from .new_run import run_info, warn
from .prepare import Prepared, plugin_hashes, prepare
from .train import train_into_store

PREVIOUS_HASH = "previous_config_hash"
"""The record's name of the hash that config.yaml may still have, when a kill came between the record and the config."""

OF_A_JOB = "(of a job)"
"""End of a run's device until its job begins."""

_LENGTHS = ("epochs", "steps", "schedule.epochs", "schedule.steps")
_UNFINISHED = (Status.SUBMITTED, Status.INTERRUPTED, Status.LOST, Status.FAILED)


def find_resumable(
    run: str | Path | None = None, *, more: bool = False, failed: bool = False, runs_dir: str | Path | None = None
) -> Path:
    """Return the directory of the run or sweep to resume.

    Args:
        run: its directory, its id or the beginning of it, or "latest"; None: the latest that can be resumed.
        more: it is to have more steps than before; then a complete one will do.
        failed: trials that failed are to be trained again; then a sweep that lacks nothing else will do.
        runs_dir: the folder of runs; default $GDRUN_RUNS or "runs".
    Raises:
        UsageError, RunDirectoryError: there is none, or the one that is named cannot be resumed.
    """
    root = Path(runs_dir) if runs_dir is not None else default_runs_root()
    if run is not None:
        directory = find_run(root, str(run))
        check_unfinished(Run(directory), more=more, failed=failed)
        return directory
    for directory in reversed(list(iterate_runs(root))):
        candidate = Run(directory)
        with suppress(UsageError, RunDirectoryError):
            check_unfinished(candidate, more=more, failed=failed)
            if not more or not candidate.is_sweep:
                return directory
    raise UsageError(
        f"no run in {safe_text(root)} can be resumed",
        hint="a complete run can be given more steps: gdrun resume RUN epochs=200",
    )


def check_unfinished(run: Run, *, more: bool, failed: bool = False) -> None:
    """Refuse to resume a run that has ended, that another process writes, or whose record cannot be read.

    Raises:
        UsageError, RunDirectoryError: with the reason.
    """
    record, status, name = run.info, run.status, safe_text(run.directory)
    if status is Status.RUNNING:
        raise busy(run.directory)
    if (
        status in _UNFINISHED
        or record.stopped_by == "seconds"
        or _count(record, "missing")
        or (failed and _count(record, "failed"))
    ):
        return
    if count := _count(record, "failed"):
        hint = f"gdrun resume {safe_text(run.directory.name)} --failed trains them again"
        raise UsageError(f"no trial of {name} is missing; {count} failed", hint=hint)
    if record.is_sweep:
        raise UsageError(f"every trial of {name} has its result", hint=f"gdrun show {safe_text(run.directory.name)}")
    if status is Status.COMPLETED:
        if more:
            return
        steps = plural(record.steps or 0, "step")
        raise UsageError(f"{name} is complete, {steps}", hint="give it more: gdrun resume RUN epochs=200, or steps=")
    why = safe_text(record.why or status.value, limit=200)
    hint = f"`gdrun train {run.directory} KEY=VALUE` makes another run"
    raise UsageError(f"{name} has ended ({status.value}): {why}", hint=hint)


def _count(record: RunInfo, kind: str) -> int:
    """Return how many trials of a sweep are `kind`; 0 of a run."""
    counts = record.extra.get("trials")
    count = counts.get(kind) if record.is_sweep and isinstance(counts, dict) else 0
    return count if isinstance(count, int) else 0


def prepare_again(
    directory: Path, overrides: Sequence[str] | Mapping[str, Any] = (), *, plugins: PluginSources = ()
) -> Prepared:
    """Build the experiment of a run as it was built then.

    Args:
        overrides: more steps, and nothing else: ["epochs=200"] or {"steps": 10000}.
        plugins: files and modules that the run was trained with, unchanged.
    Raises:
        UsageError: it cannot be what it was then; the message says why.
        ConfigError: with the new length the config is refused.
        ResourceError: the device or the number of threads cannot be had.
        RunDirectoryError: the run is damaged.
    """
    from gdrun.engine.device import num_threads

    record = Run(directory).info
    # A run that was submitted begins on the machine of its job.
    own_machine = not (record.device or "").endswith(OF_A_JOB)
    check_environment(directory, record, own_machine=own_machine)
    _check_overrides(overrides)
    before = load_config(directory, plugins=plugins)
    if before.phases and overrides:
        raise UsageError(
            "a run with phases is resumed with the lengths that it has",
            hint="`gdrun train RUN KEY=VALUE` makes another run",
        )
    loaded = load_config(directory, overrides, plugins=before.plugins)
    _check_factor(loaded, before)
    device = (record.device or "auto").partition(" ")[0]
    threads = record.threads if record.threads not in (None, num_threads()) else None
    prepared = prepare(loaded, device=device, threads=threads)
    check_built(directory, record, prepared, own_machine=own_machine)
    was = before.experiment.schedule.total_steps(prepared.built.steps_per_epoch)
    total = prepared.built.total_steps
    if prepared.phases:
        was = total = record.steps or 0
    if total < was:
        raise UsageError(f"the run was to have {plural(was, 'step')}; it can have more, but not {total}")
    if record.status == Status.COMPLETED and total == was:
        raise UsageError(f"the run is complete with {plural(was, 'step')}", hint="give it more than that")
    return prepared


def check_environment(directory: Path, record: RunInfo, *, own_machine: bool = True) -> None:
    """Refuse to resume a run or a sweep whose config has changed, or in another environment: before anything is built.

    Args:
        own_machine: this machine trains, no cluster's: then its processor decides bits.
    Raises:
        UsageError: with every change of versions and processor; RunDirectoryError: the config cannot be read.
    """
    _check_config(directory, record)
    _refuse_changes(directory, _changes(record, own_machine=own_machine))


def check_built(directory: Path, record: RunInfo, prepared: Prepared, *, own_machine: bool = True) -> None:
    """Refuse to resume a run or a sweep whose device, compilation, data files or plugins are not those it began with.

    Args:
        prepared: the run; or the config of the sweep, with the trial built whose facts run.json has.
        own_machine: this machine trained and trains, no cluster's.
    Raises:
        UsageError: with the change.
    """
    device = _change("device", record.device, prepared.device.description) if own_machine else None
    _refuse_changes(directory, [device, _change("compile", record.compile, prepared.built.compile)])
    if prepared.built.files != record.data:
        raise UsageError(f"{safe_text(directory)} cannot be resumed: its data files have changed")
    if set(plugin_hashes(prepared.loaded).values()) != set(record.plugins.values()):
        raise UsageError(f"{safe_text(directory)} cannot be resumed: its plugins have changed")


def _check_config(directory: Path, record: RunInfo) -> None:
    try:
        text = read_file(directory / layout.CONFIG, limit=MAX_BYTES)
    except FileNotFoundError:
        raise UsageError(
            f"{safe_text(directory)} was killed before it had a config; there is nothing to resume"
        ) from None
    digest = hashlib.sha256(text).hexdigest()
    if digest not in (record.config_hash, record.extra.get(PREVIOUS_HASH)):
        raise UsageError(
            f"{safe_text(directory / layout.CONFIG)} was changed since the run began; a run is resumed with its own",
            hint="`gdrun train` makes a new run of the changed config",
        )


def _check_overrides(overrides: Sequence[str] | Mapping[str, Any]) -> None:
    keys = overrides if isinstance(overrides, Mapping) else [text.partition("=")[0].strip() for text in overrides]
    for key in keys:
        if key not in _LENGTHS:
            raise UsageError(
                f"'{safe_text(key, limit=100)}' cannot change when a run is resumed; epochs or steps can",
                hint="`gdrun train RUN KEY=VALUE` makes another run",
            )


def _changes(record: RunInfo, *, own_machine: bool) -> list[str | None]:
    """Return the changes of versions and machine, in words."""
    # A search records Optuna's version too: another one may propose other trials.
    versions = package_versions(tuple(dict.fromkeys((*PACKAGES, *record.versions.keys() - {"python"}))))
    # Of Python the minor version decides.
    before, now = (
        ".".join(str(python).split(".")[:2]) for python in (record.versions.get("python"), versions.pop("python"))
    )
    changes = [_change("python", before, now)]
    changes += [_change(name, record.versions.get(name), value) for name, value in versions.items()]
    if record.variables and own_machine:
        # As the run had them: gdrun itself sets one before TensorFlow starts.
        set_compiler_flags()
        variables = digit_variables()
        names = sorted(record.variables.keys() | variables.keys())
        changes += [
            _change(name, record.variables.get(name, "not set"), variables.get(name, "not set")) for name in names
        ]
    processor = _change("processor", record.host.get("processor"), describe_host()["processor"])
    return [*changes, processor if own_machine else None]


def _change(name: str, before: Any, now: Any) -> str | None:
    return None if before == now else f"{name} was {safe_text(before, limit=80)} and is {safe_text(now, limit=80)}"


def _refuse_changes(directory: Path, changes: Sequence[str | None]) -> None:
    if texts := [change for change in changes if change]:
        raise UsageError(
            f"{safe_text(directory)} cannot be resumed to the same bits: {'; '.join(texts)}",
            hint="resume it where it was begun, or train its config again",
        )


def _check_factor(loaded: LoadedConfig, before: LoadedConfig) -> None:
    """Refuse a new length that would have given the steps that are done other learning rates."""
    now, then = loaded.experiment.schedule, before.experiment.schedule
    if (now.epochs, now.steps) == (then.epochs, then.steps):
        return
    factor = now.learning_rate_factor
    if factor is not None and factor.fills_schedule:
        raise UsageError(
            f"the learning-rate factor '{factor.kind}' is spread over the whole schedule: with another length, the "
            "steps that are done would have had other rates",
            hint="only schedule.learning_rate_factor.length, given from the start, lets such a run be resumed",
        )


def continue_run(
    prepared: Prepared,
    directory: Path,
    *,
    listener: Listener | None = None,
    log: Callable[[], str] | None = None,
) -> Run:
    """Train what `prepare_again` returned from the newest whole checkpoint on.

    Args:
        listener: of its progress.
        log: returns TensorFlow's messages, for log.txt.
    Raises:
        RunDirectoryError: another process writes the run, it is damaged, or the disk refuses.
    """
    listener = listener or Listener()
    with RunStore.open(directory) as store:
        position, warnings = _find_position(store, prepared)
        _reopen(store, prepared, position)
        warn(store, listener, warnings)
        return train_into_store(store, prepared, listener, name=store.info.name, position=position, log=log)


def running_again(record: RunInfo, **position: int) -> dict[str, Any]:
    """Return the changes of run.json with which a run or a sweep is running again.

    Args:
        position: `step` of a run, or of a sweep the number of `trials` that have a result.
    """
    entry = {"when": now_text(), **position, "command": command_line()}
    ending = dict.fromkeys(("stopped_by", "why", "signal", "finished"))
    return {"status": Status.RUNNING.value, **ending, "resumed": (*record.resumed, entry)}


def _find_position(store: RunStore, prepared: Prepared) -> tuple[Position | None, Sequence[str]]:
    """Return (position of the newest whole checkpoint, None for the start; warnings)."""
    checkpoints = store.checkpoints(keep=prepared.loaded.experiment.checkpoint.keep)
    table, warnings = Run(store.directory).table, list[str]()
    for item in reversed(checkpoints.list()):
        try:
            position = position_at(checkpoints.load(item), prepared, store.info.id)
            _check_rows(table.steps, prepared, position)
        except RunDirectoryError as error:
            warnings.append(error.message)
            continue
        return position, [f"{message}; an older checkpoint is used" for message in warnings]
    if table.corrupt_lines:
        # To start again would throw away what can still be read.
        raise RunDirectoryError(
            f"{safe_text(store.directory / layout.METRICS)} is damaged in line {table.corrupt_lines[0]}; "
            "the run cannot be resumed to the same rows",
            hint="`gdrun train RUN` trains it again, in a new directory",
        )
    if warnings:
        warnings[-1] += "; the run starts again"
    elif len(table):
        warnings.append("there is no checkpoint yet; the run starts again")
    return None, warnings


def _check_rows(recorded: np.ndarray, prepared: Prepared, position: Position) -> None:
    """Refuse a position before which rows are missing or damaged: they would never be recorded again."""
    step, steps = position.step, [np.zeros(1, np.int64)]
    begins = [phase["begins"] for phase in position.phases.begun]
    for phase, begin, end in zip((prepared, *prepared.phases), begins, [*begins[1:], step], strict=False):
        planned = phase.built.rows
        moved = begin - planned.epochs.begin.step
        epochs = replace(planned.epochs, begin=Begin(begin))
        rows = replace(planned, epochs=epochs, total_steps=planned.total_steps + moved)
        # The end of a phase has a row, whatever ended it.
        steps += [rows.rows(begin, end), np.asarray([begin])]
    needed = np.unique(np.concatenate(steps))
    has_row = rows.is_row(np.asarray([step]))[0]
    recorded = recorded[recorded <= step if has_row else recorded < step]
    if not np.array_equal(recorded, needed):
        raise RunDirectoryError(f"metrics.jsonl lacks rows before the checkpoint of step {step}, or has others")


def _reopen(store: RunStore, prepared: Prepared, position: Position | None) -> None:
    """Make the run one that is running again: its record, its rows up to the position, its config."""
    record = store.info
    step = position.step if position else 0
    new = run_info(prepared, None)
    # The rest of the settings stays as it was written, relative paths too.
    lengths = ("schedule.epochs", "schedule.steps")
    settings = {key: value for key, value in record.settings.items() if key not in lengths}
    settings |= {key: value for key, value in new["settings"].items() if key in lengths}
    machine = {} if record.resumed else {name: new[name] for name in ("host", "device", "threads", "variables")}
    phases = position.phases.begun if position and prepared.phases else new["phases"]
    store.update_info(
        **running_again(record, step=step),
        **machine,
        phases=phases,
        final={},
        best={},
        diverged=None,
        steps=step,
        epochs=(position.phase if position else prepared).built.rows.epochs.done(step),
        seconds=position.seconds if position else 0.0,
        # A kill before the new config is written leaves the old one, which is then as good.
        extra={**new["extra"], PREVIOUS_HASH: record.config_hash},
        config_hash=new["config_hash"],
        settings=settings,
    )
    store.write_text(layout.CONFIG, prepared.loaded.resolved_text())
    # The row of a state in which the run was interrupted is no row of one that was not.
    has_row = position is not None and bool(position.report.is_row[0])
    store.cut_rows(after_step=step if has_row else step - 1)
