"""Pictures of what a run has learned: its fit, its decisions, the spectrum of its Hessian. TensorFlow computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import UsageError
from gdrun.text import safe_text

from .figure import Figure
from .runs import subtitle, title_of
from .scales import number_text
from .views import decision_figure, fit_figure, spectrum_figure

if TYPE_CHECKING:
    from gdrun.rundir.run import Run
    from gdrun.training.train import Prepared

Load = Callable[[], "Prepared"]

_MOST_POINTS = 2000
"""So many examples are drawn."""


def run_fit(run: Run, *, load: Load) -> Figure:
    """Return the data of a run with one input and the curve that its model has through it.

    Raises:
        UsageError: the run is not of that kind, or has not ended.
    """
    from gdrun.analysis.model_response import curve_of

    found = curve_of(_finished(run, load), run)
    (x, y), more = _some(found.train.inputs[:, 0], found.train.target.reshape(-1))
    validation = None
    if found.validation is not None:
        (inputs, targets), rest = _some(found.validation.inputs[:, 0], found.validation.target.reshape(-1))
        validation, more = (inputs, targets), more or rest
    figure = fit_figure(
        x, y, found.x, found.y, x_label=found.name, y_label=found.target, title=title_of(run, "fit"),
        subtitle=subtitle(run), validation=validation,
    )  # fmt: skip
    notes = ["the model's line is the probability of 1, sigmoid of its output"] if found.probability else []
    return replace(figure, notes=(*notes, *more))


def run_decisions(run: Run, *, load: Load) -> Figure:
    """Return the classes that the model of a run with two inputs decides for, with the examples.

    Raises:
        UsageError: the run is not of that kind, or has not ended.
    """
    from gdrun.analysis.model_response import classes_of

    found = classes_of(_finished(run, load), run)
    (x, y, labels), more = _some(*found.train.inputs.T, found.train.target)
    figure = decision_figure(
        found.x, found.y, found.labels, np.stack([x, y], axis=1), labels, names=found.names,
        x_label=found.axes[0], y_label=found.axes[1], title=title_of(run, "decisions"), subtitle=subtitle(run),
    )  # fmt: skip
    return replace(figure, notes=more)


def run_spectrum(run: Run, *, load: Load, at: str | None = None) -> Figure:
    """Return the eigenvalues of the Hessian of a run's loss, with the largest one at which it is stable.

    Args:
        at: "start", "end" (the default), or a step whose row holds the parameters.
    Raises:
        UsageError: there is no such place, parameters are complex, the data is not in memory.
    """
    step = _step(at)
    from gdrun.analysis.evaluation_point import at_step
    from gdrun.analysis.spectra import spectrum_at

    prepared = load() if step == 0 else _finished(run, load)
    found = spectrum_at(at_step(prepared, run, step))
    rate = float(np.ravel(prepared.built.setting.learning_rate.numpy())[0])
    place = {0: "at the start", run.record.steps: "at the end"}.get(found.step, f"at step {found.step:,}")
    words = f"{place}, learning rate {number_text(rate)}"
    figure = spectrum_figure(
        found.eigenvalues, title=title_of(run, "spectrum of the Hessian"), subtitle=words, limit=found.limit
    )
    return replace(figure, notes=(*figure.notes, *found.notes))


def _step(at: str | None) -> int | None:
    if at is None or at == "end":
        return None
    if at == "start":
        return 0
    if at.isascii() and at.isdigit() and len(at) < 19:
        return int(at)
    raise UsageError(f"there is no place '{safe_text(at, limit=40)}'", hint="--at start, end or a step")


def _finished(run: Run, load: Load) -> Prepared:
    if run.record.steps is None:
        raise UsageError(
            f"{safe_text(run.id)} has not ended, so it has no parameters yet", hint="gdrun resume goes on with it"
        )
    return load()


def _some(*columns: np.ndarray) -> tuple[tuple[np.ndarray, ...], tuple[str, ...]]:
    """At most so many examples, evenly, and a note where they are not all."""
    count = len(columns[0])
    if count <= _MOST_POINTS:
        return columns, ()
    chosen = np.unique(np.linspace(0, count - 1, _MOST_POINTS).astype(int))
    return tuple(column[chosen] for column in columns), (f"{len(chosen):,} of {count:,} examples are drawn",)
