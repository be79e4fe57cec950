"""`gdrun report RUN...`: HTML pages about runs and sweeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from gdrun.errors import UsageError
from gdrun.reporting.make import report
from gdrun.rundir.layout import root_of
from gdrun.rundir.listing import runs as all_runs
from gdrun.rundir.run import Run, load_run
from gdrun.rundir.run_info import Status

from . import session, terminal
from .arguments import Json, RunsDir, output_option, run_names
from .output import print_result

REFRESH_SECONDS = 5


def command(
    runs: Annotated[
        list[str] | None,
        run_names("RUN", "Paths, ids or beginnings of ids, latest (the default), latest~1, ...; several are compared."),
    ] = None,
    output: Annotated[
        Path | None,
        output_option("PATH", "A file; default: report.html in the run directory. With --all a folder; default: site."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run: a folder, an index and a page each.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Write the page again and again while a run goes on.")] = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Write a page about a run, a sweep, or several compared, and print where it is.

    One HTML file that opens in any browser and needs neither network nor other files: status, interactive curves,
    tables, config, environment. With --all a folder for all runs, with an index that sorts, filters and compares.
    TensorFlow is not started.
    """
    if everything and runs:
        raise UsageError("--all is every run, and runs are named too: one of them")
    if everything:
        facts = _write_site(output or Path("site"), runs_dir, watch=watch)
    else:
        facts = _write_page([load_run(name, runs_dir) for name in runs or ["latest"]], output, watch=watch)
    print_result(facts, str(facts["file"]), as_json=as_json)


def _write_page(loaded: list[Run], output: Path | None, *, watch: bool) -> dict[str, object]:
    while True:
        running = watch and _any_runs(loaded)
        with session.quiet():
            written = report(loaded, output, refresh=REFRESH_SECONDS if running else None)
        if not running:
            return {"file": str(written), "bytes": written.stat().st_size}
        _pause(str(written))
        loaded = [Run(run.directory) for run in loaded]


def _write_site(folder: Path, runs_dir: Path | None, *, watch: bool) -> dict[str, object]:
    from gdrun.reporting.site import write_site

    while True:
        loaded = all_runs(runs_dir)
        if not loaded:
            raise UsageError(f"there are no runs in {root_of(runs_dir)}")
        with session.quiet(), session.waiting("writing pages"):
            done = write_site(folder, loaded)
        if not (watch and _any_runs(loaded)):
            return {"file": str(done.file), "written": done.written, "kept": done.kept, "removed": done.removed}
        _pause(str(done.file))


def _any_runs(loaded: list[Run]) -> bool:
    return any(run.status == Status.RUNNING for run in loaded)


def _pause(path: str) -> None:
    terminal.message(f"{path}: written; again in {REFRESH_SECONDS} seconds")
    time.sleep(REFRESH_SECONDS)
