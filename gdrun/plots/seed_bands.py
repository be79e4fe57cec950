"""Curves that differ in the seed alone, as one line with a band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdrun.metric_names import higher_is_better
from gdrun.rundir.seeds import SAID, Band, spread
from gdrun.text import plural

from .figure import Series


def band_series(
    steps: np.ndarray,
    curves: np.ndarray,
    column: str,
    band: Band,
    *,
    diverged: Sequence[bool],
    ended: Sequence[bool],
    label: str = "",
    slot: int | None = None,
) -> Series:
    """Return the middle of curves (n, R) over n seeds at each of R steps, with a band; nan is no value.

    A seed that diverged is worse than any other from there on, and one that ended keeps its last value. A step at which
    another one has no value is left out, as those after the last row of a run that goes on.

    Args:
        column: of the curves, which says whether more of it is better.
        diverged, ended: of each seed.
        label: of the line; how many seeds there are, and how many diverged, is said behind it.
    """
    worst = -np.inf if higher_is_better(column) else np.inf
    filled = np.array(curves, np.float64)
    for curve, has_diverged, has_ended in zip(filled, diverged, ended, strict=True):
        places = np.flatnonzero(~np.isnan(curve))
        after = int(places[-1]) + 1 if len(places) else 0
        if has_diverged:
            curve[after:] = worst
        elif has_ended and after:
            curve[after:] = curve[after - 1]
    whole = ~np.isnan(filled).any(axis=0)
    middle, low, high = spread(filled[:, whole], band, worst=worst)
    lost = f", {sum(diverged)} diverged" if any(diverged) else ""
    words = f"{plural(len(filled), 'seed')}{lost}"
    text = f"{label} ({words})" if label else words
    x = np.asarray(steps)[whole]
    return Series(x, middle, text, slot=slot, lower=low, upper=high, steps=x)


def seeds_note(band: Band, num_seeds: int) -> str:
    """Return what line and band are, as a picture says it."""
    line, area = SAID[band]
    return f"line: {line} of {num_seeds} seeds; band: {area}"
