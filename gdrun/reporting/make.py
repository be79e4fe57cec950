"""A run or a sweep as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gdrun.errors import RunDirectoryError
from gdrun.rundir.files import disk_error, replacing

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

REPORT = "report.html"


def report(
    run: Run | str | Path = "latest", output: str | Path | None = None, *, runs_dir: str | Path | None = None
) -> Path:
    """Write a page about a run or a sweep: one HTML file that needs neither network nor other files.

    Args:
        run: a `Run`, a path, an id or the beginning of one, "latest".
        output: the file; default report.html in the run directory. An older file is replaced, a link too.
        runs_dir: where ids are looked up; default $GDRUN_RUNS or "runs".
    Returns:
        where the page is.
    Raises:
        UsageError: there is no such run.
        RunDirectoryError: the disk refuses. (A broken run gets a page that says what is wrong with it.)
    """
    from gdrun.rundir.run import Run, load_run

    from .page import report_html

    loaded = run if isinstance(run, Run) else load_run(run, runs_dir)
    data = report_html(loaded).encode("utf-8", "backslashreplace")
    if output is not None:
        # A person's own folders may be links; only the last name is taken as it is.
        write_whole(Path(output).parent.resolve() / Path(output).name, data)
        return Path(output)
    try:
        return write_whole(loaded.directory / REPORT, data)
    except RunDirectoryError as error:
        raise RunDirectoryError(error.message, hint="-o FILE writes the page elsewhere") from error


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file that is complete or not there, whatever happens; folders above it are made.

    Raises:
        RunDirectoryError: the disk refuses, or the folder is a link.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error("write", path, error) from error
    if path.is_dir():
        raise RunDirectoryError(f"cannot write {path}: it is a folder")
    with replacing(path) as file:
        file.write(data)
    return path
