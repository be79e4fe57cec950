"""Facts about a run or a sweep as titles and rows of text: `gdrun show` prints them, a page shows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from gdrun.errors import RunDirectoryError
from gdrun.rundir.run import Run
from gdrun.rundir.settings import labels
from gdrun.sweeping.summary import DivergenceEdge, SweepSummary
from gdrun.text import exact, human_bytes, human_seconds, plural, plural_number, short

if TYPE_CHECKING:
    import numpy as np

Facts = dict[str, Any]
"""What `describe_run` says of a run."""

FEW_NUMBERS = 48
"""Numbers of one parameter that are shown as they are; a larger one's are summed up."""

_IN_FULL = 20
"""Numbers of one parameter that are shown with all digits."""

_MOST_EDGES = 20
_NOT_JUDGED = (
    "learning_rate",
    "gradient_norm",
    "parameters.",
    "gradients.",
    "state.",
    "gradient_norms.",
    "weight_norms.",
)
"""Beginnings of names of which no value is better than another."""
_NO_COLUMN = frozenset({"why", "diverged", "stopped_by"})

Content = TypeVar("Content")


class PageTable(NamedTuple):
    """A table: titles of the columns, rows of as many texts, and which columns are numbers."""

    titles: Sequence[str]
    rows: list[list[str]]
    numeric: Sequence[int] = ()


Of = Literal["run", "sweep", "both"]


def of_kind(table: Sequence[tuple[Of, str, Content]], run: Run) -> list[tuple[str, Content]]:
    """Return the headings and sections of a table that are about a run, or about a sweep, as `run` is one."""
    unfit = "run" if run.is_sweep else "sweep"
    return [(heading, section) for of, heading, section in table if of != unfit]


def attempt(make: Callable[[], Content]) -> Content | str:
    """Return a section, or the reason why it cannot be made as text: one broken file spoils one section."""
    try:
        return make()
    except RunDirectoryError as error:
        return error.message
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        # The files can say anything: a text for a loss, a list for a step.
        return f"this cannot be made of what the files say ({error})"


def overview(facts: Facts) -> list[tuple[str, str]]:
    """Return where and when a run ran, how long and how far."""
    rows = [("directory", str(facts["directory"]))]
    rows += [(name, _time(facts[name])) for name in ("started", "finished") if facts[name]]
    if isinstance(facts["seconds"], int | float):
        rows.append(("time", human_seconds(facts["seconds"])))
    if isinstance(facts["steps"], int):
        epochs = facts["epochs"]
        several = isinstance(epochs, int | float) and epochs != facts["steps"]
        rows.append(("steps", f"{facts['steps']:,}" + (f" ({plural_number(epochs, 'epoch')})" if several else "")))
    if phases := facts["phases"]:
        rows.append(("phases begin", ", ".join(f"step {phase['begins']:,}" for phase in phases)))
    if facts["diverged"]:
        rows.append(
            ("diverged", f"{exact(facts['diverged'].get('quantity'))} at step {exact(facts['diverged'].get('step'))}")
        )
    if facts["tags"]:
        rows.append(("tags", " ".join(map(str, facts["tags"]))))
    rows += [("note", f"{_time(entry.get('when'))}: {entry.get('text')}") for entry in facts["notes"]]
    return rows


def _time(text: Any) -> str:
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, TypeError):
        return str(text)


def settings(facts: Facts) -> list[tuple[str, str, bool]]:
    """Return (path, value, whether it was written rather than a default), the written ones first."""
    values, written = facts["settings"], set(facts["written"])
    paths = sorted(values, key=lambda path: path not in written)
    return [(path, exact(values[path]), path in written) for path in paths]


def values(facts: Facts) -> PageTable:
    """Return first, final and best value of each final value and each recorded column."""
    final, summaries = facts["final"], facts.get("metrics", {})
    rows = []
    for name in dict.fromkeys([*final, *summaries]):
        column = summaries.get(name) or {}
        judged = not name.startswith(_NOT_JUDGED)
        best = [exact(column.get("best")), exact(column.get("best_step"))] if judged else ["", ""]
        rows.append([name, exact(column.get("first")), exact(final.get(name, column.get("last"))), *best])
    return PageTable(["", "first", "final", "best", "at step"], rows, (1, 2, 3, 4))


