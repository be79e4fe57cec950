"""Finished runs and sweeps as runs of Weights & Biases, by its client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gdrun.errors import ResourceError, RunDirectoryError
from gdrun.extras import require
from gdrun.rundir.run import Run
from gdrun.text import safe_text

from .exporter import exporter
from .recorded import with_trials


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


def _log(wandb: Any, run: Run, output: str | None) -> Iterator[str]:
    """Log a run, or a sweep and its trials; yield where they are."""
    info, group = run.info, run.id if run.is_sweep else None
    more: dict[str, Any] = {"tags": list(info.tags), "notes": info.description or None, "group": group}
    for part in with_trials(run):
        logged = wandb.init(
            project=info.name or "gdrun",
            name=part.name,
            config=part.settings,
            dir=output,
            mode=None if output is None else "offline",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
            **more,
        )
        for step, _, row in part.curve.rows() if part.curve is not None else ():
            logged.log(row, step=step)
        logged.summary.update(
            {"status": part.status, **{f"final/{name}": value for name, value in part.results.items()}}
        )
        logged.finish(exit_code=0 if part.ended_well else 1)
        more = {"group": group, "job_type": "trial"}
        yield str(logged.url or Path(logged.dir).parent)
