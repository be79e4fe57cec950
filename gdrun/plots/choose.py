"""The table of pictures, and the choice of the one that a run, several runs or a sweep gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.config.plugins import PluginSources
from gdrun.errors import UsageError
from gdrun.rundir.run import Run, load_run
from gdrun.suggest import did_you_mean
from gdrun.text import plural, safe_text

from . import model_pictures, run_pictures, sweep_pictures, trajectory
from .figure import Figure, Scale
from .picture import Picture

if TYPE_CHECKING:
    from gdrun.training.prepare import Prepared

PICTURES: tuple[Picture[Any], ...] = (
    run_pictures.loss_figure,
    run_pictures.validation_figure,
    run_pictures.metrics_figure,
    run_pictures.parameters_figure,
    trajectory.trajectory,
    run_pictures.gradient_norm_figure,
    run_pictures.learning_rate_figure,
    model_pictures.run_fit,
    model_pictures.run_decisions,
    model_pictures.run_spectrum,
    sweep_pictures.sensitivity_figure,
    sweep_pictures.heatmap_figure,
    sweep_pictures.curves_figure,
)
"""A line here and a decorated function add a picture. Help, pages and hints have this order."""

KINDS = {picture.kind: picture for picture in PICTURES}
SWEEP_KINDS = [picture.kind for picture in PICTURES if picture.of == "sweep"]
RUN_KINDS = [kind for kind in KINDS if kind not in SWEEP_KINDS]

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
    if kind is not None and kind not in KINDS:
        raise UsageError(
            f"there is no kind of picture '{safe_text(kind, limit=60)}'",
            hint=safe_text(did_you_mean(kind, KINDS, allowed="one of"), limit=300),
        )
    if x not in AXES:
        raise UsageError(f"x can be step or epoch, not '{safe_text(x, limit=60)}'")
    if at is not None and (kind is None or "at" not in KINDS[kind].options):
        raise UsageError("--at chooses where a spectrum is taken", hint="--kind spectrum --at start")
    references = [runs] if not isinstance(runs, Sequence) or isinstance(runs, str) else list(runs)
    loaded = [run if isinstance(run, Run) else load_run(run) for run in references]
    if not loaded:
        raise UsageError("no run is named")

    def load() -> Prepared:
        from gdrun.training.predict import load_trained

        return load_trained(loaded[0], device=device, plugins=plugins)

    # All records are read: one that cannot be is an error, since nothing can be drawn without it.
    is_sweep = True in {run.info.is_sweep for run in loaded}
    if columns and kind is None and not is_sweep:
        figure = run_pictures.columns_figure(loaded, columns, x=x, scale=scale)
    else:
        subject = _sweep(loaded) if is_sweep else loaded
        picture = KINDS[kind] if kind is not None else _default(subject, columns)
        options = {"x": x, "scale": scale, "columns": columns, "at": at, "load": load}
        _check_fit(picture, loaded, is_sweep, columns)
        figure = picture(
            loaded[0] if picture.of == "run" else subject,
            **{name: option for name, option in options.items() if name in picture.options},
        )
    if x_scale is not None:
        figure = replace(figure, x=replace(figure.x, scale=x_scale))
    return figure if title is None else replace(figure, title=title)


def _sweep(runs: Sequence[Run]) -> Run:
    if len(runs) > 1:
        raise UsageError(
            f"a sweep is drawn alone, but {plural(len(runs), 'run')} are named",
            hint="the run of its best trial is DIRECTORY/best",
        )
    (run,) = runs
    return run


def _default(subject: Run | Sequence[Run], columns: Sequence[str]) -> Picture[Any]:
    """Return the last picture of the table that is the default of the sweep or of the runs."""
    fitting = [picture for picture in PICTURES if (picture.of == "sweep") == isinstance(subject, Run)]
    return next(picture for picture in reversed(fitting) if picture.default(subject, columns))


def _check_fit(picture: Picture[Any], runs: Sequence[Run], is_sweep: bool, columns: Sequence[str]) -> None:
    """Raise UsageError where a picture is not one of these runs."""
    kind, first = picture.kind, safe_text(runs[0].id)
    if is_sweep and picture.of != "sweep":
        raise UsageError(
            f"{first} is a sweep, which has no picture '{kind}'",
            hint=f"one of {', '.join(SWEEP_KINDS)}; or name the run of its best trial: "
            f"{safe_text(runs[0].directory / 'best')}",
        )
    if picture.of == "sweep" and not is_sweep:
        raise UsageError(f"'{kind}' shows a sweep, and {first} is a single run", hint=f"one of {', '.join(RUN_KINDS)}")
    if picture.of == "run" and len(runs) > 1:
        raise UsageError(f"the picture '{kind}' shows one run, but {len(runs)} are named")
    if columns and "columns" not in picture.options:
        raise UsageError(f"--columns chooses recorded columns, so it does not go with the kind {kind}")
