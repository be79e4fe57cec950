"""`gdrun lr CONFIG`: find a learning rate."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gdrun.errors import ExitCode, UsageError
from gdrun.text import human_number

from . import session, terminal
from .arguments import Device, Json, Targets, split

if TYPE_CHECKING:
    from gdrun.analysis.learning_rate import RateSearch
    from gdrun.plots.figure import Figure


def command(
    arguments: Targets,
    range_test: Annotated[
        bool, typer.Option("--range-test", help="One run along a ramp of rates, instead of a trial for each.")
    ] = False,
    device: Device = None,
    as_json: Json = False,
) -> int:
    """Run a config at 61 learning rates in one program, show what they come to, and suggest one.

    Nothing is written.
    """
    from gdrun.analysis.learning_rate import find_learning_rate

    from .output import print_json

    configs, overrides = split(arguments)
    if len(configs) != 1:
        raise UsageError("lr looks at one config at a time")
    with session.quiet(), session.waiting("trying learning rates"):
        found = find_learning_rate(configs[0], overrides, range_test=range_test, device=device)
    if as_json:
        print_json(found.as_dict())
    else:
        terminal.data(*lines(found))
    return ExitCode.DONE


def lines(found: RateSearch) -> list[terminal.Line]:
    """Return the curve and the table as lines of text."""
    from gdrun.plots import as_text

    from .tables import table

    number = lambda value: human_number(value, digits=4)  # noqa: E731
    width = min(shutil.get_terminal_size((80, 24)).columns, 100)
    drawn = Text.from_ansi(as_text(figure(found), width, 18, colour=terminal.has_colour("stdout")).rstrip("\n"))
    prediction, suggestion = found.prediction, found.suggestion
    rows = []
    if prediction.limit is not None:
        rows.append(["predicted limit", f"{number(prediction.limit)}: {prediction.why}"])
    else:
        rows.append(["predicted limit", f"none: {prediction.why}"])
    rows.append(["observed edge", "none within the range" if found.observed is None else number(found.observed)])
    if found.best is not None:
        lowest = min(float(loss) for loss in found.losses if loss == loss)
        rows.append(["best", f"{number(found.best)}, loss {number(lowest)} (at the start {number(found.first_loss)})"])
    rows.append(["configured", number(found.configured)])
    shown = "none" if suggestion.rate is None else human_number(suggestion.rate, digits=2)
    rows.append(["suggestion", f"{shown}: {suggestion.reason}"])
    return [*drawn.split(), "", *table(rows)]


def figure(found: RateSearch) -> Figure:
    """Return the curve as a figure: losses against rates, the predicted limit, the suggestion, what diverged."""
    import numpy as np

    from gdrun.plots.figure import Figure, FigureAxis, Mark, ReferenceLine, Region, Series

    # What grows for ever is off the picture long before it diverges.
    ceiling = 10 * abs(found.first_loss)
    off = found.diverged | ~(found.losses <= ceiling)
    shown = ~off
    positive = bool(np.all(found.losses[shown] > 0)) if shown.any() else False
    rules = (
        [ReferenceLine(x=found.prediction.limit, label="predicted limit")]
        if _within(found, found.prediction.limit)
        else []
    )
    if found.suggestion.rate is not None:
        rules.append(ReferenceLine(x=found.suggestion.rate, label="suggested"))
    regions: tuple[Region, ...] = ()
    if off[-1]:
        first = len(found.rates) - int(np.argmin(off[::-1])) if not off.all() else 0
        start = float(np.sqrt(found.rates[first - 1] * found.rates[first])) if first else None
        regions = (Region(start, None, "diverged, or grew tenfold"),)
    return Figure(
        "loss along a ramp of learning rates" if found.range_test else f"loss after {found.steps:,} steps",
        FigureAxis("learning rate", "log"),
        FigureAxis("smoothed loss" if found.range_test else "loss", "log" if positive else "linear"),
        series=(Series(found.rates[shown], found.losses[shown]),),
        marks=tuple(Mark(float(rate), None, "diverged") for rate in found.rates[off][:1]),
        regions=regions,
        rules=tuple(rules),
        name="learning-rate",
    )


def _within(found: RateSearch, rate: float | None) -> bool:
    return rate is not None and bool(found.rates[0] <= rate <= found.rates[-1])
