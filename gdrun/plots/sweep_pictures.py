"""Pictures of sweeps: results over one axis (sensitivity) or two (heat map), and the trials' curves."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from gdrun.errors import UsageError
from gdrun.extras import require
from gdrun.rundir.run import Run
from gdrun.rundir.seeds import FEWEST_SEEDS, Band, is_seed, spread
from gdrun.suggest import listed
from gdrun.text import plural

from .downsampling import evenly
from .figure import Figure, FigureAxis, Grid, Mark, ReferenceLine, Region, Scale, Series, SeriesStyle, numbers
from .names import value_text
from .palette import LINES
from .picture import always, only_column, picture
from .run_pictures import FEW_POINTS
from .scales import limits_of, loss_scale, natural_scale, number_text, position, sampling_scale, spacing_scale
from .seed_bands import band_series, seeds_note
from .trial_columns import BEYOND_START, TrialColumns, is_rate, read_trials, ticks_of

MOST_CROSSES = 60
"""Of one line."""


# --- one axis ---------------------------------------------------------------------------------------------------------


@picture("sensitivity", of="sweep", default=always, on_page=always)
def sensitivity_figure(
    sweep: Run,
    *,
    columns: Sequence[str] = (),
    metric: str | None = None,
    scale: Scale | None = None,
    band: Band | None = "quartiles",
) -> Figure:
    """Return the trials' results over one axis: the final loss against the learning rate.

    One line for each combination of the other settings; seeds are summed up as a middle and a band. Diverged trials are
    crosses at the upper edge. Where all trials from some rate on diverged, the stretch is shaded; it begins half way
    between the last rate that did not and the first that did. The edge that was predicted is a vertical line.

    Args:
        columns: the axis; default: the learning rate, else the first numeric one.
        metric: a column of the table; default: that by which the sweep ranks.
        scale: of the metric; None is logarithmic where it is positive and spans more than two decades.
        band: over seeds: the median and the middle half ("quartiles"), mean and standard deviation ("deviation"), or
            None: each seed has its line.
    Raises:
        UsageError: there are no trials, or no such axis or column.
    """
    trials = read_trials(sweep, metric)
    name = only_column(columns, "sensitivity")
    # A few numbers beside several kinds (layers 1, 2, 3 of sgd, adam) are still an axis; kinds alone are not.
    numeric = trials.numeric_axes() or trials.numeric_axes(seeds=True)
    key = trials.named_axis(name) if name is not None else next(iter(numeric or trials.axes), None)
    if key is None or not trials.is_numeric(key):
        return _choices(trials, key, scale)
    seeds = [other for other in trials.axes if is_seed(other) and other != key and band is not None]
    others = [other for other in trials.axes if other != key and other not in seeds]
    lines = [_line_of(trials, key, members, label, band or "quartiles") for label, members in trials.groups(others)]
    x, label = trials.column(key), trials.axis_label(key)
    x_scale = spacing_scale(x)
    many = len(lines) > len(LINES)
    marks: list[Mark] = []
    for slot, (_, diverged, _) in enumerate(lines):
        marks += _crosses(diverged, None if many or len(lines) == 1 else slot)
    note = seeds_note(band or "quartiles", max(num_seeds for *_, num_seeds in lines))
    figure = trials.figure(
        "sensitivity", f"{trials.metric_label} by {label}", FigureAxis(label, x_scale), FigureAxis(trials.metric_label),
        series=tuple(replace(series, slot=slot) for slot, (series, *_) in enumerate(lines)), graded=many,
        notes=(note,) if seeds else (),
    )  # fmt: skip
    figure = _scaled(figure, trials, scale)
    best = _best_mark(figure, trials, key, None if sweep.problem else sweep.info.best.get("trial"))
    return replace(
        figure,
        marks=(*marks, *best),
        regions=_diverged_regions(x, trials.diverged, x_scale),
        rules=(*figure.rules, *(_prediction(sweep) if is_rate(key) else ())),
    )


def _crosses(places: np.ndarray, slot: int | None = None) -> tuple[Mark, ...]:
    """Return marks at the upper edge, at so many of `places`, (N,), as can be seen."""
    return tuple(Mark(float(x), None, "diverged", slot=slot) for x in places[evenly(len(places), MOST_CROSSES)])


def _line_of(
    trials: TrialColumns, key: str, members: np.ndarray, label: str, band: Band
) -> tuple[Series, np.ndarray, int]:
    """Return the middle over seeds at each value of the axis, in which a diverged trial is worse than any other.

    Beside it are the places on the axis at which half of the trials or more diverged, and the number of seeds.
    """
    x, worst = trials.column(key)[members], -np.inf if trials.maximize else np.inf
    value = np.where(trials.diverged[members], worst, trials.value[members])
    known = np.isfinite(x) & ~np.isnan(value)
    x, value = x[known], value[known]
    levels = np.unique(x)
    results = [value[x == level] for level in levels]
    middle, low, high = np.array([spread(part, band, worst=worst) for part in results]).reshape(-1, 3).T
    num_seeds = max(map(len, results), default=0)
    style: SeriesStyle = "both" if len(levels) <= 2 * FEW_POINTS else "line"
    series = Series(levels, middle, label, style)
    if num_seeds > 1:
        series = replace(series, lower=low, upper=high)
    return series, levels[np.isinf(middle)], num_seeds


def _diverged_regions(x: np.ndarray, diverged: np.ndarray, scale: Scale) -> tuple[Region, ...]:
    """Return the stretch beyond which every trial diverged, if there is one."""
    levels, place = np.unique(x, return_inverse=True)
    stable = np.zeros(len(levels), bool)
    stable[place[~diverged]] = True
    first = int(np.flatnonzero(stable)[-1]) + 1 if stable.any() else 0
    if first == len(levels):
        return ()
    if first == 0:
        return (Region(None, None, "every trial diverged"),)
    before, after = levels[first - 1], levels[first]
    middle = float(np.sqrt(before * after)) if scale == "log" else float((before + after) / 2)
    return (Region(middle, None, f"diverged from {number_text(float(after), 3)}"),)


def _prediction(sweep: Run) -> tuple[ReferenceLine, ...]:
    prediction: Any = None if sweep.problem else sweep.info.extra.get("prediction")
    limit = prediction.get("limit") if isinstance(prediction, dict) else None
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < np.inf:
        return ()
    return (ReferenceLine(x=float(limit), label=f"predicted limit {number_text(limit, 4)}"),)


def _best_mark(figure: Figure, trials: TrialColumns, key: str, best: object) -> tuple[Mark, ...]:
    """Return the mark of the best point drawn; of several equal ones that of the sweep's best trial."""
    candidates = [
        (float(item.y[index]), float(item.x[index]), item.slot)
        for item in figure.series
        for index in np.flatnonzero(np.isfinite(item.y))
    ]
    if not candidates:
        return ()
    value, x, slot = (max if trials.maximize else min)(candidates, key=lambda candidate: candidate[0])
    index = next((index for index, number in enumerate(trials.numbers) if number == best), None)
    if index is not None and trials.value[index] == value:
        x = float(trials.column(key)[index])
        slot = next((line for y, place, line in candidates if (y, place) == (value, x)), slot)
    label = f"{number_text(value, 3)} at {number_text(x, 3)}"
    if figure.graded or len(figure.series) == 1:
        slot = None
    if figure.y.scale == "log" and value <= 0:
        return (Mark(x, None, "zero", label, slot),)
    return (Mark(x, value, "best", label, slot),)


