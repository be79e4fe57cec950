"""Where contours are drawn."""

from __future__ import annotations

import numpy as np

from .figure import Grid


def contour_levels(grid: Grid, count: int) -> np.ndarray:
    """Return at most `count` + 1 increasing levels from the lowest to the highest finite value of a grid.

    They are quantiles of the values, denser among the low ones: a narrow valley gets as many lines as the slopes around
    it, however high those rise.
    """
    finite = grid.values[np.isfinite(grid.values)]
    if not len(finite):
        return np.zeros(0)
    return np.unique(np.quantile(finite, np.linspace(0, 1, count + 1) ** 1.4))
