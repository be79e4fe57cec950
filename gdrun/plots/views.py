"""Pictures of what is asked about a model: its spectrum, its landscape, its fit, its decisions. From arrays alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from gdrun.text import plural

from .figure import Axis, Figure, Grid, Mark, Rule, Series, SeriesStyle
from .runs import FEW_POINTS
from .scales import natural_scale, number_text


def spectrum_figure(
    eigenvalues: ArrayLike, *, title: str = "spectrum of the Hessian", subtitle: str = "", limit: float | None = None
) -> Figure:
    """Return eigenvalues by rank, the largest first; negative ones, by size, as a series of their own.

    Args:
        eigenvalues: real, (P,), any order.
        limit: the largest at which the configured optimizer is stable, as a level line.
    """
    values = np.sort(np.asarray(eigenvalues, np.float64).reshape(-1))[::-1]
    values = values[np.isfinite(values)]
    rank = np.arange(1, len(values) + 1)
    scale = natural_scale([abs(values[values != 0]), np.asarray([limit or np.nan])])
    style: SeriesStyle = "both" if len(values) <= 4 * FEW_POINTS else "line"
    notes = []
    if scale == "log":
        series = [Series(rank[values > 0], values[values > 0], "positive", style, slot=0)]
        if (values < 0).any():
            series.append(Series(rank[values < 0], -values[values < 0], "negative, by size", style, slot=1))
        else:
            series = [Series(series[0].x, series[0].y, style=style, slot=0)]
        if zeros := int((values == 0).sum()):
            notes.append(f"{plural(zeros, 'eigenvalue')} of 0 not shown")
    else:
        series = [Series(rank, values, style=style, slot=0)]
    rules = (Rule(y=limit, label=f"stable below {number_text(limit)}"),) if limit is not None else ()
    return Figure(
        title, Axis("rank", whole=True), Axis("eigenvalue", scale), subtitle, tuple(series), rules=rules,
        notes=tuple(notes), name="spectrum",
    )  # fmt: skip


def trajectory_figure(
    grid_x: ArrayLike,
    grid_y: ArrayLike,
    losses: ArrayLike,
    path: ArrayLike | None = None,
    *,
    x_label: str = "",
    y_label: str = "",
    title: str = "trajectory",
    subtitle: str = "",
    best: tuple[float, float] | None = None,
    paths: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Return the way of a descent over the contours of the loss.

    Args:
        grid_x, grid_y: coordinates of the grid, increasing, (X,) and (Y,).
        losses: at its points, (Y, X): a row for each y. What is not finite is left blank.
        path: the points passed, (N, 2); it may leave the grid, which stays the picture's frame.
        best: where the minimum is known to be.
        paths: label -> path, for several.
    """
    grid = Grid(np.asarray(grid_x), np.asarray(grid_y), np.asarray(losses), "contours", "loss")
    given = dict(paths or {}) | ({"": path} if path is not None else {})
    series, marks = [], []
    for slot, (label, points) in enumerate(given.items()):
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        series.append(Series(x, y, label, "both" if len(x) <= 8 * FEW_POINTS else "line", slot=slot))
        good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        alone = len(given) == 1
        if len(good):
            first, last = good[0], good[-1]
            marks.append(Mark(float(x[first]), float(y[first]), "start", "start" if alone else "", slot))
            there = best is not None and _near(grid, (x[last], y[last]), best)
            marks.append(Mark(float(x[last]), float(y[last]), "end", "end" if alone and not there else "", slot))
    if best is not None:
        marks.append(Mark(float(best[0]), float(best[1]), "best", "minimum"))
    return Figure(
        title, Axis(x_label), Axis(y_label), subtitle, tuple(series), tuple(marks), grid=grid, name="trajectory"
    )


def _near(grid: Grid, one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether the words of two points would lie on each other."""
    spans = (np.ptp(grid.x) or 1.0, np.ptp(grid.y) or 1.0)
    return all(abs(a - b) < 0.08 * span for a, b, span in zip(one, other, spans, strict=True))


def fit_figure(
    x: ArrayLike,
    y: ArrayLike,
    curve_x: ArrayLike,
    curve_y: ArrayLike,
    *,
    x_label: str = "x",
    y_label: str = "y",
    title: str = "fit",
    subtitle: str = "",
    validation: tuple[ArrayLike, ArrayLike] | None = None,
) -> Figure:
    """Return data points and the fitted curve through them.

    Args:
        x, y: the data, (N,).
        curve_x, curve_y: the model's curve, (M,), by increasing x.
        validation: x and y of further points, drawn apart.
    """
    series = [Series(np.asarray(x), np.asarray(y), "data", "points", slot=0)]
    if validation is not None:
        series.append(Series(np.asarray(validation[0]), np.asarray(validation[1]), "validation", "points", slot=2))
    series.append(Series(np.asarray(curve_x), np.asarray(curve_y), "model", slot=1))
    return Figure(title, Axis(x_label), Axis(y_label), subtitle, tuple(series), name="fit")


def decision_figure(
    grid_x: ArrayLike,
    grid_y: ArrayLike,
    grid_labels: ArrayLike,
    points: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    *,
    names: Sequence[str] = (),
    x_label: str = "",
    y_label: str = "",
    title: str = "decision regions",
    subtitle: str = "",
) -> Figure:
    """Return which class a model decides for in the plane of two inputs, with the examples.

    Args:
        grid_x, grid_y: coordinates of the grid, increasing, (X,) and (Y,).
        grid_labels: the class at each of its points, whole numbers from 0, (Y, X).
        points: the examples, (N, 2).
        labels: their classes, whole numbers, (N,).
        names: of the classes.
    """
    grid = Grid(np.asarray(grid_x), np.asarray(grid_y), np.asarray(grid_labels), "areas", "class")
    series = []
    if points is not None:
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        given = np.zeros(len(x), int) if labels is None else np.asarray(labels).reshape(-1).astype(int)
        for label in np.unique(given).tolist():
            name = names[label] if 0 <= label < len(names) else f"class {label}"
            series.append(Series(x[given == label], y[given == label], name, "points", slot=label))
    return Figure(title, Axis(x_label), Axis(y_label), subtitle, tuple(series), grid=grid, name="decisions")
