"""Convergence of a run: its speed, where it stood still and why it ended, from its rows, or with its curvature.

The linear rate is the factor by which the gradient norm shrinks each step: near a minimum the error shrinks by it, and
the loss above the minimum by its square; no value of the minimum has to be guessed.

A row's loss is that of one batch. Where a batch is not all data, nothing is said of it: means over epochs are looked at
instead, where there are any, and the gradient's norm is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.text import human_number, plural, safe_text

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

_STILL = 0.01
"""A loss stands still where it moves by no more than this share of its size and of its range over the run..."""
_LONG = 0.1
"""... for this share of the run."""
_FEW_ROWS = 5
_GOOD_FIT = 0.9
_MOST_GROUPS = 1000
"""Stretches are looked for among so many groups of rows."""


@dataclass(frozen=True)
class LinearRate:
    """A straight line through the logarithm of the gradient's norm."""

    rate: float
    """Factor a step, below 1."""
    first_step: int
    last_step: int
    """Between which it was fitted."""
    fit: float
    """Share of the variance that the line explains."""

    @property
    def steps_per_decade(self) -> float:
        """Steps in which the error shrinks by 10; the loss above the minimum by 100."""
        return float(np.log(10) / -np.log(self.rate))


@dataclass(frozen=True)
class Plateau:
    """A stretch in which the loss stood still."""

    first_step: int
    last_step: int
    loss: float
    left: bool
    """Whether the loss left it."""


@dataclass(frozen=True)
class Convergence:
    """The convergence of a run, from its rows. `curvature` adds what only its Hessian shows; see `with_curvature`."""

    status: str
    stopped_by: str | None
    why: str | None
    steps: int
    first_loss: float | None = None
    """Over all data, or the mean of an epoch; None where only losses of batches are known."""
    last_loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    of_epochs: bool = False
    """Whether losses are means over epochs."""
    final_loss: float | None = None
    """Over all data, at the final parameters."""
    decades: tuple[tuple[int, int], ...] = ()
    """(k, step): the first row from which on the loss is at most the first one's over 10**k."""
    linear_rate: LinearRate | None = None
    plateaus: tuple[Plateau, ...] = ()
    growth: float | None = None
    """Of a run that diverged: the factor by which its loss grew each step, at the end."""
    diverged: Mapping[str, Any] | None = None
    curvature: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        fitted = self.linear_rate
        return vars(self) | {
            "decades": [{"factor": 10.0**-k, "step": step} for k, step in self.decades],
            "linear_rate": None if fitted is None else {**vars(fitted), "steps_per_decade": fitted.steps_per_decade},
            "plateaus": [vars(plateau) for plateau in self.plateaus],
            "curvature": dict(self.curvature) or None,
        }

    def lines(self) -> list[str]:
        """Return it as lines of text, the most important first; none where there are no rows."""
        return [*self._ends(), *self.insights()]

    def insights(self) -> list[str]:
        """Return the lines beyond status and loss."""
        grew = [] if self.growth is None else [f"the loss grew {_number(self.growth)}-fold a step at the end"]
        return [*grew, *self._speed(), *self._stretches(), *self._curved()]

    @property
    def _loss(self) -> str:
        return "an epoch's mean loss" if self.of_epochs else "the loss"

    def _ends(self) -> list[str]:
        ended = f"{self.status} after {plural(self.steps, 'step')}"
        if self.why:
            ended = f"{ended}: {safe_text(self.why, limit=300)}"
        lines = [ended]
        if self.first_loss is not None and self.last_loss is not None:
            lines.append(
                f"{self._loss.removeprefix('the ')} from {_number(self.first_loss)} to {_number(self.last_loss)}"
            )
            if self.best_loss is not None and self.best_step is not None and self.best_loss < self.last_loss:
                lines[-1] += f"; the best was {_number(self.best_loss)} at step {self.best_step}"
        if self.final_loss is not None and (self.of_epochs or self.first_loss is None):
            lines.append(f"loss over all data at the end {_number(self.final_loss)}")
        return lines

    def _speed(self) -> list[str]:
        lines = []
        if self.decades:
            reached = [f"1e-{k} at {step:,}" for k, step in _thinned(self.decades)]
            what = self._loss.removeprefix("the ")
            lines.append(f"{what} over its first value, in every row from there on: {', '.join(reached)}")
        if (fitted := self.linear_rate) is not None:
            lines.append(
                f"converges linearly: the gradient shrinks by {fitted.rate:.6g} a step, a tenth in "
                f"{_number(fitted.steps_per_decade)} steps (steps {fitted.first_step:,} to {fitted.last_step:,})"
            )
        return lines

    def _stretches(self) -> list[str]:
        lines = []
        for plateau in self.plateaus:
            place = f"between steps {plateau.first_step:,} and {plateau.last_step:,}"
            place = place if plateau.left else f"from step {plateau.first_step:,} on"
            lines.append(f"{self._loss} stands still at {_number(plateau.loss)} {place}")
        return lines

    def _curved(self) -> list[str]:
        values = self.curvature
        lines = []
        if values.get("predicted_rate") is not None:
            lines.append(f"predicted from the curvature at the end: {values['predicted_rate']:.6g} a step at this rate")
        if values.get("best_rate") is not None:
            lines.append(
                f"condition number {_number(values['condition_number'])}: the best constant rate gives "
                f"(k - 1) / (k + 1) = {values['best_rate']:.6g} a step"
            )
        if values.get("distance") is not None:
            lines.append(
                f"distance to the minimum {_number(values['distance'])}, of {_number(values['first_distance'])} at the "
                f"start; loss above it {_number(values['excess_loss'])}"
            )
        if values.get("limit") is not None and values.get("learning_rate") is not None:
            from .stability import share_text  # imports TensorFlow, as what found the limit did

            share = share_text(values["learning_rate"] / values["limit"])
            rate, limit = _number(values["learning_rate"]), _number(values["limit"])
            lines.append(f"learning rate {rate}: {share} the limit {limit} at the {values['where']}")
        return lines


