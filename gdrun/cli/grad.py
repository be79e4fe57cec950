"""`gdrun grad TARGET... NAME=VALUE...`: derivatives at a point."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from gdrun.analysis.grad import Missing, PointDerivatives, TargetDerivatives, grad
from gdrun.analysis.grad_arguments import NAMED, is_source
from gdrun.errors import ExitCode
from gdrun.text import exact

from . import session, terminal
from .arguments import Device, Json, RunsDir
from .completion import complete_configs_and_runs
from .output import print_json
from .tables import table

Arguments = Annotated[
    list[str],
    typer.Argument(
        metavar="FORMULA... NAME=VALUE...|CONFIG|RUN",
        autocompletion=complete_configs_and_runs,
        help="Formulas and the values of their names: x=3, x=[1,2] an array, x=1,2,3 three points. Or a config or run, "
        "settings to change, and formulas of its names (default: loss).",
        show_default=False,
    ),
]


def command(
    arguments: Arguments,
    define: Annotated[list[str], typer.Option(metavar="NAME=FORMULA", help="An intermediate value.")] = [],  # noqa: B006
    wrt: Annotated[str | None, typer.Option(metavar="NAME,...", help="Differentiate by these only.")] = None,
    constant: Annotated[list[str], typer.Option(metavar="NAME[=VALUE]", help="Not to be differentiated by.")] = [],  # noqa: B006
    order: Annotated[int, typer.Option(metavar="N", help="Derivatives up to the N-th, by nested tapes.")] = 1,
    jacobian: Annotated[bool, typer.Option("--jacobian", help="Of every element of the target.")] = False,
    batch_jacobian: Annotated[bool, typer.Option("--batch-jacobian", help="Of each example, the first axis.")] = False,
    hessian: Annotated[bool, typer.Option("--hessian", help="All second derivatives.")] = False,
    hvp: Annotated[list[str], typer.Option(metavar="NAME=1,0", help="The Hessian times a direction.")] = [],  # noqa: B006
    jvp: Annotated[list[str], typer.Option(metavar="NAME=1,0", help="The derivative along a direction.")] = [],  # noqa: B006
    step: Annotated[int | None, typer.Option(metavar="K", help="Of a run: after K updates (default: the end).")] = None,
    precision: Annotated[str | None, typer.Option(metavar="float64|float32", help="Of the arithmetic.")] = None,
    runs_dir: RunsDir = None,
    device: Device = None,
    as_json: Json = False,
) -> int:
    """Print derivatives of formulas at given values, or of what a config or a run computes.

    A derivative that does not exist is none, with the reason, and never 0.
    """
    values = [text for text in arguments if NAMED.fullmatch(text) and not is_source(text)]
    # A config or a run stands before the formulas of its names.
    targets = sorted((text for text in arguments if text not in values), key=lambda text: not is_source(text))
    with session.quiet():
        report = grad(
            targets, values, define=define, wrt=None if wrt is None else [name.strip() for name in wrt.split(",")],
            constant=constant, order=order, jacobian=jacobian, batch_jacobian=batch_jacobian, hessian=hessian, hvp=hvp,
            jvp=jvp, step=step, precision=precision, runs_dir=runs_dir, device=device,
        )  # fmt: skip
    if as_json:
        print_json(report.as_dict())
        return ExitCode.DONE
    for number, point in enumerate(report.points):
        lines = _lines(point, several=len(report.points) > 1)
        terminal.data(*([""] if number else []), *lines)
        for target in point.targets:
            for note in target.notes:
                terminal.warn(f"{target.target}: {note}")
    for note in report.notes:
        terminal.warn(note)
    return ExitCode.DONE


def _lines(point: PointDerivatives, *, several: bool) -> list[terminal.Line]:
    lines: list[terminal.Line] = []
    if several:
        lines.append("at " + ", ".join(f"{name} = {_text(value)}" for name, value in point.at.items()))
    for target in point.targets:
        lines += [f"{target.target} = {_text(target.value)}", *table(_rows(target), indent=2)]
    return lines


def _rows(target: TargetDerivatives) -> list[tuple[str, str]]:
    named = [(f"d/d{name}", value) for name, value in target.gradients.items()]
    for x, by in target.second.items():
        named += [(f"d2/d{x}2" if x == y else f"d2/d{x}d{y}", value) for y, value in by.items()]
    for order, by_name in target.higher.items():
        named += [(f"d{order}/d{name}{order}", value) for name, value in by_name.items()]
    for title, values in (("jacobian", target.jacobian), ("batch jacobian", target.batch_jacobian)):
        named += [(f"{title} {name}", value) for name, value in values.items()]
    for x, by in target.hessian.items():
        named += [(f"hessian {x},{y}", value) for y, value in by.items()]
    named += [(f"hvp {name}", value) for name, value in target.hvp.items()]
    if target.jvp is not None:
        named.append(("jvp", target.jvp))
    return [(name, _text(value)) for name, value in named]


def _text(value: Any) -> str:
    """Return a number or an array with all digits, or none with its reason."""
    if isinstance(value, Missing):
        return f"none ({value.reason})"
    array = np.asarray(value)
    return f"array of shape {array.shape}; --json shows it" if array.size > 1000 else exact(array)
