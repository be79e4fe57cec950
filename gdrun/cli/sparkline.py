"""A curve in one line of text."""

from __future__ import annotations

import numpy as np

from . import terminal

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-~=^*#"

LOGARITHMIC_FROM = 100.0
"""Greatest over least positive value from which heights are logarithms."""


def sparkline(values: np.ndarray, width: int = 24) -> str:
    """Return `values` (float, one-dimensional) as at most `width` blocks, each the mean of its share.

    A share without a finite value is `x`; heights are logarithms where all values are positive and range widely. ASCII
    where stdout cannot write blocks.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return ""
    bounds = np.linspace(0, len(values), min(width, len(values)) + 1).astype(int)
    finite = np.isfinite(values)
    kept = np.where(finite, values, 0.0)
    if finite.any() and kept[finite].min() > 0 and kept[finite].max() / kept[finite].min() >= LOGARITHMIC_FROM:
        kept = np.log(np.where(finite, values, 1.0))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        counts = np.add.reduceat(finite.astype(float), bounds[:-1])
        means = np.add.reduceat(kept, bounds[:-1]) / counts
        known = np.isfinite(means) & (counts > 0)
        low, high = (means[known].min(), means[known].max()) if known.any() else (0.0, 0.0)
        # Halved, so that the difference of two huge numbers is finite.
        span = high / 2 - low / 2
        heights = (means / 2 - low / 2) / span if span > 0 else np.zeros(len(means))
    marks = _marks()
    levels = np.where(known, np.nan_to_num(heights) * (len(marks) - 1) + 0.5, 0).astype(int)
    return "".join(
        marks[min(level, len(marks) - 1)] if there else "x" for level, there in zip(levels, known, strict=True)
    )


def _marks() -> str:
    try:
        _BLOCKS.encode(getattr(terminal.stream("stdout"), "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _BLOCKS
