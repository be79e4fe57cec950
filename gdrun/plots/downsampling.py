"""Fewer of many points: evenly, or of a line so that it looks the same: extremes, gaps and ends stay."""

from __future__ import annotations

import numpy as np

from .figure import Scale, Series
from .scales import position


def evenly(count: int, most: int) -> np.ndarray:
    """Return at most `most` of the indices 0 to `count` - 1, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def downsampled(series: Series, scale: Scale, limits: tuple[float, float], buckets: int) -> Series:
    """Return `series` with at most six points in each of `buckets` stretches of the x axis.

    Of each stretch the first and last point stay, the lowest and the highest, the lowest of `lower` and the highest of
    `upper`, and one that is not finite where there is one, which keeps the gap. Short series, unordered ones and points
    with colours stay as they are.
    """
    if len(series.x) <= 6 * buckets or series.values is not None or not (np.diff(series.x) >= 0).all():
        return series
    places = position(series.x, scale, limits)
    visible = np.flatnonzero(np.isfinite(places))
    bucket = np.clip((places[visible] * buckets).astype(np.int64), 0, buckets - 1)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    kept = [visible[starts], visible[np.append(starts[1:], len(visible)) - 1]]
    for column, largest in ((series.y, True), (series.y, False), (series.upper, True), (series.lower, False)):
        if column is not None:
            kept.append(_extremes(column, visible, starts, largest=largest))
    gaps = np.flatnonzero(~np.isfinite(series.y[visible]))
    if len(gaps):
        first_of_bucket = np.unique(np.searchsorted(starts, gaps, side="right"), return_index=True)[1]
        kept.append(visible[gaps[first_of_bucket]])
    return series.kept(np.unique(np.concatenate(kept)))


def _extremes(column: np.ndarray, visible: np.ndarray, starts: np.ndarray, *, largest: bool) -> np.ndarray:
    """Return the index of the largest (smallest) finite value of each stretch."""
    worst = -np.inf if largest else np.inf
    values = np.where(np.isfinite(column[visible]), column[visible], worst)
    reduce = np.maximum if largest else np.minimum
    best = np.repeat(reduce.reduceat(values, starts), np.diff(np.append(starts, len(visible))))
    hits = np.flatnonzero(values == best)
    first = np.unique(np.searchsorted(starts, hits, side="right"), return_index=True)[1]
    return visible[hits[first]]
