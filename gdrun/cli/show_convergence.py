"""The section of `gdrun show` on how a run converged, and `gdrun show --convergence`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gdrun.errors import ExitCode, GdrunError

from . import session, terminal
from .show_run import wrapped

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


def convergence(run: Run, facts: dict[str, Any], width: int) -> list[terminal.Line]:
    """How fast, where the loss stood still, how it grew: what the rows alone say."""
    from gdrun.analysis.convergence import report

    return [line for text in report(run).insights() for line in wrapped(str(text), width)]


def show_alone(run: Run, *, as_json: bool) -> int:
    """Print the whole report, with what the curvature adds where the config can be built; return the exit code."""
    from gdrun.analysis.convergence import report

    from .output import print_json

    try:
        with session.quiet(), session.waiting("looking at the curvature"):
            from gdrun.analysis.convergence import with_curvature

            found = with_curvature(run)
    except GdrunError as error:
        terminal.warn(f"without the curvature: {error.message}")
        found = report(run)
    if as_json:
        print_json({"convergence": found.as_dict()})
    else:
        terminal.data(*found.lines())
    return ExitCode.DONE
