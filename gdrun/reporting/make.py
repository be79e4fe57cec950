"""Runs and sweeps as HTML files: one, several compared, or all as a site."""

from __future__ import annotations

from pathlib import Path

from gdrun.errors import RunDirectoryError
from gdrun.rundir.files import write_whole
from gdrun.rundir.run import Runs, load_runs

REPORT, COMPARISON = "report.html", "comparison.html"


def report(
    runs: Runs = "latest",
    output: str | Path | None = None,
    *,
    runs_dir: str | Path | None = None,
    refresh: int | None = None,
) -> Path:
    """Write a page about a run, a sweep, or several of them compared: one HTML file that needs no other and no network.

    Args:
        runs: one or several: `Run`s, paths, ids or the beginnings of ids, "latest".
        output: the file; default report.html (of several comparison.html) in the directory of the first. An older file
            is replaced, a link too.
        runs_dir: where ids are looked up; default $GDRUN_RUNS or "runs".
        refresh: after so many seconds a browser that shows the page reads it anew.
    Returns:
        where the page is.
    Raises:
        UsageError: there is no such run.
        ResourceError: plotly is not installed.
        RunDirectoryError: the disk refuses. (A broken run gets a page that says what is wrong with it.)
    """
    from .page import comparison_html, report_html

    loaded = load_runs(runs, runs_dir)
    several = len(loaded) > 1
    text = comparison_html(loaded, refresh=refresh) if several else report_html(loaded[0], refresh=refresh)
    if output is not None:
        # A person's own folders may be links; only the last name is taken as it is.
        write_whole(Path(output).parent.resolve() / Path(output).name, text)
        return Path(output)
    try:
        return write_whole(loaded[0].directory / (COMPARISON if several else REPORT), text)
    except RunDirectoryError as error:
        raise RunDirectoryError(error.message, hint="-o FILE writes the page elsewhere") from error
