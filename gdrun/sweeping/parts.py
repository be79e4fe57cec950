"""Parts of a sweep that are trained apart, each as a sweep with a directory of its own, and their results together.

A part is a share of the trials in the order of their groups. As a trial's bits do not depend on the trials beside it,
the table of all parts is that of one process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.rundir import layout
from gdrun.rundir.layout import iterate_runs
from gdrun.rundir.lock import WriterLock
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.text import plural, safe_text

from .groups import TrialGroup
from .results import TrialTable
from .store import PART, read_blocks
from .trials import SweepSpec

MAX_PARTS = 100_000
_TEXT = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, order=True)
class Part:
    """One of a sweep's parts."""

    of: int
    number: int
    """From 1 on."""

    @classmethod
    def read(cls, text: str) -> Part:
        """Return the part that is written "3/50".

        Raises:
            UsageError: it is none.
        """
        match = _TEXT.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MAX_PARTS:
            shown = safe_text(text, limit=100)
            raise UsageError(f"there is no part '{shown}'", hint="the third of fifty parts is --part 3/50")
        return cls(int(match[2]), int(match[1]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def trials(self, groups: Sequence[TrialGroup]) -> np.ndarray:
        """Return the trials of this part, int64, rising.

        Raises:
            UsageError: there are more parts than trials.
        """
        trials = np.concatenate([group.trials for group in groups])
        if self.of > len(trials):
            raise UsageError(f"{plural(len(trials), 'trial')} cannot be cut in {self.of} parts", hint="--part 1/2")
        begin, end = ((number * len(trials)) // self.of for number in (self.number - 1, self.number))
        return np.sort(trials[begin:end])


def part_of(run: Run) -> Part | None:
    """Return the part of a sweep that is in a directory; None where it is a whole one, or a run."""
    text = run.info.extra.get(PART) if run.is_sweep else None
    return Part.read(text) if isinstance(text, str) else None


@contextmanager
def locked_parts(directories: Sequence[Path]) -> Iterator[list[Run]]:
    """Yield the parts of one sweep, which nobody else writes or gathers meanwhile.

    Args:
        directories: of the parts, or folders that hold them.
    Raises:
        UsageError: they are not all the parts of one sweep, each once.
        RunDirectoryError: one is busy or damaged.
    """
    with ExitStack() as locks:
        parts = {directory.resolve(): Run(directory) for folder in directories for directory in _parts_in(folder)}
        for run in parts.values():
            locks.callback(WriterLock(run.directory).release)
        _check_parts(list(parts.values()))
        yield list(parts.values())


def _parts_in(folder: Path) -> list[Path]:
    name = safe_text(folder)
    if (folder / layout.RUN_INFO).is_file():
        if part_of(Run(folder)) is None:
            raise UsageError(f"{name} is no part of a sweep", hint="gdrun sweep CONFIG --part 1/2 makes one")
        return [folder]
    directories = [directory for directory in iterate_runs(folder) if part_of(Run(directory)) is not None]
    if not directories:
        raise UsageError(f"there is no part of a sweep in {name}", hint="gdrun sweep CONFIG --part 1/2 makes one")
    return directories


def _check_parts(runs: Sequence[Run]) -> None:
    """Refuse parts of several sweeps, and parts that overlap or are missing.

    Raises:
        UsageError: with the directories.
    """
    first, of = runs[0], _part(runs[0]).of
    by_number: dict[int, Run] = {}
    for run in runs:
        part, name = _part(run), safe_text(run.directory)
        for what, own, others in (
            ("configs", run.info.config_hash, first.info.config_hash),
            ("data files", sorted(run.info.data.values()), sorted(first.info.data.values())),
            ("plugins", sorted(run.info.plugins.values()), sorted(first.info.plugins.values())),
            ("versions", run.info.versions, first.info.versions),
        ):
            if own != others:
                raise UsageError(
                    f"{name} and {safe_text(first.directory)} are parts of two sweeps: their {what} differ",
                    hint="name the parts of one sweep: gdrun gather DIR DIR...",
                )
        if part.of != of:
            raise UsageError(
                f"part {part} in {name} and part {_part(first)} in {safe_text(first.directory)} overlap",
                hint=f"name the parts of {part.of}, or those of {of}",
            )
        if part.number in by_number:
            other = safe_text(by_number[part.number].directory)
            raise UsageError(f"part {part} is there twice: {other} and {name}", hint=_removal(run))
        by_number[part.number] = run
    if missing := [str(Part(of, number)) for number in range(1, of + 1) if number not in by_number]:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UsageError(
            f"{plural(len(missing), 'part')} missing: {', '.join(missing[:5])}{more}",
            hint=_train_again(first, missing[0]),
        )


def _part(run: Run) -> Part:
    part = part_of(run)
    assert part is not None
    return part


def _removal(run: Run) -> str:
    """Return the command that removes a part, which need not be in the folder of runs."""
    return f"gdrun rm {safe_text(run.directory.name)} --runs-dir {safe_text(run.directory.parent)}"


def _train_again(run: Run, part: Part | str) -> str:
    """Return the command that trains a part beside another one of its sweep, whose directory is a config."""
    plugins = "".join(f" --plugin {safe_text(name)}" for name in run.info.plugins)
    name, folder = safe_text(run.directory), safe_text(run.directory.parent)
    return f"gdrun sweep {name} --part {part} --runs-dir {folder}{plugins}"


def gathered_table(runs: Sequence[Run], spec: SweepSpec, groups: Sequence[TrialGroup]) -> TrialTable:
    """Return the results of all parts, trials that failed among them.

    Raises:
        RunDirectoryError: a part lacks trials.
    """
    table = TrialTable(np.arange(len(spec)))
    for run in runs:
        part, name, damages = _part(run), safe_text(run.directory), list[str]()
        results = TrialTable(part.trials(groups))
        for block in read_blocks(run.directory, damages.append):
            results.add(block)
        if count := len(results.unknown()):
            why = f" ({damages[0]})" if damages else ""
            # A part that ended whole and was damaged afterwards is nothing that could be resumed.
            again = f"`{_train_again(run, part)}`, then `{_removal(run)}`"
            hint = again if run.status is Status.COMPLETED else f"gdrun resume {name}"
            raise RunDirectoryError(f"part {part} in {name} lacks {plural(count, 'trial')}{why}", hint=hint)
        for block in results.blocks:
            table.add(block)
    return table


def differing_hosts(runs: Sequence[Run]) -> str:
    """Return a warning where parts were trained on processors or devices that differ; "" where they were not."""
    places = sorted({f"{run.info.host.get('processor')}, {run.info.device}" for run in runs})
    return f"last digits may differ between parts; they were trained on {'; '.join(places)}" if len(places) > 1 else ""
