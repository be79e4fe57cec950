"""Commands that submit jobs: what they say and wait for."""

from __future__ import annotations

from gdrun.config.plugins import PluginSources
from gdrun.errors import RunDirectoryError
from gdrun.rundir import layout
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.sweeping.run import JOBS, gather
from gdrun.sweeping.slurm import LOGS, wait_for
from gdrun.text import safe_text
from gdrun.training.listener import Listener

from . import terminal


def follow(run: Run, *, detach: bool, plugins: PluginSources | None, listener: Listener) -> Run:
    """Say how a submitted run or sweep is followed; unless detached wait for its jobs, gather, and return it then.

    Raises:
        RunDirectoryError: a job ended before its run, or without all its trials.
    """
    after = f", `gdrun gather {run.directory}` writes its table" if run.is_sweep else ""
    terminal.message(f"submitted as job {run.value(JOBS)['id']}; `gdrun watch {run.id}` follows it{after}")
    if detach:
        return run
    run = wait_for(run)
    if run.is_sweep and run.status in (Status.SUBMITTED, Status.RUNNING):
        return gather([run.directory], plugins=plugins or (), listener=listener)
    if run.status in (Status.SUBMITTED, Status.RUNNING, Status.LOST):
        name = safe_text(run.directory)
        hint = f"see {name}/{layout.JOBS}/{LOGS}, then `gdrun resume {name} --cluster slurm`"
        raise RunDirectoryError(f"the job of {name} has ended before the run did", hint=hint)
    return run
