"""`gdrun grad TARGET... NAME=VALUE...`: derivatives at a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import typer

from gdrun.analysis.grad import Missing, PointDerivatives, TargetDerivatives, grad
from gdrun.analysis.grad_arguments import NAMED, is_source
from gdrun.errors import UsageError
from gdrun.text import exact

from . import session, terminal
from .arguments import Device, Json, RunsDir, config_or_run_names
from .output import print_json
from .tables import table

Arguments = Annotated[
    list[str],
    config_or_run_names(
        "FORMULA... NAME=VALUE...|CONFIG|RUN",
        "Formulas and the values of their names: x=3, x=[1,2] an array, x=1,2,3 three points, a table. Or a "
        "config or run, settings to change, and formulas of its names (default: loss).",
    ),
]


def command(
    arguments: Arguments,
    define: Annotated[list[str], typer.Option(metavar="NAME=FORMULA", help="An intermediate value.")] = [],  # noqa: B006
    wrt: Annotated[str | None, typer.Option(metavar="NAME,...", help="Differentiate by these only.")] = None,
    constant: Annotated[list[str], typer.Option(metavar="NAME[=VALUE]", help="Not to be differentiated by.")] = [],  # noqa: B006
    values_alone: Annotated[bool, typer.Option("--values", help="Values alone, no derivatives.")] = False,
    order: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Derivatives up to the N-th, by nested tapes (default: 1).")
    ] = None,
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
) -> None:
    """Print derivatives of formulas at given values, or of what a config or a run computes.

    A derivative that does not exist is none, with the reason, and never 0. Several points make a table.
    """
    if values_alone and order is not None:
        raise UsageError("--values asks for no derivatives, and --order for some")
    values = [text for text in arguments if NAMED.fullmatch(text) and not is_source(text)]
    # A config or a run stands before the formulas of its names.
    targets = sorted((text for text in arguments if text not in values), key=lambda text: not is_source(text))
    with session.quiet():
        report = grad(
            targets, values, define=define, wrt=None if wrt is None else [name.strip() for name in wrt.split(",")],
            constant=constant, order=0 if values_alone else 1 if order is None else order, jacobian=jacobian,
            batch_jacobian=batch_jacobian, hessian=hessian, hvp=hvp, jvp=jvp, step=step, precision=precision,
            runs_dir=runs_dir, device=device,
        )  # fmt: skip
    if as_json:
        return print_json(report.as_dict())
    is_table = len(report.points) > 1 and all(map(_is_scalar, report.points))
    if is_table:
        numbers = range(len(report.points[0].targets))
        for group in [numbers] if values_alone else [[number] for number in numbers]:
            terminal.data(*([""] if group[0] else []), *_table(report.points, group))
    for number, point in enumerate(report.points):
        if not is_table:
            lines = _lines(point, several=len(report.points) > 1)
            terminal.data(*([""] if number else []), *lines)
        for target in point.targets:
            for note in target.notes:
                terminal.warn(f"{target.target}: {note}")
    for note in report.notes:
        terminal.warn(note)
    return None


def _is_scalar(point: PointDerivatives) -> bool:
    """Return whether all values at a point are single numbers, so that its derivatives are, too."""
    values = [*point.at.values(), *(target.value for target in point.targets)]
    return all(not np.shape(value) for value in values)


def _table(points: Sequence[PointDerivatives], numbers: Sequence[int]) -> list[terminal.Line]:
    """Return a line for each point: names that vary, targets, their derivatives; then the derivatives that none has."""
    columns: dict[str, list[Any]] = {}
    for name in points[0].at:
        values = [point.at[name] for point in points]
        if any(not np.array_equal(value, values[0]) for value in values):
            columns[name] = values
    for number in numbers:
        columns[points[0].targets[number].target] = [point.targets[number].value for point in points]
        derivatives = [_derivatives(point.targets[number]) for point in points]
        for name, _ in derivatives[0]:
            columns[name] = [dict(each)[name] for each in derivatives]
    missing = {name: values for name, values in columns.items() if all(isinstance(v, Missing) for v in values)}
    texts = {name: map(_text, values) for name, values in columns.items() if name not in missing}
    lines = table(list(zip(*texts.values(), strict=True)), list(texts), right=range(len(texts)))
    return [*lines, *table([(name, _text(values[0])) for name, values in missing.items()], indent=2)]


def _lines(point: PointDerivatives, *, several: bool) -> list[terminal.Line]:
    lines: list[terminal.Line] = []
    if several:
        lines.append("at " + ", ".join(f"{name} = {_text(value)}" for name, value in point.at.items()))
    for target in point.targets:
        lines += [
            f"{target.target} = {_text(target.value)}",
            *table([(name, _text(value)) for name, value in _derivatives(target)], indent=2),
        ]
    return lines


def _derivatives(target: TargetDerivatives) -> list[tuple[str, Any]]:
    """Return the derivatives of a target by their names."""
    named: list[tuple[str, Any]] = [(f"d/d{name}", value) for name, value in target.gradients.items()]
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
    return named


def _text(value: Any) -> str:
    """Return a number or an array with all digits, or none with its reason."""
    if isinstance(value, Missing):
        return f"none ({value.reason})"
    array = np.asarray(value)
    return f"array of shape {array.shape}; --json shows it" if array.size > 1000 else exact(array)
