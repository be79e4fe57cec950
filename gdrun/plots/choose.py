"""The table of pictures, and the choice of the one that a run, several runs or a sweep gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from gdrun.config.plugins import PluginSources
from gdrun.errors import UsageError
from gdrun.rundir.run import Run, Runs, load_runs
from gdrun.rundir.seeds import Band
from gdrun.suggest import did_you_mean, listed
from gdrun.text import plural

from . import model_pictures, run_pictures, sweep_pictures, trajectory
from .animation import FRAMES_PER_SECOND, MOST_FRAMES, SECONDS, Animation, computed, revealed, spaced
from .columns import PARAMETERS
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
    run_pictures.norms_figure,
    run_pictures.learning_rate_figure,
    model_pictures.run_fit,
    model_pictures.run_decisions,
    model_pictures.run_confusion,
    model_pictures.run_spectrum,
    sweep_pictures.sensitivity_figure,
    sweep_pictures.heatmap_figure,
    sweep_pictures.curves_figure,
    sweep_pictures.history_figure,
    sweep_pictures.parallel_figure,
    sweep_pictures.importance_figure,
)
"""A line here and a decorated function add a picture. Help, pages and hints have this order."""

KINDS = {picture.kind: picture for picture in PICTURES}
SWEEP_KINDS = [picture.kind for picture in PICTURES if picture.of in ("sweep", "any")]
RUN_KINDS = [picture.kind for picture in PICTURES if picture.of != "sweep"]

AXES = ("step", "epoch")


class PictureOptions(TypedDict, total=False):
    """Options of pictures and animations; what is left out is None, but for `x`, `columns`, `band` and `plugins`."""

    kind: str | None
    """One of `KINDS`. Default: the loss; of a sweep the sensitivity, or a heat map where it varies two numbers."""
    x: str
    """"step" (the default) or "epoch"."""
    scale: Scale | None
    """Of what is shown (upward, or a heat map's colours); None chooses."""
    x_scale: Scale | None
    """Of the x axis; None chooses."""
    columns: Sequence[str]
    """Of a run, what to show; of a sweep, the axis of a sensitivity, or the two of a heat map."""
    title: str | None
    """Instead of the picture's own."""
    band: Band | None
    """A line with a band for three runs or trials or more that differ in the seed alone: the median and the middle half
    ("quartiles", the default), mean and standard deviation ("deviation"); None: a line each."""
    device: str | None
    plugins: PluginSources
    """As in `gdrun.train`, for pictures that compute something."""


def plot(runs: Runs = "latest", *, at: str | None = None, **options: Unpack[PictureOptions]) -> Figure:
    """Return a picture of a run, of several runs, or of a sweep.

    TensorFlow is imported for `fit`, `decisions`, `confusion` and `spectrum`, and for trajectories whose loss is not a
    formula of the two parameters alone.

    Args:
        runs: one or several: `Run`s, paths, ids, the beginnings of ids, "latest".
        at: of a fit, decisions, a spectrum: "start", "end" (the default), or a step whose parameters were recorded.
        options: kind, x, scale, x_scale, columns, title, band, device, plugins: see `PictureOptions`.
    Raises:
        UsageError: there is no such run, kind or column, or nothing to show, or a kind that does not fit the run.
        ConfigError: what is to be computed cannot be built any more.
        RunDirectoryError: a directory is damaged.
    """
    kind = options.get("kind")
    if at is not None and (kind not in KINDS or "step" not in KINDS[kind].options):
        kinds = listed([name for name, picture in KINDS.items() if "step" in picture.options], 9)
        raise UsageError(f"--at chooses the step of a picture that is computed at one: {kinds}", hint="--kind KIND")
    return _chosen_picture(runs, options).at(_step(at))


def animate(
    runs: Runs = "latest",
    *,
    seconds: float = SECONDS,
    fps: float = FRAMES_PER_SECOND,
    **options: Unpack[PictureOptions],
) -> Animation:
    """Return a picture that moves over the steps of training: more frames where more happens.

    Trajectories and lines grow; fits, decisions and spectra are computed from the parameters that were recorded.

    Args:
        seconds, fps: how long it runs, at so many frames a second.
        options: as of `plot`.
    Raises:
        UsageError: the run recorded no parameters, or the picture has no steps; else as `plot`.
    """
    num_frames = max(min(round(seconds * fps), MOST_FRAMES), 2)
    chosen = _chosen_picture(runs, options)
    if "step" not in chosen.picture.options:
        return revealed(chosen.at(None), num_frames, seconds)
    from gdrun.analysis.evaluation_point import recorded_steps

    run = chosen.runs[0]
    has_any = any(name.startswith(PARAMETERS) for name in run.metrics)
    known = recorded_steps(chosen.load(), run) if has_any else []
    if len(known) < 2:
        raise UsageError(
            f"{run.id} recorded no parameters, so there is nothing to compute between its start and its end",
            hint="train it again with `record: {parameters: true}` in the config",
        )
    return computed(chosen.at, spaced(run_pictures.loss_figure(run), num_frames, known), seconds)


def _step(at: str | None) -> int | None:
    """Return the step that "start", "end" or a number mean, None for the end."""
    if at is None or at == "end":
        return None
    if at == "start":
        return 0
    if at.isascii() and at.isdigit() and len(at) < 19:
        return int(at)
    raise UsageError(f"there is no place '{at}'", hint="--at start, end or a step")


@dataclass(frozen=True)
class _ChosenPicture:
    """A picture that was chosen, with what it is of and its options."""

    runs: list[Run]
    picture: Picture[Any]
    subject: Run | Sequence[Run]
    options: dict[str, Any]
    load: Callable[[], Prepared]
    x_scale: Scale | None
    title: str | None

    def at(self, step: int | None) -> Figure:
        """Return the figure; `step` is for those that are computed at one, None is the end."""
        options = self.options | {"step": step, "load": self.load}
        figure = self.picture(
            self.subject, **{name: option for name, option in options.items() if name in self.picture.options}
        )
        if self.x_scale is not None:
            figure = replace(figure, x=replace(figure.x, scale=self.x_scale))
        return figure if self.title is None else replace(figure, title=self.title)


def _chosen_picture(runs: Runs, options: PictureOptions) -> _ChosenPicture:
    if unknown := options.keys() - PictureOptions.__annotations__.keys():
        raise TypeError(f"pictures have no option {min(unknown)!r}")
    kind, x, columns = options.get("kind"), options.get("x", "step"), options.get("columns", ())
    if kind is not None and kind not in KINDS:
        raise UsageError(f"there is no kind of picture '{kind}'", hint=did_you_mean(kind, KINDS, allowed="one of"))
    if x not in AXES:
        raise UsageError(f"x can be step or epoch, not '{x}'")
    loaded = load_runs(runs)

    @cache
    def load() -> Prepared:
        from gdrun.training.predict import load_trained

        trained = loaded[0].best_run or loaded[0]
        return load_trained(trained, device=options.get("device"), plugins=options.get("plugins", ()))

    # All records are read: one that cannot be is an error, since nothing can be drawn without it.
    is_sweep = True in {run.info.is_sweep for run in loaded}
    subject = _sweep(loaded) if is_sweep else loaded
    if columns and kind is None and not is_sweep:
        picture = run_pictures.columns_figure
    else:
        # Of several defaults the last in the table is.
        fitting = (picture for picture in reversed(PICTURES) if picture.fits(loaded[0]))
        picture = KINDS[kind] if kind is not None else next(each for each in fitting if each.default(subject, columns))
        _check_fit(picture, loaded, is_sweep, columns)
    used = {"x": x, "scale": options.get("scale"), "columns": columns, "band": options.get("band", "quartiles")}
    return _ChosenPicture(
        loaded, picture, loaded[0] if picture.of == "run" else subject, used, load, options.get("x_scale"),
        options.get("title"),
    )  # fmt: skip


def _sweep(runs: Sequence[Run]) -> Run:
    if len(runs) > 1:
        raise UsageError(
            f"a sweep is drawn alone, but {plural(len(runs), 'run')} are named",
            hint="the run of its best trial is DIRECTORY/best",
        )
    (run,) = runs
    return run


def _check_fit(picture: Picture[Any], runs: Sequence[Run], is_sweep: bool, columns: Sequence[str]) -> None:
    """Raise UsageError where a picture is not one of these runs."""
    kind, first = picture.kind, runs[0].id
    if is_sweep and picture.of not in ("sweep", "any"):
        raise UsageError(
            f"{first} is a sweep, which has no picture '{kind}'",
            hint=f"one of {', '.join(SWEEP_KINDS)}; or name the run of its best trial: {runs[0].directory / 'best'}",
        )
    if picture.of == "sweep" and not is_sweep:
        raise UsageError(f"'{kind}' shows a sweep, and {first} is a single run", hint=f"one of {', '.join(RUN_KINDS)}")
    if picture.of == "run" and len(runs) > 1:
        raise UsageError(f"the picture '{kind}' shows one run, but {len(runs)} are named")
    if columns and "columns" not in picture.options:
        raise UsageError(f"--columns chooses recorded columns, so it does not go with the kind {kind}")
