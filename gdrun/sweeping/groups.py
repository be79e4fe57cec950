"""Groups of trials that share a program: they differ only in numbers that can be tensors. No TensorFlow.

An axis decides by the part of a program that it changes:

    rate        learning rates                                    a tensor of the program
    optimizer   momentum, beta_2, ..., while they stay switched on     likewise
    loss        penalties, factor, delta                          likewise
    constant    constants that only formulas of the model use     likewise
    initial     initial values of a model's parameters            the initial state
    parts       seed, data, constants that these depend on        data and initial state, built anew for each value
    program     everything else                                   another program

Trials with phases run one after the other, as `train` would run them: of their numbers only learning rates, also those
of a phase, and initial values are tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gdrun.config.scalars import is_number
from gdrun.errors import ConfigPath
from gdrun.experiment.experiment import Experiment
from gdrun.experiment.formulas import uses
from gdrun.formula.parse import parse

from .trials import SweepSpec

Change = Literal["rate", "optimizer", "loss", "constant", "initial", "parts", "program"]


@dataclass(frozen=True)
class TrialGroup:
    """Trials that share a program.

    Args:
        trials: their numbers, rising, int64 (n,).
        changes: what each axis of the sweep changes among them, in the order of the axes; "program" for one that has
            one value here.
        indivisible: it may not be cut: what becomes of one trial depends on the others.
    """

    trials: np.ndarray
    changes: tuple[Change, ...]
    indivisible: bool = False

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def alone(self) -> bool:
        """True where the sweep has one trial of this program."""
        return all(change == "program" for change in self.changes)

    def subset(self, chosen: np.ndarray) -> TrialGroup:
        """Return the group of those of its trials that are among `chosen`."""
        return TrialGroup(np.intersect1d(self.trials, chosen), self.changes, self.indivisible)

    def single_trial_group(self, trial: int) -> TrialGroup:
        """Return the group of one of its trials that has a program of its own."""
        own: Change = "program"
        return TrialGroup(np.asarray([trial]), (own,) * len(self.changes))


def parts_of(groups: Sequence[TrialGroup], trials: np.ndarray) -> list[TrialGroup]:
    """Return the parts of the groups that are among `trials`."""
    return [part for group in groups if len(part := group.subset(trials))]


def group_trials(spec: SweepSpec) -> list[TrialGroup]:
    """Return the groups of a sweep's trials, in the order of their first trials."""
    columns = [spec.column(axis) for axis in range(len(spec.axes))]
    # First by what may change which settings there are, then, knowing the settings, by the rest.
    sections = [axis for axis, column in enumerate(columns) if _selects_sections(spec.axes[axis].path, column)]
    groups = []
    for trials in _partition(np.arange(len(spec)), [_codes(columns[axis]) for axis in sections]):
        experiment = spec.load(int(trials[0])).experiment
        changes = [
            _change(experiment, axis.path, [columns[number][trial] for trial in trials[:2]], columns[number])
            for number, axis in enumerate(spec.axes)
        ]
        if spec.base.phases:
            changes = [change if change in ("rate", "initial") else "program" for change in changes]
        keys = []
        for axis, change in enumerate(changes):
            if change == "program":
                keys.append(_codes(columns[axis]))
            elif change == "optimizer" and experiment.optimizer.is_switch(spec.axes[axis].path[1:]):
                keys.append(_switches(columns[axis]))
        for part in _partition(trials, keys):
            # An axis with a single value in a program is built into it.
            varies = [_codes(column[part]).any() for column in columns]
            own: list[Change] = [change if flag else "program" for change, flag in zip(changes, varies, strict=True)]
            groups.append(TrialGroup(part, tuple(own)))
    return sorted(groups, key=lambda group: int(group.trials[0]))


def _selects_sections(path: ConfigPath, values: np.ndarray) -> bool:
    """Return whether an axis decides which settings there are: a kind, or a whole section."""
    return values.dtype == object and (len(path) == 1 or path[-1] == "kind" or _is_mapping(values.tolist()))


def _codes(values: np.ndarray) -> np.ndarray:
    """Return a number for each value, int64 (n,), equal where values are; 0 alone where all are."""
    if values.dtype != object:
        return np.unique(values, return_inverse=True)[1]
    numbers: dict[str, int] = {}
    return np.asarray([numbers.setdefault(repr(value), len(numbers)) for value in values.tolist()])


