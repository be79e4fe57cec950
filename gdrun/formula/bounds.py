"""Limits that keep a short formula from asking for a machine's whole memory."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite, prod

from gdrun.errors import FormulaError

MAX_ELEMENTS = 2**27
"""Most elements that one value of a formula may have: 1 GiB in float64."""

MAX_ITERATIONS = 1_000_000
"""Most rounds that a loop of `define` may be allowed."""


def check_size(shape: Iterable[int | None], what: str) -> None:
    """Refuse a value of `shape` before it is allocated. Dimensions that are not known yet (None) count as one.

    Raises:
        FormulaError: with the number of elements that `what` asks for.
    """
    dims = tuple(1 if dim is None else int(dim) for dim in shape)
    check_count(prod(dims), what)


def check_count(count: float, what: str) -> None:
    """Refuse `count` elements if they are more than MAX_ELEMENTS. `count` may be infinite or nan."""
    if not isfinite(count) or count > MAX_ELEMENTS:
        size = f"{count:,.0f}" if isfinite(count) and count < 1e15 else f"{float(min(count, 10.0**300)):.3g}"
        raise FormulaError(
            f"{what} would have {size} elements, more than the {MAX_ELEMENTS:,} that one value may have",
            hint="ask for fewer points or a smaller shape",
        )
