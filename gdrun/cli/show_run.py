"""The sections of `gdrun show` for a run: each a function from what is known of it to lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gdrun.errors import RunDirectoryError
from gdrun.rundir.settings import labels
from gdrun.text import human_age, human_bytes, human_seconds, plural

from .sparkline import sparkline
from .summary import FEW_NUMBERS, exact_array, parameters_of, plural_number
from .tables import table, value_text
from .terminal import Line

if TYPE_CHECKING:
    import numpy as np

    from gdrun.rundir.run import Run

Facts = dict[str, Any]
Lines = list[Line]

_ROWS = 12
_MOST_COLUMNS = 8


def overview(run: Run, facts: Facts, width: int) -> Lines:
    """When, how long, how far."""
    rows = [("directory", str(facts["directory"]))]
    if started := facts["started"]:
        try:
            ago = datetime.now(UTC) - datetime.fromisoformat(started)
            rows.append(("started", f"{started[:19].replace('T', ' ')} UTC, {human_age(ago.total_seconds())} ago"))
        except (ValueError, TypeError):
            rows.append(("started", started))
    if isinstance(facts["seconds"], int | float):
        rows.append(("time", human_seconds(facts["seconds"])))
    if isinstance(facts["steps"], int):
        epochs = facts["epochs"]
        several = isinstance(epochs, int | float) and epochs != facts["steps"]
        rows.append(("steps", f"{facts['steps']:,}" + (f" ({plural_number(epochs, 'epoch')})" if several else "")))
    if facts["diverged"]:
        where = facts["diverged"]
        rows.append(("diverged", f"{value_text(where.get('quantity'))} at step {value_text(where.get('step'))}"))
    return [*table(rows, indent=2), *(f"  warning: {text}" for text in facts["warnings"])]


def config(run: Run, facts: Facts, width: int) -> Lines:
    """The settings that somebody wrote, then those that are defaults."""
    settings, written = facts["settings"], set(facts["written"])
    if not settings:
        return []
    rows = [(path, value_text(settings[path], digits=None)) for path in settings if path in written]
    lines = table(rows, flexible=1, width=width, indent=2)
    rest = {path: settings[path] for path in settings if path not in written}
    if rest:
        short = labels(rest, settings)
        words = ", ".join(f"{short[path]} {value_text(value, digits=None)}" for path, value in rest.items())
        lines += wrapped(f"defaults: {words}", width)
    return lines


def values(run: Run, facts: Facts, width: int) -> Lines:
    """Final and best values, and the parameters while they are few."""
    final, summaries = facts["final"], facts.get("metrics", {})
    names = [*final, *(name for name in ("loss",) if name in summaries and name not in final)]
    rows = []
    for name in names:
        best = summaries.get(name) or {}
        mark = "" if "best" not in best or name in ("learning_rate", "gradient_norm") else "{} at step {}"
        words = mark.format(value_text(best.get("best"), digits=None), value_text(best.get("best_step")))
        last = final.get(name, best.get("last"))
        rows.append([name, _value(last), words])
    if not any(row[-1] for row in rows):
        rows = [row[:-1] for row in rows]
    lines = table(rows, ["", "final", "best in a row"][: len(rows[0])], indent=2) if rows else []
    if facts["kind"] == "sweep":
        return [*lines, *_best_parameters(run)]
    if facts["best"]:
        pairs = ", ".join(f"{name} {_value(value)}" for name, value in facts["best"].items())
        lines.append(f"  kept as best: {pairs}")
    return [*lines, *_parameters(run)]


def _parameters(run: Run) -> Lines:
    """Each parameter while they are few."""
    parameters = parameters_of(run)
    size = sum(array.size for array in parameters.values())
    if 0 < size <= FEW_NUMBERS:
        rows = [(name, exact_array(array)) for name, array in parameters.items()]
        return table(rows, indent=2)
    return [f"  {size:,} parameters, in parameters.npz"] if size else []


def _best_parameters(run: Run) -> Lines:
    """Those of a sweep's best trial."""
    best = run.best_run
    lines = [] if best is None else _parameters(best)
    return ["  the best trial's parameters:", *(Text.assemble("  ", line) for line in lines)] if lines else []


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"none ({value.get('reason', '')})" if "reason" in value else str(value)
    return value_text(value, digits=None)


