"""FormulaErrors that know in which part of a config's value they stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from gdrun.errors import ConfigPath, FormulaError, Problem


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
        known = error if isinstance(error, LocatedFormulaError) else None
        if known is not None and known.section is not None:
            raise  # the innermost definition already said where
        raise LocatedFormulaError(
            error.message,
            offset=error.offset,
            length=error.length,
            hint=error.hint,
            inside=steps + (known.inside if known else ()),
            section=section,
        ) from error
