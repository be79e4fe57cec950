"""Pictures of runs: what was recorded, over steps or epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import UsageError
from gdrun.text import plural, safe_text

from .columns import PARAMETERS, components, few, metric_names, named_components, steps_of
from .differences import run_labels
from .figure import Axis, Figure, Mark, Scale, Series, numbers
from .palette import LINES
from .scales import natural_scale, number_text

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

FEW_POINTS = 30
"""Lines through so few points show the points."""


def loss_figure(runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return the loss over steps: of one run with its validation loss, of several a line each.

    With several steps an epoch, the loss of single batches stays in the background behind the mean over each epoch.

    Args:
        runs: one or several; those without rows are left out.
        x: "step" or "epoch".
        scale: of the loss; None is logarithmic where it is positive and spans more than two decades.
    Raises:
        UsageError: there is nothing to draw.
    """
    shown = with_rows(runs)
    if len(shown) > 1:
        return _several(shown, _best_loss, "loss", "loss", x, scale)
    run = shown[0]
    at, unit = steps_of(run, x)
    series = []
    if _has_epochs(run):
        series.append(_line(at, run.metrics["loss_epoch"], "mean of each epoch", slot=0))
        series.insert(0, replace(_line(at, run.metrics["loss"], "single batches", slot=0), weight="faint"))
    else:
        series.append(_line(at, run.metrics["loss"], "training", slot=0))
    if "validation_loss" in run.metrics:
        series.append(_line(at, run.metrics["validation_loss"], "validation", slot=1))
    if len(series) == 1:
        series = [replace(series[0], label="")]
    figure = Figure(title_of(run, "loss"), _across(unit), Axis("loss"), subtitle(run), tuple(series), name="loss")
    return _finished(figure, scale, (*_diverged(run, x, None), *_best(run, at, series)))


