"""`gdrun show RUN`: everything about one run or sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.text import Text

from gdrun.errors import ExitCode
from gdrun.rundir.run import Run, load_run
from gdrun.text import safe_text

from . import show_convergence, show_run, show_sweep, terminal
from .arguments import Json, RunsDir
from .predict import RunArgument
from .tables import STATUS_COLOURS, screen_width

Section = Callable[[Run, dict[str, Any], int], list[terminal.Line]]
"""(run, what `describe_run` says of it, width of the screen) -> lines; none leave the section out."""

SECTIONS: list[tuple[str, Section]] = [
    ("", show_run.overview),
    ("trials", show_sweep.trials),
    ("config", show_run.config),
    ("values", show_run.values),
    ("metrics", show_run.metrics),
    ("convergence", show_convergence.convergence),
    ("environment", show_run.environment),
    ("files", show_run.files),
    ("problems", show_run.problems),
]
"""Heading -> what stands below it, in order. A new section is one row here."""

OF_RUNS_ONLY = frozenset({"metrics", "convergence"})
OF_SWEEPS_ONLY = frozenset({"trials"})

WIDTH = 100
"""Where stdout is no terminal."""


def command(
    run: RunArgument = "latest",
    config: Annotated[bool, typer.Option("--config", help="Print the resolved config alone; it runs again.")] = False,
    files: Annotated[bool, typer.Option("--files", help="List the files alone, with their sizes in bytes.")] = False,
    convergence: Annotated[
        bool, typer.Option("--convergence", help="How it converged, alone, with what its curvature says.")
    ] = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Show a run or a sweep: status, config, values, metrics, convergence, environment, files.

    RUN is a path, an id or the beginning of one, latest (the default), latest~1, ...
    """
    from gdrun.rundir.describing import describe_run, files_of

    found = load_run(run, runs_dir)
    if config:
        # As it is in the file: it has been checked for what terminals obey when it was written.
        terminal.data(*found.config.removesuffix("\n").split("\n"))
        return ExitCode.DONE
    if convergence:
        return show_convergence.show_alone(found, as_json=as_json)
    if files and not as_json:
        # For programs: the tab is no part of a name, so what is in a name is escaped here.
        terminal.document("\n".join(f"{size}\t{safe_text(name)}" for name, size in files_of(found)))
        return ExitCode.DONE
    facts = describe_run(found)
    if as_json:
        from .output import print_json

        print_json({"files": facts["files"]} if files else {"run": facts})
        return ExitCode.DONE
    terminal.data(*page(found, facts))
    return ExitCode.DONE


def page(run: Run, facts: dict[str, Any]) -> list[terminal.Line]:
    """Return the whole page as lines."""
    width = screen_width() or WIDTH
    status = str(facts["status"])
    colours = f"bold {STATUS_COLOURS.get(status, '')}"
    why = f": {facts['why']}" if facts["why"] else ""
    lines: list[terminal.Line] = [Text(run.id, "bold")]
    if facts["description"]:
        lines.append(facts["description"])
    lines.append(Text.assemble((status, colours), why))
    left_out = OF_RUNS_ONLY if facts["kind"] == "sweep" else OF_SWEEPS_ONLY
    for heading, section in SECTIONS:
        if heading in left_out:
            continue
        found = show_run.guarded(section, run, facts, width)
        if found:
            lines += ["", Text(heading, "bold")] if heading else []
            lines += found
    return lines