def report(run: Run) -> Convergence:
    """Return how `run` converged, from metrics.jsonl and run.json; nothing is built and no TensorFlow imported.

    Raises:
        RunDirectoryError: its run info cannot be read.
    """
    info, columns = run.info, run.metrics
    steps = np.asarray(columns.get("step", np.zeros(0)), np.int64)
    blank = np.full(len(steps), np.nan)
    of_batches = "epoch" in columns
    losses = np.asarray(columns.get("loss_epoch" if of_batches else "loss", blank), np.float64)
    # Rows see every n-th step; a loss that swings from step to step shows in what the step before the next row saw.
    before = blank if of_batches else np.asarray(columns.get("loss_before", blank), np.float64)
    norms = np.asarray(blank if of_batches else columns.get("gradient_norm", blank), np.float64)
    diverged, final = info.diverged or None, info.final.get("loss")
    convergence = Convergence(
        str(run.status),
        info.stopped_by,
        info.why,
        steps=int(info.steps if info.steps is not None else steps[-1] if len(steps) else 0),
        final_loss=final if isinstance(final, int | float) and np.isfinite(final) else None,
        diverged=diverged,
    )
    finite = np.isfinite(losses)
    # The mean of one epoch is no course.
    if finite.sum() < 1 + of_batches:
        return convergence
    steps_seen, losses = steps[finite], losses[finite]
    before = np.append(before[finite][1:], np.nan)
    before = np.where(np.isfinite(before), before, losses)
    lows, highs = np.minimum(losses, before), np.maximum(losses, before)
    best = int(np.argmin(losses))
    return replace(
        convergence,
        first_loss=float(losses[0]),
        last_loss=float(losses[-1]),
        best_loss=float(losses[best]),
        best_step=int(steps_seen[best]),
        of_epochs=of_batches,
        decades=() if diverged else decades(steps_seen, losses, highs),
        linear_rate=None if diverged else linear_rate(steps, norms, info.precision or "float64"),
        plateaus=() if diverged else plateaus(steps_seen, losses, lows, highs),
        growth=growth(steps_seen, losses) if diverged and not of_batches else None,
    )


