"""The curves of a sweep's trials, and what they came to where an axis has no numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import UsageError
from gdrun.text import plural, safe_text

from .differences import value_text
from .figure import Axis, Figure, Scale, Series, numbers
from .palette import LINES
from .scales import limits_of, natural_scale, number_text
from .trials import BEYOND_START, Levels, Trials, counts, levels_of, metric_label, read_trials, start_of, title_of

if TYPE_CHECKING:
    from gdrun.rundir.run import Run


def curves_figure(sweep: Run, *, column: str = "loss", most: int = 200, scale: Scale | None = None) -> Figure:
    """Return the loss (or another recorded column) of a sweep's trials over steps, a line each.

    Args:
        most: of more trials, so many are drawn, evenly through the table.
    Raises:
        UsageError: no curves were kept, or not this column.
    """
    curves = sweep.curves
    if column not in curves or curves[column].ndim != 2:
        known = ", ".join(name for name in curves if name not in ("step", "trial"))
        raise UsageError(
            f"{safe_text(sweep.id)} has no curves of '{safe_text(column, limit=60)}'",
            hint=f"it has: {safe_text(known, limit=300)}" if known else None,
        )
    values = curves[column]
    trials = read_trials(sweep)
    label, names, ranks = _order(trials)
    ids = curves["trial"].tolist()
    order = np.array(sorted(range(len(ids)), key=lambda at: ranks.get(ids[at], float(at))), int)
    shown = order[np.unique(np.linspace(0, len(order) - 1, most).astype(int))] if len(order) > most else order
    series = tuple(
        Series(curves["step"], numbers(values[at]), names.get(ids[at], f"trial {ids[at]}"), slot=slot)
        for slot, at in enumerate(shown.tolist())
    )
    notes = [f"{len(shown)} of {len(order)} trials are drawn"] if len(shown) < len(order) else []
    start = start_of(sweep, trials) if column == "loss" else None
    high = np.inf if start is None else start * BEYOND_START
    within = [np.where(item.y <= high, item.y, np.nan) for item in series]
    chosen = scale or natural_scale(within, zeros=True)
    limits = None
    if start is not None and any((item.y > high).any() for item in series):
        limits = limits_of(within, chosen)
        notes.append(f"curves above {number_text(high, 2)} leave the picture")
    return Figure(
        title_of(sweep, f"{column} by {label}"), Axis("step", whole=True), Axis(column, chosen, limits),
        counts(sweep, trials), series, name="curves", graded=len(series) > len(LINES), notes=tuple(notes),
    )  # fmt: skip


def _order(trials: Trials) -> tuple[str, dict[Any, str], dict[Any, float]]:
    """What trials are ordered by, in words; the number of each trial -> its label, and -> its rank."""
    if not trials.axes:
        return "trial", {}, {}
    by = next(iter(trials.numeric_axes() or trials.axes))
    labels = {
        number: ", ".join(f"{trials.labels[key]} {value_text(values[at])}" for key, values in trials.axes.items())
        for at, number in enumerate(trials.numbers)
    }
    ranks = dict(zip(trials.numbers, trials.column(by).tolist(), strict=True)) if trials.is_numeric(by) else {}
    return trials.axis_label(by), labels, ranks


def choices_figure(sweep: Run, trials: Trials, key: str | None, scale: Scale | None) -> Figure:
    """Return a row for each value of an axis that has no numbers, a point for each trial."""
    if key is None:
        levels = Levels([safe_text(sweep.id)], np.zeros(len(trials.value), int))
        label = ""
    else:
        levels, label = levels_of(trials, key), trials.labels[key]
    usual = np.where(trials.diverged, np.nan, trials.value)
    count = len(levels.texts)
    up = (count - 1 - levels.index).astype(float)
    points = Series(usual, up, style="points", slot=0)
    ticks = tuple((float(count - 1 - at), text) for at, text in enumerate(levels.texts))
    notes = []
    if lost := int(trials.diverged.sum()):
        notes.append(f"{plural(lost, 'diverged trial')} not shown")
    return Figure(
        title_of(sweep, f"{metric_label(trials)}{' by ' + label if label else ''}"),
        Axis(metric_label(trials), scale or natural_scale([usual])), Axis("", limits=(-0.6, count - 0.4), ticks=ticks),
        counts(sweep, trials), (points,), notes=tuple(notes), name="choices",
    )  # fmt: skip
