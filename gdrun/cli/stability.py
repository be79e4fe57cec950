"""`gdrun stability CONFIG|RUN`: where descent stops being stable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gdrun.errors import ExitCode, UsageError
from gdrun.text import human_number

from . import session, terminal
from .arguments import Device, Json, RunsDir, split

if TYPE_CHECKING:
    from gdrun.analysis.stability import Sharpness
    from gdrun.analysis.stability_report import Stability

Arguments = Annotated[
    list[str],
    typer.Argument(
        metavar="CONFIG|RUN [KEY=VALUE]...",
        help="A config, a run directory or a run's id; then settings to change.",
        show_default=False,
    ),
]


def command(
    arguments: Arguments,
    at: Annotated[str | None, typer.Option("--at", metavar="start|end|all", help="Where along a run.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Run trials around the prediction.")] = False,
    runs_dir: RunsDir = None,
    device: Device = None,
    as_json: Json = False,
) -> int:
    """Print the curvature of the loss and the learning rate at which the optimizer stops being stable."""
    from gdrun.analysis.stability_report import stability

    from .output import print_json

    configs, overrides = split(arguments)
    if len(configs) != 1:
        raise UsageError("stability looks at one config or run at a time")
    with session.quiet(), session.waiting("looking at the curvature"):
        found = stability(configs[0], overrides, at=at, verify=verify, runs_dir=runs_dir, device=device)
    if as_json:
        print_json(found.as_dict())
        return ExitCode.DONE
    terminal.data(*lines(found))
    for note in found.notes:
        terminal.warn(note)
    return ExitCode.DONE


def lines(found: Stability) -> list[terminal.Line]:
    """Return what was found as lines of text."""
    from .tables import table

    number = lambda value: "?" if value is None else human_number(value, digits=6)  # noqa: E731
    if len(found.points) > 1:
        rows = [["step", "loss", "largest eigenvalue", "limit", "rate / limit"]]
        for point in found.points:
            limit = point.prediction.limit
            share = found.learning_rate / limit if limit and found.learning_rate is not None else None
            rows.append([str(point.step), number(point.loss), number(point.largest), number(limit), _percent(share)])
        shown = table(rows)
    else:
        shown = table(_rows(found, found.points[0], number))
    for caveat in found.prediction.caveats:
        shown.append(f"- {caveat}")
    return shown


def _rows(found: Stability, point: Sharpness, number: object) -> list[list[str]]:
    assert callable(number)
    prediction = point.prediction
    rows = [
        ["loss", f"{number(point.loss)} at step {point.step}"],
        ["largest eigenvalue", f"{number(point.largest)} of the Hessian over {found.num_parameters:,} parameters"],
    ]
    if point.smallest is not None and point.all_known and len(point.eigenvalues) > 1:
        rows.append(["smallest eigenvalue", number(point.smallest)])
    if point.condition_number is not None:
        rows.append(["condition number", number(point.condition_number)])
    limit = f"{number(prediction.limit)}: " if prediction.limit is not None else "none: "
    rows.append([f"limit of {found.optimizer}", limit + str(prediction.why)])
    if found.share is not None:
        beyond = "beyond the limit" if found.share > 1 else "of the limit"
        rows.append(["learning rate", f"{number(found.learning_rate)}, {_percent(found.share)} {beyond}"])
    if found.edge is not None:
        rows.append(["observed edge", _edge(found, number)])
    return rows


def _edge(found: Stability, number: object) -> str:
    assert callable(number)
    edge, limit = found.edge, found.points[0].prediction.limit
    assert edge is not None
    if edge.rate is None:
        side = f"stable up to {number(edge.stable)}" if edge.stable else f"unstable from {number(edge.unstable)} on"
        return f"none found: {side}, after {edge.steps:,} steps"
    off = f", {(edge.rate / limit - 1) * 100:+.2f} % off the prediction" if limit else ""
    return f"{number(edge.rate)}{off} (trials of {edge.steps:,} steps)"


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{human_number(100 * share, digits=3)} %"
