"""Table of a sweep's trials: the values of each of them, and the checked config that they make.

The axes of a sweep fall into blocks: each listed axis is one, the pairs of `zip` are one, and everything that is drawn
is one. The table is the product of the blocks, the first one slowest. Nothing of it is stored but the blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gdrun.config.scalars import in_flow
from gdrun.errors import ConfigError, Problem
from gdrun.experiment.loading import LoadedConfig, revise
from gdrun.experiment.sweep import Search
from gdrun.metric_names import higher_is_better

from .axis import Axis, column

CHECKED_WHOLE = 64
"""So many trials are all checked from the top before the first one runs; of more, those that differ in kind."""
CHECKED_KINDS = 256


@dataclass(frozen=True)
class AxisBlock:
    """Axes that move together.

    Args:
        axes: their numbers.
        columns: for each of them its values, all of one length.
        listed: whether row k has value k of each axis, so that it has a place.
    """

    axes: tuple[int, ...]
    columns: tuple[Sequence[Any], ...]
    listed: bool

    def __len__(self) -> int:
        return len(self.columns[0])


@dataclass(frozen=True)
class SweepSpec:
    """Specification of a sweep: its base config, axes and table.

    Args:
        base: the config around which trials vary; its `sweep` is the one that gives this table again.
        axes: what varies, in the order of the table's columns.
        blocks: how the axes combine.
        trials: of a search, how many it may propose; else None.
        step_operations, steps_per_trial: estimates of a trial's cost, by which the pieces that workers get are cut.
    """

    base: LoadedConfig
    axes: tuple[Axis, ...]
    blocks: tuple[AxisBlock, ...] = field(repr=False)
    trials: int | None = None
    step_operations: float = 0.0
    steps_per_trial: int = 1

    def __len__(self) -> int:
        """Return the number of trials; of a search before its first batch, the most there may be."""
        return math.prod(map(len, self.blocks)) if self.blocks else self.trials or 0

    @property
    def search(self) -> Search | None:
        """The search that proposes trials; None where they are listed here."""
        return self.base.experiment.sweep.search

    @property
    def metric(self) -> str:
        """The metric that trials are ranked by."""
        search = self.search
        return (search.metric if search is not None else None) or self.base.experiment.sweep.metric

    @property
    def ranked(self) -> str:
        """The column of the table by which trials are ranked: the metric at the end, or the best that was recorded."""
        return f"best_{self.metric}" if self.base.experiment.sweep.value == "best" else self.metric

    @property
    def maximize(self) -> bool:
        """True where more of it is better."""
        direction = self.base.experiment.sweep.direction
        if direction == "auto":
            return higher_is_better(self.metric)
        return direction == "maximize"

    def values(self, trial: int) -> tuple[Any, ...]:
        """Return the values of a trial, counted from 0, in the order of the axes."""
        return tuple(value for _, value, _ in sorted(self._cells(trial), key=lambda cell: cell[0]))

    def column(self, axis: int) -> np.ndarray:
        """Return one axis's values in all trials: int64 or float64 (trials,) where all are numbers, else of objects."""
        stride = 1
        for block in reversed(self.blocks):
            if axis in block.axes:
                values = column(block.columns[block.axes.index(axis)])
                return np.tile(np.repeat(values, stride), len(self) // (stride * len(block)))
            stride *= len(block)
        raise IndexError(f"there is no axis {axis}")

    def load(self, trial: int) -> LoadedConfig:
        """Return the checked config of a trial: the base with the trial's values, without `sweep` and `expect`.

        Raises:
            ConfigError: it is refused.
        """
        changes, texts = [], []
        for number, value, row in sorted(self._cells(trial), key=lambda cell: cell[0]):
            axis = self.axes[number]
            node = axis.node(value, row)
            # What is missing in a section stands where the section does.
            changes.append((axis.path, node, node.span if node.is_mapping else axis.key_span))
            texts.append(f"{axis.key}={in_flow(value)}")
        return revise(self.base, changes, texts=texts, without=("sweep", "expect"))

    def with_rows(self, rows: Sequence[Sequence[Any]]) -> SweepSpec:
        """Return the sweep whose trials have `rows` of values, one value an axis, as a search proposes them."""
        columns = tuple(zip(*rows, strict=True)) if rows else tuple(() for _ in self.axes)
        return replace(self, blocks=(AxisBlock(tuple(range(len(self.axes))), columns, False),))

    def text(self) -> str:
        """Return the `sweep:` section that gives this table again, as YAML."""
        from gdrun.experiment.dump import dump_values

        return dump_values({"sweep": self.base.experiment.sweep})

    def config_text(self) -> str:
        """Return the swept config as YAML that gives this table again, bit for bit, by `plan_trials`.

        It holds what was written, with `extends` and overrides merged in, and no defaults: where a kind is swept, the
        settings that were left out are each kind's own.
        """
        from gdrun.experiment.dump import dump_values

        values = self.base.whole.plain()
        assert isinstance(values, dict)
        experiment = self.base.experiment
        values |= {"name": experiment.name, "sweep": experiment.sweep}
        return dump_values(values, self.base.directory)

    def _cells(self, trial: int) -> Iterator[tuple[int, Any, int | None]]:
        """Yield (axis, value, number of the value where it is one of those listed) of a trial."""
        if not 0 <= trial < len(self) or not self.blocks:
            raise IndexError(f"there is no trial {trial}")
        for block in reversed(self.blocks):
            trial, row = divmod(trial, len(block))
            for axis, values in zip(block.axes, block.columns, strict=True):
                yield axis, values[row], row if block.listed else None


def check_trials(spec: SweepSpec) -> None:
    """Check the configs of trials from the top: all of few; of many those that differ in kind or have an extreme value.

    Raises:
        ConfigError: with what is wrong, each mistake with the first trial that has it.
    """
    problems: dict[tuple[Any, str], Problem] = {}
    for trial in representatives(spec):
        try:
            spec.load(trial)
        except ConfigError as error:
            for problem in error.problems:
                named = replace(problem, message=f"trial {trial}: {problem.message}")
                problems.setdefault((problem.place, problem.message), named)
        if len(problems) >= 10:
            break
    if problems:
        raise ConfigError(tuple(problems.values()), source=spec.base.source)


def representatives(spec: SweepSpec) -> list[int]:
    """Return the trials whose configs decide about all: values that are no numbers in all their combinations, and of
    each number the least and the most."""
    if len(spec) <= CHECKED_WHOLE:
        return list(range(len(spec)))
    code = np.zeros(len(spec), np.int64)
    chosen = {0, len(spec) - 1}
    for axis in range(len(spec.axes)):
        values = spec.column(axis)
        if values.dtype == object:
            codes: dict[str, int] = {}
            numbers = [codes.setdefault(repr(value), len(codes)) for value in values.tolist()]
            # Combined and numbered anew each time, so that the codes stay small.
            code = np.unique(code * len(codes) + np.asarray(numbers), return_inverse=True)[1]
        else:
            chosen |= {int(values.argmin()), int(values.argmax())}
    first = np.unique(code, return_index=True)[1]
    return sorted(chosen | {int(trial) for trial in first[:CHECKED_KINDS]})
