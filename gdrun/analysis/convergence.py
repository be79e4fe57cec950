"""Convergence of a run: its speed, where it stood still and why it ended, from its rows, or with its curvature.

The linear rate is the factor by which the gradient norm shrinks each step: near a minimum the error shrinks by it, and
the loss above the minimum by its square; no value of the minimum has to be guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.text import human_number, plural, safe_text

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

_FLAT = 0.01
"""A stretch in which the best loss falls by less than this share stands still..."""
_LONG = 0.1
"""... if it is this share of the run."""
_FEW_ROWS = 5
_GOOD_FIT = 0.9


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
    """Whether the loss came down after it."""


@dataclass(frozen=True)
class Convergence:
    """The convergence of a run, from its rows. `curvature` adds what only its Hessian shows; see `with_curvature`."""

    status: str
    stopped_by: str | None
    why: str | None
    steps: int
    first_loss: float | None
    last_loss: float | None
    best_loss: float | None
    best_step: int | None
    decades: tuple[tuple[int, int], ...] = ()
    """(k, step): the first row whose loss is the first one's over 10**k."""
    linear: LinearRate | None = None
    plateaus: tuple[Plateau, ...] = ()
    growth: float | None = None
    """Of a run that diverged: the factor by which its loss grew each step, at the end."""
    diverged: Mapping[str, Any] | None = None
    curvature: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        linear = (
            None if self.linear is None else {**vars(self.linear), "steps_per_decade": self.linear.steps_per_decade}
        )
        return {
            "status": self.status,
            "stopped_by": self.stopped_by,
            "why": self.why,
            "steps": self.steps,
            "first_loss": self.first_loss,
            "last_loss": self.last_loss,
            "best_loss": self.best_loss,
            "best_step": self.best_step,
            "decades": [{"factor": 10.0**-k, "step": step} for k, step in self.decades],
            "linear_rate": linear,
            "plateaus": [vars(plateau) for plateau in self.plateaus],
            "growth": self.growth,
            "diverged": None if self.diverged is None else dict(self.diverged),
            "curvature": dict(self.curvature) or None,
        }

    def lines(self) -> list[str]:
        """Return it as lines of text, the most important first; none where there are no rows."""
        return [*self._ends(), *self.insights()]

    def insights(self) -> list[str]:
        """Return the lines beyond status and loss."""
        return [*self._growth(), *self._speed(), *self._stretches(), *self._curved()]

    def _growth(self) -> list[str]:
        return [] if self.growth is None else [f"the loss grew {_number(self.growth)}-fold a step at the end"]

    def _ends(self) -> list[str]:
        ended = f"{self.status} after {plural(self.steps, 'step')}"
        if self.why:
            ended = f"{ended}: {safe_text(self.why, limit=300)}"
        lines = [ended]
        if self.first_loss is not None and self.last_loss is not None:
            lines.append(f"loss from {_number(self.first_loss)} to {_number(self.last_loss)}")
            if self.best_loss is not None and self.best_step is not None and self.best_loss < self.last_loss:
                lines[-1] += f"; the best was {_number(self.best_loss)} at step {self.best_step}"
        return lines

    def _speed(self) -> list[str]:
        lines = []
        if self.decades:
            reached = [f"1e-{k} at {step:,}" for k, step in _thinned(self.decades)]
            lines.append(f"loss over its first value: {', '.join(reached)}")
        if self.linear is not None:
            fitted = self.linear
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
            lines.append(f"the loss stands still at {_number(plateau.loss)} {place}")
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
            share = values["learning_rate"] / values["limit"]
            words = "beyond" if share > 1 else "of"
            lines.append(
                f"learning rate {_number(values['learning_rate'])}: {_number(100 * share)} % {words} the limit "
                f"{_number(values['limit'])} at the {values['where']}"
            )
        return lines


def report(run: Run) -> Convergence:
    """Return how `run` converged, from metrics.jsonl and run.json; nothing is built and no TensorFlow imported.

    Raises:
        RunDirectoryError: its run info cannot be read.
    """
    record, columns = run.info, run.metrics
    steps = np.asarray(columns.get("step", np.zeros(0)), np.int64)
    losses = np.asarray(columns.get("loss", np.full(len(steps), np.nan)), np.float64)
    norms = np.asarray(columns.get("gradient_norm", np.full(len(steps), np.nan)), np.float64)
    finite = np.isfinite(losses)
    diverged = record.diverged or None
    ending = _ending(record, run)
    if not finite.any():
        return Convergence(*ending, int(record.steps or 0), None, None, None, None, diverged=diverged)
    at_steps, finite_losses = steps[finite], losses[finite]
    best = int(np.argmin(finite_losses))
    return Convergence(
        *ending,
        steps=int(record.steps if record.steps is not None else at_steps[-1]),
        first_loss=float(finite_losses[0]),
        last_loss=float(finite_losses[-1]),
        best_loss=float(finite_losses[best]),
        best_step=int(at_steps[best]),
        decades=decades(at_steps, finite_losses),
        linear=None if diverged else linear_rate(steps, norms, record.precision or "float64"),
        plateaus=() if diverged else plateaus(at_steps, finite_losses),
        growth=growth(at_steps, finite_losses) if diverged else None,
        diverged=diverged,
    )