def _scaled(figure: Figure, trials: TrialColumns, scale: Scale | None) -> Figure:
    """Return the figure with its scale of y chosen, cut far above the loss at the start."""
    values = [part for item in figure.series for part in (item.y, item.lower, item.upper) if part is not None]
    start = trials.start
    chosen = scale or loss_scale(trials.metric, values)
    if start is None:
        return replace(figure, y=replace(figure.y, scale=chosen))
    most = start * BEYOND_START
    figure = replace(figure, rules=(*figure.rules, ReferenceLine(y=start, label="start")))
    beyond = sum(int((np.isfinite(item.y) & (item.y > most)).sum()) for item in figure.series)
    limits = None
    if beyond:
        limits = limits_of([*(np.where(part <= most, part, np.nan) for part in values), np.array([start])], chosen)
        note = f"{plural(beyond, 'result')} above {number_text(most, 2)} not shown"
        figure = replace(figure, notes=(*figure.notes, note))
    return replace(figure, y=replace(figure.y, scale=chosen, limits=limits))


def _choices(trials: TrialColumns, key: str | None, scale: Scale | None) -> Figure:
    """Return a row for each value of an axis that has no numbers, a point for each trial."""
    if key is None:
        texts, index, label = [trials.sweep.id], np.zeros(len(trials.value), int), ""
    else:
        (texts, index), label = trials.levels(key), trials.labels[key]
    results, top = trials.results, len(texts) - 1
    num_diverged = int(trials.diverged.sum())
    return trials.figure(
        "choices", f"{trials.metric_label}{' by ' + label if label else ''}",
        FigureAxis(trials.metric_label, scale or natural_scale([results])),
        FigureAxis("", limits=(-0.6, top + 0.6), ticks=ticks_of(reversed(texts))),
        series=(Series(results, (top - index).astype(float), style="points", slot=0),),
        notes=(f"{plural(num_diverged, 'diverged trial')} not shown",) if num_diverged else (),
    )  # fmt: skip


