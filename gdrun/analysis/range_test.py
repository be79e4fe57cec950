"""The learning-rate range test: one run along a ramp of rates.

Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3; fast.ai's lr_find is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.text import human_number

from .learning_rate import Suggestion, candidate_rates, common, configured_rate

if TYPE_CHECKING:
    from gdrun.assembly import Built

_STEPS = (50, 300)
"""At least and at most."""
_SMOOTHING = 0.95
_BLOWN_UP = 4.0


def ramp(built: Built) -> dict[str, Any]:
    """Return what a RateSearch holds, of one run of 50 to 300 steps whose rate grows from step to step."""
    from .rates import ramp_losses
    from .stability import predicted_limit

    prediction = predicted_limit(built)
    tried = candidate_rates(configured_rate(built), prediction)
    steps = int(np.clip(built.total_steps, *_STEPS))
    rates = np.geomspace(tried[0], tried[-1] * 3, steps)
    losses = smoothed(ramp_losses(built, rates))
    end = blown_up(losses)
    shown = slice(0, max(end + 1, 2))
    return common(built, prediction) | {
        "rates": rates[shown],
        "losses": losses[shown],
        "diverged": ~np.isfinite(losses[shown]),
        "first_loss": float(losses[0]),
        "steps": steps,
        "observed": float(rates[end]) if end < len(rates) else None,
        "suggestion": suggest_from_ramp(rates[:end], losses[:end]),
        "range_test": True,
    }


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
