"""What the trials of a sweep came to over two axes: heat maps, and clouds where settings were drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import UsageError
from gdrun.text import safe_text

from .figure import Axis, Figure, Grid, Mark, Scale, Series
from .scales import limits_of, natural_scale
from .trials import (
    BEYOND_START,
    Trials,
    counts,
    is_seed,
    levels_of,
    metric_label,
    named_axis,
    read_trials,
    start_of,
    title_of,
)

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


def heatmap_figure(
    sweep: Run, *, axes: Sequence[str] | None = None, metric: str | None = None, scale: Scale | None = None
) -> Figure:
    """Return what the trials came to over two axes, as a heat map; of further axes the best trial counts.

    Where settings were drawn at random instead of listed, each trial is a point whose colour is what it came to.

    Args:
        axes: the two, across and up; default: the learning rate and the next numeric axis.
        metric, scale: as in `sensitivity_figure`; `scale` is that of the colours.
    Raises:
        UsageError: there are not two axes, or no such column.
    """
    trials = read_trials(sweep, metric)
    keys = [named_axis(sweep, trials, name) for name in axes] if axes else trials.numeric_axes()[:2]
    if not axes and len(keys) < 2:
        keys += [key for key in trials.axes if key not in keys and not is_seed(key)][: 2 - len(keys)]
    if len(keys) != 2:
        raise UsageError(
            f"a heat map takes two axes; {safe_text(sweep.id)} varies {safe_text(', '.join(trials.axes) or 'nothing')}",
            hint="--kind sensitivity" if trials.axes else None,
        )
    usual = np.where(trials.diverged, np.nan, trials.value)
    start = start_of(sweep, trials)
    within = usual if start is None else usual[~(usual > start * BEYOND_START)]
    chosen = scale or natural_scale([within])
    # A trial close to the edge has any loss; it gets the last colour, so that the others keep theirs apart.
    limits = limits_of([within], chosen, margin=0) if len(within) < len(usual) else None
    title = title_of(sweep, f"{metric_label(trials)} by {trials.axis_label(keys[0])} and {trials.axis_label(keys[1])}")
    rest = [key for key in trials.axes if key not in keys]
    note = (f"best over {', '.join(trials.labels[key] for key in rest)}",) if rest else ()
    figure = Figure(title, subtitle=counts(sweep, trials), notes=note, name="heatmap")
    across, up = (levels_of(trials, key) for key in keys)
    if len(across.texts) * len(up.texts) > 4 * len(trials.value) and all(trials.is_numeric(key) for key in keys):
        return _scatter(figure, trials, keys, usual, chosen, limits)
    values = np.full((len(up.texts), len(across.texts)), np.nan)
    blocked = np.zeros(values.shape, bool)
    pick = np.fmax if trials.maximize else np.fmin
    pick.at(values, (up.index, across.index), usual)
    np.logical_or.at(blocked, (up.index, across.index), trials.diverged)
    blocked &= np.isnan(values)
    grid = Grid(
        np.arange(len(across.texts)),
        np.arange(len(up.texts)),
        values,
        "cells",
        metric_label(trials),
        chosen,
        blocked,
        limits,
    )
    return replace(
        figure,
        x=Axis(trials.axis_label(keys[0]), ticks=across.ticks),
        y=Axis(trials.axis_label(keys[1]), ticks=up.ticks),
        grid=grid,
    )


def is_map(sweep: Run) -> bool:
    """Return whether a sweep's own picture is a heat map: it varies two numbers, each at several values."""
    trials = read_trials(sweep)
    keys = trials.numeric_axes()
    if len(keys) != 2 or len(trials.axes) != 2:
        return False
    counts = [len(np.unique(trials.column(key))) for key in keys]
    # A few values of one are better seen as lines of the other.
    return min(counts) > 4


def _scatter(
    figure: Figure,
    trials: Trials,
    keys: Sequence[str],
    usual: np.ndarray,
    scale: Scale,
    limits: tuple[float, float] | None,
) -> Figure:
    """A point for each trial, where settings were drawn."""
    x, y = (trials.column(key) for key in keys)
    good = np.isfinite(usual)
    points = Series(x[good], y[good], style="points", values=usual[good], slot=0)
    marks = tuple(
        Mark(float(a), float(b), "diverged") for a, b in zip(x[trials.diverged], y[trials.diverged], strict=True)
    )
    return replace(
        figure,
        x=Axis(trials.axis_label(keys[0]), _drawn_scale(x)),
        y=Axis(trials.axis_label(keys[1]), _drawn_scale(y)),
        series=(points,),
        marks=marks,
        colours=Axis(metric_label(trials), scale, limits),
    )


def _drawn_scale(values: np.ndarray) -> Scale:
    """Logarithmic where settings were drawn so: half of them in the lowest fifth of their range."""
    low, high = values.min(), values.max()
    return "log" if low > 0 and np.median(values) < low + (high - low) / 5 else "linear"