def with_curvature(run: Run, *, device: str | None = None) -> Convergence:
    """Return `convergence.report(run)` with what the curvature of its loss says. Builds the run's config.

        predicted_rate    of gradient descent at the configured rate: max |1 - rate * eigenvalue|
        best_rate         (k - 1) / (k + 1), k the condition number
        distance          to the minimum of a quadratic loss, in parameters; `first_distance` at the start
        excess_loss       loss above that minimum
        limit             the predicted limit of the learning rate, `where` the curvature was taken

    Raises:
        ConfigError: its data is not there any more. UsageError: complex parameters, data that is not in memory.
    """
    from .curvature import MOST_EXACT, Curvature
    from .evaluation_point import at_step, point_of
    from .stability import configured_rate, sharpness

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
        "limit": point.prediction.limit,
        "largest_eigenvalue": point.largest,
        "condition_number": point.condition_number,
    }
    kappa = point.condition_number
    if kappa is not None and np.isfinite(kappa):
        values["best_rate"] = (kappa - 1) / (kappa + 1)
        predicted = built.experiment.optimizer.contraction(rate, point.eigenvalues)
        if predicted is not None and built.windows.factors is None:
            values["predicted_rate"] = predicted
    curvature = Curvature(built, here)
    if curvature.size <= MOST_EXACT and point.largest > 0 and curvature.is_quadratic() and kappa is not None:
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


def _ending(record: Any, run: Run) -> tuple[str, str | None, str | None]:
    return str(run.status), record.stopped_by, record.why


def decades(steps: np.ndarray, losses: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return (k, step) of the first row whose loss is at most the first one's times 10**-k, k from 1.

    Args:
        steps: int64 (S,). losses: float64 (S,), finite. Empty where the first loss is not positive.
    """
    if losses[0] <= 0:
        return ()
    rows, lowest = [], np.minimum.accumulate(losses)
    k = 1
    while k <= 40:
        reached = np.flatnonzero(lowest <= losses[0] * 10.0**-k)
        if not reached.size:
            break
        rows.append((k, int(steps[reached[0]])))
        k += 1
    return tuple(rows)


def linear_rate(steps: np.ndarray, norms: np.ndarray, precision: str = "float64") -> LinearRate | None:
    """Return the rate at which the gradient's norm shrinks, from the later half of the rows before rounding ends it.

    Args:
        steps: int64 (S,). norms: float64 (S,), nan where unknown.
        precision: of the run; below its rounding nothing is fitted.
    Returns:
        None where there are fewer than 5 rows, the norm does not shrink, or no straight line fits its logarithm.
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
    slope, start = np.polyfit(at_steps - at_steps[0], logs, 1)
    left = logs - (start + slope * (at_steps - at_steps[0]))
    spread = float(np.sum((logs - logs.mean()) ** 2))
    fit = 1 - float(np.sum(left**2)) / spread if spread > 0 else 0.0
    if slope >= 0 or fit < _GOOD_FIT:
        return None
    return LinearRate(float(np.exp(slope)), int(at_steps[0]), int(at_steps[-1]), fit)


def plateaus(steps: np.ndarray, losses: np.ndarray) -> tuple[Plateau, ...]:
    """Return the stretches, a tenth of the run or longer, in which the best loss falls by less than 1 %.

    Args:
        steps: int64 (S,), rising. losses: float64 (S,), finite.
    """
    lowest = np.minimum.accumulate(losses)
    fallen = -lowest  # made once: the loop below may have as many turns as there are rows
    size = np.maximum(np.abs(lowest), np.finfo(np.float64).tiny)
    total = steps[-1] - steps[0]
    stretches, first = [], 0
    while first < len(steps) - 1 and total > 0:
        last = int(np.searchsorted(fallen, fallen[first] + _FLAT * size[first], side="right")) - 1
        if steps[last] - steps[first] >= max(_LONG * total, 10):
            left = bool(lowest[-1] < lowest[last] - 0.1 * size[last])
            ends = last if left else len(steps) - 1
            if left or lowest[-1] >= lowest[first] - 2 * _FLAT * size[first]:
                stretches.append(Plateau(int(steps[first]), int(steps[ends]), float(lowest[ends]), left))
                first = ends
                continue
            first = last
            continue
        first += 1
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
    """At most eight of them."""
    stride = -(-len(decades) // 8)
    return decades[stride - 1 :: stride]


def _number(value: float) -> str:
    return human_number(value, digits=4)