# --- two axes ---------------------------------------------------------------------------------------------------------


def _is_default_map(sweep: Run, columns: Sequence[str]) -> bool:
    return len(columns) == 2 or (not columns and is_map(sweep))


@picture("heatmap", of="sweep", default=_is_default_map, on_page=always)
def heatmap_figure(
    sweep: Run, *, columns: Sequence[str] = (), metric: str | None = None, scale: Scale | None = None
) -> Figure:
    """Return the trials' results over two axes, as a heat map; of further axes the best trial counts.

    Where settings were drawn at random instead of listed, each trial is a point coloured by its result.

    Args:
        columns: the two axes, across and up; default: the learning rate and the next numeric axis.
        metric, scale: as in `sensitivity_figure`; `scale` is that of the colours.
    Raises:
        UsageError: there are not two axes, or no such column.
    """
    if columns and len(columns) != 2:
        raise UsageError(f"a heat map takes two axes, but {len(columns)} {'is' if len(columns) == 1 else 'are'} named")
    trials = read_trials(sweep, metric)
    keys = [trials.named_axis(name) for name in columns] if columns else trials.numeric_axes()[:2]
    if not columns and len(keys) < 2:
        keys += [key for key in trials.axes if key not in keys and not is_seed(key)][: 2 - len(keys)]
    if len(keys) != 2:
        raise UsageError(
            f"a heat map takes two axes; {sweep.id} varies {', '.join(trials.axes) or 'nothing'}",
            hint="--kind sensitivity" if trials.axes else None,
        )
    results = trials.results
    start = trials.start
    within = results if start is None else results[~(results > start * BEYOND_START)]
    chosen = scale or natural_scale([within])
    # A trial close to the edge has any loss; it gets the last colour, so that the others keep theirs apart.
    limits = limits_of([within], chosen, margin=0) if len(within) < len(results) else None
    others = [trials.labels[key] for key in trials.axes if key not in keys]
    figure = trials.figure(
        "heatmap", f"{trials.metric_label} by {' and '.join(map(trials.axis_label, keys))}",
        *(FigureAxis(trials.axis_label(key)) for key in keys),
        notes=(f"best over {', '.join(others)}",) if others else (),
    )  # fmt: skip
    (across, column), (up, row) = (trials.levels(key) for key in keys)
    if len(across) * len(up) > 4 * len(trials.value) and all(trials.is_numeric(key) for key in keys):
        return _scatter(figure, trials, keys, FigureAxis(trials.metric_label, chosen, limits))
    values = np.full((len(up), len(across)), np.nan)
    blocked = np.zeros(values.shape, bool)
    pick = np.fmax if trials.maximize else np.fmin
    pick.at(values, (row, column), results)
    np.logical_or.at(blocked, (row, column), trials.diverged)
    blocked &= np.isnan(values)
    grid = Grid(
        np.arange(len(across)), np.arange(len(up)), values, "cells", trials.metric_label, chosen, blocked, limits
    )
    return replace(
        figure, x=replace(figure.x, ticks=ticks_of(across)), y=replace(figure.y, ticks=ticks_of(up)), grid=grid
    )


def is_map(sweep: Run) -> bool:
    """Return whether a heat map is a sweep's default picture: it varies two numbers, each at several values."""
    trials = read_trials(sweep)
    keys = trials.numeric_axes()
    if len(keys) != 2 or len(trials.axes) != 2:
        return False
    # A few values of one are better seen as lines of the other.
    return all(len(np.unique(trials.column(key))) > 4 for key in keys)