def metrics(run: Run, names: Sequence[str], most: int) -> PageTable:
    """Return at most `most` rows of the recorded columns `names`, the steps before them."""
    columns = run.metrics
    picked = round_steps(columns["step"], most)
    names = ["step", *(name for name in names if name != "step")]
    cells = [[columns[name][index].item() for name in names] for index in picked]
    rows = [["" if value != value else brief(value, 7) for value in row] for row in cells]
    return PageTable(names, rows, range(len(names)))


def brief(value: Any, digits: int = 5) -> str:
    """Return any value in few characters: whole numbers with commas, others as `short` has them."""
    return f"{value:,}" if type(value) is int else short(value, digits)


def round_steps(steps: np.ndarray, most: int) -> list[int]:
    """Return the numbers of at most `most` rows: at or next after steps 0, 1, 2, 5, 10, ..., spread ones, the last."""
    import numpy as np

    if len(steps) <= most:
        return list(range(len(steps)))
    last = len(steps) - 1
    round_numbers = [0, *(factor * 10**power for power in range(19) for factor in (1, 2, 5))]
    rows = {last, *np.searchsorted(steps, [step for step in round_numbers if step <= steps[-1]]).tolist()}
    if len(rows) < most:
        rows |= set(np.linspace(0, last, most - len(rows)).astype(int).tolist())
    picked = sorted(rows)
    while len(picked) > most:
        # The early ones lie closest: leave out every second of them.
        del picked[1 : 2 * (len(picked) - most) + 1 : 2]
    return picked


def parameters(arrays: Mapping[str, np.ndarray]) -> PageTable:
    """Return each parameter's numbers while they are few, else their range, mean and deviation."""
    import numpy as np

    rows = []
    for name, array in arrays.items():
        there = array[np.isfinite(array)].astype(np.float64) if array.dtype.kind in "iuf" else np.zeros(0)
        if array.size <= FEW_NUMBERS:
            text = exact(array) if array.size <= _IN_FULL else short(array, 5)
        elif there.size:
            gone = f", {array.size - there.size:,} not finite" if there.size < array.size else ""
            text = f"{short(there.min(), 4)} to {short(there.max(), 4)}; mean {short(there.mean(), 3)}, "
            text += f"deviation {short(there.std(), 3)}{gone}"
        else:
            text = f"{array.size:,} numbers"
        rows.append([name, "x".join(map(str, array.shape)) or "1", text])
    return PageTable(["", "shape", "values"], rows)


def environment(facts: Facts) -> list[tuple[str, str]]:
    """Return on what a run ran and how to run it again; what is not known is left out."""
    known = facts["environment"]
    host, git, versions, seeds = (known[name] or {} for name in ("host", "git", "versions", "seeds"))
    machine = [str(host[name]) for name in ("name", "processor", "system") if host.get(name)]
    if isinstance(host.get("memory_bytes"), int):
        machine.append(f"{human_bytes(host['memory_bytes'])} memory")
    rows = [
        ("ran as", ", ".join(str(known[name]) for name in ("compile", "precision", "device") if known[name])),
        ("threads", exact(known["threads"])),
        ("machine", ", ".join(machine)),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("git", " ".join(str(git[name]) for name in ("commit", "branch") if git.get(name))),
        ("seeds", exact(seeds)),
        ("data", ", ".join(facts["data"])),
        ("plugins", ", ".join(known["plugins"] or ())),
        ("command", " ".join(known["command"] or ())),
    ]
    return [row for row in rows if row[1]]


def files(facts: Facts) -> list[tuple[str, str]]:
    """Return the files of the directory and their sizes."""
    return [(name, human_bytes(size)) for name, size in facts["files"].items()]


def warnings(facts: Facts) -> list[str]:
    """Return what the run warned of, and what cannot be read."""
    return [*facts["warnings"], *facts["problems"]]


