"""Pictures of trained models: fit, decisions, spectrum of the Hessian. Of runs, by TensorFlow, and from arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gdrun.errors import UsageError
from gdrun.rundir.run import Run
from gdrun.text import plural, plural_count

from .downsampling import evenly
from .figure import Figure, FigureAxis, Grid, ReferenceLine, Series, SeriesStyle
from .names import title_of
from .picture import picture
from .run_pictures import FEW_POINTS, subtitle
from .scales import natural_scale, number_text
from .trajectory import Load
from .trial_columns import ticks_of

if TYPE_CHECKING:
    from gdrun.training.prepare import Prepared

_MOST_POINTS = 2000
"""So many examples are drawn."""


@picture("fit", of="run", computes=True)
def run_fit(run: Run, *, load: Load, step: int | None = None) -> Figure:
    """Return the data of a run with one input and the curve that its model has through it.

    Args:
        step: 0 is the start, None the end; else one whose row holds the parameters.
    Raises:
        UsageError: the run is not of that kind, or has not ended.
    """
    from gdrun.analysis.model_response import ModelResponse

    response = ModelResponse(_finished(run, load), run, step, "a fit", 1)
    curve = response.curve()
    (x, y), more = _some(response.train.inputs[:, 0], response.train.target.reshape(-1))
    validation = None
    if response.validation is not None:
        (inputs, targets), note = _some(response.validation.inputs[:, 0], response.validation.target.reshape(-1))
        validation, more = (inputs, targets), more or note
    figure = fit_figure(
        x, y, *curve, x_label=response.names[0], y_label=response.target_name, title=title_of(run, "fit"),
        subtitle=_subtitle(run, step), validation=validation,
    )  # fmt: skip
    notes = ["the model's line is the probability of 1, sigmoid of its output"] if response.is_probability else []
    return replace(figure, notes=(*notes, *more))


@picture("decisions", of="run", computes=True)
def run_decisions(run: Run, *, load: Load, step: int | None = None) -> Figure:
    """Return the classes that the model of a run with two inputs decides for, with the examples.

    Args:
        step: 0 is the start, None the end; else one whose row holds the parameters.
    Raises:
        UsageError: the run is not of that kind, or has not ended.
    """
    from gdrun.analysis.model_response import ModelResponse

    response = ModelResponse(_finished(run, load), run, step, "decision regions", 2)
    grid_x, grid_y, decided, classes = response.regions()
    (x, y, labels), more = _some(*response.train.inputs.T, classes)
    figure = decision_figure(
        grid_x, grid_y, decided, np.stack([x, y], axis=1), labels, names=response.class_names,
        x_label=response.names[0], y_label=response.names[1], title=title_of(run, "decisions"),
        subtitle=_subtitle(run, step),
    )  # fmt: skip
    return replace(figure, notes=more)


@picture("confusion", of="run", computes=True)
def run_confusion(run: Run, *, load: Load, step: int | None = None) -> Figure:
    """Return how many examples of each class a run's model takes for which: a confusion matrix.

    Args:
        step: as in `run_fit`.
    Raises:
        UsageError: the run is no classifier, or has not ended.
    """
    from gdrun.analysis.model_response import ModelResponse

    response = ModelResponse(_finished(run, load), run, step, "a confusion matrix")
    counts, names = response.confusion()
    total, places = int(counts.sum()), np.arange(len(counts))
    # The first class stands at the top, as in a table.
    grid = Grid(places, places, counts[::-1], "cells", "count")
    examples = plural_count(total, f"{'training' if response.validation is None else 'validation'} example")
    when = "" if step is None else f", {_subtitle(run, step)}"
    return Figure(
        title_of(run, "confusion"),
        FigureAxis("decided", ticks=ticks_of(names)),
        FigureAxis("true", ticks=ticks_of(reversed(names))),
        f"{100 * np.trace(counts) / total:.3g} % of {examples} are decided right{when}",
        grid=grid,
        name="confusion",
    )


@picture("spectrum", of="run", computes=True)
def run_spectrum(run: Run, *, load: Load, step: int | None = None) -> Figure:
    """Return the eigenvalues of the Hessian of one run's loss, with the largest one at which it is stable.

    Args:
        step: 0 is the start, None the end; else one whose row holds the parameters.
    Raises:
        UsageError: there is no such place, parameters are complex, the data is not in memory.
    """
    from gdrun.analysis.evaluation_point import at_step
    from gdrun.analysis.spectra import spectrum_at

    prepared = load() if step == 0 else _finished(run, load)
    at = at_step(prepared, run, step)
    eigenvalues, limit, notes = spectrum_at(at)
    rate = float(np.ravel(prepared.built.setting.learning_rate.numpy())[0])
    place = {0: "at the start", run.info.steps: "at the end"}.get(at.step, f"at step {at.step:,}")
    figure = spectrum_figure(
        eigenvalues,
        title=title_of(run, "spectrum of the Hessian"),
        subtitle=f"{place}, learning rate {number_text(rate)}",
        limit=limit,
    )
    return replace(figure, notes=(*figure.notes, *notes))


def _subtitle(run: Run, step: int | None) -> str:
    return subtitle(run) if step is None else f"at step {step:,}"


def _finished(run: Run, load: Load) -> Prepared:
    if run.info.steps is None:
        raise UsageError(f"{run.id} has not ended, so it has no parameters yet", hint="gdrun resume continues it")
    return load()


def _some(*columns: np.ndarray) -> tuple[tuple[np.ndarray, ...], tuple[str, ...]]:
    """Return at most so many examples, evenly, and a note where they are not all."""
    count = len(columns[0])
    if count <= _MOST_POINTS:
        return columns, ()
    chosen = evenly(count, _MOST_POINTS)
    return tuple(column[chosen] for column in columns), (f"{len(chosen):,} of {count:,} examples are drawn",)


# --- from arrays ------------------------------------------------------------------------------------------------------


def spectrum_figure(
    eigenvalues: ArrayLike, *, title: str = "spectrum of the Hessian", subtitle: str = "", limit: float | None = None
) -> Figure:
    """Return eigenvalues by rank, the largest first; negative ones, by size, as a series of their own.

    Args:
        eigenvalues: real, (P,), any order.
        limit: the largest at which the configured optimizer is stable, as a horizontal line.
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
    rules = (ReferenceLine(y=limit, label=f"stable below {number_text(limit)}"),) if limit is not None else ()
    return Figure(
        title, FigureAxis("rank", whole=True), FigureAxis("eigenvalue", scale), subtitle, tuple(series), rules=rules,
        notes=tuple(notes), name="spectrum",
    )  # fmt: skip


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
    return Figure(title, FigureAxis(x_label), FigureAxis(y_label), subtitle, tuple(series), name="fit")


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
    """Return the classes that a model decides for in the plane of two inputs, with the examples.

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
        classes = np.zeros(len(x), int) if labels is None else np.asarray(labels).reshape(-1).astype(int)
        for label in np.unique(classes).tolist():
            name = names[label] if 0 <= label < len(names) else f"class {label}"
            series.append(Series(x[classes == label], y[classes == label], name, "points", slot=label))
    return Figure(title, FigureAxis(x_label), FigureAxis(y_label), subtitle, tuple(series), grid=grid, name="decisions")
