"""`gdrun verify RUN...`: whether run directories are whole and true."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from gdrun.errors import ExitCode, UsageError
from gdrun.rundir.layout import default_runs_root
from gdrun.rundir.listing import runs as all_runs
from gdrun.rundir.run import load_run
from gdrun.rundir.verifying import Verdict, verify
from gdrun.text import plural

from . import terminal
from .arguments import Json, Quiet, RunsDir, run_names
from .output import print_json


def command(
    runs: Annotated[list[str] | None, run_names("[RUN]...", "Paths, ids or beginnings of ids, latest, ...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All runs and sweeps there are.")] = False,
    quiet: Quiet = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Check run directories: strict JSON, hashes, arrays, steps in order, a status that is true.

    Exit code 5 if there is a problem. What a killed run leaves behind is a note and no problem.
    """
    if bool(runs) == everything:
        raise UsageError("name runs, or --all", hint="gdrun verify latest")
    verdicts = []
    for run in all_runs(runs_dir) if everything else [load_run(reference, runs_dir) for reference in runs or ()]:
        verdict = verify(run)
        verdicts.append(verdict)
        if not as_json:
            _show(verdict, quiet=quiet)
    bad = sum(not verdict.ok for verdict in verdicts)
    code = ExitCode.DISK if bad else ExitCode.DONE
    if as_json:
        rows = [
            {"directory": str(verdict.directory), "status": verdict.status, "ok": verdict.ok}
            | {"problems": [asdict(item) for item in verdict.problems]}
            | {"notes": [asdict(item) for item in verdict.notes]}
            for verdict in verdicts
        ]
        print_json({"runs": rows, "exit_code": int(code)})
    elif len(verdicts) != 1 and not quiet:
        root = f" in {runs_dir or default_runs_root()}" if everything else ""
        terminal.message(f"{plural(len(verdicts), 'run')}{root}: {len(verdicts) - bad} as they should be, {bad} not")
    return code


def _show(verdict: Verdict, *, quiet: bool) -> None:
    if verdict.ok and quiet:
        return
    mark = ("ok ", "green") if verdict.ok else ("BAD", "red")
    terminal.data(
        Text.assemble(mark, f" {verdict.directory.name} ({verdict.status})"),
        *(f"      {item.file}: {item.message}" for item in verdict.problems),
        *(f"      note: {item.file}: {item.message}" for item in verdict.notes if not quiet),
    )
