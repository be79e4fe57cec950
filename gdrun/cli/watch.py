"""`gdrun watch [RUN]`: a running run or sweep, live."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.errors import RunDirectoryError
from gdrun.rundir.run import Run, load_run
from gdrun.rundir.run_info import Status
from gdrun.rundir.strict_json import not_finite
from gdrun.rundir.tail import follow
from gdrun.training.listener import Plan, Progress

from . import progress, terminal
from .arguments import Json, Quiet, RunArgument, RunsDir
from .output import print_json
from .summary import summary_of

_SPEED_SECONDS = 10.0
"""The speed is that of the last so many seconds."""

_PAUSE_SECONDS = 0.25
_ASK_SECONDS = 5.0


def command(run: RunArgument = "latest", quiet: Quiet = False, runs_dir: RunsDir = None, as_json: Json = False) -> None:
    """Follow a running run or sweep until it ends; Ctrl-C ends the watching, not the run.

    RUN is a path, an id or the beginning of one; default: latest. Ends with a short table on stderr and the run's
    directory on stdout.
    """
    watched = load_run(run, runs_dir)
    try:
        _follow(watched, quiet=quiet or as_json)
    except KeyboardInterrupt:
        return terminal.message(f"{watched.id} is still running; `gdrun watch {watched.id}` follows it")
    ended = Run(watched.directory)
    if as_json:
        facts = ended.summary() | {"directory": str(ended.directory)} if ended.problem else summary_of(ended).as_dict()
        return print_json({"run": facts})
    if not quiet:
        if ended.problem:
            terminal.message(f"{ended.status.value}: {ended.problem}")
        else:
            summary_of(ended).show(picture=False)
        if why := _why_unfinished(ended):
            terminal.message(why)
    return terminal.data(str(ended.directory))


def _follow(run: Run, *, quiet: bool) -> None:
    """Show how far the run or the sweep is until nothing writes it any more."""
    if not _goes_on(run):
        return
    planned = False
    with closing(progress.listener(quiet=quiet)) as listener:
        for report in _sweep_reports(run) if run.is_sweep else _run_reports(run):
            begun = Run(run.directory)
            # Without a problem: the writer may be about to make its first run info.
            if not planned and not begun.problem:
                listener.planned(_plan(begun))
                planned = True
            if planned and report is not None:
                listener.progress(report)


def _goes_on(run: Run) -> bool:
    """Return whether a run is being trained, or jobs are to train what is missing."""
    if run.status is not Status.SUBMITTED:
        return run.status is Status.RUNNING
    if _why_unfinished_at(run.directory, int(time.monotonic() / _ASK_SECONDS)):
        return False
    return run.planned_trials is None or len(run.trials) < run.planned_trials


@lru_cache(maxsize=1)
def _why_unfinished_at(directory: Path, tick: int) -> str:
    """Return `_why_unfinished`, for which SLURM is asked once a tick."""
    return _why_unfinished(Run(directory))


def _why_unfinished(run: Run) -> str:
    if run.status is not Status.SUBMITTED:
        return ""
    from gdrun.sweeping.slurm import why_unfinished

    return why_unfinished(run)


def _plan(run: Run) -> Plan:
    info = run.info
    return Plan(
        name=info.name,
        description=info.description or "",
        total_steps=run.value("total_steps") or 0,
        steps_per_epoch=1,
        num_parameters=0,
        parameter_names=(),
        device=info.device or "",
        compile=info.compile or "",
        precision=info.precision or "",
        directory=run.directory,
        num_trials=(run.planned_trials or 0) if info.is_sweep else None,
    )


def _run_reports(run: Run) -> Iterator[Progress | None]:
    """Yield the newest row whenever there are new ones, and None between."""
    began = time.monotonic()
    reached: deque[tuple[float, int]] = deque()
    while (waiting := Run(run.directory)).status is Status.SUBMITTED and _goes_on(waiting):
        yield None
        time.sleep(_PAUSE_SECONDS)
    for rows in follow(run.directory, pause_seconds=_PAUSE_SECONDS):
        yield _report(rows[-1], reached, time.monotonic() - began) if rows else None


def _report(row: Mapping[str, Any], reached: deque[tuple[float, int]], seconds: float) -> Progress:
    """Return the progress that a row says; `reached` holds (seconds, step) of the last seconds, for the speed."""
    reached.append((seconds, row["step"]))
    while len(reached) > 2 and seconds - reached[0][0] > _SPEED_SECONDS:
        reached.popleft()
    elapsed, steps = seconds - reached[0][0], row["step"] - reached[0][1]
    return Progress(
        step=row["step"],
        loss=_number(row.get("loss")),
        learning_rate=_number(row.get("learning_rate")),
        parameters={
            name.removeprefix("parameters."): np.asarray(value)
            for name, value in row.items()
            if name.startswith("parameters.") and isinstance(value, int | float)
        },
        seconds=seconds,
        steps_per_second=steps / elapsed if elapsed > 0 else 0.0,
        row=row,
    )


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    number = not_finite(value) if isinstance(value, str) else None
    return math.nan if number is None else number


def _sweep_reports(run: Run) -> Iterator[Progress | None]:
    """Yield how many trials are done and the best of them, now and then."""
    began = time.monotonic()
    while True:
        # Asked before reading: what is written between the two is read by the last look.
        is_running = _goes_on(Run(run.directory))
        sweep = Run(run.directory)
        with suppress(RunDirectoryError):
            yield _sweep_report(sweep, time.monotonic() - began)
        if not is_running:
            return
        time.sleep(_PAUSE_SECONDS)


def _sweep_report(sweep: Run, seconds: float) -> Progress:
    losses = [
        (trial["loss"], trial.get("trial"))
        for trial in sweep.trials
        if isinstance(trial.get("loss"), int | float)
        and math.isfinite(trial["loss"])
        and trial.get("status") != "diverged"
    ]
    best, number = min(losses, default=(None, None))
    return Progress(
        seconds=seconds,
        trials_done=len(sweep.trials),
        num_trials=sweep.planned_trials or len(sweep.trials),
        diverged=sum(trial.get("status") == "diverged" for trial in sweep.trials),
        best_value=best,
        best_trial=number,
    )
