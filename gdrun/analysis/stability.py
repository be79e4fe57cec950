"""Stability of descent: the curvature of the loss, and the learning rate that it allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.optimizers.base import Moved
from gdrun.optimizers.stability_limit import StabilityLimit
from gdrun.text import human_number

from .curvature import Curvature, spectrum

if TYPE_CHECKING:
    from gdrun.assembly import Built

    from .evaluation_point import EvaluationPoint


_FEW = 64
"""A prediction needs the largest eigenvalue alone, which for more parameters Lanczos has sooner."""


@dataclass(frozen=True)
class Prediction:
    """The learning rate at which the configured optimizer stops being stable."""

    limit: float | None
    """Of `optimizer.learning_rate`; None where there is none or none is known."""
    why: str
    """Where it comes from, or why there is none; with its caveats."""
    exact: bool
    """Whether the edge is there: a quadratic loss, all examples in each step, an optimizer with a linear recurrence."""
    eigenvalue: float | None
    """The largest of the Hessian, preconditioned where the optimizer divides the gradient."""
    caveats: tuple[str, ...] = ()

    @property
    def adapts(self) -> bool:
        """True where the limit is one that the optimizer's own divisor moves."""
        return any("divisor" in caveat for caveat in self.caveats)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**vars(self), "caveats": list(self.caveats)}


@dataclass(frozen=True)
class Sharpness:
    """The curvature of the loss at one point."""

    step: int
    largest: float
    """The largest eigenvalue of the Hessian."""
    smallest: float | None
    """The smallest one; None where only extreme ones were looked for and it is not certain."""
    eigenvalues: np.ndarray
    """All, ascending, where `all_known`; else those that Lanczos came near to."""
    all_known: bool
    loss: float
    gradient_norm: float
    prediction: Prediction

    @property
    def condition_number(self) -> float | None:
        """largest / smallest, where both are known and positive; infinite where a direction is flat."""
        if not self.all_known or self.smallest is None or self.largest <= 0:
            return None
        if self.smallest <= 0:
            flat = abs(self.smallest) <= 1e-12 * self.largest
            return float("inf") if flat else None
        return self.largest / self.smallest


def share_text(share: float) -> str:
    """Return a share of a limit in words that stand before it: "4.13 % of", "1.9 times"."""
    return f"{human_number(share, digits=3)} times" if share > 1 else f"{human_number(100 * share, digits=3)} % of"


def configured_rate(built: Built) -> float:
    """Return the learning rate of the config, of its first group of parameters."""
    return float(np.ravel(built.setting.learning_rate.numpy())[0])


def takes_all_data(built: Built) -> bool:
    """Return whether each update sees all training examples, or there are none."""
    batches = built.program.feed.batches
    return batches is None or batches.full_batch


def is_gradient_descent(built: Built) -> bool:
    """Return whether each update takes the whole gradient of the loss at a constant rate.

    The optimizer's own part of the answer is `OptimizerSection.contraction`.
    """
    return takes_all_data(built) and built.windows.factors is None and built.objective.own_gradients is None


def predicted_limit(built: Built) -> Prediction:
    """Return the learning rate at which `built` stops being stable, from the curvature at its start.

    Where groups of parameters have rates of their own, the limit is of the first one, all of them changed alike. It
    never fails for reasons of the experiment: where nothing can be predicted it says why.
    """
    try:
        return prediction_at(Curvature(built))
    except UsageError as error:
        return Prediction(None, error.message, False, None)


def sharpness(built: Built, at: EvaluationPoint | None = None) -> Sharpness:
    """Return the curvature at the start of `built`, or at another point, with what it means for the optimizer.

    Raises:
        UsageError: complex parameters, data that is not in memory.
    """
    curvature = Curvature(built, at)
    values, all_known = spectrum(curvature)
    prediction = prediction_at(curvature, at, (values, all_known))
    return Sharpness(
        step=0 if at is None else at.step,
        largest=float(values[-1]),
        smallest=float(values[0]) if all_known else None,
        eigenvalues=values,
        all_known=all_known,
        loss=float(curvature.loss(curvature.position)),
        gradient_norm=float(np.linalg.norm(curvature.gradient())),
        prediction=prediction,
    )


def prediction_at(
    curvature: Curvature, at: EvaluationPoint | None = None, plain: tuple[np.ndarray, bool] | None = None
) -> Prediction:
    """Return the prediction at a point whose curvature is known.

    Args:
        at: the point, where it is not the start: Adam and the like had a moving mean of squared gradients there.
        plain: what `spectrum` returned there.
    """
    built = curvature.built
    section = built.experiment.optimizer
    rule = section.stability_limit(curvature.gradient(), None if at is None else second_moment(at))
    if rule is None:
        return Prediction(None, f"no limit is known for optimizer {section.kind}", False, None)
    moved = section.moved(built.objective.trainable_names)
    if len({type(group.section) for group in moved}) > 1:
        why = "no limit is known for groups of parameters with optimizers of different kinds"
        return Prediction(None, why, False, None)
    quadratic = curvature.is_quadratic()
    scale, notes = _group_scale(curvature, moved)
    if rule.divides_by is not None:
        scale = (1 if scale is None else scale) / rule.divides_by
    if not rule.by_curvature:
        return _finish(built, rule, 1.0, quadratic, notes)
    values, _ = plain if plain is not None and scale is None else spectrum(curvature, scale, most_exact=_FEW)
    eigenvalue = float(values[-1]) * _share(built) + rule.adds
    if not np.isfinite(eigenvalue):
        return Prediction(None, "the Hessian is not finite here", False, None)
    floor = 1e-12 * max(1.0, float(np.max(np.abs(values))))
    if eigenvalue <= floor:
        return Prediction(
            None, "the loss curves upward in no direction here: its curvature sets no limit", False, eigenvalue
        )
    if quadratic and values[0] < -1e-9 * abs(values[-1]):
        notes = (*notes, "the loss falls for ever in some direction, at any rate")
    return _finish(built, rule, eigenvalue, quadratic, notes)


