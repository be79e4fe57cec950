"""`gdrun sweep --dry-run`: the table of trials, thinned where it is long, and what runs together."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from gdrun.config.scalars import in_flow
from gdrun.sweeping.groups import group_trials
from gdrun.sweeping.optuna_sampler import batch_size
from gdrun.sweeping.trials import SweepSpec
from gdrun.text import exact, plural_count

from . import terminal
from .tables import table

FIRST_ROWS, LAST_ROWS = 12, 4
MOST_GROUPS = 8
MOST_AXES_IN_JSON = 1_000
"""Values of an axis that --json lists."""


def shown_trials(total: int) -> list[int]:
    """Return the trials whose rows are shown: all of few, else the first and the last ones."""
    if total <= FIRST_ROWS + LAST_ROWS + 1:
        return list(range(total))
    return [*range(FIRST_ROWS), *range(total - LAST_ROWS, total)]


def describe(spec: SweepSpec) -> dict[str, Any]:
    """Return what `--json` says of a sweep that is planned but not run."""
    axes = []
    for axis in spec.axes:
        values = None if axis.values is None else list(axis.values[:MOST_AXES_IN_JSON])
        count = None if axis.values is None else len(axis.values)
        drawn = axis.distribution
        space = None if drawn is None else {"kind": drawn.kind, "low": drawn.low, "high": drawn.high}
        axes.append({"key": axis.key, "count": count, "values": values, "distribution": space})
    search = spec.search
    groups = groups_of(spec)
    return {
        "config": spec.base.source,
        "name": spec.base.experiment.name,
        "trials": len(spec),
        "axes": axes,
        "rows": [{"trial": number, **_values(spec, number)} for number in _shown(spec)],
        "metric": spec.metric,
        "direction": "maximize" if spec.maximize else "minimize",
        "search": search.kind if search is not None else None,
        "groups": None if groups is None else [{"trials": size, "values": values} for size, values in groups],
    }


def groups_of(spec: SweepSpec) -> list[tuple[int, dict[str, Any]]] | None:
    """Return of each group of trials that share a program their number and the values that other groups have not.

    None for a search, which has no trials yet.
    """
    if not spec.blocks:
        return None
    groups = []
    for group in group_trials(spec):
        values = zip(_values(spec, int(group.trials[0])).items(), group.changes, strict=True)
        groups.append((len(group), {key: value for (key, value), change in values if change == "program"}))
    return groups


def show(spec: SweepSpec) -> None:
    """Print the table on stderr."""
    search = ""
    if spec.search is not None:
        size = batch_size(spec)
        batches = f" in batches of {size}" if size < len(spec) else ""
        pruned = ", the weaker dropped on the way" if spec.search.prune else ""
        search = f", proposed by {spec.search.kind}{batches}{pruned}"
    ranked = f"ranked by the {'largest' if spec.maximize else 'smallest'} {spec.metric}"
    words = f"{plural_count(len(spec), 'trial')}{search}, {ranked}"
    terminal.message(Text.assemble((spec.base.experiment.name or "", "bold"), f": {words}"))
    if not spec.blocks:
        for axis in spec.axes:
            drawn = axis.distribution
            space = f"{drawn.kind} {exact(drawn.low)} to {exact(drawn.high)}" if drawn else ""
            terminal.message(f"  {axis.key}  {space or ', '.join(cell(value) for value in (axis.values or ())[:12])}")
        return
    numbers = _shown(spec)
    rows: list[tuple[str, ...]] = []
    for number in numbers:
        rows.append((str(number), *map(cell, spec.values(number))))
        if number == FIRST_ROWS - 1 and len(numbers) < len(spec):
            rows.append(("...", f"and {len(spec) - len(numbers):,} more"))
    terminal.message(*table(rows, ["trial", *(axis.key for axis in spec.axes)], indent=2))
    groups = groups_of(spec) or []
    if len(groups) == 1:
        terminal.message("all of them can share one program")
        return
    terminal.message(f"{len(groups):,} groups share a program each:")
    rows = [
        (plural_count(size, "trial"), ", ".join(f"{key}={cell(value)}" for key, value in values.items()))
        for size, values in groups[:MOST_GROUPS]
    ]
    if len(groups) > MOST_GROUPS:
        rows.append(("...", f"and {len(groups) - MOST_GROUPS:,} more"))
    terminal.message(*table(rows, indent=2))


def show_execution(plan: dict[str, Any], *, of_several: bool) -> None:
    """Print how trials would run, and why.

    Args:
        plan: as `execution_plan` returned it.
        of_several: it is of the first of several groups.
    """
    rows = [
        ("runs as", f"{plan['compile']}, {plan['precision']}, {plan['device']}"),
        ("why", f"{plan['compile']}: {plan['compile_why']}"),
        ("trials of the first group" if of_several else "trials", f"{plan['strategy']}: {plan['why']}"),
    ]
    terminal.message(*table(rows, indent=2))


def cell(value: Any) -> str:
    """Return a value of an axis as a cell of a table."""
    return exact(value) if isinstance(value, int | float | str) else in_flow(value)


def _values(spec: SweepSpec, number: int) -> dict[str, Any]:
    return dict(zip((axis.key for axis in spec.axes), spec.values(number), strict=True))


def _shown(spec: SweepSpec) -> list[int]:
    return shown_trials(len(spec)) if spec.blocks else []
