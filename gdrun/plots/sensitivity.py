"""What the trials of a sweep came to over one axis: how sensitive the final loss is to the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.text import plural

from .figure import Axis, Figure, Mark, Region, Rule, Scale, Series, SeriesStyle
from .palette import LINES
from .runs import FEW_POINTS, spread
from .scales import limits_of, number_text, spacing_scale
from .sweep_lines import choices_figure
from .trials import (
    BEYOND_START,
    Trials,
    counts,
    groups,
    is_rate,
    is_seed,
    loss_scale,
    metric_label,
    named_axis,
    read_trials,
    start_of,
    title_of,
)

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


MOST_CROSSES = 60
"""Of one line."""


def sensitivity_figure(
    sweep: Run, *, over: str | None = None, metric: str | None = None, scale: Scale | None = None
) -> Figure:
    """Return what the trials came to over one axis: the final loss against the learning rate.

    One line for each combination of the other settings; seeds are summed up as median and band. Diverged trials are
    crosses at the upper edge. Where all trials from some rate on diverged, the stretch is shaded; it begins half way
    between the last rate that did not and the first that did. The edge that was predicted is an upright line.

    Args:
        over: the axis; default: the learning rate, else the first numeric one.
        metric: a column of the table; default: what the sweep ranks by.
        scale: of the metric; None is logarithmic where it is positive and spans more than two decades.
    Raises:
        UsageError: there are no trials, or no such axis or column.
    """
    trials = read_trials(sweep, metric)
    key = _axis(sweep, trials, over)
    if key is None or not trials.is_numeric(key):
        return choices_figure(sweep, trials, key, scale)
    seeds = [other for other in trials.axes if is_seed(other) and other != key]
    others = [other for other in trials.axes if other != key and other not in seeds]
    lines = [_line_of(trials, key, members, label) for label, members in groups(trials, others)]
    series = [line.series for line in lines]
    x = trials.column(key)
    x_scale = spacing_scale(x)
    many = len(series) > len(LINES)
    marks = [mark for slot, line in enumerate(lines) for mark in line.marks(None if many or len(lines) == 1 else slot)]
    label = trials.axis_label(key)
    figure = Figure(
        title_of(sweep, f"{metric_label(trials)} by {label}"),
        Axis(label, x_scale),
        Axis(metric_label(trials)),
        counts(sweep, trials),
        tuple(replace(item, slot=slot) for slot, item in enumerate(series)),
        name="sensitivity",
        graded=many,
        notes=_notes(trials, seeds, lines),
    )
    figure = _scaled(figure, sweep, trials, scale)
    best = _best_mark(figure, trials, key, None if sweep.problem else sweep.info.best.get("trial"))
    return replace(
        figure,
        marks=(*marks, *best),
        regions=_diverged_regions(x, trials.diverged, x_scale),
        rules=(*figure.rules, *(_prediction(sweep) if is_rate(key) else ())),
    )


# --- one line a setting -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Line:
    series: Series
    diverged: np.ndarray
    """Where on the x axis half of the trials or more diverged."""
    seeds: int

    def marks(self, slot: int | None) -> list[Mark]:
        return [Mark(float(x), None, "diverged", slot=slot) for x in spread(self.diverged, MOST_CROSSES)]


def _line_of(trials: Trials, key: str, members: np.ndarray, label: str) -> _Line:
    """The median over seeds at each value of the axis; a diverged trial counts as worse than any other."""
    x, worst = trials.column(key)[members], -np.inf if trials.maximize else np.inf
    value = np.where(trials.diverged[members], worst, trials.value[members])
    given = np.isfinite(x) & ~np.isnan(value)
    at, place, counts = np.unique(x[given], return_inverse=True, return_counts=True)
    if not len(at):
        return _Line(Series(at, at, label), at, 0)
    # A row for each value of the axis, its results in increasing order, then nan.
    table = np.full((len(at), counts.max()), np.nan)
    order = np.lexsort((value[given], place))
    table[np.repeat(np.arange(len(at)), counts), _within(counts)] = value[given][order]
    middle = (_rank(table, (counts - 1) // 2) + _rank(table, counts // 2)) / 2
    several = bool((counts > 1).any())
    low, high = (_rank(table, np.rint(share * (counts - 1)).astype(int)) for share in (0.25, 0.75))
    style: SeriesStyle = "both" if len(at) <= 2 * FEW_POINTS else "line"
    series = Series(at, middle, label, style, lower=low if several else None, upper=high if several else None)
    return _Line(series, at[np.isinf(middle)], int(counts.max()))


def _within(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... counts[0] - 1, 0, 1, ... counts[1] - 1, and so on."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _rank(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    return table[np.arange(len(table)), index]


def _diverged_regions(x: np.ndarray, diverged: np.ndarray, scale: Scale) -> tuple[Region, ...]:
    """The stretch from where on every trial diverged, if there is one with something before it."""
    at, place = np.unique(x, return_inverse=True)
    stable = np.zeros(len(at), bool)
    stable[place[~diverged]] = True
    first = int(np.flatnonzero(stable)[-1]) + 1 if stable.any() else 0
    if first == len(at):
        return ()
    if first == 0:
        return (Region(None, None, "every trial diverged"),)
    before, after = at[first - 1], at[first]
    middle = float(np.sqrt(before * after)) if scale == "log" else float((before + after) / 2)
    return (Region(middle, None, f"diverged from {number_text(float(after), 3)}"),)


def _prediction(sweep: Run) -> tuple[Rule, ...]:
    told: Any = None if sweep.problem else sweep.info.extra.get("prediction")
    limit = told.get("limit") if isinstance(told, dict) else None
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < np.inf:
        return ()
    return (Rule(x=float(limit), label=f"predicted limit {number_text(limit, 4)}"),)


def _best_mark(figure: Figure, trials: Trials, key: str, best: object) -> tuple[Mark, ...]:
    """The best point drawn; of several equal ones that of the trial which the sweep calls its best."""
    candidates = [
        (float(item.y[at]), float(item.x[at]), item.slot)
        for item in figure.series
        for at in np.flatnonzero(np.isfinite(item.y))
    ]
    if not candidates:
        return ()
    value, x, slot = (max if trials.maximize else min)(candidates, key=lambda one: one[0])
    told = np.flatnonzero(np.array([number == best for number in trials.numbers], bool))
    if len(told) and trials.value[told[0]] == value:
        x = float(trials.column(key)[told[0]])
        slot = next((line for found, at, line in candidates if (found, at) == (value, x)), slot)
    label = f"{number_text(value, 3)} at {number_text(x, 3)}"
    if figure.graded or len(figure.series) == 1:
        slot = None
    return (
        Mark(x, None, "zero", label, slot)
        if figure.y.scale == "log" and value <= 0
        else Mark(x, value, "best", label, slot),
    )


def _scaled(figure: Figure, sweep: Run, trials: Trials, scale: Scale | None) -> Figure:
    """Choose the scale of y, and cut off what lies far above the loss at the start."""
    values = [part for item in figure.series for part in (item.y, item.lower, item.upper) if part is not None]
    start = start_of(sweep, trials)
    chosen = scale or loss_scale(trials.metric, values)
    if start is None:
        return replace(figure, y=replace(figure.y, scale=chosen))
    most = start * BEYOND_START
    figure = replace(figure, rules=(*figure.rules, Rule(y=start, label="start")))
    beyond = sum(int((np.isfinite(item.y) & (item.y > most)).sum()) for item in figure.series)
    limits = None
    if beyond:
        limits = limits_of([*(np.where(part <= most, part, np.nan) for part in values), np.array([start])], chosen)
        note = f"{plural(beyond, 'result')} above {number_text(most, 2)} not shown"
        figure = replace(figure, notes=(*figure.notes, note))
    return replace(figure, y=replace(figure.y, scale=chosen, limits=limits))


def _axis(sweep: Run, trials: Trials, over: str | None) -> str | None:
    if over is not None:
        return named_axis(sweep, trials, over)
    numeric = trials.numeric_axes() or trials.numeric_axes(seeds=True)
    # A few numbers beside several kinds (layers 1, 2, 3 of sgd, adam) are still an axis; kinds alone are not.
    return next(iter(numeric or trials.axes), None)


def _notes(trials: Trials, seeds: Sequence[str], lines: Sequence[_Line]) -> tuple[str, ...]:
    if not seeds:
        return ()
    count = max(line.seeds for line in lines)
    return (f"line: the median of {count} seeds; band: the middle half of them",)
