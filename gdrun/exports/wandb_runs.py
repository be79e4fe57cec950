"""Finished runs and sweeps as runs of Weights & Biases, by its client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gdrun.errors import ResourceError, RunDirectoryError
from gdrun.extras import require
from gdrun.rundir.run import Run
from gdrun.text import safe_text

from .exporter import exporter
from .recorded import RecordedCurve, curve_of, finite_numbers, hyperparameters, trials_of

_ENDED_WELL = ("completed", "stopped")


@exporter("wandb")
def export_wandb(runs: Sequence[Run], output: str | None) -> list[str]:
    """Log runs to Weights & Biases (needs wandb).

    The project is called as the run's config is. A sweep is a group: a run for the sweep and one for each trial. The
    config is the settings, the history the rows with their steps, the summary the final values.

    Args:
        output: a folder that is written to without a network, for `wandb sync`; None: the client's own settings.
    Returns:
        the new folders; of runs that were uploaded their addresses.
    Raises:
        ResourceError: wandb is not installed, or refuses: there is no login, no network.
        RunDirectoryError: a run is damaged.
    """
    wandb = require("wandb", extra="wandb", what="Weights & Biases")
    try:
        if output is not None:
            Path(output).mkdir(parents=True, exist_ok=True)
        return [place for run in runs for place in _log(wandb, run, output)]
    except RunDirectoryError:
        raise
    except Exception as error:  # its client's, of the login, of the network, of the disk
        raise ResourceError(
            f"Weights & Biases refused the run: {safe_text(error, limit=500)}",
            hint="-o FOLDER writes it without a network; wandb sync uploads it",
        ) from error


def _log(wandb: Any, run: Run, output: str | None) -> list[str]:
    """Return where a run, or a sweep and its trials, were logged."""
    info = run.info

    def begin(name: str, settings: Mapping[str, Any], **more: Any) -> Any:
        return wandb.init(
            project=info.name or "gdrun",
            name=name,
            config=dict(settings),
            dir=output,
            mode=None if output is None else "offline",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
            **more,
        )

    tags, notes = list(info.tags), info.description or None
    logged = begin(run.id, hyperparameters(run), tags=tags, notes=notes, group=run.id if run.is_sweep else None)
    curve = None if run.is_sweep else curve_of(run)
    places = [_finish(logged, curve, finite_numbers(info.final), str(run.status))]
    for trial in trials_of(run) if run.is_sweep else ():
        logged = begin(f"trial {trial.number}", trial.settings, group=run.id, job_type="trial")
        places.append(_finish(logged, trial.curve, trial.results, trial.status))
    return places


def _finish(logged: Any, curve: RecordedCurve | None, results: Mapping[str, float], status: str) -> str:
    """Write rows and final values, and return where they are."""
    if curve is not None:
        for step, _, row in curve.rows():
            logged.log(row, step=step)
    logged.summary.update({"status": status, **{f"final/{name}": value for name, value in results.items()}})
    logged.finish(exit_code=0 if status in _ENDED_WELL else 1)
    return str(logged.url or Path(logged.dir).parent)
