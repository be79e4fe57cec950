"""Search: trials proposed in batches by a sampler, trained like those of any sweep, their outcomes given back to it.

The proposed values are written before they are trained. A search that was killed gives its sampler the same outcomes
again, in the same order, and ends with the table that it would have had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gdrun.errors import ConfigError

from .executors import Executor
from .groups import TrialGroup, group_trials, parts_of
from .optuna_sampler import Row, Sampler, TrialOutcome, batch_size, to_param, to_value
from .results import BlockResult, Hooks, TrialTable, failed
from .store import SweepStore
from .trials import SweepSpec


def search(
    spec: SweepSpec,
    executor: Executor,
    hooks: Hooks,
    store: SweepStore,
    keep: Callable[[BlockResult], None],
    *,
    failed_again: bool,
) -> SweepSpec:
    """Propose and train trials until there are as many as the search may have, or `hooks.should_stop()`.

    Args:
        spec: a search; it has no rows.
        executor: trains groups.
        store: its table holds the results of a search that is resumed.
        keep: writes and reports a block that is done.
        failed_again: train the trials that failed before, once more.
    Returns:
        the sweep with the trials that were proposed.
    Raises:
        ResourceError: Optuna, or what its sampler needs, is not installed.
    """
    total, table, prunes = spec.trials or 0, store.table, spec.search is not None and spec.search.prune
    recorded = [
        tuple(to_value(axis, param) for axis, param in zip(spec.axes, params, strict=True))
        for params in store.read_proposals()
    ]
    failed_before = np.intersect1d(table.missing(), table.done) if failed_again else np.zeros(0, np.int64)
    warnings: set[str] = set()
    rows: list[Row] = []

    def warn_once(message: str) -> None:
        if message not in warnings:
            warnings.add(message)
            hooks.warn(message)

    def train(begin: int, batch: Sequence[Row], trials: np.ndarray) -> None:
        """Train `trials`, which are among those that begin at `begin` and have the values `batch`."""
        if not len(trials) or hooks.should_stop():
            return
        groups, refused = group_batch(spec, begin, batch)
        for block in refused:
            if np.isin(block.trials, trials).all():
                keep(block)
        for block in executor.run(spec.with_rows(rows), parts_of(groups, trials), hooks):
            keep(block)
            if prunes and block.info.get("why", "a single trial") != "a single trial":
                warn_once(f"nothing is pruned where trials run one after the other: {block.info['why']}")

    sampler = Sampler(spec)
    while len(rows) < total:
        begin = len(rows)
        batch = sampler.ask(min(batch_size(spec), total - begin))
        if begin + len(batch) <= len(recorded):
            batch = recorded[begin : begin + len(batch)]
        else:
            store.write_proposals(
                begin, [[to_param(axis, value) for axis, value in zip(spec.axes, row, strict=True)] for row in batch]
            )
        rows += batch
        store.spec = spec.with_rows(rows)
        trials = np.arange(begin, len(rows))
        train(begin, batch, np.setdiff1d(trials, table.done))
        if len(np.setdiff1d(trials, table.done)):
            break  # It was stopped.
        if not sampler.tell(batch, outcomes(spec, table, trials)):
            warn_once("this version of Optuna proposes other trials than the one that the search began with")
    # The sampler got their first outcomes, so that the trials after them are the same; another attempt comes last.
    again = np.intersect1d(failed_before, np.intersect1d(table.missing(), table.done))
    train(0, rows, again)
    return spec.with_rows(rows)


def group_batch(spec: SweepSpec, begin: int, batch: Sequence[Row]) -> tuple[list[TrialGroup], list[BlockResult]]:
    """Return the groups of a batch, and the results of trials whose configs are refused.

    Args:
        spec: the search.
        begin: the number of the batch's first trial.
        batch: its values.
    """
    # Which lanes are dropped depends on which ones there are, so that no worker may get a part of them.
    indivisible = spec.search is not None and spec.search.prune
    accepted, refused = list(range(len(batch))), []
    try:
        groups = group_trials(spec.with_rows(batch))
    except ConfigError:
        accepted = []
        for place, row in enumerate(batch):
            try:
                spec.with_rows([row]).load(0)
                accepted.append(place)
            except ConfigError as error:
                refused.append(failed(np.asarray([begin + place]), error.problems[0].message))
        groups = group_trials(spec.with_rows([batch[place] for place in accepted])) if accepted else []
    numbers = begin + np.asarray(accepted, np.int64)
    return [replace(group, trials=numbers[group.trials], indivisible=indivisible) for group in groups], refused


def outcomes(spec: SweepSpec, table: TrialTable, trials: np.ndarray) -> list[TrialOutcome]:
    """Return the outcomes of `trials`, all of which have a row, for a sampler."""
    by_trial: dict[int, TrialOutcome] = {}
    for block in table.blocks:
        values = block.values.get(spec.ranked, block.values.get(spec.metric))
        for place in np.flatnonzero(np.isin(block.trials, trials)).tolist():
            usable = values is not None and block.status[place] in ("completed", "stopped")
            value = float(values[place]) if usable and values is not None else None
            pruned = block.stopped_by[place] == "pruned"
            by_trial[int(block.trials[place])] = TrialOutcome(value, int(block.steps[place]) if pruned else None)
    return [by_trial[trial] for trial in trials.tolist()]
