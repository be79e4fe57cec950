"""`gdrun grad TARGET... NAME=VALUE...`: derivatives at a point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gdrun.errors import ExitCode
from gdrun.text import human_number

from . import session, terminal
from .arguments import Device, Json, RunsDir

if TYPE_CHECKING:
    from gdrun.analysis.grad import PointDerivatives, TargetDerivatives

Arguments = Annotated[
    list[str],
    typer.Argument(
        metavar="FORMULA... NAME=VALUE...|CONFIG|RUN",
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
    from gdrun.analysis.grad import grad

    from .output import print_json

    targets, values = _split(arguments)
    with session.quiet():
        found = grad(
            targets, values, define=define, wrt=None if wrt is None else [name.strip() for name in wrt.split(",")],
            constant=constant, order=order, jacobian=jacobian, batch_jacobian=batch_jacobian, hessian=hessian, hvp=hvp,
            jvp=jvp, step=step, precision=precision, runs_dir=runs_dir, device=device,
        )  # fmt: skip
    if as_json:
        print_json(found.as_dict())
        return ExitCode.DONE
    several = len(found.points) > 1
    for at, point in enumerate(found.points):
        if at:
            terminal.data("")
        terminal.data(*_lines(point, several=several))
        for target in point.targets:
            for note in target.notes:
                terminal.warn(f"{target.target}: {note}")
    return ExitCode.DONE


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Formulas, or a config and formulas, and NAME=VALUE."""
    from gdrun.analysis.grad_arguments import NAMED, is_source

    values = [text for text in arguments if NAMED.fullmatch(text) and not is_source(text)]
    targets = [text for text in arguments if text not in values]
    sources = [text for text in targets if is_source(text)]
    return [*sources, *(text for text in targets if text not in sources)], values


def _lines(point: PointDerivatives, *, several: bool) -> list[terminal.Line]:
    lines: list[terminal.Line] = []
    if several:
        lines.append("at " + ", ".join(f"{name} = {_text(value)}" for name, value in point.at.items()))
    for target in point.targets:
        lines += _target_lines(target)
    return lines


def _target_lines(found: TargetDerivatives) -> list[terminal.Line]:
    from .tables import table

    f = str(found.target)
    rows = [[f"d/d{name}", _text(value)] for name, value in found.gradients.items()]
    for x, by in found.second.items():
        rows += [[f"d2/d{x}2" if x == y else f"d2/d{x}d{y}", _text(value)] for y, value in by.items()]
    for order, by_name in found.higher.items():
        rows += [[f"d{order}/d{name}{order}", _text(value)] for name, value in by_name.items()]
    for title, values in (("jacobian", found.jacobian), ("batch jacobian", found.batch_jacobian)):
        rows += [[f"{title} {name}", _text(value)] for name, value in values.items()]
    for x, by in found.hessian.items():
        rows += [[f"hessian {x},{y}", _text(value)] for y, value in by.items()]
    rows += [[f"hvp {name}", _text(value)] for name, value in found.hvp.items()]
    if found.jvp is not None:
        rows.append(["jvp", _text(found.jvp)])
    return [f"{f} = {_text(found.value)}", *table(rows, indent=2)]


def _text(value: Any) -> str:
    """A number or an array with all digits, in one line; none with its reason."""
    import numpy as np

    from gdrun.analysis.grad import Missing

    if isinstance(value, Missing):
        return f"none ({value.reason})"
    array = np.asarray(value)
    if array.ndim:
        if array.size > 1000:
            return f"array of shape {array.shape}; --json shows it"
        return "[" + ", ".join(_text(item) for item in array) + "]"
    item = array[()]
    if array.dtype.kind == "c":
        sign = "" if human_number(item.imag).startswith("-") else "+"
        return f"{human_number(item.real)}{sign}{human_number(item.imag)}j"
    return human_number(bool(item) if array.dtype.kind == "b" else item)
