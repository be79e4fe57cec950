"""`gdrun resume [RUN] [epochs=N | steps=N]`: go on with a run that was interrupted, or beyond its end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.errors import UsageError

from . import session, terminal
from .arguments import Json, Plugins, Quiet, RunsDir, Verbose


def command(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] [epochs=N|steps=N]",
            help="A run directory, its id or the beginning of it, or latest (default: the latest run that can go on); "
            "then a new length, for a run that is to have more steps.",
            show_default=False,
        ),
    ] = None,
    plugins: Plugins = None,
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Go on with a run that was interrupted or killed, in its own directory.

    It ends with the same bits as a run that was never interrupted; what cannot is refused: a changed config, data file
    or plugin, other versions, another processor or device. A complete run goes on with more steps: epochs=200. A sweep
    goes on with the trials that have no result; those that have one stay as they are.

    Exit codes: as of train; 2 where a run has ended or cannot go on, 5 where it is busy or damaged.
    """
    from gdrun.rundir.run import Run
    from gdrun.training.resume import find_resumable

    run, overrides = _split(targets or [])
    directory = find_resumable(run, more=bool(overrides), runs_dir=runs_dir)
    resume = _resume_sweep if Run(directory).info.kind == "sweep" else _resume_run
    code, told = resume(directory, overrides, plugins, quiet, verbose)
    if as_json:
        from .output import print_json

        print_json({"runs": [told], "exit_code": int(code)})
        return code
    with suppress(terminal.OutputClosed):
        terminal.data(str(directory))
    return code


def _resume_run(
    directory: Path, overrides: list[str], plugins: list[str] | None, quiet: bool, verbose: bool
) -> tuple[int, dict[str, Any]]:
    """Go on with a run, show it, and return the exit code and what `--json` says of it."""
    from gdrun.training.resume import continue_run, prepare_again

    from . import progress, summary

    known = session.load_plugins(plugins)
    listener = progress.listener(quiet=quiet, verbose=verbose)
    with session.quiet() as noise:
        with session.waiting("starting TensorFlow"):
            prepared = prepare_again(directory, overrides, plugins=known)
        try:
            run = continue_run(prepared, directory, listener=listener, log=noise.take)
        finally:
            listener.close()
    if not quiet:
        summary.show(run, verbose=verbose)
    return summary.exit_code(run), summary.describe(run)


def _resume_sweep(
    directory: Path, overrides: list[str], plugins: list[str] | None, quiet: bool, verbose: bool
) -> tuple[int, dict[str, Any]]:
    """The same for a sweep."""
    from gdrun.sweeping.run import resume_sweep
    from gdrun.sweeping.summary import summarize

    from . import progress, sweep_summary

    known = session.load_plugins(plugins)
    listener = progress.listener(directory.name, quiet=quiet, verbose=verbose)
    with session.quiet():
        try:
            run = resume_sweep(directory, overrides, plugins=known, listener=listener)
        finally:
            listener.close()
    told = summarize(run)
    if not quiet:
        sweep_summary.show(run, told)
    return sweep_summary.exit_code(run, told), sweep_summary.describe(run, told)


def _split(targets: list[str]) -> tuple[str | None, list[str]]:
    """Return (run, overrides)."""
    runs = [text for text in targets if "=" not in text or "/" in text.partition("=")[0]]
    if len(runs) > 1:
        raise UsageError("one run at a time can be resumed", hint="gdrun resume RUN")
    return (runs[0] if runs else None), [text for text in targets if text not in runs]