def _scatter(figure: Figure, trials: TrialColumns, keys: Sequence[str], colours: FigureAxis) -> Figure:
    """Return a point for each trial, for settings that were drawn at random."""
    x, y = (trials.column(key) for key in keys)
    results = trials.results
    good, diverged = np.isfinite(results), trials.diverged
    return replace(
        figure,
        x=replace(figure.x, scale=sampling_scale(x)),
        y=replace(figure.y, scale=sampling_scale(y)),
        series=(Series(x[good], y[good], style="points", values=results[good], slot=0),),
        marks=tuple(Mark(*point, "diverged") for point in zip(x[diverged].tolist(), y[diverged].tolist(), strict=True)),
        colours=colours,
    )


# --- how a search went ------------------------------------------------------------------------------------------------


def _was_searched(sweep: Run) -> bool:
    return not sweep.problem and bool(sweep.info.extra.get("search"))


@picture("history", of="sweep", on_page=_was_searched)
def history_figure(sweep: Run, *, metric: str | None = None, scale: Scale | None = None) -> Figure:
    """Return the trials' results in the order in which they were proposed, with the best so far.

    Args:
        metric, scale: as in `sensitivity_figure`.
    Raises:
        UsageError: there are no trials, or no such column.
    """
    trials = read_trials(sweep, metric)
    order = np.argsort(trials.numbers)
    x, results = numbers(trials.numbers)[order], trials.results[order]
    best = (np.fmax if trials.maximize else np.fmin).accumulate(results)
    points, line = Series(x, results, "trials", "points", slot=0), Series(x, best, "best so far", slot=1)
    figure = trials.figure(
        "history", f"{trials.metric_label} by trial", FigureAxis("trial", whole=True), FigureAxis(trials.metric_label),
        series=(points,), marks=_crosses(x[trials.diverged[order]]),
    )  # fmt: skip
    return replace(_scaled(figure, trials, scale), series=(points, line))


@picture("parallel", of="sweep", on_page=lambda sweep: len(read_trials(sweep).axes) > 2)
def parallel_figure(sweep: Run, *, metric: str | None = None, most: int = 200) -> Figure:
    """Return a line for each trial through its settings and its result, the better the darker: parallel coordinates.

    Args:
        metric: as in `sensitivity_figure`.
        most: of more trials, so many are drawn, evenly from the best to the worst.
    Raises:
        UsageError: there are no trials, nothing varies, or there is no such column.
    """
    trials = read_trials(sweep, metric)
    if not trials.axes:
        raise UsageError(f"{sweep.id} varies nothing, so there are no coordinates")
    ranks, results = _ranks(trials), trials.results
    columns = [*(_coordinate(trials, key) for key in trials.axes)]
    columns.append(_numeric_coordinate(results, loss_scale(trials.metric, [results]), trials.metric_label))
    places = np.stack([place for *_, place in columns], axis=1)
    edge = 0.0 if trials.maximize else 1.0
    places[:, -1] = np.where(trials.diverged, edge, places[:, -1])
    drawn = np.argsort(ranks, kind="stable")[evenly(len(ranks), most)][::-1]
    x = np.arange(len(columns), dtype=float)
    series = tuple(
        Series(x, places[row], "best" if ranks[row] == 0 else "", slot=len(drawn) - 1 - place)
        for place, row in enumerate(drawn.tolist())
    )
    lost = int(trials.diverged[drawn].sum())
    notes = [f"{len(drawn)} of {len(ranks)} trials are drawn"] if len(drawn) < len(ranks) else []
    ranges = "; ".join(f"{label} {text}" for label, text, _ in columns)
    notes += [f"from below: {ranges}", "the darker, the better"]
    notes += [f"× {plural(lost, 'trial')} diverged"] if lost else []
    return trials.figure(
        "parallel", f"settings and {trials.metric_label}",
        FigureAxis("", limits=(-0.3, len(columns) - 0.7), ticks=ticks_of(label for label, *_ in columns)),
        FigureAxis("", limits=(-0.04, 1.06), ticks=()), series=series,
        marks=(Mark(float(x[-1]), edge, "diverged"),) if lost else (),
        rules=tuple(ReferenceLine(x=float(place)) for place in x), graded=True, notes=tuple(notes),
    )  # fmt: skip


