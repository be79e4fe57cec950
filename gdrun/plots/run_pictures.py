"""Pictures of what runs recorded, over steps or epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gdrun.errors import UsageError
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.seeds import FEWEST_SEEDS, Band, seed_groups
from gdrun.suggest import listed
from gdrun.text import plural, plural_count

from .columns import (
    GRADIENT_NORMS,
    PARAMETERS,
    WEIGHT_NORMS,
    components,
    few,
    metric_names,
    named_components,
    places_of,
)
from .downsampling import evenly
from .figure import Figure, FigureAxis, Mark, ReferenceLine, Scale, Series, SeriesStyle, Weight, numbers
from .names import heading_of, run_labels, title_of
from .palette import LINES
from .picture import always, only_column, picture
from .scales import natural_scale, number_text
from .seed_bands import band_series, seeds_note

FEW_POINTS = 30
"""Lines through so few points show the points."""
MOST_MARKS = 40
"""Of zeros of one line."""
MOST_PHASE_LABELS = 8


@picture("loss", of="runs", default=always, on_page=always)
def loss_figure(
    runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None, band: Band | None = "quartiles"
) -> Figure:
    """Return the loss over steps: of one run with its validation loss, of several runs a line each.

    With several steps an epoch, the loss of single batches stays in the background behind the mean over each epoch.

    Args:
        runs: one or several; those without rows are left out.
        x: "step" or "epoch".
        scale: of the loss; None is logarithmic where it is positive and spans more than two decades.
        band: where three runs or more differ in the seed alone: the median and the middle half ("quartiles"), mean and
            standard deviation ("deviation"), or None: a line each.
    Raises:
        UsageError: there is nothing to draw.
    """
    recorded = with_rows(runs)
    if len(recorded) > 1:
        return _several(recorded, _best_loss, "loss", "loss", x, scale, band)
    (run,) = recorded
    lines, columns = _Lines(run, x, scale), run.metrics
    if _has_epochs(run):
        lines.add(columns["loss"], "single batches", 0, weight="faint")
        lines.add(columns["loss_epoch"], "mean of each epoch", 0)
    else:
        lines.add(columns["loss"], "training" if "validation_loss" in columns else "", 0)
    if "validation_loss" in columns:
        lines.add(columns["validation_loss"], "validation", 1)
    lines.marks += (*_diverged(run, x, None), *_best(run, lines.places, lines.series))
    return lines.figure("loss", "loss", "loss")


def _varies(column: str) -> Callable[[Run], bool]:
    def varies(run: Run) -> bool:
        values = run.metrics.get(column)
        if values is None or values.ndim != 1 or values.dtype.kind not in "iuf":
            return False
        finite = values[np.isfinite(values)]
        return bool(len(finite) and (finite != finite[0]).any())

    return varies


@picture("validation", of="runs")
def validation_figure(
    runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None, band: Band | None = "quartiles"
) -> Figure:
    """Return the validation loss over steps, a line a run.

    See `loss_figure`.
    """
    return _several(with_rows(runs), _column("validation_loss"), "validation loss", "validation", x, scale, band)


@picture("metrics", of="runs", on_page=lambda run: bool(metric_names(run)))
def metrics_figure(
    runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None, band: Band | None = "quartiles"
) -> Figure:
    """Return all metrics and recorded formulas of one run, or the first metric of several.

    See `loss_figure`.
    """
    recorded = with_rows(runs)
    names = metric_names(recorded[0])
    if not names:
        raise UsageError(f"{recorded[0].id} recorded no metrics", hint=_has(recorded[0]))
    if len(recorded) > 1:
        return _several(recorded, _column(names[0]), names[0], "metrics", x, scale, band)
    return _columns(recorded[0], names, x, scale, name="metrics", title="metrics")


@picture("parameters", of="run", on_page=lambda run: any(name.startswith(PARAMETERS) for name in run.metrics))
def parameters_figure(run: Run, *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return the recorded parameters of a run over steps, a line each; of many numbers a few, and a note says so.

    Raises:
        UsageError: the run recorded none.
    """
    names = [name for name in with_rows(run)[0].metrics if name.startswith(PARAMETERS)]
    if not names:
        raise UsageError(f"{run.id} recorded no parameters", hint="`record: {parameters: true}` in the config does")
    return _columns(run, names, x, scale, name="parameters", title="parameters")