def with_curvature(run: Run, *, device: str | None = None) -> Convergence:
    """Return `convergence.report(run)` with what the curvature of its loss says. Builds the run's config.

        predicted_rate    of gradient descent at the configured rate: max |1 - rate * eigenvalue|
        best_rate         of gradient descent: (k - 1) / (k + 1), k the condition number
        distance          to the minimum of a quadratic loss, in parameters; `first_distance` at the start
        excess_loss       loss above that minimum
        limit             the predicted limit of the learning rate, `where` the curvature was taken; of optimizers
                          whose divisor moves it, and of batches, `gdrun stability` says more

    Raises:
        ConfigError: its data is not there any more. UsageError: complex parameters, data that is not in memory.
    """
    from .curvature import MOST_EXACT, Curvature
    from .evaluation_point import at_step, point_of
    from .stability import configured_rate, is_gradient_descent, sharpness, takes_all_data

    convergence = report(run)
    start = point_of(run, step=0, device=device)
    built = start.prepared.built
    at_end = convergence.diverged is None
    here = at_step(start.prepared, run, None) if at_end else start
    point = sharpness(built, here)
    rate = configured_rate(built)
    values: dict[str, Any] = {
        "where": "end" if at_end else "start",
        "learning_rate": rate,
        "limit": None if point.prediction.adapts or not takes_all_data(built) else point.prediction.limit,
        "largest_eigenvalue": point.largest,
        "condition_number": point.condition_number,
    }
    kappa = point.condition_number
    curvature = Curvature(built, here)
    is_quadratic = curvature.is_quadratic()
    predicted = built.experiment.optimizer.contraction(rate, point.eigenvalues)
    # Far from a minimum the curvature of one point says nothing about steps to come.
    near = is_quadratic or convergence.linear_rate is not None
    if kappa is not None and np.isfinite(kappa) and predicted is not None and near and is_gradient_descent(built):
        values["best_rate"] = (kappa - 1) / (kappa + 1)
        if at_end:
            values["predicted_rate"] = predicted
    exact = at_end and is_quadratic and curvature.size <= MOST_EXACT
    if exact and point.largest > 0 and kappa is not None:
        hessian, slope = curvature.hessian(), curvature.gradient()
        # Flat directions have no nearest minimum: none is moved along.
        step = np.linalg.lstsq(hessian, slope, rcond=1e-12)[0]
        minimum = curvature.position.numpy().astype(np.float64) - step
        first = Curvature(built, start).position.numpy().astype(np.float64)
        values |= {
            "distance": float(np.linalg.norm(step)),
            "first_distance": float(np.linalg.norm(first - minimum)),
            "excess_loss": float(0.5 * slope @ step),
            "minimum": minimum if minimum.size <= 100 else None,
        }
    return replace(convergence, curvature=values)


def decades(steps: np.ndarray, losses: np.ndarray, highs: np.ndarray | None = None) -> tuple[tuple[int, int], ...]:
    """Return (k, step): the first row from which on every loss is at most the first one times 10**-k, k from 1.

    Args:
        steps: int64 (S,). losses: float64 (S,), finite.
        highs: the largest loss that each row knows of, (S,); default `losses`.
    Returns:
        Nothing where a loss is negative or the first is 0: a ratio says nothing there.
    """
    if losses[0] <= 0 or losses.min() < 0:
        return ()
    # The largest loss from each row on, which only falls.
    following = np.maximum.accumulate((losses if highs is None else highs)[::-1])[::-1]
    smallest = following[following > 0][-1]
    rows = []
    for k in range(1, int(np.floor(np.log10(losses[0] / smallest) + 1e-9)) + 1):
        reached = np.flatnonzero(following <= losses[0] * 10.0**-k)
        if reached.size:
            rows.append((k, int(steps[reached[0]])))
    return tuple(rows)


