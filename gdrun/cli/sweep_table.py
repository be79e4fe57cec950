"""What `gdrun sweep --dry-run` shows: the table of trials, thinned where it is long, and what runs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gdrun.text import human_number

from . import terminal
from .progress import plural_count
from .tables import table

if TYPE_CHECKING:
    from gdrun.sweeping.trials import SweepSpec

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
        "rows": [dict(zip(["trial", *_keys(spec)], [n, *spec.values(n)], strict=True)) for n in _shown(spec)],
        "metric": spec.metric,
        "direction": "maximize" if spec.maximize else "minimize",
        "search": search.kind if search is not None else None,
        "groups": None if groups is None else [{"trials": size, "values": told} for size, told in groups],
    }


def groups_of(spec: SweepSpec) -> list[tuple[int, dict[str, Any]]] | None:
    """Return of each group of trials that share a program how many they are and the values that they have in common
    and other groups have not; None for a search, which has no trials yet."""
    if not spec.blocks:
        return None
    from gdrun.sweeping.grouping import group_trials

    found = []
    for group in group_trials(spec):
        values = spec.values(int(group.trials[0]))
        told = zip(spec.axes, values, group.changes, strict=True)
        found.append((len(group), {axis.key: value for axis, value, change in told if change == "program"}))
    return found


def show(spec: SweepSpec) -> None:
    """Print the table on stderr."""
    direction = "largest" if spec.maximize else "smallest"
    search = _search(spec) if spec.search is not None else ""
    words = f": {plural_count(len(spec))}{search}, ranked by the {direction} {spec.metric}"
    terminal.say(Text.assemble((spec.base.experiment.name or "", "bold"), words))
    keys = _keys(spec)
    if not spec.blocks:
        for axis, key in zip(spec.axes, keys, strict=True):
            drawn = axis.distribution
            words = f"{drawn.kind} {human_number(drawn.low)} to {human_number(drawn.high)}" if drawn else ""
            words = words or ", ".join(cell(value) for value in (axis.values or ())[:12])
            terminal.say(f"  {key}  {words}")
        return
    shown = _shown(spec)
    rows: list[tuple[str, ...]] = []
    for number in shown:
        rows.append((str(number), *(cell(value) for value in spec.values(number))))
        if number == FIRST_ROWS - 1 and len(shown) < len(spec):
            rows.append(("...", f"and {len(spec) - len(shown):,} more"))
    lines = table(rows, ["trial", *keys], indent=2)
    terminal.say(*lines)
    _show_groups(groups_of(spec) or [])


def _search(spec: SweepSpec) -> str:
    from gdrun.sweeping.proposals import batch_size

    assert spec.search is not None
    size = batch_size(spec)
    batches = f" in batches of {size}" if size < len(spec) else ""
    return f", proposed by {spec.search.kind}{batches}{', the weaker dropped on the way' if spec.search.prune else ''}"


def _show_groups(groups: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Say what runs together, where it is not all of it."""
    if len(groups) == 1:
        terminal.say("all of them can share one program")
        return
    terminal.say(f"{len(groups):,} groups share a program each:")
    rows = []
    for size, values in groups[:MOST_GROUPS]:
        named = ", ".join(f"{key}={cell(value)}" for key, value in values.items())
        rows.append((plural_count(size), named))
    if len(groups) > MOST_GROUPS:
        rows.append(("...", f"and {len(groups) - MOST_GROUPS:,} more"))
    for line in table(rows, indent=2):
        terminal.say(line)


def cell(value: Any) -> str:
    """Return a value of an axis as a cell of a table, in one line."""
    from gdrun.config.scalars import in_flow

    if isinstance(value, int | float) and not isinstance(value, bool):
        return human_number(value)
    return value if isinstance(value, str) else in_flow(value)


def _keys(spec: SweepSpec) -> list[str]:
    return [axis.key for axis in spec.axes]


def _shown(spec: SweepSpec) -> list[int]:
    return shown_trials(len(spec)) if spec.blocks else []
