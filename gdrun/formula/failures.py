"""Errors of formulas: their place in a config's value, and the bound on the size of a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite, prod

from gdrun.errors import ConfigPath, FormulaError, Problem

MAX_ELEMENTS = 2**27
"""Most elements that one value of a formula may have: 1 GiB in float64."""


class LocatedFormulaError(FormulaError):
    """A FormulaError below or beside the value that was being read.

    `inside` is the way from the value to the formula at fault: (0, 2) for an element of a nested list, ("h",) for a
    definition. Where `section` is given, the way starts there ("define") instead of at the value.
    """

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        length: int | None = None,
        hint: str | None = None,
        inside: ConfigPath = (),
        section: ConfigPath | None = None,
    ) -> None:
        super().__init__(message, offset=offset, length=length, hint=hint)
        self.inside = inside
        self.section = section

    def problem(self, path: ConfigPath) -> Problem:
        """Return this error as a Problem of the formula it stands in, reached from `path`."""
        base = (*path, *self.within) if self.section is None else self.section
        return replace(super().problem(path), path=base + self.inside)


class Unconnected(Exception):
    """A tape found no way from a result back to the name it is differentiated by. The message may say why."""


@contextmanager
def inside(*steps: str | int, section: ConfigPath | None = None) -> Iterator[None]:
    """Say of every FormulaError that leaves the block that it stands `inside` these steps."""
    try:
        yield
    except FormulaError as error:
        located = error if isinstance(error, LocatedFormulaError) else None
        if located is not None and located.section is not None:
            raise  # the innermost definition already said where
        raise LocatedFormulaError(
            error.message,
            offset=error.offset,
            length=error.length,
            hint=error.hint,
            inside=steps + (located.inside if located else ()),
            section=section,
        ) from error


# Sizes are checked before a value is allocated: a formula of a few characters may ask for a machine's whole memory.


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
