"""Colours that people with any colour vision can distinguish, each with its own dashes and marker.

Source: Okabe and Ito 2008, "Color Universal Design"; cividis: Nunez, Anderton and Renslow 2018. Yellow is left out of
lines: it cannot be read on white.
"""

from __future__ import annotations

import numpy as np

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
TERMINAL = (32, 166, 36, 175, 178, 74, 245)
"""The nearest of the terminal's 256 colours, of a lightness that can be read on black and on white."""

MARKERS = "●▲■◆○△□"

_CIVIDIS = np.array(
    [
        (0.000, 0.135, 0.305),
        (0.000, 0.212, 0.437),
        (0.206, 0.278, 0.427),
        (0.308, 0.346, 0.423),
        (0.401, 0.414, 0.434),
        (0.489, 0.484, 0.460),
        (0.583, 0.557, 0.469),
        (0.680, 0.633, 0.454),
        (0.783, 0.713, 0.414),
        (0.890, 0.799, 0.347),
        (0.996, 0.909, 0.218),
    ]
)


def graded(share: np.ndarray | float) -> np.ndarray:
    """Return red, green, blue in [0, 1] of shares in [0, 1]: dark blue, over grey, to yellow; shape (..., 3)."""
    share = np.clip(np.nan_to_num(np.asarray(share, np.float64)), 0, 1)
    stops = np.linspace(0, 1, len(_CIVIDIS))
    return np.stack([np.interp(share, stops, _CIVIDIS[:, channel]) for channel in range(3)], axis=-1)


def terminal_colour(share: float) -> int:
    """Return the nearest of the terminal's 256 colours to `graded(share)`."""
    red, green, blue = (round(value * 5) for value in graded(share).tolist())
    return 16 + 36 * red + 6 * green + blue