def _finish(
    built: Built, rule: StabilityLimit, eigenvalue: float, quadratic: bool, notes: tuple[str, ...]
) -> Prediction:
    limit = rule.factor / eigenvalue
    caveats = [*notes, *rule.caveats]
    least, factor = _factors(built)
    if factor <= 0:
        return Prediction(None, "the schedule's factor is 0 throughout", False, eigenvalue, tuple(caveats))
    why = rule.formula
    if factor != 1:
        limit /= factor
        why = f"{why}, over the schedule's largest factor {human_number(factor, digits=4)}"
    if least != factor:
        caveats.append("the schedule changes the rate: the limit is that of its largest one")
    if rule.divides_by is not None:
        why = f"{why} of the Hessian divided by what the optimizer divides by"
    full = takes_all_data(built)
    if not full:
        caveats.append("the eigenvalue is over all examples; batches differ, and the edge of batches may lie lower")
    if not quadratic:
        caveats.append("the loss is no quadratic: the curvature changes along the way, and the edge with it")
    if built.experiment.objective_loss.adds_up and not full:
        caveats.append("the loss is a sum: a batch's share of it was taken")
    if "eigenvalue" in why:
        why = why.replace("eigenvalue", f"{human_number(eigenvalue, digits=6)}", 1)
    if built.objective.own_gradients is not None:
        caveats.append("it trains with gradients by hand; the curvature is that of the loss")
    by_tape = built.objective.own_gradients is None
    exact = by_tape and rule.exact and quadratic and full and least == factor and not notes
    return Prediction(float(limit), why, bool(exact), eigenvalue, tuple(caveats))


def largest_stable(built: Built, prediction: Prediction) -> float | None:
    """Return the largest eigenvalue of the Hessian at which `built` is stable with its learning rate.

    None where there is no prediction, or where it is not about the Hessian's own eigenvalues.
    """
    rule = built.experiment.optimizer.stability_limit(np.zeros(1))
    if rule is None or rule.divides_by is not None or not rule.by_curvature:
        return None
    rates = np.unique(built.setting.learning_rate.numpy())
    if prediction.limit is None or prediction.eigenvalue is None or len(rates) > 1 or rates[0] <= 0:
        return None
    rate = float(rates[0])
    return (prediction.eigenvalue * prediction.limit / rate - rule.adds) / _share(built)


def _share(built: Built) -> float:
    """Return the part of the whole loss that a batch's is, where it is a sum over examples."""
    batches = built.program.feed.batches
    if batches is None or batches.full_batch or not built.experiment.objective_loss.adds_up:
        return 1.0
    return batches.batch_size / batches.num_examples


def _factors(built: Built) -> tuple[float, float]:
    """Return the smallest and the largest factor of the schedule."""
    factors = built.windows.factors
    if factors is None:
        return 1.0, 1.0
    steps = np.unique(np.linspace(0, max(built.total_steps - 1, 0), 4096).astype(np.int64))
    values = factors(steps)
    return float(np.min(values)), float(np.max(values))


def _group_scale(curvature: Curvature, moved: Sequence[Moved]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the groups' learning rates over the first one, by entry; notes."""
    rates = {index: group.learning_rate for group in moved for index in group.indices}
    base = moved[0].learning_rate
    notes = ("groups are taken to act at every step",) if any(group.when for group in moved) else ()
    if not base or len(set(rates.values())) == 1:
        return None, notes
    parts = [np.full(int(np.prod(value.shape)), rates[at] / base) for at, value in enumerate(curvature.like)]
    return np.concatenate(parts), (*notes, "the limit is of the first group's rate, the others' changed alike")


def second_moment(at: EvaluationPoint) -> np.ndarray | None:
    """Return the moving mean of squared gradients that the optimizer had at a run's end, (P,), where it was saved."""
    from gdrun.rundir.checkpoint import Checkpoints

    built, run = at.prepared.built, at.run
    kept_as = built.experiment.optimizer.second_moment
    if run is None or kept_as is None or at.step != run.info.steps:
        return None
    try:
        saved = Checkpoints(run.directory).load_newest()
    except (RunDirectoryError, OSError):
        return None
    if saved is None or saved.step != at.step:
        return None
    names = built.step.optimizer.state_names
    keys = [f"state.optimizer.{index}" for index, name in enumerate(names) if kept_as in name]
    if not keys or any(key not in saved.arrays for key in keys):
        return None
    flat = np.concatenate([np.ravel(saved.arrays[key]) for key in keys]).astype(np.float64)
    return flat if flat.size == built.num_parameters else None
