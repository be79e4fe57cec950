"""What runs recorded as files of other programs, by format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gdrun.errors import UsageError
from gdrun.rundir.files import disk_error
from gdrun.suggest import did_you_mean
from gdrun.text import safe_text

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

FORMATS = {
    "csv": "a table: of runs a row a recorded step, of sweeps a row a trial",
    "parquet": "the same with types (needs pyarrow)",
    "tensorboard": "event files: curves, histograms, hyperparameters (needs tensorboard)",
    "mlflow": "runs in MLflow's tracking store (needs mlflow)",
}
"""Format -> what it is."""

_FOLDER = "tensorboard"


def export(
    runs: Run | str | Path | Sequence[Run | str | Path],
    to: str,
    output: str | Path | None = None,
    *,
    runs_dir: str | Path | None = None,
) -> list[str]:
    """Write what runs or sweeps recorded for another program. Nothing is replaced.

    Args:
        runs: one or several: `Run`s, paths, ids, the beginnings of ids, "latest".
        to: one of `FORMATS`.
        output: the file; of tensorboard the folder for `--logdir`; of mlflow the address of the tracking store.
            Default: the run's name with .csv or .parquet, "tensorboard", what MLflow's own settings say.
        runs_dir: where ids are looked up; default $GDRUN_RUNS or "runs".
    Returns:
        the paths that were written; of mlflow its ids of the runs.
    Raises:
        UsageError: there is no such run or format, or the output is there already.
        ResourceError: an optional package is not installed.
        RunDirectoryError: a run is damaged, or the disk refuses.
    """
    check_format(to)
    loaded = load_runs(runs, runs_dir)
    match to:
        case "csv" | "parquet":
            path = Path(output) if output is not None else Path(f"{_name_of(loaded)}.{to}")
            _refuse(path)
            return [str(_write_new(path, _table(loaded, to)))]
        case "tensorboard":
            from .tensorboard import write_events

            return [str(path) for path in write_events(loaded, Path(_FOLDER if output is None else output))]
        case _:
            from .tracking import log_to_mlflow

            return log_to_mlflow(loaded, None if output is None else str(output))


def check_format(to: str) -> None:
    """Raise UsageError where `to` is no format."""
    if to not in FORMATS:
        raise UsageError(
            f"there is no format '{safe_text(to, limit=40)}' to export to",
            hint=safe_text(did_you_mean(to, FORMATS, allowed="one of"), limit=200),
        )


def load_runs(
    runs: Run | str | Path | Sequence[Run | str | Path], runs_dir: str | Path | None = None
) -> list[Run]:  # fmt: skip
    """Return the runs that are meant. Raises UsageError where there is none."""
    from gdrun.rundir.run import Run, load_run

    given = [runs] if isinstance(runs, Run | str | Path) else list(runs)
    if not given:
        raise UsageError("no run is named")
    loaded = [one if isinstance(one, Run) else load_run(one, runs_dir) for one in given]
    # The same run under two names is one.
    return list({str(run.directory.resolve()): run for run in loaded}.values())


def _table(runs: list[Run], to: str) -> bytes:
    from .tables import csv_text, parquet_bytes

    return csv_text(runs).encode("utf-8", "backslashreplace") if to == "csv" else parquet_bytes(runs)


def _name_of(runs: list[Run]) -> str:
    return runs[0].info.name or runs[0].id if len(runs) == 1 else "runs"


def _refuse(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError(f"{safe_text(path)} exists; it is not replaced", hint="name another file with -o")


def _write_new(path: Path, data: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        _refuse(path)
        raise
    except OSError as error:
        raise disk_error("write", path, error) from error
    return path
