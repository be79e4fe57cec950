"""`gdrun check CONFIG... [KEY=VALUE...]`: run configs and assert what their `expect:` says."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gdrun.checking.check import Checked, check_prepared
from gdrun.errors import ExitCode, GdrunError
from gdrun.rundir.files import write_file
from gdrun.rundir.layout import default_runs_root
from gdrun.text import human_seconds, plural

from . import arguments, progress, session, terminal
from .arguments import Device, Json, Plugins, Quiet, RunsDir, Targets, Threads, Verbose
from .check_formats import (
    Case,
    Format,
    append_summary,
    junit_xml,
    markdown,
    miss_text,
    missed_annotations,
    places_of,
    refusal_annotations,
    refusal_markdown,
)
from .proposal import propose
from .results import Results
from .summary import summary_of
from .tables import table


def command(
    targets: Targets,
    update: Annotated[
        bool, typer.Option("--update", help="Print the `expect:` that the runs would meet, for review.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML there.")] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="Print on stdout: nothing more, GitHub's annotations, a Markdown table, or JUnit XML."
        ),
    ] = Format.TEXT,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the run directories.")] = False,
    runs_dir: RunsDir = None,
    device: Device = None,
    threads: Threads = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Run experiments and assert what their `expect:` says.

    All configs run in one process. Nothing is kept on disk without --keep. Exit code 4 where an expectation is missed.
    """
    configs, overrides = arguments.split(targets)
    with _annotating(form):
        loaded = session.load_all(configs, overrides, device=device, plugins=plugins)
    # GDRUN_RUNS alone says where runs go, not that checks are to be kept.
    keep = keep or (runs_dir is not None and str(runs_dir) != os.environ.get("GDRUN_RUNS"))
    kept_in = (runs_dir or default_runs_root()) if keep else None
    results = Results("configs", as_json=as_json)
    cases: list[Case] = []
    with session.quiet() as noise:
        with _annotating(form):
            prepared = session.prepare_all(loaded, device=device, threads=threads)
        prepared.reverse()
        for config in configs:
            experiment = prepared.pop()
            name = experiment.loaded.experiment.name or "run"
            display = progress.listener(config, quiet=quiet, first_line_seconds=progress.MANY_FIRST_LINE_SECONDS)
            began = time.monotonic()
            try:
                with closing(display) as listener:
                    checked = check_prepared(experiment, runs_dir=kept_in, listener=listener, log=noise.take)
            except Exception as error:  # a bug too: the others are to run
                session.add_output(error, noise)
                results.add_error(error, {"config": config, "ok": False})
                cases.append(Case(config, name, time.monotonic() - began, error=str(error)))
                continue
            seconds = time.monotonic() - began
            interrupted = str(checked.run.status) == "interrupted"
            missed = summary_of(checked.run).exit_code if interrupted else ExitCode.EXPECTATION
            results.add(ExitCode.DONE if checked.ok else missed, _describe(checked, config, seconds, kept=keep))
            places = places_of(experiment.loaded, checked.missed)
            cases.append(Case(config, name, seconds, checked.rows, places=places))
            if not (checked.ok and quiet):
                _show(checked, config, seconds, verbose=verbose, kept=keep)
            if update and not as_json and not interrupted:
                proposal = propose(experiment.loaded.experiment.expect, checked.values)
                terminal.data(f"# {config}", *proposal.split("\n"))
            if interrupted:
                break
    if junit is not None:
        write_file(junit, junit_xml(cases))
    if form is Format.GITHUB:
        for line in missed_annotations(cases):
            terminal.data(line)
        append_summary(markdown(cases))
    elif form is not Format.TEXT:
        terminal.document(markdown(cases) if form is Format.MARKDOWN else junit_xml(cases).decode())
    if not quiet:
        codes = results.codes
        met = sum(code == ExitCode.DONE for code in codes)
        style = "bold green" if met == len(codes) else "bold red"
        terminal.message(Text(f"{plural(len(codes), 'config')}: {met} met, {len(codes) - met} not", style))
    return results.finish()


@contextmanager
def _annotating(form: Format) -> Iterator[None]:
    """Print annotations of what is wrong with configs that are refused, and put it into the summary of the step."""
    try:
        yield
    except GdrunError as error:
        if form is Format.GITHUB:
            terminal.data(*refusal_annotations(error))
            append_summary(refusal_markdown(error))
        raise


def _show(checked: Checked, config: str, seconds: float, *, verbose: bool, kept: bool) -> None:
    verdict = ("ok    ", "green") if checked.ok else ("MISSED", "bold red")
    stated = "no `expect:`, so only the status is judged"
    if checked.has_expectations:
        stated = plural(len(checked.rows), "expectation")
    terminal.message(Text.assemble(verdict, f" {config}: {stated}, {human_seconds(seconds)}"))
    if verbose:
        cells = [("ok" if row.ok else "MISSED", row.what, row.expected, row.bound, row.got) for row in checked.rows]
        terminal.message(*table(cells, ["", "what", "expected", "within", "got"], indent=2))
    terminal.message(
        *(f"  {miss_text(row)}" for row in checked.missed), *([f"  {checked.run.directory}"] if kept else [])
    )


def _describe(checked: Checked, config: str, seconds: float, *, kept: bool) -> dict[str, Any]:
    """Return what `--json` says of one config."""
    return {
        "config": config,
        "ok": checked.ok,
        "stated": checked.has_expectations,
        "status": str(checked.run.status),
        "seconds": seconds,
        "directory": str(checked.run.directory.absolute()) if kept else None,
        "rows": [vars(row) for row in checked.rows],
    }
