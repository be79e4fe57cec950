"""A run's recorded columns as real numbers to draw: complex ones by part, arrays by component."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gdrun.errors import UsageError
from gdrun.suggest import did_you_mean, listed
from gdrun.text import safe_text

from .figure import numbers

if TYPE_CHECKING:
    from gdrun.rundir.run import Run

PARAMETERS = "parameters."
GRADIENTS = "gradients."

_KNOWN = ("step", "epoch", "loss", "loss_before", "loss_epoch", "gradient_norm", "learning_rate", "validation_loss")
_COMPONENT = re.compile(r"(.+?)(?:\[([\d, ]+)\])?(?:\.(re|im))?")


@dataclass(frozen=True, eq=False)
class Component:
    """One real number of a column in each row: `label` "W[0,1]", `values` float64 (rows,)."""

    column: str
    label: str
    values: np.ndarray


def components(run: Run, column: str) -> list[Component]:
    """Return the real components of a recorded column, in the order of its elements."""
    values = run.metrics[column]
    if values.dtype == object or values.dtype.kind in "US":
        values = numbers(values)
    flat = values.reshape(len(values), -1)
    name = column.removeprefix(PARAMETERS)
    found = []
    for index, element in enumerate(np.ndindex(values.shape[1:])):
        label = f"{name}[{','.join(map(str, element))}]" if element else name
        part = flat[:, index]
        if part.dtype.kind == "c":
            found.append(Component(column, f"{label}.re", part.real.astype(np.float64)))
            found.append(Component(column, f"{label}.im", part.imag.astype(np.float64)))
        else:
            found.append(Component(column, label, part.astype(np.float64)))
    return found


def named_components(run: Run, names: Sequence[str]) -> list[Component]:
    """Return the components that a person names: "loss", "parameters.a", "a", "W" (all of it), "W[0,1]", "c.re".

    Raises:
        UsageError: a column or component that the run does not have.
    """
    found = []
    for name in names:
        if name in run.metrics:
            found += components(run, name)
            continue
        match = _COMPONENT.fullmatch(name)
        stems = [name] if match is None else [name, match[1]]
        column = next((full for stem in stems for full in (stem, PARAMETERS + stem) if full in run.metrics), None)
        if column is None:
            raise UsageError(
                f"{safe_text(run.id)} has no column '{safe_text(name, limit=100)}'",
                hint=safe_text(did_you_mean(name, recorded(run), allowed="it has"), limit=500),
            )
        parts = components(run, column)
        wanted = name.replace(" ", "").removeprefix(PARAMETERS)
        fitting = parts if wanted == column.removeprefix(PARAMETERS) else [p for p in parts if p.label == wanted]
        if not fitting:
            shown = listed([part.label for part in parts], 6)
            raise UsageError(
                f"'{safe_text(column)}' has no component '{safe_text(name, limit=100)}'",
                hint=f"it has: {safe_text(shown, limit=300)}",
            )
        found += fitting
    return found


def recorded(run: Run) -> list[str]:
    """Return the names that can be drawn: columns, and parameters without their prefix."""
    return [name.removeprefix(PARAMETERS) for name in run.metrics if name != "step"]


def few(groups: Sequence[Sequence[Component]], most: int) -> list[Component]:
    """Return at most `most` components, in order: of each column in turn its first, then its next."""
    if sum(map(len, groups)) <= most:
        return [part for group in groups for part in group]
    chosen: list[tuple[int, int]] = []
    for depth in range(max(map(len, groups), default=0)):
        chosen += [(at, depth) for at, group in enumerate(groups) if depth < len(group)]
        if len(chosen) >= most:
            break
    return [groups[at][depth] for at, depth in sorted(chosen[:most])]


def metric_names(run: Run) -> list[str]:
    """Return the columns that are metrics or formulas: neither losses nor parameters nor gradients."""
    special = (PARAMETERS, GRADIENTS)
    return [name for name in run.metrics if name not in _KNOWN and not name.startswith(special)]


def steps_of(run: Run, unit: str) -> tuple[np.ndarray, str]:
    """Return (x, label) of the rows: steps, or passes over the data begun.

    Args:
        unit: "step" or "epoch".
    """
    steps = run.metrics.get("step", np.zeros(0)).astype(np.float64)
    if unit == "step":
        return steps, "step"
    per_epoch = None if run.problem else run.info.extra.get("steps_per_epoch")
    if isinstance(per_epoch, int) and per_epoch > 0:
        return steps / per_epoch, "epoch"
    if "epoch" in run.metrics:
        return numbers(run.metrics["epoch"]), "epoch"
    raise UsageError(f"{safe_text(run.id)} does not say how many steps an epoch has", hint="--x step")
