"""A row of the table of exporters: the function that writes runs in a format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gdrun.rundir.files import refuse_existing, write_file
from gdrun.rundir.run import Run


@dataclass(frozen=True)
class Exporter:
    """A format for other programs. `write` takes runs and an output, None for its default, and returns what is new."""

    format: str
    write: Callable[[Sequence[Run], str | None], list[str]]

    @property
    def help(self) -> str:
        """The first line of the function's docstring."""
        return (self.write.__doc__ or "").partition("\n")[0].rstrip(".")


def exporter(format: str) -> Callable[[Callable[[Sequence[Run], str | None], list[str]]], Exporter]:
    """Make a function an exporter; the table in `data` lists it."""
    return lambda write: Exporter(format, write)


def write_new(runs: Sequence[Run], output: str | None, suffix: str, content: Callable[[], bytes]) -> list[str]:
    """Write a new file, called like the run by default, and return its path. `content` is made when the name is free.

    Raises:
        UsageError: it exists.
        RunDirectoryError: the disk refuses.
    """
    name = runs[0].info.name or runs[0].id if len(runs) == 1 else "runs"
    path = Path(output if output is not None else f"{name}{suffix}")
    refuse_existing(path)
    return [str(write_file(path, content(), new=True))]