@picture("gradient_norm", of="runs", on_page=_varies("gradient_norm"))
def gradient_norm_figure(
    runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None, band: Band | None = "quartiles"
) -> Figure:
    """Return the gradient's norm over steps, a line a run.

    See `loss_figure`.
    """
    return _several(with_rows(runs), _column("gradient_norm"), "gradient norm", "gradient_norm", x, scale, band)


@picture("norms", of="run", on_page=lambda run: any(name.startswith(GRADIENT_NORMS) for name in run.metrics))
def norms_figure(run: Run, *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return the norms of a run's gradients and weights over steps, layer by layer.

    Of many layers a few are drawn, evenly from the first to the last, and a note says so.

    Raises:
        UsageError: the run recorded none.
    """
    columns = with_rows(run)[0].metrics
    layers = [name.removeprefix(GRADIENT_NORMS) for name in columns if name.startswith(GRADIENT_NORMS)]
    if not layers:
        raise UsageError(f"{run.id} recorded no norms", hint="`record: {norms: true}` in the config does")
    drawn = [layers[index] for index in evenly(len(layers), len(LINES))]
    lines = _Lines(run, x, scale)
    for slot, layer in enumerate(drawn):
        lines.add(columns[GRADIENT_NORMS + layer], f"{layer} gradient", slot)
        lines.add(columns[WEIGHT_NORMS + layer], f"{layer} weights", slot, weight="faint")
    lines.marks += _diverged(run, x, None)
    lines.notes += [f"{len(drawn)} of {len(layers)} layers are drawn"] if len(drawn) < len(layers) else []
    lines.notes.append("pale: the norms of the weights")
    return lines.figure("norms", "norms by layer", "Euclidean norm")


@picture("learning_rate", of="runs", on_page=_varies("learning_rate"))
def learning_rate_figure(
    runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None, band: Band | None = "quartiles"
) -> Figure:
    """Return the learning rate over steps, a line a run.

    See `loss_figure`.
    """
    return _several(with_rows(runs), _column("learning_rate"), "learning rate", "learning_rate", x, scale, band)


@picture("columns", of="runs")
def columns_figure(
    runs: Run | Sequence[Run],
    columns: Sequence[str],
    *,
    x: str = "step",
    scale: Scale | None = None,
    band: Band | None = "quartiles",
) -> Figure:
    """Return any recorded columns of a run over steps, a line for each number in them; of several runs one column.

    Args:
        columns: as on the command line: "loss", "a" for "parameters.a", "W[0,1]", "c.re".
        x, scale: as in `loss_figure`.
    Raises:
        UsageError: the run has no such column.
    """
    if isinstance(runs, Sequence) and len(runs) > 1:
        column = only_column(columns, "of several runs") or ""
        return _several(
            with_rows(runs), lambda run: named_components(run, [column])[0].values, column, "columns", x, scale, band
        )
    (run,) = with_rows(runs)
    return _columns(run, columns, x, scale, name="columns", title=", ".join(columns))


# --- parts ------------------------------------------------------------------------------------------------------------


def _columns(run: Run, columns: Sequence[str], x: str, scale: Scale | None, *, name: str, title: str) -> Figure:
    groups = [named_components(run, [column]) for column in columns]
    chosen, total = few(groups, len(LINES)), sum(map(len, groups))
    alone = len(chosen) == 1
    lines = _Lines(run, x, scale)
    for slot, part in enumerate(chosen):
        lines.add(part.values, "" if alone else part.label, slot)
    lines.marks += _diverged(run, x, None)
    lines.notes += [f"{len(chosen)} of {total} numbers are drawn"] if total > len(chosen) else []
    return lines.figure(name, title, chosen[0].label if alone else "")


def subtitle(run: Run) -> str:
    """Return a line about a run: steps, status, final loss."""
    if run.problem:
        return ""
    record = run.info
    words = [plural_count(record.steps, "step")] if record.steps is not None else []
    status = str(run.status)
    if (step := run.get("diverged_at")) is not None:
        words.append(f"diverged at step {step:,}")
    elif status != "completed":
        words.append(status)
    loss = record.final.get("loss")
    if isinstance(loss, int | float):
        words.append(f"final loss {number_text(loss)}")
    return ", ".join(words)


def with_rows(runs: Run | Sequence[Run]) -> list[Run]:
    """Return the runs that have rows.

    Raises:
        UsageError: none has.
    """
    everything = list(runs) if isinstance(runs, Sequence) else [runs]
    recorded = [run for run in everything if len(run.table)]
    if not recorded:
        names = ", ".join(run.id for run in everything[:3]) + (", ..." if len(everything) > 3 else "")
        raise UsageError(f"{names or 'no run'}: no row was recorded, so there is nothing to draw")
    return recorded


class _Lines:
    """Lines through the rows of a run, or of several, of which `run` is the first, with marks and notes."""

    def __init__(self, run: Run, x: str, scale: Scale | None) -> None:
        self.run, self.x, self.scale = run, x, scale
        self.places = places_of(run, x)
        self.series: list[Series] = []
        self.marks: list[Mark] = []
        self.notes: list[str] = []

    def add(
        self, values: np.ndarray, label: str, slot: int, *, weight: Weight = "strong", run: Run | None = None
    ) -> None:
        """Add a line through the rows that have a value; a value that is not finite breaks it."""
        values = numbers(values)
        # A metric that only ends of epochs have is nan between them; what overflowed is inf.
        present = ~np.isnan(values)
        style: SeriesStyle = "both" if present.sum() <= FEW_POINTS else "line"
        x, steps = self.places if run is None else places_of(run, self.x), (run or self.run).table.steps
        self.series.append(Series(x[present], values[present], label, style, weight, slot, steps=steps[present]))

    def figure(self, name: str, title: str, label: str) -> Figure:
        """Return the figure with its scale of y chosen, and with marks and notes of what that scale hides."""
        values = [item.y for item in self.series]
        chosen = self.scale or natural_scale(values, zeros=True)
        marks, notes = list(self.marks), list(self.notes)
        if not any(np.isfinite(array).any() for array in values):
            notes.append("no value is finite")
        if chosen == "log":
            zeros = [
                (item.slot, item.x[item.y == 0]) for item in self.series if item.weight == "strong" and 0 in item.y
            ]
            for slot, x in zeros:
                marks += [Mark(float(place), None, "zero", slot=slot) for place in x[evenly(len(x), MOST_MARKS)]]
            if zeros:
                notes.append("▽ is 0, which a logarithmic axis has no place for")
            if negative := sum(int((array < 0).sum()) for array in values):
                notes.append(f"{plural(negative, 'negative value')} {'is' if negative == 1 else 'are'} left out")
        return Figure(
            title_of(self.run, title), FigureAxis(self.x, whole=self.x == "step"), FigureAxis(label, chosen),
            subtitle(self.run), tuple(self.series), tuple(marks), rules=_phase_begins(self.run, self.places),
            name=name, notes=tuple(notes),
        )  # fmt: skip


def _column(name: str) -> Callable[[Run], np.ndarray]:
    def values(run: Run) -> np.ndarray:
        if name not in run.metrics:
            raise UsageError(f"{run.id} recorded no {name}", hint=_has(run))
        (part, *_) = components(run, name)
        return part.values

    return values


def _best_loss(run: Run) -> np.ndarray:
    return numbers(run.metrics["loss_epoch" if _has_epochs(run) else "loss"])


def _has_epochs(run: Run) -> bool:
    """Return whether the mean of each epoch makes a line."""
    return "loss_epoch" in run.metrics and int(np.isfinite(run.metrics["loss_epoch"]).sum()) >= 3


def _has(run: Run) -> str:
    return f"it recorded: {listed([name for name in run.metrics if name != 'step'])}"


def _several(
    runs: Sequence[Run],
    values: Callable[[Run], np.ndarray],
    label: str,
    name: str,
    x: str,
    scale: Scale | None,
    band: Band | None = None,
) -> Figure:
    """Return a picture with a line a run, or with a band for three or more that differ in the seed alone."""
    lines = _Lines(runs[0], x, scale)
    groups = _over_seeds(runs) if band is not None else [[run] for run in runs]
    for slot, (members, text) in enumerate(zip(groups, run_labels(groups), strict=True)):
        for run in members:
            lines.marks += _diverged(run, x, slot)
        if band is None or len(members) == 1:
            lines.add(values(members[0]), text, slot, run=members[0])
            continue
        steps, curves = _aligned(members, values)
        line = band_series(
            steps, curves, label.replace(" ", "_"), band, label=text, slot=slot,
            diverged=[run.status is Status.DIVERGED for run in members],
            ended=[run.status in (Status.COMPLETED, Status.STOPPED) for run in members],
        )  # fmt: skip
        longest = max(members, key=lambda run: int(run.table.steps[-1]))
        lines.series.append(replace(line, x=np.interp(line.x, longest.table.steps, places_of(longest, x))))
        lines.notes = [seeds_note(band, max(map(len, groups)))]
    figure = lines.figure(name, label, label)
    if len(runs) == 1:
        return figure
    title, below = heading_of(runs, label)
    return replace(figure, title=title, subtitle=below, rules=(), graded=len(runs) > len(LINES))


def _over_seeds(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups that differ in the seed alone, where such a group has enough for a band."""
    settings = [run.settings for run in runs]
    groups = seed_groups(settings)
    if sum(map(len, groups)) < len(runs):  # some are equal, so each is shown
        return [[run] for run in runs]
    parts = [[group] if len(group) >= FEWEST_SEEDS else [[place] for place in group] for group in groups]
    return [[runs[place] for place in places] for part in parts for places in part]


def _aligned(runs: Sequence[Run], values: Callable[[Run], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return (all steps that any of the runs recorded (R,), their values there (n, R), nan where one has none)."""
    steps = np.unique(np.concatenate([run.table.steps for run in runs]))
    curves = np.full((len(runs), len(steps)), np.nan)
    for curve, run in zip(curves, runs, strict=True):
        curve[np.searchsorted(steps, run.table.steps)] = numbers(values(run))
    return steps, curves


def _diverged(run: Run, x: str, slot: int | None) -> tuple[Mark, ...]:
    """Return the mark of the step at which a run diverged."""
    if (step := run.get("diverged_at")) is None:
        return ()
    epochs = run.epochs_at(np.asarray(step)) if x == "epoch" else None
    place = float(step if epochs is None else epochs)
    return (Mark(place, None, "diverged", "diverged" if slot is None else "", slot, step),)


def _best(run: Run, x: np.ndarray, series: Sequence[Series]) -> tuple[Mark, ...]:
    """Return the mark of the best validation loss, where that chose the parameters."""
    best = run.value("best") or {}
    step, value = best.get("step"), best.get("value")
    rows = np.flatnonzero(run.table.steps == step)
    if best.get("metric") != "validation_loss" or not isinstance(value, int | float) or not len(rows):
        return ()
    return (Mark(float(x[rows[0]]), float(value), "best", f"best {number_text(value)}", series[-1].slot, step),)


def _phase_begins(run: Run, x: np.ndarray) -> tuple[ReferenceLine, ...]:
    """Return a line where each phase of a run begins, but for the first."""
    begins = [] if run.problem else [phase["begins"] for phase in run.info.phases[1:]]
    places = np.interp(begins, run.table.steps, x)
    labels = [f"phases.{number}" if len(begins) <= MOST_PHASE_LABELS else "" for number in range(1, len(begins) + 1)]
    return tuple(map(ReferenceLine, places.tolist(), [None] * len(begins), labels))
