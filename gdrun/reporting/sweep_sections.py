"""What only the page of a sweep has: its best settings, where training diverges, the table of trials."""

from __future__ import annotations

from typing import Any

from gdrun.rundir import layout
from gdrun.rundir.run import Run
from gdrun.rundir.settings import labels
from gdrun.text import human_number, plural

from . import run_sections
from .markup import Html, joined, shown, table, tag
from .run_sections import Facts, is_number

MOST_TRIALS = 500
_BEST = 10
_MOST_EDGES = 20
_AFTER = frozenset({"why", "diverged", "stopped_by"})


def best(run: Run, facts: Facts) -> Html:
    """The best settings; of several seeds their median."""
    from gdrun.sweeping.summary import summarize

    told = summarize(run)
    if not told.ranked:
        return tag("p", "No trial has a finite result.", class_="quiet")
    keys = list(told.ranked[0].values)
    short = labels(keys, keys)
    seeds = ["middle half of the seeds", "seeds", "diverged"] if told.seeds else []
    rows = []
    for one in told.ranked[:_BEST]:
        row = [str(one.trial), *(shown(one.values.get(key), digits=6) for key in keys), shown(one.value, digits=7)]
        if told.seeds:
            row += [f"{shown(one.low, digits=4)} to {shown(one.high, digits=4)}", str(one.count), str(one.diverged)]
        rows.append(row)
    median = ", median" if told.seeds else ""
    titles = ["trial", *(short.get(key, key) for key in keys), f"{told.metric}{median}", *seeds]
    return table(titles, rows, numeric=range(len(titles)), label="best settings")


def edges(run: Run, facts: Facts) -> Html:
    """Where training begins to diverge, and where theory says so."""
    from gdrun.sweeping.summary import summarize

    told = summarize(run)
    lines = []
    short = labels(told.axes, told.axes)
    for edge in told.edges[:_MOST_EDGES]:
        at = ", ".join(f"{short.get(key, key)} {shown(value, digits=4)}" for key, value in edge.values.items())
        lines.append(f"{short.get(edge.axis, edge.axis)}{f' ({at})' if at else ''}: {_edge(edge)}")
    if len(told.edges) > _MOST_EDGES:
        lines.append(f"and {plural(len(told.edges) - _MOST_EDGES, 'setting')} more")
    prediction = told.prediction or {}
    if is_number(prediction.get("limit")):
        why = f": {prediction['why']}" if prediction.get("why") else ""
        lines.append(f"predicted limit {human_number(prediction['limit'], digits=6)}{why}")
    return tag("ul", *(tag("li", line) for line in lines)) if lines else Html()


def _edge(edge: Any) -> str:
    large, small = shown(edge.largest, digits=6), shown(edge.smallest, digits=6)
    if edge.smallest is None:
        return f"none diverged, up to {large}"
    if edge.largest is None:
        return f"all diverged, from {small}"
    if edge.largest < edge.smallest:
        return f"{large} is stable, {small} diverged"
    return f"diverged from {small}, though {large} did not"


def trials(run: Run, facts: Facts) -> Html:
    """The table of trials, the best first; the script sorts it by any column."""
    sweep = run
    rows = sweep.trials
    if not rows:
        return tag("p", "No trial is done yet.", class_="quiet")
    metric = str(facts.get("metric") or "loss")
    sign = -1 if facts.get("direction") == "maximize" else 1

    def rank(row: dict[str, Any]) -> tuple[bool, bool, float]:
        value: Any = row.get(metric)
        return not is_number(value), row.get("status") == "diverged", sign * value if is_number(value) else 0.0

    ranked = sorted(rows, key=rank)[:MOST_TRIALS]
    axes = [key for key in sweep.axes if key in rows[0]]
    short = labels(axes, axes)
    first = ["trial", *axes, *([metric] if metric in rows[0] else []), "status", "steps"]
    filled = [name for name in rows[0] if any(row[name] is not None for row in ranked)]
    names = [*first, *(name for name in filled if name not in first and name not in _AFTER)]
    cells = [[_cell(name, row.get(name)) for name in names] for row in ranked]
    numeric = [at for at, name in enumerate(names) if all(not isinstance(row.get(name), str) for row in ranked)]
    titles = [short.get(name, name) for name in names]
    grid = table(titles, cells, numeric=numeric, label="trials", class_="sortable")
    hidden = len(rows) - len(ranked)
    note = f"The best {len(ranked):,} of {len(rows):,} trials; all of them are in {layout.TRIALS}." if hidden else ""
    return joined([grid, tag("p", note, class_="quiet") if note else Html()])


def _cell(name: str, value: Any) -> Html:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = f"{value:,}" if isinstance(value, int) and number and name != "trial" else shown(value, digits=6)
    if name == "status":
        return tag("td", tag("span", text, class_=f"status {_word(text)}"))
    # What is not finite sorts last, as what is missing does.
    return tag("td", text, class_="n" if number else None, data_sort=repr(value) if is_number(value) else None)


def _word(status: str) -> str:
    return status if status.isascii() and status.isalpha() else "other"


def best_parameters(run: Run, facts: Facts) -> Html:
    """The parameters of the best trial."""
    found = run.best_run
    return Html() if found is None else run_sections.parameters(found, facts)
