"""Finding a learning rate: the losses of the configured steps at many rates, and what they suggest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import UsageError
from gdrun.text import human_number

if TYPE_CHECKING:
    from gdrun.assembly import Built

    from .observed_limit import ObservedLimit
    from .stability import Prediction

NUM_RATES = 61
_TIE = 1e-3
"""Losses nearer to the best than this share of what it came down by are as good."""
_MARGIN = 2.0
"""How far a suggestion stays below an edge that may move."""
_RAMP_STEPS = (50, 300)
"""Of the ramp, at least and at most."""
_SMOOTHING = 0.95
_BLOWN_UP = 4.0


@dataclass(frozen=True)
class Suggestion:
    """A learning rate and why."""

    rate: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class RateSearch:
    """The report of `gdrun.find_learning_rate`."""

    source: str
    optimizer: str
    configured: float
    range_test: bool
    steps: int
    """Of each trial; of the ramp."""
    first_loss: float
    rates: np.ndarray
    """float64 (R,), rising. Of a range test: the rate of each step."""
    losses: np.ndarray
    """float64 (R,): final loss over all training data, nan where the trial diverged; of a range test smoothed."""
    diverged: np.ndarray
    """bool (R,)."""
    observed_edge: ObservedLimit | None
    """The limit as the trials show it; None of a range test."""
    blew_up_at: float | None = None
    """Of a range test: the rate at which the loss did."""
    prediction: Prediction
    suggestion: Suggestion

    @property
    def best(self) -> float | None:
        """The rate with the lowest loss."""
        good = np.where(self.diverged | ~np.isfinite(self.losses), np.inf, self.losses)
        return float(self.rates[int(np.argmin(good))]) if np.isfinite(good).any() else None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return vars(self) | {
            "best": self.best,
            "observed_edge": None if self.observed_edge is None else self.observed_edge.as_dict(),
            "prediction": self.prediction.as_dict(),
            "suggestion": vars(self.suggestion),
        }


def find_learning_rate(
    source: str | Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    range_test: bool = False,
    device: str | None = None,
) -> RateSearch:
    """Run a config at 61 learning rates in one program, and suggest one.

    Rates go from a thousandth of the predicted limit to three times it, where there is one that does not move, else
    from a thirtieth of the configured rate to thirty times it. Each trial makes the configured steps, without stop
    rules; where the schedule changes the rate, the rate is what it multiplies.

    Args:
        source, overrides, device: as in `gdrun.train`.
        range_test: instead, one run along a ramp of rates that grows from step to step (Smith 2017).
    Raises:
        ConfigError: the config is refused. UsageError: the optimizer has no learning rate, the data is not in memory.
    """
    from .evaluation_point import config_or_run, point_of

    point = point_of(config_or_run(source), overrides, step=0, device=device)
    built = point.prepared.built
    import tensorflow as tf

    with tf.device(point.prepared.device.name):
        optimizer = built.experiment.optimizer
        if not optimizer.has_learning_rate or not optimizer.rate:
            raise UsageError(f"the learning rate of {optimizer.kind} is not there or 0: there is nothing to find")
        if built.total_steps < 1:
            raise UsageError("the schedule has no steps", hint="give it some: steps=100")
        return _ramp(str(source), built) if range_test else _trials(str(source), built)


def _trials(source: str, built: Built) -> RateSearch:
    """Make a trial at each of the candidate rates."""
    from .observed_limit import rounding_slack
    from .rate_trials import RateRunner
    from .stability import configured_rate, predicted_limit, takes_all_data

    configured, prediction = configured_rate(built), predicted_limit(built)
    rates = candidate_rates(configured, prediction)
    looks = np.unique(np.geomspace(1, built.total_steps, 24).astype(np.int64))
    trials = RateRunner(built, steps=built.total_steps).run(rates, looks.tolist())
    first = float(built.objective.at(built.state.parameters, built.setting, built.data, built.state.model_state))
    losses = np.where(trials.diverged, np.nan, trials.final)
    observed = observed_between(rates, losses, first, steps=built.total_steps, slack=rounding_slack(built))
    suggestion = suggest(
        rates,
        losses,
        first,
        observed.rate or observed.unstable or (None if prediction.adapts else prediction.limit),
        certain=prediction.exact,
        steps=built.total_steps,
        # On the way only the losses of batches are known.
        on_the_way=trials.losses if takes_all_data(built) else None,
    )
    return RateSearch(
        source=source, optimizer=built.experiment.optimizer.kind, configured=configured, prediction=prediction,
        range_test=False, steps=built.total_steps, first_loss=first, rates=rates, losses=losses,
        diverged=trials.diverged, observed_edge=observed, suggestion=suggestion,
    )  # fmt: skip


def candidate_rates(configured: float, prediction: Prediction) -> np.ndarray:
    """Return the rates that are tried, float64 (61,), log-spaced."""
    if prediction.limit is not None and not prediction.adapts:
        return np.geomspace(prediction.limit / 1000, prediction.limit * 3, NUM_RATES)
    return np.geomspace(configured / 30, configured * 30, NUM_RATES)


def observed_between(
    rates: np.ndarray, losses: np.ndarray, first: float, *, steps: int, slack: float = 0.0
) -> ObservedLimit:
    """Return the limit that trials show: the last rate before the first that diverged or ended above its start.

    Args:
        losses: nan where a trial diverged. first: loss before training. slack: share of it that is rounding.
    """
    from .observed_limit import ObservedLimit

    with np.errstate(invalid="ignore"):
        bad = ~(losses <= first + slack * abs(first))
    if not bad.any():
        return ObservedLimit(float(rates[-1]), None, steps)
    index = int(np.argmax(bad))
    stable = float(rates[index - 1]) if index else None
    return ObservedLimit(stable, float(rates[index]), steps, alternates=not bad[index:].all())


def suggest(
    rates: np.ndarray,
    losses: np.ndarray,
    first: float,
    edge: float | None,
    *,
    certain: bool,
    steps: int,
    on_the_way: np.ndarray | None = None,
) -> Suggestion:
    """Return a learning rate and why.

    It is the rate with the lowest loss; of several that come to the same, the one that is there first; and, where the
    edge may move with batches, seeds or curvature, no more than half of the edge.

    Args:
        rates, losses: (R,), nan where a trial diverged.
        first: loss before training. edge: observed or predicted.
        certain: whether the edge cannot move.
        on_the_way: losses at moments before the end, rising, (R, E).
    """
    usable = np.isfinite(losses)
    if not usable.any():
        return Suggestion(None, "every trial diverged: try smaller rates, lr=... moves the range")
    index = int(np.argmin(np.where(usable, losses, np.inf)))
    best = float(losses[index])
    if not best < first:
        return Suggestion(None, f"no rate came below the first loss, {_number(first)}, in {steps:,} steps")
    if usable.sum() > 1 and not np.ptp(losses[usable]):
        return Suggestion(None, f"the learning rate makes no difference: every one comes to {_number(best)}")
    enough = best + _TIE * (first - best)
    good = usable & (losses <= enough)
    what = f"comes to the lowest loss, {_number(best)}, in {steps:,} steps"
    if good.sum() > 1 and on_the_way is not None:
        index = _first_there(np.flatnonzero(good), on_the_way, enough)
        low, high = _number(float(rates[good][0])), _number(float(rates[good][-1]))
        which = f"of the {good.sum()} rates" if np.any(np.diff(np.flatnonzero(good)) > 1) else "of the rates"
        what = f"the first to be there {which} from {low} to {high} that come to {_number(enough)} or less"
    rate = float(rates[index])
    if edge is not None and not certain and rate > edge / _MARGIN:
        reason = f"half of the edge at {_number(edge)}: {_number(rate)} {what}, but so near the edge"
        return Suggestion(float(edge / _MARGIN), f"{reason} that another start may diverge")
    if index in (0, len(rates) - 1):
        side = ("smallest", "smaller") if index == 0 else ("largest", "larger")
        what = f"{what}; it is the {side[0]} that was tried, {side[1]} ones may be better"
    return Suggestion(rate, what)


def _first_there(among: np.ndarray, on_the_way: np.ndarray, enough: float) -> int:
    """Return the trial that comes to `enough` first; of several at once, the one with the lowest loss there."""
    seen = np.where(np.isfinite(on_the_way[among]), on_the_way[among], np.inf)
    there = np.where((seen <= enough).any(axis=1), np.argmax(seen <= enough, axis=1), seen.shape[1] - 1)
    moment = int(np.min(there))
    return int(among[int(np.argmin(np.where(there == moment, seen[:, moment], np.inf)))])


def _ramp(source: str, built: Built) -> RateSearch:
    """Make one run of 50 to 300 steps whose rate grows from step to step.

    Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3; fast.ai's lr_find is one.
    """
    from .rate_trials import ramp_losses
    from .stability import configured_rate, predicted_limit

    steps = int(np.clip(built.total_steps, *_RAMP_STEPS))
    configured, prediction = configured_rate(built), predicted_limit(built)
    candidates = candidate_rates(configured, prediction)
    rates = np.geomspace(candidates[0], candidates[-1] * 3, steps)
    losses = smoothed(ramp_losses(built, rates))
    end = blown_up(losses)
    kept = slice(0, max(end + 1, 2))
    return RateSearch(
        source=source, optimizer=built.experiment.optimizer.kind, configured=configured, prediction=prediction,
        range_test=True, steps=steps, first_loss=float(losses[0]), rates=rates[kept], losses=losses[kept],
        diverged=~np.isfinite(losses[kept]), observed_edge=None,
        suggestion=suggest_from_ramp(rates[:end], losses[:end]),
        blew_up_at=float(rates[end]) if end < len(rates) else None,
    )  # fmt: skip


def smoothed(losses: np.ndarray) -> np.ndarray:
    """Return the moving average of losses, float64 (S,), corrected for its start."""
    average, result = 0.0, np.empty(len(losses))
    for step, loss in enumerate(losses):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * float(loss)
        result[step] = average / (1 - _SMOOTHING ** (step + 1))
    return result


def blown_up(losses: np.ndarray) -> int:
    """Return the first step whose loss is not finite or four times the lowest before it; len(losses) if none is."""
    finite = np.isfinite(losses)
    lowest = np.minimum.accumulate(np.where(finite, losses, np.inf))
    with np.errstate(invalid="ignore"):
        blown = ~finite | (losses > lowest + (_BLOWN_UP - 1) * np.abs(lowest))
    return int(np.argmax(blown)) if blown.any() else len(losses)


def suggest_from_ramp(rates: np.ndarray, losses: np.ndarray) -> Suggestion:
    """Return the rate at which the smoothed loss falls fastest over the logarithm of the rate, before its minimum.

    It is a tenth of the rate at the minimum at most.
    """
    if len(rates) < 5:
        return Suggestion(None, "the loss blew up at once: lr=... moves the ramp")
    lowest = int(np.argmin(losses))
    if lowest < 3:
        return Suggestion(None, "the loss never came down along the ramp")
    slope = np.gradient(losses[: lowest + 1], np.log(rates[: lowest + 1]))
    steepest = float(rates[int(np.argmin(slope))])
    tenth = float(rates[lowest]) / 10
    what = "where the loss falls fastest along the ramp"
    if tenth < steepest:
        what = "a tenth of the rate at which the loss is lowest along the ramp"
    return Suggestion(min(steepest, tenth), f"{what} (lowest at {human_number(float(rates[lowest]), digits=3)})")


def _number(value: float) -> str:
    return human_number(value, digits=3)
