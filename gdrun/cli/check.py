"""`gdrun check CONFIG... [KEY=VALUE...]`: run configs and assert what their `expect:` says."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gdrun.errors import ExitCode, GdrunError
from gdrun.text import human_seconds, plural

from . import arguments, failures, session, terminal
from .arguments import Device, Json, Plugins, Quiet, RunsDir, Targets, Threads, Verbose

if TYPE_CHECKING:
    from gdrun.checking.check import Checked
    from gdrun.training.prepare import Prepared

    from .junit import Case


def command(
    targets: Targets,
    update: Annotated[
        bool, typer.Option("--update", help="Print the `expect:` that the runs would meet, for review.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML there.")] = None,
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
    loaded = session.load_all(configs, overrides, device=device, plugins=plugins)
    with session.quiet() as noise:
        prepared = session.prepare_all(loaded, device=device, threads=threads)
        checker = _Checker(keep, runs_dir, noise.take, quiet=quiet, verbose=verbose, update=update and not as_json)
        prepared.reverse()
        for config in configs:
            if not checker.check(prepared.pop(), config):
                break
    if junit is not None:
        from .junit import junit_xml
        from .output import write_file

        write_file(junit, junit_xml(checker.cases))
    code = failures.worst(checker.codes)
    if not quiet:
        checker.say_total()
    if as_json:
        from .output import print_json

        print_json({"configs": checker.results, "exit_code": int(code)})
    return code


class _Checker:
    """Checks one config after the other, says how it went and keeps the results."""

    def __init__(
        self, keep: bool, runs_dir: Path | None, log: Any, *, quiet: bool, verbose: bool, update: bool
    ) -> None:
        from gdrun.rundir.layout import default_runs_root

        # GDRUN_RUNS alone says where runs go, not that checks are to be kept.
        named = runs_dir is not None and str(runs_dir) != os.environ.get("GDRUN_RUNS")
        self._runs_dir = (runs_dir or default_runs_root()) if keep or named else None
        self._log = log
        self._quiet, self._verbose, self._update = quiet, verbose, update
        self.results: list[dict[str, Any]] = []
        self.cases: list[Case] = []
        self.codes: list[int] = []

    def check(self, prepared: Prepared, config: str) -> bool:
        """Run and judge one config; return whether to go on with the others."""
        from gdrun.checking.check import check_prepared

        from . import progress, summary
        from .junit import Case

        first = progress.MANY_FIRST_LINE_SECONDS
        listener = progress.listener(config, quiet=self._quiet, first_line_seconds=first)
        name = prepared.loaded.experiment.name or "run"
        began = time.monotonic()
        try:
            checked = check_prepared(prepared, runs_dir=self._runs_dir, listener=listener, log=self._log)
        except GdrunError as error:
            listener.close()
            self.codes.append(failures.tell(error))
            self.results.append({"config": config, "ok": False, "error": failures.describe(error)})
            self.cases.append(Case(config, name, time.monotonic() - began, error=error.message))
            return True
        finally:
            listener.close()
        seconds = time.monotonic() - began
        interrupted = str(checked.run.status) == "interrupted"
        ended = summary.interrupted_code(checked.run) if interrupted else ExitCode.EXPECTATION
        self.codes.append(ExitCode.DONE if checked.ok else ended)
        self.cases.append(Case(config, name, seconds, checked.rows))
        self.results.append(_describe(checked, config, seconds, kept=self._runs_dir is not None))
        self._say(checked, config, seconds)
        if self._update and not interrupted:
            from .proposal import propose

            terminal.data(f"# {config}", *propose(prepared.loaded.experiment.expect, checked.sight).split("\n"))
        return not interrupted

    def _say(self, checked: Checked, config: str, seconds: float) -> None:
        from .junit import miss_text

        if checked.ok and self._quiet:
            return
        verdict = ("ok    ", "green") if checked.ok else ("MISSED", "bold red")
        stated = plural(len(checked.rows), "expectation") if checked.stated else "it expects nothing: no `expect:`"
        terminal.say(Text.assemble(verdict, f" {config}: {stated}, {human_seconds(seconds)}"))
        if self._verbose:
            from .tables import table

            cells = [("ok" if row.ok else "MISSED", row.what, row.expected, row.bound, row.got) for row in checked.rows]
            for line in table([("", "what", "expected", "within", "got"), *cells], indent=2):
                terminal.say(line)
        for row in checked.missed:
            terminal.say(f"  {miss_text(row)}")
        if self._runs_dir is not None:
            terminal.say(f"  {checked.run.directory}")

    def say_total(self) -> None:
        """Say how many configs were checked, and how many met what they expect."""
        met = sum(code == ExitCode.DONE for code in self.codes)
        style = "green" if met == len(self.codes) else "red"
        text = f"{plural(len(self.codes), 'config')}: {met} met, {len(self.codes) - met} not"
        terminal.say(Text(text, f"bold {style}"))


def _describe(checked: Checked, config: str, seconds: float, *, kept: bool) -> dict[str, Any]:
    """What `--json` says of one config."""
    rows = [
        {"what": row.what, "expected": row.expected, "bound": row.bound, "got": row.got, "ok": row.ok, "note": row.note}
        for row in checked.rows
    ]
    return {
        "config": config,
        "ok": checked.ok,
        "stated": checked.stated,
        "status": str(checked.run.status),
        "seconds": seconds,
        "directory": str(checked.run.directory.absolute()) if kept else None,
        "rows": rows,
    }
