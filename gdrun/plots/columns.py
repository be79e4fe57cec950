"""A run's recorded columns as real numbers to draw: complex ones by part, arrays by component."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gdrun.errors import UsageError
from gdrun.rundir.column_parts import column_parts
from gdrun.rundir.run import Run
from gdrun.suggest import did_you_mean, listed

from .figure import numbers

PARAMETERS = "parameters."
GRADIENTS = "gradients."
GRADIENT_NORMS, WEIGHT_NORMS = "gradient_norms.", "weight_norms."

_KNOWN = ("step", "epoch", "loss", "loss_before", "loss_epoch", "gradient_norm", "learning_rate", "validation_loss")
_COMPONENT = re.compile(r"(.+?)(?:\[([\d, ]+)\])?(?:\.(re|im))?")


class RecordedColumns(Protocol):
    """A run, or a trial of a sweep: its name, and its columns by theirs, each (rows, ...)."""

    @property
    def id(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, np.ndarray]: ...


@dataclass(frozen=True, eq=False)
class Component:
    """One real number of a column in each row: `label` "W[0,1]", `values` float64 (rows,)."""

    column: str
    label: str
    values: np.ndarray


def components(run: RecordedColumns, column: str) -> list[Component]:
    """Return the real components of a recorded column, in the order of its elements."""
    values = run.metrics[column]
    if values.dtype.kind not in "biufc":
        values = numbers(values)
    parts = column_parts(column.removeprefix(PARAMETERS), values)
    return [Component(column, label, part.astype(np.float64)) for label, part in parts]


def named_components(run: RecordedColumns, names: Sequence[str]) -> list[Component]:
    """Return the components of these names: "loss", "parameters.a", "a", "W" (all of it), "W[0,1]", "c.re".

    Raises:
        UsageError: a column or component that the run does not have.
    """
    chosen = []
    for name in names:
        if name in run.metrics:
            chosen += components(run, name)
            continue
        match = _COMPONENT.fullmatch(name)
        stems = [name] if match is None else [name, match[1]]
        column = next((full for stem in stems for full in (stem, PARAMETERS + stem) if full in run.metrics), None)
        if column is None:
            recorded = [name.removeprefix(PARAMETERS) for name in run.metrics if name != "step"]
            raise UsageError(f"{run.id} has no column '{name}'", hint=did_you_mean(name, recorded, allowed="it has"))
        parts = components(run, column)
        label = name.replace(" ", "").removeprefix(PARAMETERS)
        if label != column.removeprefix(PARAMETERS):
            parts = [part for part in parts if part.label == label]
        if not parts:
            labels = listed([part.label for part in components(run, column)], 6)
            raise UsageError(f"'{column}' has no component '{name}'", hint=f"it has: {labels}")
        chosen += parts
    return chosen


def few(groups: Sequence[Sequence[Component]], most: int) -> list[Component]:
    """Return at most `most` components, in order: of each column in turn its first, then its next."""
    if sum(map(len, groups)) <= most:
        return [part for group in groups for part in group]
    places = sorted((depth, index) for index, group in enumerate(groups) for depth in range(len(group)))[:most]
    return [groups[index][depth] for index, depth in sorted((index, depth) for depth, index in places)]


def metric_names(run: Run) -> list[str]:
    """Return the columns that are metrics or formulas: neither losses nor parameters, gradients and their norms."""
    special = (PARAMETERS, GRADIENTS, GRADIENT_NORMS, WEIGHT_NORMS)
    return [name for name in run.metrics if name not in _KNOWN and not name.startswith(special)]


def places_of(run: Run, x: str) -> np.ndarray:
    """Return the places of the rows on the x axis: steps, or passes over the data begun.

    Args:
        x: "step" or "epoch".
    """
    steps = run.metrics.get("step", np.zeros(0)).astype(np.float64)
    if x == "step":
        return steps
    if (epochs := run.epochs_at(steps)) is not None:
        return epochs
    if "epoch" in run.metrics:
        return numbers(run.metrics["epoch"])
    raise UsageError(f"{run.id} does not say how many steps an epoch has", hint="--x step")