def linear_rate(steps: np.ndarray, norms: np.ndarray, precision: str = "float64") -> LinearRate | None:
    """Return the rate at which the gradient's norm shrinks, from the later half of the rows before rounding ends it.

    Args:
        steps: int64 (S,). norms: float64 (S,), nan where unknown.
        precision: of the run; below its rounding nothing is fitted.
    Returns:
        None where there are fewer than 5 rows, the norm does not shrink, or no straight line fits its logarithm, or a
        power of the step fits it better: convergence that slows down for ever.
    """
    usable = np.isfinite(norms) & (norms > 0)
    if usable.sum() < _FEW_ROWS:
        return None
    at_steps, shrinking = steps[usable], norms[usable]
    floor = np.max(shrinking) * (1e-12 if precision == "float64" else 1e-5)
    below = np.flatnonzero(shrinking < floor)
    end = int(below[0]) if below.size else len(shrinking)
    at_steps, shrinking = at_steps[:end], shrinking[:end]
    if len(at_steps) < _FEW_ROWS:
        return None
    late = at_steps >= (at_steps[0] + at_steps[-1]) / 2
    at_steps, logs = at_steps[late], np.log(shrinking[late])
    if len(at_steps) < _FEW_ROWS:
        return None
    spread = float(np.sum((logs - logs.mean()) ** 2))
    slope, left = _line(at_steps - at_steps[0], logs)
    fit = 1 - left / spread if spread > 0 else 0.0
    if slope >= 0 or fit < _GOOD_FIT or left > _line(np.log(at_steps + 1.0), logs)[1]:
        return None
    return LinearRate(float(np.exp(slope)), int(at_steps[0]), int(at_steps[-1]), fit)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the slope of the least-squares line and the sum of squares that it leaves."""
    slope, start = np.polyfit(x, y, 1)
    return float(slope), float(np.sum((y - start - slope * x) ** 2))


def plateaus(
    steps: np.ndarray, losses: np.ndarray, lows: np.ndarray | None = None, highs: np.ndarray | None = None
) -> tuple[Plateau, ...]:
    """Return the stretches, a tenth of the run or longer, in whose rows the loss moves by 1 % at most.

    Of its size and of its range over the run, whichever is smaller. The last one lasts to the end; of the others those
    are left out after which the loss did not come down.

    Args:
        steps: int64 (S,), rising. losses: float64 (S,), finite.
        lows, highs: the smallest and the largest loss that each row knows of, (S,); default `losses`.
    """
    lows, highs = losses if lows is None else lows, losses if highs is None else highs
    firsts = np.unique(np.linspace(0, len(steps), min(len(steps), _MOST_GROUPS), endpoint=False).astype(np.int64))
    lasts = np.append(firsts[1:], len(steps)) - 1
    lows, highs = np.minimum.reduceat(lows, firsts), np.maximum.reduceat(highs, firsts)
    long = max(_LONG * float(steps[-1] - steps[0]), 10.0)
    extent = float(highs.max() - lows.min())

    def inside(loss: float) -> np.ndarray:
        # Rounding alone is no movement.
        band = max(_STILL * min(abs(loss), extent), 4 * np.finfo(np.float64).eps * abs(loss))
        return (lows >= loss - band) & (highs <= loss + band)

    stretches = []
    still = inside(float(losses[-1]))
    end = len(firsts) - int(np.argmin(still[::-1])) if not still.all() else 0
    arrived = end < len(firsts) and steps[-1] - steps[firsts[end]] >= long
    end = end if arrived else len(firsts)
    group = 0
    while group < end:
        loss = float(losses[firsts[group]])
        count = int(np.argmin(np.append(inside(loss)[group:end], False)))
        stop = group + max(count, 1)
        if count and steps[lasts[stop - 1]] - steps[firsts[group]] >= long and losses[-1] < lows[group:stop].min():
            stretches.append(Plateau(int(steps[firsts[group]]), int(steps[lasts[stop - 1]]), loss, True))
            group = stop
        else:
            group += 1
    if arrived:
        stretches.append(Plateau(int(steps[firsts[end]]), int(steps[-1]), float(losses[-1]), False))
    return tuple(stretches)


def growth(steps: np.ndarray, losses: np.ndarray) -> float | None:
    """Return the factor by which the loss grows a step over the last rows in which it only grew; None if it did not."""
    start = len(losses) - 1
    while start > 0 and losses[start - 1] < losses[start] and len(losses) - start < 20:
        start -= 1
    if len(losses) - start < 2 or losses[start] <= 0:
        return None
    return float((losses[-1] / losses[start]) ** (1 / (steps[-1] - steps[start])))


def _thinned(decades: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Return at most eight of them."""
    stride = -(-len(decades) // 8)
    return decades[stride - 1 :: stride]


def _number(value: float) -> str:
    return human_number(value, digits=4)
