"""`gdrun verify RUN...`: whether run directories are what they say they are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gdrun.errors import ExitCode, UsageError
from gdrun.rundir.layout import default_runs_root
from gdrun.rundir.listing import runs as all_runs
from gdrun.rundir.run import Run, load_run
from gdrun.text import plural

from . import terminal
from .arguments import Json, Quiet, RunsDir

if TYPE_CHECKING:
    from gdrun.rundir.verifying import Verdict


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Paths, ids or beginnings of ids, latest, ...", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All runs and sweeps there are.")] = False,
    quiet: Quiet = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Check run directories: strict JSON, hashes, arrays, steps in order, a status that is true.

    Exit code 5 if there is a problem. What a killed run leaves behind is a note and no problem.
    """
    from gdrun.rundir.verifying import verify

    if bool(runs) == everything:
        raise UsageError("name runs, or --all", hint="gdrun verify latest")
    chosen: list[Run] = all_runs(runs_dir) if everything else [load_run(one, runs_dir) for one in runs or ()]
    verdicts = []
    for run in chosen:
        verdict = verify(run)
        verdicts.append(verdict)
        if not as_json:
            _tell(verdict, quiet=quiet)
    bad = sum(not verdict.ok for verdict in verdicts)
    code = ExitCode.DISK if bad else ExitCode.DONE
    if as_json:
        from .output import print_json

        rows = [
            {"directory": str(one.directory), "status": one.status, "ok": one.ok}
            | {"problems": [asdict(item) for item in one.problems], "notes": [asdict(item) for item in one.notes]}
            for one in verdicts
        ]
        print_json({"runs": rows, "exit_code": int(code)})
    elif len(verdicts) != 1 and not quiet:
        root = str(runs_dir or default_runs_root())
        where = f" in {root}" if everything else ""
        terminal.say(f"{plural(len(verdicts), 'run')}{where}: {len(verdicts) - bad} as they should be, {bad} not")
    return code


def _tell(verdict: Verdict, *, quiet: bool) -> None:
    name = verdict.directory.name
    if verdict.ok and quiet:
        return
    mark = ("ok ", "green") if verdict.ok else ("BAD", "red")
    lines: list[terminal.Line] = [Text.assemble(mark, f" {name} ({verdict.status})")]
    lines += [f"      {item.file}: {item.message}" for item in verdict.problems]
    if not quiet:
        lines += [f"      note: {item.file}: {item.message}" for item in verdict.notes]
    terminal.data(*lines)
