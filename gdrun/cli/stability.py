"""`gdrun stability CONFIG|RUN`: the learning rate at which descent stops being stable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gdrun.text import plural_count, short

from . import session, terminal
from .arguments import Device, Json, RunsDir, config_or_run_names, split_one
from .output import print_json
from .tables import table

if TYPE_CHECKING:
    from gdrun.analysis.stability import Sharpness
    from gdrun.analysis.stability_report import Stability

Arguments = Annotated[
    list[str],
    config_or_run_names(
        "CONFIG|RUN [KEY=VALUE]...", "A config, a run directory or a run's id; then settings to change."
    ),
]


def command(
    arguments: Arguments,
    at: Annotated[str | None, typer.Option(metavar="start|end|all", help="Where along a run.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Run trials around the prediction.")] = False,
    runs_dir: RunsDir = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Print the curvature of the loss and the learning rate at which the optimizer stops being stable."""
    config, overrides = split_one(arguments, "stability", "config or run")
    with session.quiet(), session.waiting("looking at the curvature"):
        from gdrun.analysis.stability_report import stability  # imports TensorFlow

        report = stability(config, overrides, at=at, verify=verify, runs_dir=runs_dir, device=device)
    if as_json:
        return print_json(report.as_dict())
    if len(report.points) > 1:
        lines = table(_rows_along(report), ["step", "loss", "largest eigenvalue", "limit", "rate / limit"])
    else:
        lines = table(_rows(report, report.points[0]))
    terminal.data(*lines, *(f"- {caveat}" for caveat in report.prediction.caveats))
    for note in report.notes:
        terminal.warn(note)
    return None


def _rows_along(report: Stability) -> list[list[str]]:
    rows = []
    for point in report.points:
        limit = point.prediction.limit
        share = f"{short(report.learning_rate / limit, 3)}" if limit and report.learning_rate is not None else "?"
        numbers = [_number(value) for value in (point.loss, point.largest, limit)]
        rows.append([str(point.step), *numbers, share])
    return rows


def _rows(report: Stability, point: Sharpness) -> list[list[str]]:
    from gdrun.analysis.stability import share_text  # imports TensorFlow

    prediction = point.prediction
    size = plural_count(report.num_parameters, "parameter")
    eigenvalue = f"{_number(point.largest)} of the Hessian over {size}"
    rows = [["loss", f"{_number(point.loss)} at step {point.step}"], ["largest eigenvalue", eigenvalue]]
    if point.smallest is not None and point.all_known and len(point.eigenvalues) > 1:
        rows.append(["smallest eigenvalue", _number(point.smallest)])
    if point.condition_number is not None:
        rows.append(["condition number", _number(point.condition_number)])
    predicted = "none" if prediction.limit is None else _number(prediction.limit)
    rows.append([f"limit of {report.optimizer}", f"{predicted}: {prediction.why}"])
    if report.share is not None:
        rows.append(["learning rate", f"{_number(report.learning_rate)}, {share_text(report.share)} the limit"])
    if report.edge is not None:
        rows.append(["observed edge", report.edge.describe(prediction.limit)])
    return rows


def _number(value: float | None) -> str:
    return "?" if value is None else short(value)
