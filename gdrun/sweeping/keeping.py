"""What a sweep's directory holds: blocks as they come, the table, and at the end curves, parameters and best/."""

from __future__ import annotations

import signal as signals
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import RunDirectoryError
from gdrun.rundir import layout, strict_json
from gdrun.rundir.arrays import ArraysError, read_arrays
from gdrun.rundir.files import names_in, read_file, reading, remove_leftovers
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from gdrun.text import safe_text

from .grouping import group_trials, parts_of
from .results import BlockResult, Hooks, Table, csv_text, curve_arrays, parameter_arrays

if TYPE_CHECKING:
    from gdrun.experiment.loading import LoadedConfig
    from gdrun.training.prepare import Prepared

    from .trials import SweepSpec

PARTS = "parts"
ASKED = "asked-"
_TABLE_SECONDS = 2.0
"""How often trials.csv is written while a sweep goes on."""


class Keeper:
    """Writes one sweep."""

    def __init__(self, store: RunStore, spec: SweepSpec, table: Table) -> None:
        self._store = store
        self.spec = spec
        self.table = table
        self._columns: list[Sequence[Any]] | None = None
        self._written = 0.0
        self._next = 1 + max((_number(name) for name in part_names(store)), default=-1)

    def keep(self, block: BlockResult) -> None:
        """Write a block's results durably, and the table now and then."""
        if all(status == "failed" for status in block.status):
            self._store.log(f"failed: {block.why[0]}")
        self._store.write_arrays(f"{PARTS}/{self._next:06d}.npz", block.to_arrays())
        self._next += 1
        _replace_failed(self.table, block)
        self.table.add(block)
        if time.monotonic() - self._written > _TABLE_SECONDS:
            self.write_table()

    def write_asked(self, begin: int, rows: Sequence[Sequence[Any]]) -> None:
        """Write durably what a search asked for: the values of the trials from number `begin` on."""
        self._store.write_json(f"{PARTS}/{ASKED}{begin:07d}.json", rows)

    def read_asked(self) -> list[list[Any]]:
        """Return what a search asked for so far, a list of values a trial, in order.

        Raises:
            RunDirectoryError: a file is damaged.
        """
        rows: list[list[Any]] = []
        for name in asked_names(self._store):
            path = self._store.directory / PARTS / name
            try:
                rows += strict_json.loads(read_file(path).decode())
            except ValueError as error:
                raise RunDirectoryError(f"{path} is damaged") from error
        return rows

    def write_table(self) -> None:
        """Write trials.csv as far as it goes."""
        axes = range(len(self.spec.axes))
        if self.spec.search is not None:
            # It grows; before the first batch nothing was asked.
            self._columns = [self.spec.column(axis).tolist() if self.spec.blocks else [] for axis in axes]
        elif self._columns is None:
            self._columns = [self.spec.column(axis).tolist() for axis in axes]
        text = csv_text(self.table, [axis.key for axis in self.spec.axes], self._columns)
        self._store.write_text(layout.TRIALS, text)
        self._written = time.monotonic()

    def finish(
        self, spec: SweepSpec, prepare: Callable[[LoadedConfig], Prepared], command: Sequence[str] | None
    ) -> None:
        """Write everything that a complete sweep has.

        Args:
            spec: with the trials that ran.
            prepare: builds the best trial.
        """
        self.spec = spec
        self.write_table()
        self._store.write_arrays(layout.CURVES, curve_arrays(self.table))
        self._store.write_arrays(layout.PARAMETERS, parameter_arrays(self.table))
        best = self.table.best(spec.ranked, maximize=spec.maximize)
        if best is None:
            return
        from .best import write_best
        from .blocks import run_group
        from .searching import grouped

        trial, _ = best
        champion = self.table.champion(trial)
        if champion is None:
            groups = grouped(spec, trial, [spec.values(trial)])[0] if spec.search is not None else group_trials(spec)
            (group,) = parts_of(groups, np.asarray([trial]))
            champion = next(iter(run_group(spec, group, Hooks()))).champion
        if champion is not None:
            write_best(self._store.directory, prepare(spec.load(trial)), champion, command)

    def close(self, status: Status, *, seconds: float, signal: int | None = None, why: str | None = None) -> None:
        """Write the record and close the store; parts go where nothing is missing."""
        table, spec = self.table, self.spec
        if signal is not None:
            self.write_table()
            why = f"{signals.Signals(signal).name} with {table.counts()['missing']} trials to go"
        best = table.best(spec.ranked, maximize=spec.maximize)
        told: dict[str, Any] = {}
        if best is not None:
            trial, value = best
            named = dict(zip((axis.key for axis in spec.axes), spec.values(trial), strict=True))
            told = {"trial": trial, "metric": spec.ranked, "value": value, "values": named}
        losses = table.best("loss", maximize=False)
        fields: dict[str, Any] = {
            "why": why,
            "stopped_by": "signal" if signal is not None else "trials",
            "seconds": seconds + (self._store.info.seconds or 0.0),
            "steps": int(sum(int(block.steps.sum()) for block in table.blocks)),
            "final": {} if losses is None else {"loss": losses[1]},
            "best": told,
            "extra": {"trials": table.counts(), "strategy": _strategies(table)},
        }
        # The record first: without parts it is all that says that nothing is missing.
        self._store.update_info(status=str(status), **fields)
        if signal is None and not len(table.missing()):
            for name in (*part_names(self._store), *asked_names(self._store)):
                self._store.remove(f"{PARTS}/{name}")
        self._store.close(status)


def _strategies(table: Table) -> dict[str, Any]:
    """How trials ran: strategy -> number of trials, with the reasons where they ran one after the other."""
    counts: dict[str, Any] = {}
    for block in table.blocks:
        if block.info:
            counts[block.info["strategy"]] = counts.get(block.info["strategy"], 0) + len(block)
    said = {block.info["why"] for block in table.blocks if "why" in block.info}
    reasons = sorted(said - {"a single trial"})
    return counts | ({"why": reasons[:8]} if reasons else {})


def _replace_failed(table: Table, block: BlockResult) -> None:
    """Drop rows of failed trials that have run again."""
    for other in list(table.blocks):
        again = np.isin(other.trials, block.trials)
        if again.any():
            table.blocks.remove(other)
            if not again.all():
                table.blocks.append(other.subset(np.flatnonzero(~again)))


def part_names(store: RunStore) -> list[str]:
    """The files of finished blocks, in the order in which they were written."""
    return [name for name in _names(store) if name.endswith(".npz") and name[:-4].isdigit()]


def asked_names(store: RunStore) -> list[str]:
    """The files of what a search asked for, in the order of the trials."""
    return [name for name in _names(store) if name.startswith(ASKED) and name.endswith(".json")]


def _names(store: RunStore) -> list[str]:
    try:
        return names_in(store.directory / PARTS)
    except RunDirectoryError:
        return []


def _number(name: str) -> int:
    return int(name[:-4])


def load_parts(store: RunStore, total: int) -> Table:
    """Return the results that a sweep has so far. Parts that cannot be read are left out: their trials run again."""
    table = Table(total)
    remove_leftovers(store.directory / PARTS)
    for name in part_names(store):
        try:
            with reading(store.directory / PARTS / name) as file:
                block = BlockResult.from_arrays(read_arrays(file)[0])
        except (ArraysError, KeyError, ValueError, OSError) as error:
            store.log(f"warning: {PARTS}/{name} is left out: {safe_text(error, limit=200)}")
            continue
        _replace_failed(table, block)
        table.add(block)
    return table