def _ranks(trials: TrialColumns) -> np.ndarray:
    """Return the ranks of the trials, int (T,), the best 0; those that diverged or have no result come last."""
    worse = np.where(
        trials.diverged | ~np.isfinite(trials.value), np.inf, -trials.value if trials.maximize else trials.value
    )
    order = np.argsort(worse, kind="stable")
    ranks = np.empty(len(order), int)
    ranks[order] = np.arange(len(order))
    return ranks


def _coordinate(trials: TrialColumns, key: str) -> tuple[str, str, np.ndarray]:
    """Return an axis's label, its range, and the trials' places on it in [0, 1]."""
    label = trials.axis_label(key)
    if trials.is_numeric(key):
        return _numeric_coordinate(trials.column(key), trials.scale(key), label)
    texts, index = trials.levels(key)
    return label, ", ".join(texts), index / max(len(texts) - 1, 1)


def _numeric_coordinate(values: np.ndarray, scale: Scale, label: str) -> tuple[str, str, np.ndarray]:
    limits = limits_of([values], scale, margin=0)
    ends = " to ".join(number_text(limit, 3) for limit in limits)
    return label, f"{ends}{' (log)' if scale == 'log' else ''}", position(values, scale, limits)


@picture("importance", of="sweep", on_page=_was_searched)
def importance_figure(sweep: Run, *, metric: str | None = None) -> Figure:
    """Return how much of the differences between a sweep's trials each setting explains, by Optuna.

    It is fANOVA (Hutter, Hoos and Leyton-Brown 2014), without scikit-learn PED-ANOVA, over the trials' ranks: a loss
    that exploded counts as bad, however large it is.

    Args:
        metric: as in `sensitivity_figure`.
    Raises:
        UsageError: fewer than two settings vary, or too few trials are done.
        ResourceError: Optuna is not installed.
    """
    trials = read_trials(sweep, metric)
    keys = [key for key in trials.axes if not is_seed(key)]
    if len(keys) < 2 or len(trials.value) < _FEWEST_TRIALS:
        raise UsageError(
            f"{sweep.id} varies {plural(len(keys), 'setting')} in {plural(len(trials.value), 'trial')}",
            hint=f"importance compares two settings or more in {_FEWEST_TRIALS} trials or more",
        )
    shares, evaluator = _importances(trials, keys)
    order = sorted(keys, key=lambda key: shares[key])
    height, share = np.arange(len(order), dtype=float), np.array([shares[key] for key in order])
    gaps = np.full(len(order), np.nan)
    bars = Series(np.stack([0 * share, share, gaps], 1), np.stack([height, height, gaps], 1), slot=0)
    return trials.figure(
        "importance", "importance of settings",
        FigureAxis(
            f"share of the differences in the rank of {trials.metric_label}",
            limits=(0.0, max(float(share.max()) * 1.08, 0.01)),
        ),
        FigureAxis("", limits=(-0.6, len(order) - 0.4), ticks=ticks_of(map(trials.axis_label, order))),
        series=(bars, Series(share, height, style="points", slot=0)),
        notes=(f"by {evaluator}; a diverged trial ranks last",),
    )  # fmt: skip


_FEWEST_TRIALS = 8


def _importances(trials: TrialColumns, keys: Sequence[str]) -> tuple[dict[str, float], str]:
    """Return setting -> share of the variance of the trials' ranks, and the evaluator's name."""
    optuna = require("optuna", extra="search", what="the picture of importance")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    columns: dict[str, list[Any]] = {}
    distributions: dict[str, Any] = {}
    for key in keys:
        if trials.is_numeric(key):
            columns[key] = trials.column(key).tolist()
            distributions[key] = optuna.distributions.FloatDistribution(
                min(columns[key]), max(columns[key]), log=trials.scale(key) == "log"
            )
        else:
            columns[key] = list(map(value_text, trials.axes[key]))
            distributions[key] = optuna.distributions.CategoricalDistribution(list(dict.fromkeys(columns[key])))
    study = optuna.create_study()
    for row, rank in enumerate(_ranks(trials).tolist()):
        settings = {key: column[row] for key, column in columns.items()}
        study.add_trial(optuna.trial.create_trial(params=settings, distributions=distributions, value=float(rank)))
    evaluator: Any
    if find_spec("sklearn"):
        evaluator, name = optuna.importance.FanovaImportanceEvaluator(seed=0), "fANOVA"
    else:
        evaluator, name = optuna.importance.PedAnovaImportanceEvaluator(), "PED-ANOVA"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental, says Optuna
        return optuna.importance.get_param_importances(study, evaluator=evaluator), name


