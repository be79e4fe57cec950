"""`gdrun lr CONFIG`: find a learning rate."""

from __future__ import annotations

import shutil
from typing import Annotated

import numpy as np
import typer

from gdrun.analysis.learning_rate import RateSearch, find_learning_rate
from gdrun.plots.figure import Figure, FigureAxis, Mark, ReferenceLine, Region, Series
from gdrun.text import short

from . import session, terminal
from .arguments import Device, Json, Targets, split_one
from .output import print_json
from .tables import table


def command(
    arguments: Targets,
    range_test: Annotated[
        bool, typer.Option("--range-test", help="One run along a ramp of rates, instead of a trial for each.")
    ] = False,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Run a config at 61 learning rates in one program, show what they come to, and suggest one.

    Nothing is written.
    """
    config, overrides = split_one(arguments, "lr")
    with session.quiet(), session.waiting("trying learning rates"):
        search = find_learning_rate(config, overrides, range_test=range_test, device=device)
    if as_json:
        return print_json(search.as_dict())
    picture = terminal.picture(figure(search), min(shutil.get_terminal_size().columns, 100), 18)
    return terminal.data(*picture, "", *table(_rows(search)), *(f"- {caveat}" for caveat in search.prediction.caveats))


def _rows(search: RateSearch) -> list[tuple[str, str]]:
    """Return the predicted and the observed limit, the best rate and the suggestion."""
    prediction, suggestion = search.prediction, search.suggestion
    limit = "none" if prediction.limit is None else short(prediction.limit, 4)
    rows = [
        ("predicted limit", f"{limit}: {prediction.why}"),
    ]
    if search.observed_edge is not None:
        rows.append(("observed edge", search.observed_edge.describe(prediction.limit)))
    else:
        blew_up = "nowhere" if search.blew_up_at is None else f"at {short(search.blew_up_at, 4)}"
        rows.append(("loss blew up", blew_up))
    if search.best is not None:
        lowest = short(min(float(loss) for loss in search.losses if loss == loss), 4)
        first = f"(at the start {short(search.first_loss, 4)})"
        if search.range_test:
            # Of a ramp the lowest loss is what all rates before it came to.
            rows.append(("lowest", f"smoothed loss {lowest} at {short(search.best, 4)} {first}"))
        else:
            rows.append(("best", f"{short(search.best, 4)}, loss {lowest} {first}"))
    rows.append(("configured", short(search.configured, 4)))
    suggested = "none" if suggestion.rate is None else short(suggestion.rate, 2)
    return [*rows, ("suggestion", f"{suggested}: {suggestion.reason}")]


def figure(search: RateSearch) -> Figure:
    """Return the curve as a figure: losses against rates, the predicted limit, the suggestion, what diverged."""
    # What grows for ever is off the picture long before it diverges.
    ceiling = 10 * abs(search.first_loss)
    off = search.diverged | ~(search.losses <= ceiling)
    kept = ~off
    positive = bool(np.all(search.losses[kept] > 0)) if kept.any() else False
    limit = search.prediction.limit
    is_shown = limit is not None and search.rates[0] <= limit <= search.rates[-1]
    rules = [ReferenceLine(x=limit, label="predicted limit")] if is_shown else []
    if search.suggestion.rate is not None:
        rules.append(ReferenceLine(x=search.suggestion.rate, label="suggested"))
    regions: tuple[Region, ...] = ()
    if off[-1]:
        first = len(search.rates) - int(np.argmin(off[::-1])) if not off.all() else 0
        start = float(np.sqrt(search.rates[first - 1] * search.rates[first])) if first else None
        regions = (Region(start, None, f"diverged, or above {short(ceiling, 4)}"),)
    return Figure(
        "loss along a ramp of learning rates" if search.range_test else f"loss after {search.steps:,} steps",
        FigureAxis("learning rate", "log"),
        FigureAxis("smoothed loss" if search.range_test else "loss", "log" if positive else "linear"),
        series=(Series(search.rates[kept], search.losses[kept]),),
        marks=tuple(Mark(float(rate), None, "diverged") for rate in search.rates[off][:1]),
        regions=regions,
        rules=tuple(rules),
        name="learning-rate",
    )