def best_settings(summary: SweepSummary) -> PageTable:
    """Return the best settings of a sweep with their results; of several seeds the median and the middle half."""
    short_names = labels(summary.axes, summary.axes)
    keys = list(summary.ranked[0].values) if summary.ranked else []
    rows = []
    for ranked in summary.ranked:
        row = [str(ranked.trial), *(exact(ranked.values[key]) for key in keys), short(ranked.value)]
        if summary.seeds:
            ends = f"{short(ranked.low)} to {short(ranked.high)}" if ranked.count > 1 else ""
            gone = f", {ranked.diverged} diverged" if ranked.diverged else ""
            row += [ends, f"{ranked.count}{gone}"]
        rows.append(row)
    metric = [f"{summary.metric}, median", "middle half", "seeds"] if summary.seeds else [summary.metric]
    return PageTable(["trial", *(short_names[key] for key in keys), *metric], rows, range(len(keys) + 2))


def seed_medians(summary: SweepSummary) -> PageTable:
    """Return the results and parameters of the best setting: median and middle half of its seeds that did not diverge.

    No rows where there are no seeds.
    """
    medians = summary.ranked[0].medians if summary.seeds and summary.ranked else {}
    rows = [[name, short(median), f"{short(low)} to {short(high)}"] for name, (median, low, high) in medians.items()]
    return PageTable([f"seeds of trial {summary.ranked[0].trial}" if rows else "", "median", "middle half"], rows, (1,))


def edges(summary: SweepSummary) -> Iterator[str]:
    """Yield sentences: where training begins to diverge at each setting, and the limit that was predicted."""
    short_names = labels(summary.axes, summary.axes)
    for edge in summary.edges[:_MOST_EDGES]:
        setting = ", ".join(f"{short_names[key]} {short(value)}" for key, value in edge.values.items())
        yield f"{short_names[edge.axis]}{f' ({setting})' if setting else ''}: {_edge(edge)}"
    if len(summary.edges) > _MOST_EDGES:
        yield f"and {plural(len(summary.edges) - _MOST_EDGES, 'setting')} more"
    prediction = summary.prediction or {}
    if is_finite(prediction.get("limit")):
        why = f": {prediction['why']}" if prediction.get("why") else ""
        yield f"predicted limit {short(prediction['limit'])}{why}"


def _edge(edge: DivergenceEdge) -> str:
    large, small = short(edge.largest), short(edge.smallest)
    if edge.smallest is None:
        return f"none diverged, up to {large}"
    if edge.largest is None:
        return f"all diverged, from {small}"
    if edge.largest < edge.smallest:
        return f"{large} did not diverge, {small} did"
    return f"diverged from {small}, though {large} did not"


class Trials(NamedTuple):
    """The trials of a sweep, the best first: the columns' names, their titles, and the rows as they are."""

    names: list[str]
    titles: list[str]
    rows: list[dict[str, Any]]


def trials(sweep: Run, summary: SweepSummary) -> Trials:
    """Return the trials of a sweep by the metric, diverged ones and those without a finite result last."""
    metric, sign = summary.metric, -1 if summary.maximize else 1

    def rank(row: dict[str, Any]) -> tuple[bool, bool, float]:
        value: Any = row.get(metric)
        return not is_finite(value), row.get("status") == "diverged", sign * value if is_finite(value) else 0.0

    rows = sorted(sweep.trials, key=rank)
    first = ["trial", *sweep.axes, metric, "status", "steps"]
    filled = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
    names = [
        *(name for name in first if name in filled),
        *(n for n in filled if n not in first and n not in _NO_COLUMN),
    ]
    short_names = labels(sweep.axes, sweep.axes)
    return Trials(names, [short_names.get(name, name) for name in names], rows)


def trial_cell(name: str, value: Any) -> str:
    """Return a cell of the table of trials."""
    return str(value) if name == "trial" else brief(value, 6)


def is_finite(value: Any) -> bool:
    """Return whether a value of a file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