# --- curves -----------------------------------------------------------------------------------------------------------


@picture("curves", of="sweep", on_page=always)
def curves_figure(
    sweep: Run,
    *,
    columns: Sequence[str] = (),
    most: int = 200,
    scale: Scale | None = None,
    band: Band | None = "quartiles",
) -> Figure:
    """Return the loss (or another recorded column) of a sweep's trials over steps, a line each.

    Three trials or more that differ in the seed alone are one line, with a band.

    Args:
        columns: the column; default: the loss.
        most: of more trials, so many are drawn, evenly through the table.
        band: over seeds, as in `sensitivity_figure`.
    Raises:
        UsageError: no curves were kept, or not this column.
    """
    column = only_column(columns, "curves") or "loss"
    curves = sweep.curves
    if column not in curves or curves[column].ndim != 2:
        kept = listed([name for name in curves if name not in ("step", "trial")])
        raise UsageError(f"{sweep.id} has no curves of '{column}'", hint=f"it has: {kept}" if kept else None)
    values = curves[column]
    trials = read_trials(sweep)
    ids = curves["trial"].tolist()
    settings = [key for key in trials.axes if not is_seed(key)]
    seeds = trials.groups(settings) if band is not None and len(settings) < len(trials.axes) else []
    if band is not None and max((len(members) for _, members in seeds), default=0) >= FEWEST_SEEDS:
        label = _order(replace(trials, axes={key: trials.axes[key] for key in settings}))[0] if settings else "seed"
        series = tuple(_banded(trials, members, column, band, text, slot) for slot, (text, members) in enumerate(seeds))
        notes = [seeds_note(band, max(len(members) for _, members in seeds))]
    else:
        label, names, ranks = _order(trials)
        order = np.array(sorted(range(len(ids)), key=lambda row: ranks.get(ids[row], float(row))), int)
        drawn = order[evenly(len(order), most)]
        series = tuple(
            Series(curves["step"], numbers(values[row]), names.get(ids[row], f"trial {ids[row]}"), slot=slot,
                   steps=curves["step"])
            for slot, row in enumerate(drawn.tolist())
        )  # fmt: skip
        notes = [f"{len(drawn)} of {len(order)} trials are drawn"] if len(drawn) < len(order) else []
    start = trials.start if column == "loss" else None
    high = np.inf if start is None else start * BEYOND_START
    within = [np.where(item.y <= high, item.y, np.nan) for item in series]
    chosen = scale or natural_scale(within, zeros=True)
    limits = None
    if start is not None and any((item.y > high).any() for item in series):
        limits = limits_of(within, chosen)
        notes.append(f"curves above {number_text(high, 2)} leave the picture")
    return trials.figure(
        "curves", f"{column} by {label}", FigureAxis("step", whole=True), FigureAxis(column, chosen, limits),
        series=series, graded=len(series) > len(LINES), notes=tuple(notes),
    )  # fmt: skip


def _banded(trials: TrialColumns, members: np.ndarray, column: str, band: Band, label: str, slot: int) -> Series:
    """Return a line with a band for trials that differ in the seed alone."""
    curves, rows = trials.sweep.curves, {row["trial"]: row for row in trials.sweep.trials}
    places = {trial: place for place, trial in enumerate(curves["trial"].tolist())}
    kept = [trial for member in members.tolist() if (trial := trials.numbers[member]) in places]
    return band_series(
        curves["step"], curves[column][[places[trial] for trial in kept]], column, band, label=label, slot=slot,
        diverged=[rows[trial]["status"] == "diverged" for trial in kept],
        ended=[rows[trial].get("stopped_by") != "pruned" for trial in kept],
    )  # fmt: skip


def _order(trials: TrialColumns) -> tuple[str, dict[Any, str], dict[Any, float]]:
    """Return the label of the axis that orders the trials; trial -> its label; trial -> its rank."""
    if not trials.axes:
        return "trial", {}, {}
    by = next(iter(trials.numeric_axes() or trials.axes))
    ranks = dict(zip(trials.numbers, trials.column(by).tolist(), strict=True)) if trials.is_numeric(by) else {}
    return trials.axis_label(by), trials.trial_labels(), ranks