def validation_figure(runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return the validation loss over steps, a line a run; see `loss_figure`."""
    return _several(with_rows(runs), _column("validation_loss"), "validation loss", "validation", x, scale)


def learning_rate_figure(runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return the learning rate over steps, a line a run; see `loss_figure`."""
    return _several(with_rows(runs), _column("learning_rate"), "learning rate", "learning_rate", x, scale)


def gradient_norm_figure(runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return the gradient's norm over steps, a line a run; see `loss_figure`."""
    return _several(with_rows(runs), _column("gradient_norm"), "gradient norm", "gradient_norm", x, scale)


def metrics_figure(runs: Run | Sequence[Run], *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return all metrics and recorded formulas of one run, or the first metric of several; see `loss_figure`."""
    shown = with_rows(runs)
    names = metric_names(shown[0])
    if not names:
        raise UsageError(f"{safe_text(shown[0].id)} recorded no metrics", hint=_has(shown[0]))
    if len(shown) > 1:
        return _several(shown, _column(names[0]), names[0], "metrics", x, scale)
    return columns_figure(shown[0], names, x=x, scale=scale, name="metrics", title="metrics")


def parameters_figure(run: Run, *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return the recorded parameters of a run over steps, a line each; of many numbers a few, and a note says so.

    Raises:
        UsageError: the run recorded none.
    """
    names = [name for name in with_rows(run)[0].metrics if name.startswith(PARAMETERS)]
    if not names:
        raise UsageError(
            f"{safe_text(run.id)} recorded no parameters", hint="`record: {parameters: true}` in the config does"
        )
    return columns_figure(run, names, x=x, scale=scale, name="parameters", title="parameters")


def columns_figure(
    run: Run,
    columns: Sequence[str],
    *,
    x: str = "step",
    scale: Scale | None = None,
    name: str = "columns",
    title: str = "",
) -> Figure:
    """Return any recorded columns of a run over steps, a line for each number in them.

    Args:
        columns: as people name them: "loss", "a" for "parameters.a", "W[0,1]", "c.re".
        x, scale: as in `loss_figure`.
        name, title: of the picture; default: after the columns.
    Raises:
        UsageError: the run has no such column.
    """
    (run,) = with_rows(run)
    at, unit = steps_of(run, x)
    groups = [named_components(run, [column]) for column in columns]
    chosen = few(groups, len(LINES))
    total = sum(map(len, groups))
    series = tuple(_line(at, part.values, part.label, slot=slot) for slot, part in enumerate(chosen))
    if len(series) == 1:
        series = (replace(series[0], label=""),)
    notes = (f"{len(chosen)} of {total} numbers are drawn",) if total > len(chosen) else ()
    title = title or ", ".join(columns)
    label = chosen[0].label if len(chosen) == 1 else ""
    figure = Figure(
        title_of(run, title),
        _across(unit),
        Axis(label),
        subtitle(run),
        series,
        notes=notes,
        name=name.replace("/", "-"),
    )
    return _finished(figure, scale, _diverged(run, x, None))


# --- parts ------------------------------------------------------------------------------------------------------------


def _across(unit: str) -> Axis:
    return Axis(unit, whole=unit == "step")


def subtitle(run: Run) -> str:
    """Return a line about a run: steps, status, final loss."""
    if run.problem:
        return ""
    record = run.info
    words = [f"{record.steps:,} {'step' if record.steps == 1 else 'steps'}"] if record.steps is not None else []
    status = str(run.status)
    if record.diverged and isinstance(record.diverged.get("step"), int):
        words.append(f"diverged at step {record.diverged['step']:,}")
    elif status != "completed":
        words.append(status)
    loss = record.final.get("loss")
    if isinstance(loss, int | float):
        words.append(f"final loss {number_text(loss)}")
    return ", ".join(words)


def title_of(run: Run, what: str) -> str:
    """Return the title of a picture of a run."""
    name = run.id if run.problem else run.info.name or run.id
    return f"{name}: {what}"


def with_rows(runs: Run | Sequence[Run]) -> list[Run]:
    """Return the runs that have rows.

    Raises:
        UsageError: none has.
    """
    given = list(runs) if isinstance(runs, Sequence) else [runs]
    shown = [run for run in given if len(run.table)]
    if not shown:
        names = ", ".join(safe_text(run.id) for run in given[:3]) + (", ..." if len(given) > 3 else "")
        raise UsageError(f"{names or 'no run'}: no row was recorded, so there is nothing to draw")
    return shown


def _line(x: np.ndarray, y: np.ndarray, label: str, *, slot: int | None = None) -> Series:
    """A line through the rows that have a value; a value that is not finite breaks it."""
    values = numbers(y)
    # A metric that only ends of epochs have is nan between them; what overflowed is inf.
    given = ~np.isnan(values)
    return Series(x[given], values[given], label, "both" if given.sum() <= FEW_POINTS else "line", slot=slot)


def _column(name: str) -> Callable[[Run], np.ndarray]:
    def values(run: Run) -> np.ndarray:
        if name not in run.metrics:
            raise UsageError(f"{safe_text(run.id)} recorded no {safe_text(name)}", hint=_has(run))
        (part, *_) = components(run, name)
        return part.values

    return values


def _best_loss(run: Run) -> np.ndarray:
    return numbers(run.metrics["loss_epoch" if _has_epochs(run) else "loss"])


def _has_epochs(run: Run) -> bool:
    """Whether the mean of each epoch makes a line."""
    return "loss_epoch" in run.metrics and int(np.isfinite(run.metrics["loss_epoch"]).sum()) >= 3


def _has(run: Run) -> str:
    return f"it recorded: {safe_text(', '.join(name for name in run.metrics if name != 'step'), limit=300)}"


def _several(
    runs: Sequence[Run],
    values: Callable[[Run], np.ndarray],
    label: str,
    name: str,
    x: str,
    scale: Scale | None,
) -> Figure:
    """One line a run."""
    unit, series = x, []
    marks: list[Mark] = []
    for slot, (run, text) in enumerate(zip(runs, run_labels(runs), strict=True)):
        at, unit = steps_of(run, x)
        series.append(_line(at, values(run), text, slot=slot))
        marks += _diverged(run, x, slot)
    names = list(dict.fromkeys("" if run.problem else run.info.name for run in runs))
    title = title_of(runs[0], label) if len(names) == 1 else f"{label} of {plural(len(runs), 'run')}"
    below = subtitle(runs[0]) if len(runs) == 1 else f"{len(runs)} runs" if len(names) == 1 else ""
    graded = len(runs) > len(LINES)
    figure = Figure(title, _across(unit), Axis(label), below, tuple(series), name=name, graded=graded)
    return _finished(figure, scale, tuple(marks))


def _diverged(run: Run, x: str, slot: int | None) -> tuple[Mark, ...]:
    """The mark of the step at which a run diverged."""
    if run.problem or not run.info.diverged:
        return ()
    step = run.info.diverged.get("step")
    if not isinstance(step, int) or isinstance(step, bool):
        return ()
    per_epoch = run.info.extra.get("steps_per_epoch", 1) if x == "epoch" else 1
    at = step / per_epoch if isinstance(per_epoch, int) and per_epoch > 0 else step
    return (Mark(float(at), None, "diverged", "diverged" if slot is None else "", slot),)


def _best(run: Run, x: np.ndarray, series: Sequence[Series]) -> tuple[Mark, ...]:
    """The mark of the best validation loss, where a metric chose the parameters."""
    best = {} if run.problem else run.info.best
    step, value = best.get("step"), best.get("value")
    if best.get("metric") != "validation_loss" or not isinstance(value, int | float) or not isinstance(step, int):
        return ()
    at = np.flatnonzero(run.table.steps == step)
    slot = series[-1].slot
    return (Mark(float(x[at[0]]), float(value), "best", f"best {number_text(value)}", slot),) if len(at) else ()


def _finished(figure: Figure, scale: Scale | None, marks: tuple[Mark, ...]) -> Figure:
    """Choose the scale of y and say what it hides."""
    values = [series.y for series in figure.series]
    chosen = scale or natural_scale(values, zeros=True)
    notes = list(figure.notes)
    if not any(np.isfinite(array).any() for array in values):
        notes.append("no value is finite")
    if chosen == "log":
        zeros = [(series, series.x[series.y == 0]) for series in figure.series if series.weight == "strong"]
        for series, at in zeros:
            marks += tuple(Mark(float(x), None, "zero", slot=series.slot) for x in spread(at))
        negative = sum(int((array < 0).sum()) for array in values)
        if any(len(at) for _, at in zeros):
            notes.append("▽ is 0, which a logarithmic axis has no place for")
        if negative:
            notes.append(f"{plural(negative, 'negative value')} {'is' if negative == 1 else 'are'} left out")
    return replace(figure, y=replace(figure.y, scale=chosen), marks=marks, notes=tuple(notes))


def spread(values: np.ndarray, most: int = 40) -> np.ndarray:
    """Return at most `most` of `values`, evenly, the first and the last among them."""
    return values[np.unique(np.linspace(0, len(values) - 1, most).astype(int))] if len(values) > most else values


def column_figure(runs: Sequence[Run], column: str, *, x: str = "step", scale: Scale | None = None) -> Figure:
    """Return one recorded number of several runs over steps, a line a run; see `columns_figure`."""
    return _several(with_rows(runs), lambda run: named_components(run, [column])[0].values, column, "columns", x, scale)
