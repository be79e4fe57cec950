"""`gdrun resume [RUN] [epochs=N | steps=N]`: go on with a run that was interrupted, or beyond its end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gdrun.cli import session, terminal
from gdrun.cli.arguments import Json, Quiet, RunsDir, Verbose
from gdrun.errors import UsageError
from gdrun.text import safe_text

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


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
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Go on with a run that was interrupted or killed, in its own directory.

    It ends with the same bits as a run that was never interrupted; what cannot is refused: a changed config, data file
    or plugin, other versions, another processor or device. A complete run goes on with more steps: epochs=200.

    Exit codes: as of train; 2 where a run has ended or cannot go on, 5 where it is busy or damaged.
    """
    from gdrun.cli import progress, summary

    run, overrides = _split(targets or [])
    listener = progress.listener(quiet=quiet, verbose=verbose)
    with session.quiet() as noise:
        try:
            finished = _resume(run, overrides, runs_dir, listener, noise.take)
        finally:
            listener.close()
    code = summary.exit_code(finished)
    if as_json:
        from gdrun.cli.output import print_json

        print_json({"runs": [summary.describe(finished)], "exit_code": int(code)})
        return code
    if not quiet:
        summary.show(finished, verbose=verbose)
    with suppress(terminal.OutputClosed):
        terminal.data(safe_text(finished.directory))
    return code


def _resume(run, overrides, runs_dir: Path | None, listener, log) -> Run:  # type: ignore[no-untyped-def]
    """What `gdrun.resume` does; the parts of it, so that starting TensorFlow can be shown."""
    from gdrun.resumable import find_resumable, prepare_again
    from gdrun.resuming import continue_run, resume_sweep
    from gdrun.rundir.run import Run as AnyRun

    directory = find_resumable(run, more=bool(overrides), runs_dir=runs_dir)
    if AnyRun(directory).record.kind == "sweep":
        return resume_sweep(directory, overrides, listener=listener)
    with session.waiting("starting TensorFlow"):
        prepared = prepare_again(directory, overrides)
    return continue_run(prepared, directory, listener=listener, log=log)


def _split(targets: list[str]) -> tuple[str | None, list[str]]:
    """Return (run, overrides)."""
    runs = [text for text in targets if "=" not in text or "/" in text.partition("=")[0]]
    if len(runs) > 1:
        raise UsageError("one run at a time can be resumed", hint="gdrun resume RUN")
    return (runs[0] if runs else None), [text for text in targets if text not in runs]