def metrics(run: Run, facts: Facts, width: int) -> Lines:
    """A few rows at round steps, and each column as a curve in a line."""
    columns = run.metrics
    steps = run.table.steps
    if not len(steps):
        return ["  no rows yet"]
    lines: Lines = [f"  {plural(len(steps), 'row')}, steps {int(steps[0]):,} to {int(steps[-1]):,}"]
    named = [name for name in facts.get("metrics", {}) if name != "loss_before"]
    varied = [name for name in named if _varies(columns[name])]
    lines += _rows(columns, varied or named, width - 2)
    curves: list[tuple[str, str, str]] = []
    for name in named:
        one = facts["metrics"][name]
        ends = f"{value_text(one['first'])} -> {value_text(one['last'])}"
        if name not in varied:
            ends = value_text(one["last"])
        line = sparkline(_there(columns[name])) if name in varied else ""
        curves.append((name, line, ends))
    lines += ["", *table(curves[:40], flexible=2, width=width, indent=2)]
    if len(curves) > 40:
        lines.append(f"  and {plural(len(curves) - 40, 'column')} more")
    return lines


def _there(values: np.ndarray) -> np.ndarray:
    """Without the rows that have no such value, but with what is nan in the middle of those that have."""
    import numpy as np

    known = np.flatnonzero(~np.isnan(values)) if values.dtype.kind == "f" else np.arange(len(values))
    # Metrics stand in the rows at ends of epochs alone: the gaps are no nans.
    return values[known] if len(known) else values[:0]


def _varies(values: np.ndarray) -> bool:
    there = _there(values)
    return bool(len(there) and (there != there[0]).any())


def _rows(columns: dict[str, np.ndarray], names: Sequence[str], width: int) -> Lines:
    """The rows at steps 0, 1, 2, 5, 10, ... and the last, with as many columns as there is room for."""
    picked = round_steps(columns["step"])
    titles, cells, taken = ["step"], [[f"{int(columns['step'][at]):,}"] for at in picked], 8
    for name in names:
        shown = [
            value_text(columns[name][at].item()) if columns[name][at] == columns[name][at] else "" for at in picked
        ]
        wide = max(len(name), *(len(text) for text in shown)) + 2
        if taken + wide > width or len(titles) == _MOST_COLUMNS:
            break
        taken += wide
        titles.append(name)
        for row, text in zip(cells, shown, strict=True):
            row.append(text)
    return table(cells, titles, right=range(len(titles)), indent=2)


def round_steps(steps: np.ndarray, most: int = _ROWS) -> list[int]:
    """Return the numbers of at most `most` rows: those at or next after steps 0, 1, 2, 5, 10, ..., and the last."""
    import numpy as np

    wanted = [0, *(factor * 10**power for power in range(19) for factor in (1, 2, 5))]
    found = np.searchsorted(steps, [step for step in wanted if step <= steps[-1]])
    rows = sorted({*found.tolist(), len(steps) - 1})
    while len(rows) > most:
        # The early ones lie closest: leave out every second of them.
        del rows[1 : 2 * (len(rows) - most) + 1 : 2]
    return rows


def environment(run: Run, facts: Facts, width: int) -> Lines:
    """On what it ran."""
    known = facts["environment"]
    host, git, versions = (
        (known[name] if isinstance(known[name], dict) else {}) for name in ("host", "git", "versions")
    )
    rows = [
        (
            "ran as",
            ", ".join(str(known[name]) for name in ("compile", "precision", "device") if known[name]),
        )
    ]
    if host:
        words = [str(host[name]) for name in ("name", "processor", "system") if host.get(name)]
        if isinstance(host.get("memory_bytes"), int):
            words.append(f"{human_bytes(host['memory_bytes'])} memory")
        rows.append(("machine", ", ".join(words)))
    rows.append(("versions", ", ".join(f"{k} {v}" for k, v in versions.items())))
    if git.get("commit"):
        rows.append(("git", f"{git['commit']} {git.get('branch') or ''}"))
    if known["command"]:
        rows.append(("command", " ".join(map(str, known["command"]))))
    return table([row for row in rows if row[1]], flexible=1, width=width, indent=2)


def files(run: Run, facts: Facts, width: int) -> Lines:
    """What the directory holds."""
    return table([(name, human_bytes(size)) for name, size in facts["files"].items()], indent=2)


def problems(run: Run, facts: Facts, width: int) -> Lines:
    """What cannot be read."""
    return [f"  {text}" for text in facts["problems"]]


def wrapped(text: str, width: int) -> Lines:
    """Return a paragraph as indented lines."""
    return [*textwrap.wrap(text, max(width, 20), initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)]


def guarded(section: Any, run: Run, facts: Facts, width: int) -> Lines:
    """Return a section's lines, or the reason why it cannot be made: one broken file spoils one section."""
    try:
        lines: Lines = section(run, facts, width)
    except RunDirectoryError as error:
        return [f"  {error}"]
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        # The files can say anything: a text for a loss, a list for a step.
        return [f"  cannot be made of what the files say ({error})"]
    return lines