def switches(spec: SweepSpec, group: TrialGroup) -> list[bool]:
    """Return which settings of a group's optimizer that can be switched off are on, in the order of their axes."""
    values = spec.values(int(group.trials[0]))
    optimizer = spec.load(int(group.trials[0])).experiment.optimizer
    cells = zip(spec.axes, values, group.changes, strict=True)
    return [
        is_number(value) and value > 0
        for axis, value, change in cells
        if change == "optimizer" and optimizer.is_switch(axis.path[1:])
    ]


def _switches(values: np.ndarray) -> np.ndarray:
    """Return 0 where a setting is on, and another code for each value that turns it off: 0 and null differ in Keras."""
    if values.dtype != object:
        return (values <= 0).astype(np.int64) * (1 + _codes(values))
    off = np.asarray([not (is_number(value) and value > 0) for value in values.tolist()])
    return off * (1 + _codes(values))


def _partition(trials: np.ndarray, keys: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return `trials` in parts whose keys (one entry for each trial of the sweep) are equal."""
    code = np.zeros(len(trials), np.int64)
    for key in keys:
        mine = key[trials]
        code = np.unique(code * (int(mine.max(initial=0)) + 1) + mine, return_inverse=True)[1]
    order = np.argsort(code, kind="stable")
    return np.split(trials[order], np.flatnonzero(np.diff(code[order])) + 1)


def _change(experiment: Experiment, path: ConfigPath, values: Sequence[Any], column: np.ndarray) -> Change:
    if path[0] == "phases" and path[2:3] == ("optimizer",) and path[-1] == "learning_rate":
        path = path[2:]
    head, rest = path[0], path[1:]
    numeric = column.dtype != object or all(value is None or is_number(value) for value in column.tolist())
    if head == "seed":
        return "parts"
    if head == "data" and experiment.data is not None and experiment.data.is_lane_setting(rest):
        return "parts"
    if head == "optimizer":
        if not numeric or not rest:
            return "program"
        if rest[-1] == "learning_rate":
            return "rate"
        return "optimizer" if experiment.optimizer.is_lane_setting(rest) else "program"
    if head == "loss" and numeric and rest in experiment.objective_loss.lane_settings:
        # Residuals hold the loss's settings as numbers.
        return "program" if experiment.optimizer.needs == "residuals" else "loss"
    if head == "constants" and len(rest) == 1:
        return _of_constant(experiment, str(rest[0])) if column.dtype != object else "parts"
    if head == "model" and experiment.model.is_lane_setting(rest) and not _is_mapping(values):
        return "initial"
    return "program"


def _is_mapping(values: Sequence[Any]) -> bool:
    return any(isinstance(value, Mapping) for value in values)


def _of_constant(experiment: Experiment, name: str) -> Change:
    phases = {use.phase for use in uses(experiment) if name in parse(use.formula).names}
    if "schedule" in phases:
        return "program"
    return "parts" if "start" in phases else "constant"


# Probes: trials that show what varies in a group of which only a part is to be trained.
#
# What all lanes of a program share is one tensor, what differs between them has an axis of lanes, and the two go
# through other code, with other last bits. So a part of a group has to know what would differ in the whole: else a
# trial's bits would depend on the trials it is trained together with.


def constant_axes(spec: SweepSpec, trials: Sequence[int], axes: Sequence[int]) -> list[int]:
    """Return those of `axes` that have one value in all of `trials`."""
    columns = {axis: spec.column(axis) for axis in axes}
    return [axis for axis in axes if len({repr(columns[axis][trial]) for trial in trials}) == 1]


def probe(spec: SweepSpec, group: TrialGroup, trial: int, axis: int) -> int | None:
    """Return a trial of the sweep that differs from `trial` on `axis`, and else only where the table couples the two.

    It shares the program of `trial`, so it is of the group's whole. Which one it is does not depend on the part.

    Returns:
        None: there is none.
    """
    stride = 1
    for block in reversed(spec.blocks):
        if axis not in block.axes:
            stride *= len(block)
            continue
        row = trial // stride % len(block)
        own = block.columns[block.axes.index(axis)]
        columns = zip(block.axes, block.columns, strict=True)
        same = [column for other, column in columns if group.changes[other] == "program"]
        for other in range(len(block)):
            differs = repr(own[other]) != repr(own[row])
            if differs and all(repr(column[other]) == repr(column[row]) for column in same):
                return trial + (other - row) * stride
        return None
    return None
