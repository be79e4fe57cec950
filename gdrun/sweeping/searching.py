"""A search: trials asked for in batches, trained like those of any sweep, and told.

What was asked is written before it is trained. A search that was killed asks and tells again what it has, in the same
order, and goes on from there: it ends with the table that it would have had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.errors import ConfigError

from .executors import Executor
from .grouping import Group, group_trials, parts_of
from .proposals import Outcome, Proposals, Row, batch_size, to_param, to_value
from .results import BlockResult, Hooks, Table, failed

if TYPE_CHECKING:
    from .keeping import Keeper
    from .trials import SweepSpec


def search(
    spec: SweepSpec, executor: Executor, hooks: Hooks, keeper: Keeper, keep: Callable[[BlockResult], None]
) -> SweepSpec:
    """Ask, train and tell until there are as many trials as the search may have, or `hooks.should_stop()`.

    Args:
        spec: a search; it has no rows.
        executor: trains groups.
        hooks: what it asks and tells.
        keeper: writes what is asked for; its table holds those of a search that goes on.
        keep: writes and reports a block that is done.
    Returns:
        the sweep with the trials that were asked for.
    Raises:
        ResourceError: Optuna, or what its sampler needs, is not installed.
    """
    return _Search(spec, executor, hooks, keeper, keep).run()


class _Search:
    def __init__(
        self, spec: SweepSpec, executor: Executor, hooks: Hooks, keeper: Keeper, keep: Callable[[BlockResult], None]
    ) -> None:
        self._spec, self._executor, self._hooks, self._keeper, self._keep_block = spec, executor, hooks, keeper, keep
        self._rows: list[Row] = []
        self._total = spec.trials or 0
        self._known = _read_rows(spec, keeper)
        self._prunes = spec.search is not None and spec.search.prune
        self._warned: set[str] = set()

    def run(self) -> SweepSpec:
        proposals = Proposals(self._spec)
        size = batch_size(self._spec)
        had_failed = self._failed()
        while len(self._rows) < self._total:
            begin = len(self._rows)
            rows = proposals.ask(min(size, self._total - begin))
            rows = self._settled(begin, rows)
            self._rows += rows
            self._keeper.spec = self._spec.with_rows(self._rows)
            self._train(begin, rows, self._without_row(begin, len(self._rows)))
            if len(self._without_row(begin, len(self._rows))):
                break
            same = proposals.tell(rows, outcomes(self._spec, self._keeper.table, np.arange(begin, len(self._rows))))
            if not same:
                self._warn("this version of Optuna proposes other trials than the one that the search began with")
        # Told as they were at first, so that the trials after them are the same; another try comes last.
        again = np.intersect1d(had_failed, self._failed())
        if len(again) and not self._hooks.should_stop():
            self._train(0, self._rows, again)
        return self._spec.with_rows(self._rows)

    def _settled(self, begin: int, rows: list[Row]) -> list[Row]:
        """The rows of a batch as they ran, where they did; else they are written."""
        before = self._known[begin : begin + len(rows)]
        if len(before) < len(rows):
            self._keeper.write_asked(begin, [_params(self._spec, row) for row in rows])
            return rows
        return before

    def _train(self, begin: int, rows: Sequence[Row], trials: np.ndarray) -> None:
        """Train `trials`, which are among those that begin at `begin` and have `rows`."""
        if not len(trials) or self._hooks.should_stop():
            return
        spec = self._spec.with_rows(self._rows)
        groups, refused = grouped(self._spec, begin, rows)
        for block in refused:
            if np.isin(block.trials, trials).all():
                self._keep(block)
        for block in self._executor.run(spec, parts_of(groups, trials), self._hooks):
            self._keep(block)

    def _keep(self, block: BlockResult) -> None:
        self._keep_block(block)
        one_by_one = block.info.get("strategy") == "one after the other"
        if self._prunes and len(block) > 1 and one_by_one:
            self._warn(f"nothing is pruned where trials run one after the other: {block.info.get('why')}")

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._hooks.warn(message)

    def _without_row(self, begin: int, end: int) -> np.ndarray:
        """Trials in [begin, end) that nothing came of, not even a failure."""
        return np.setdiff1d(np.arange(begin, end), self._keeper.table.done)

    def _failed(self) -> np.ndarray:
        table = self._keeper.table
        return np.intersect1d(table.missing(), table.done)


def grouped(spec: SweepSpec, begin: int, rows: Sequence[Row]) -> tuple[list[Group], list[BlockResult]]:
    """Return the groups of a batch, and the results of trials whose configs are refused.

    Args:
        spec: the search.
        begin: the number of the batch's first trial.
        rows: its values.
    """
    # Which lanes are dropped depends on which ones there are, so that no worker may get a part of them.
    whole = spec.search is not None and spec.search.prune
    try:
        return _moved(group_trials(spec.with_rows(rows)), np.arange(begin, begin + len(rows)), whole=whole), []
    except ConfigError:
        pass
    good, refused = [], []
    for place in range(len(rows)):
        try:
            spec.with_rows([rows[place]]).load(0)
            good.append(place)
        except ConfigError as error:
            refused.append(failed(np.asarray([begin + place]), error.problems[0].message))
    groups = group_trials(spec.with_rows([rows[place] for place in good])) if good else []
    return _moved(groups, begin + np.asarray(good, np.int64), whole=whole), refused


def _moved(groups: Sequence[Group], numbers: np.ndarray, *, whole: bool) -> list[Group]:
    return [replace(group, trials=numbers[group.trials], whole=whole) for group in groups]


def outcomes(spec: SweepSpec, table: Table, trials: np.ndarray) -> list[Outcome]:
    """Return what a sampler is told of each of `trials`, all of which have a row."""
    found: dict[int, Outcome] = {}
    for block in table.blocks:
        values = block.values.get(spec.ranked, block.values.get(spec.metric))
        for place in np.flatnonzero(np.isin(block.trials, trials)).tolist():
            usable = values is not None and block.status[place] in ("completed", "stopped")
            value = float(values[place]) if usable and values is not None else None
            pruned = block.stopped_by[place] == "pruned"
            found[int(block.trials[place])] = Outcome(value, int(block.steps[place]) if pruned else None)
    return [found[trial] for trial in trials.tolist()]


def _params(spec: SweepSpec, row: Row) -> list[Any]:
    return [to_param(axis, value) for axis, value in zip(spec.axes, row, strict=True)]


def _read_rows(spec: SweepSpec, keeper: Keeper) -> list[Row]:
    """The rows that were asked for before, in order."""

    def rows() -> Iterator[Row]:
        for params in keeper.read_asked():
            yield tuple(to_value(axis, param) for axis, param in zip(spec.axes, params, strict=True))

    return list(rows())
