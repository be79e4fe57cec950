"""Which picture a run gets: by its kind, or by what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gdrun.errors import UsageError
from gdrun.suggest import did_you_mean
from gdrun.text import plural, safe_text

from . import runs as of_runs
from . import sensitivity, sweep_lines, sweep_maps, ways
from .figure import Figure, Scale

if TYPE_CHECKING:
    from gdrun.config.plugins import PluginSources
    from gdrun.rundir.run import Run
    from gdrun.training.train import Prepared

RUN_KINDS = {
    "loss": "the loss, with the validation loss of one run",
    "validation": "the validation loss",
    "metrics": "metrics and recorded formulas; of several runs the first",
    "parameters": "the recorded parameters of one run",
    "trajectory": "the way of one run's parameters on the contours of its loss",
    "gradient_norm": "the gradient's norm",
    "learning_rate": "the learning rate",
}
MODEL_KINDS = {
    "fit": "the data of a run with one input, and its model's curve",
    "decisions": "the classes that the model of a run with two inputs decides for",
    "spectrum": "the eigenvalues of the Hessian of one run's loss",
}
"""What TensorFlow computes."""
SWEEP_KINDS = {
    "sensitivity": "what trials came to over one axis, a line for each of the other settings",
    "heatmap": "what trials came to over two axes",
    "curves": "the loss of each trial over its steps",
}
KINDS = RUN_KINDS | MODEL_KINDS | SWEEP_KINDS
"""Kind -> what it shows. The first ones are of runs, the last ones of a sweep."""

AXES = ("step", "epoch")


def plot(
    runs: Run | str | Path | Sequence[Run | str | Path] = "latest",
    *,
    kind: str | None = None,
    x: str = "step",
    scale: Scale | None = None,
    x_scale: Scale | None = None,
    columns: Sequence[str] = (),
    title: str | None = None,
    at: str | None = None,
    device: str | None = None,
    plugins: PluginSources = (),
) -> Figure:
    """Return a picture of a run, of several runs, or of a sweep.

    TensorFlow is imported for `fit`, `decisions` and `spectrum`, and for a trajectory whose loss is not a formula of
    the two parameters alone.

    Args:
        runs: one or several: `Run`s, paths, ids, the beginnings of ids, "latest".
        kind: one of `KINDS`. Default: the loss; of a sweep the sensitivity, or a heat map where it varies two numbers.
        x: "step" or "epoch".
        scale: of what is shown (upward, or a heat map's colours); None chooses.
        x_scale: of the x axis; None chooses.
        columns: of a run, what to show; of a sweep, the axis of a sensitivity, or the two of a heat map.
        title: instead of the picture's own.
        at: of a spectrum, where: "start", "end" (the default), or a step whose parameters were recorded.
        device, plugins: where something is computed: as in `gdrun.train`.
    Raises:
        UsageError: there is no such run, kind or column, or nothing to show, or a kind that does not fit the run.
        ConfigError: what is to be computed cannot be built any more.
        RunDirectoryError: a directory is damaged.
    """
    from dataclasses import replace

    if kind is not None and kind not in KINDS:
        raise UsageError(
            f"there is no kind of picture '{safe_text(kind, limit=60)}'",
            hint=safe_text(did_you_mean(kind, KINDS, allowed="one of"), limit=300),
        )
    if x not in AXES:
        raise UsageError(f"x can be step or epoch, not '{safe_text(x, limit=60)}'")
    if at is not None and kind != "spectrum":
        raise UsageError("--at chooses where a spectrum is taken", hint="--kind spectrum --at start")
    given = [runs] if not isinstance(runs, Sequence) or isinstance(runs, str) else list(runs)
    loaded = [_loaded(one) for one in given]
    if not loaded:
        raise UsageError("no run is named")
    sweeps = [run for run in loaded if _is_sweep(run)]
    if sweeps:
        figure = _of_sweep(sweeps, len(loaded), kind, scale, columns)
    else:
        load = partial(_prepared, loaded[0], device, plugins)
        if kind in MODEL_KINDS:
            figure = _of_model(_single(loaded, kind), kind, columns, load, at)
        elif kind == "trajectory":
            figure = ways.trajectory(_single(loaded, kind), columns, load=load)
        else:
            figure = _of_runs(loaded, kind, x, scale, columns)
    if x_scale is not None:
        figure = replace(figure, x=replace(figure.x, scale=x_scale))
    return figure if title is None else replace(figure, title=title)


def _loaded(run: Run | str | Path) -> Run:
    from gdrun.rundir.run import Run, load_run

    return run if isinstance(run, Run) else load_run(run)


def _is_sweep(run: Run) -> bool:
    # The record's trouble, if it has any, is told here: without it nothing can be drawn.
    return run.info.kind == "sweep"


def _of_sweep(
    sweeps: Sequence[Run], given: int, kind: str | None, scale: Scale | None, columns: Sequence[str]
) -> Figure:
    if given > 1:
        raise UsageError(
            f"a sweep is drawn alone, but {plural(given, 'run')} are named",
            hint="the run of its best trial is DIRECTORY/best",
        )
    (sweep,) = sweeps
    if kind in RUN_KINDS or kind in MODEL_KINDS:
        raise UsageError(
            f"{safe_text(sweep.id)} is a sweep, which has no picture '{kind}'",
            hint=f"one of {', '.join(SWEEP_KINDS)}; or name the run of its best trial: "
            f"{safe_text(sweep.directory / 'best')}",
        )
    if kind is None:
        kind = "heatmap" if len(columns) == 2 or (not columns and sweep_maps.is_map(sweep)) else "sensitivity"
    if kind == "curves":
        return sweep_lines.curves_figure(
            sweep, column=_at_most(columns, 1, kind)[0] if columns else "loss", scale=scale
        )
    if kind == "heatmap":
        return sweep_maps.heatmap_figure(sweep, axes=_exactly_two(columns), scale=scale)
    return sensitivity.sensitivity_figure(sweep, over=_at_most(columns, 1, kind)[0] if columns else None, scale=scale)


def _of_runs(runs: Sequence[Run], kind: str | None, x: str, scale: Scale | None, columns: Sequence[str]) -> Figure:
    if kind in SWEEP_KINDS:
        raise UsageError(
            f"'{kind}' shows a sweep, and {safe_text(runs[0].id)} is a single run",
            hint=f"one of {', '.join([*RUN_KINDS, *MODEL_KINDS])}",
        )
    if columns:
        if kind is not None:
            raise UsageError(f"--columns chooses what is shown, so it does not go with the kind {kind}")
        if len(runs) == 1:
            return of_runs.columns_figure(runs[0], columns, x=x, scale=scale)
        return of_runs.column_figure(runs, _at_most(columns, 1, "of several runs")[0], x=x, scale=scale)
    match kind:
        case None | "loss":
            return of_runs.loss_figure(runs, x=x, scale=scale)
        case "parameters":
            return of_runs.parameters_figure(_single(runs, kind), x=x, scale=scale)
        case "metrics":
            return of_runs.metrics_figure(runs, x=x, scale=scale)
        case "validation":
            return of_runs.validation_figure(runs, x=x, scale=scale)
        case "gradient_norm":
            return of_runs.gradient_norm_figure(runs, x=x, scale=scale)
        case "learning_rate":
            return of_runs.learning_rate_figure(runs, x=x, scale=scale)
    raise AssertionError(kind)


def _of_model(run: Run, kind: str, columns: Sequence[str], load: Callable[[], Prepared], at: str | None) -> Figure:
    from . import models

    if columns:
        raise UsageError(f"--columns chooses recorded columns, so it does not go with the kind {kind}")
    match kind:
        case "fit":
            return models.run_fit(run, load=load)
        case "decisions":
            return models.run_decisions(run, load=load)
        case "spectrum":
            return models.run_spectrum(run, load=load, at=at)
    raise AssertionError(kind)


def _prepared(run: Run, device: str | None, plugins: PluginSources) -> Prepared:
    from gdrun.training.prediction import load_trained

    return load_trained(run, device=device, plugins=plugins)


def _single(runs: Sequence[Run], kind: str) -> Run:
    if len(runs) > 1:
        raise UsageError(f"the picture '{kind}' shows one run, but {len(runs)} are named")
    return runs[0]


def _at_most(columns: Sequence[str], most: int, what: str) -> Sequence[str]:
    if len(columns) > most:
        raise UsageError(f"a picture {what} takes one column, but {len(columns)} are named")
    return columns


def _exactly_two(columns: Sequence[str]) -> Sequence[str] | None:
    if columns and len(columns) != 2:
        raise UsageError(f"a heat map takes two axes, but {len(columns)} {'is' if len(columns) == 1 else 'are'} named")
    return columns or None
