"""`gdrun watch [RUN]`: a running run or sweep, live."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gdrun.errors import ExitCode, RunDirectoryError
from gdrun.rundir.run import Run, load_run
from gdrun.rundir.strict_json import not_finite
from gdrun.text import human_number, human_seconds

from . import terminal
from .arguments import Json, Quiet, RunsDir
from .predict import RunArgument

if TYPE_CHECKING:
    from gdrun.rundir.run_info import RunInfo

    from .progress import QuietProgress

_SPEED_SECONDS = 10.0
"""The speed is that of the last so many seconds."""


def command(run: RunArgument = "latest", quiet: Quiet = False, runs_dir: RunsDir = None, as_json: Json = False) -> int:
    """Follow a running run or sweep until it ends; Ctrl-C ends the watching, not the run.

    RUN is a path, an id or the beginning of one; default: latest. Ends with a short table on stderr and the run's
    directory on stdout.
    """
    found = load_run(run, runs_dir)
    try:
        _follow(found, quiet=quiet or as_json)
    except KeyboardInterrupt:
        terminal.say(f"{found.id} goes on; `gdrun watch {found.id}` follows it")
        return ExitCode.DONE
    ended = Run(found.directory)
    if as_json:
        from .output import print_json

        print_json({"run": _describe(ended)})
        return ExitCode.DONE
    if not quiet:
        _show(ended)
    terminal.data(str(ended.directory))
    return ExitCode.DONE


def _describe(run: Run) -> dict[str, Any]:
    from .summary import describe

    return run.summary() | {"directory": str(run.directory)} if run.problem else describe(run)


def _show(run: Run) -> None:
    """The short table of a run or a sweep that has ended."""
    if run.problem:
        terminal.say(f"{run.status.value}: {run.problem}")
    elif run.info.kind == "sweep":
        from gdrun.rundir.run import Run
        from gdrun.sweeping.summary import summarize

        from .sweep_summary import show as show_sweep

        sweep = Run(run.directory)
        show_sweep(sweep, summarize(sweep), picture=False)
    else:
        from .summary import show

        show(run)


def _follow(run: Run, *, quiet: bool) -> None:
    record = _record(run)
    if record is not None and record.kind == "sweep":
        return _follow_sweep(run, quiet=quiet)
    from gdrun.rundir.tail import follow

    from .progress import listener

    if run.status.value != "running":
        return None
    watcher = listener(quiet=quiet)
    planned = False
    speed = _Speed()
    began = time.monotonic()
    try:
        for rows in follow(run.directory):
            if record is None:
                record = _record(Run(run.directory))
            if record is not None and not planned:
                watcher.planned(_plan(run, record))
                planned = True
            if rows and planned:
                _report(watcher, rows[-1], speed, time.monotonic() - began)
    finally:
        watcher.close()
    return None


def _record(run: Run) -> RunInfo | None:
    # The writer may be about to make its first one.
    with suppress(RunDirectoryError):
        return run.info
    return None


def _plan(run: Run, record: RunInfo) -> Any:
    from gdrun.training.listener import Plan

    total = record.extra.get("total_steps")
    return Plan(
        name=record.name,
        description=record.description or "",
        total_steps=total if isinstance(total, int) else 0,
        steps_per_epoch=1,
        num_parameters=0,
        parameter_names=(),
        device=record.device or "",
        compile=record.compile or "",
        precision=record.precision or "",
        directory=run.directory,
    )


def _report(watcher: QuietProgress, row: Mapping[str, Any], speed: _Speed, seconds: float) -> None:
    import numpy as np

    from gdrun.training.listener import Progress

    few = {
        name.removeprefix("parameters."): np.asarray(value)
        for name, value in row.items()
        if name.startswith("parameters.") and isinstance(value, int | float)
    }
    watcher.progress(
        Progress(
            step=row["step"],
            loss=_number(row.get("loss")),
            learning_rate=_number(row.get("learning_rate")),
            parameters=few,
            seconds=seconds,
            steps_per_second=speed.at(row["step"], seconds),
            row=row,
        )
    )


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    found = not_finite(value) if isinstance(value, str) else None
    return math.nan if found is None else found


class _Speed:
    """Steps a second over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, step: int, seconds: float) -> float:
        """Note that a step was reached; return the speed, 0 while it is not known."""
        self._seen.append((seconds, step))
        while len(self._seen) > 2 and seconds - self._seen[0][0] > _SPEED_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        return (step - before) / (seconds - then) if seconds > then and step > before else 0.0


def _follow_sweep(run: Run, *, quiet: bool) -> None:
    """Say how many trials are done and what the best is, in a moving line or now and then in a plain one."""
    from gdrun.rundir.lock import is_locked

    began, next_at = time.monotonic(), 1.0
    status = terminal.console().status("") if terminal.is_live() and not quiet else None
    said = ""
    try:
        if status is not None:
            status.start()
        while True:
            goes_on = is_locked(run.directory)
            text = sweep_line(run)
            seconds = time.monotonic() - began
            if status is not None:
                status.update(text)
            elif not quiet and goes_on and seconds >= next_at and text != said:
                terminal.say(f"{text}, {human_seconds(seconds)}")
                said = text
                while next_at <= seconds:
                    next_at += min(next_at, 30.0)
            if not goes_on:
                return
            time.sleep(0.25)
    finally:
        if status is not None:
            status.stop()


def sweep_line(run: Run) -> str:
    """Return where a sweep is: "lines: 12 of 100 trials, 2 diverged, best loss 0.25 (trial 7)"."""
    from gdrun.rundir.run import Run

    sweep = Run(run.directory)
    try:
        record, trials = sweep.info, sweep.trials
    except RunDirectoryError:
        return "starting"
    counts = record.extra.get("trials")
    total = counts.get("total") if isinstance(counts, dict) else None
    of = f" of {total:,}" if isinstance(total, int) else ""
    words = [f"{record.name}: {len(trials):,}{of} trials"]
    diverged = sum(trial.get("status") == "diverged" for trial in trials)
    if diverged:
        words.append(f"{diverged:,} diverged")
    losses = [
        (trial["loss"], trial.get("trial"))
        for trial in trials
        if isinstance(trial.get("loss"), int | float)
        and math.isfinite(trial["loss"])
        and trial.get("status") != "diverged"
    ]
    if losses:
        loss, number = min(losses)
        words.append(f"best loss {human_number(loss, digits=6)} (trial {number})")
    return ", ".join(words)
