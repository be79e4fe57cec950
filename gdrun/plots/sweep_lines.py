"""The curves of a sweep's trials, and what they came to where an axis has no numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import UsageError
from gdrun.plots.differences import value_text
from gdrun.plots.figure import Axis, Figure, Scale, Series, numbers
from gdrun.plots.palette import LINES
from gdrun.plots.scales import natural_scale
from gdrun.plots.trials import Levels, Trials, counts, levels_of, metric_label, read_trials, title_of
from gdrun.text import plural, safe_text

if TYPE_CHECKING:
    from gdrun.rundir.sweep_run import SweepRun


def curves_figure(sweep: SweepRun, *, column: str = "loss", most: int = 200, scale: Scale | None = None) -> Figure:
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
    ids, values = curves["trial"], numbers(curves[column].reshape(-1)).reshape(curves[column].shape)
    order = np.arange(len(ids))
    trials = read_trials(sweep)
    rows = [row for row in sweep.trials if row.get("status") != "failed"]
    numeric = trials.numeric_axes()
    label, text_of = "trial", {int(row["trial"]): f"trial {row['trial']}" for row in rows}
    if trials.axes:
        by = (numeric or list(trials.axes))[0]
        label = trials.labels[by]
        text_of = {
            int(row["trial"]): ", ".join(f"{trials.labels[k]} {value_text(row[k])}" for k in trials.axes)
            for row in rows
        }
        if numeric:
            rank = dict(zip((int(row["trial"]) for row in rows), trials.column(by).tolist(), strict=True))
            order = np.array(sorted(order, key=lambda at: rank.get(int(ids[at]), 0.0)))
    shown = order[np.unique(np.linspace(0, len(order) - 1, most).astype(int))] if len(order) > most else order
    series = tuple(
        Series(curves["step"], values[at], text_of.get(int(ids[at]), f"trial {ids[at]}"), slot=slot)
        for slot, at in enumerate(shown.tolist())
    )
    finite = [item.y for item in series]
    notes = (f"{len(shown)} of {len(order)} trials are drawn",) if len(shown) < len(order) else ()
    return Figure(
        title_of(sweep, f"{column} by {label}"), Axis("step", whole=True), Axis(column, scale or natural_scale(finite)),
        counts(sweep, trials), series, name="curves", graded=len(series) > len(LINES), notes=notes,
    )  # fmt: skip


def choices_figure(sweep: SweepRun, trials: Trials, key: str | None, scale: Scale | None) -> Figure:
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
