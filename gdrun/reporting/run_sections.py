"""What stands on the page of a run, and of a sweep where both have it: each section a function from facts to markup."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gdrun.errors import RunDirectoryError
from gdrun.rundir import layout
from gdrun.rundir.files import names_in, read_file
from gdrun.text import human_bytes, human_seconds, plural

from .markup import Html, code, escaped, folded, joined, pairs, shown, table, tag

if TYPE_CHECKING:
    import numpy as np

    from gdrun.rundir.run import Run

Facts = dict[str, Any]

FEW_NUMBERS = 48
"""Of one parameter: so many are shown as they are; of larger ones what they are like."""

_MOST_PARAMETERS = 200
_MOST_FILES = 500
_MOST_ROWS, _MOST_COLUMNS = 40, 10
_SOURCE_LIMIT = 1 << 20
_IN_FULL = 8
_BINS = 24


def overview(run: Run, facts: Facts) -> Html:
    """The few numbers that matter, large."""
    final = facts["final"]
    tiles: list[tuple[object, object, object]] = []
    if facts["kind"] == "sweep":
        best = facts["best"]
        metric = shown(facts.get("metric")) or "loss"
        tiles.append((f"best {metric}", _brief(best.get("value")), _where(best.get("values"))))
        counts = facts["trials"] if isinstance(facts["trials"], Mapping) else {}
        rest = ", ".join(f"{_brief(counts[name])} {name}" for name in _OUTCOMES if counts.get(name))
        tiles.append(("trials", _brief(counts.get("total")), rest))
    else:
        metrics = facts.get("metrics", {})
        loss = metrics.get("loss") or {}
        least = "" if loss.get("best") is None else f"least {_brief(loss['best'])} at step {_brief(loss['best_step'])}"
        tiles.append(("final loss", _brief(final.get("loss")), least))
        names = [name for name in final if name not in ("loss", "gradient_norm", "learning_rate", "step", "epoch")]
        tiles += [(name, _brief(final[name]), "") for name in names[:3]]
    steps = facts["steps"]
    epochs = facts["epochs"]
    several = isinstance(epochs, int | float) and epochs != steps
    tiles.append(("steps", _brief(steps), f"{_brief(epochs)} epochs" if several else ""))
    if isinstance(facts["seconds"], int | float):
        tiles.append(("time", human_seconds(facts["seconds"]), _speed(steps, facts["seconds"])))
    cells = [
        tag("div", tag("span", name, class_="name"), tag("strong", value), tag("span", rest, class_="rest"))
        for name, value, rest in tiles
        if value
    ]
    return tag("div", *cells, class_="tiles")


_OUTCOMES = ("stopped", "diverged", "failed", "missing")


def _brief(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return shown(value, digits=5)


def _where(values: Any) -> str:
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(f"{str(key).rpartition('.')[2]} {shown(value, digits=4)}" for key, value in values.items())


def _speed(steps: Any, seconds: float) -> str:
    if not isinstance(steps, int) or seconds <= 0 or steps < 1:
        return ""
    return f"{shown(float(f'{steps / seconds:.2g}'))} steps a second"


def insights(run: Run, facts: Facts) -> Html:
    """How it converged, in words."""
    from gdrun.analysis.convergence import report

    lines = [line for line in report(run).insights() if line]
    return tag("ul", *(tag("li", line) for line in lines)) if lines else Html()


def values(run: Run, facts: Facts) -> Html:
    """First, final and best of each column."""
    final, summaries = facts["final"], facts.get("metrics", {})
    names = list(dict.fromkeys([*final, *summaries]))
    rows = []
    for name in names[:100]:
        one = summaries.get(name) or {}
        told = "learning_rate" not in name and not name.startswith(("parameters.", "gradients."))
        best = [shown(one.get("best")), shown(one.get("best_step"))] if told else ["", ""]
        rows.append([name, shown(one.get("first")), shown(final.get(name, one.get("last"))), *best])
    if not rows:
        return Html()
    titles = ["", "first", "final", "best", "at step"]
    return joined([table(titles, rows, numeric=(1, 2, 3, 4), label="values"), *_more(len(names), 100, "column")])


def metrics(run: Run, facts: Facts) -> Html:
    """Rows at round steps."""
    columns = run.metrics
    if not len(run.table.steps):
        return tag("p", "No row was recorded.", class_="quiet")
    plain = [name for name, values in columns.items() if values.ndim == 1 and values.dtype.kind in "iufb"]
    names = plain[:_MOST_COLUMNS]
    picked = _round_rows(columns["step"])
    rows = [[_cell(columns[name][at].item()) for name in names] for at in picked]
    told = f"{len(rows):,} of {plural(len(columns['step']), 'row')}"
    rest = f", {len(names)} of {len(columns)} columns" if len(names) < len(columns) else ""
    note = f"{told}{rest}; all of them are in {layout.METRICS}." if len(rows) < len(columns["step"]) or rest else ""
    grid = table(names, rows, numeric=range(len(names)), label="metrics")
    return joined([grid, tag("p", note, class_="quiet") if note else Html()])


def _cell(value: Any) -> str:
    return "" if value != value else _brief(value) if not isinstance(value, float) else shown(value, digits=7)


def _round_rows(steps: np.ndarray) -> list[int]:
    """Numbers of the rows at or next after steps 0, 1, 2, 5, 10, ... and of evenly spread ones, the last among them."""
    import numpy as np

    if len(steps) <= _MOST_ROWS:
        return list(range(len(steps)))
    wanted = [0, *(factor * 10**power for power in range(19) for factor in (1, 2, 5))]
    early = np.searchsorted(steps, [step for step in wanted if step <= steps[-1]]).tolist()
    spread = np.linspace(0, len(steps) - 1, max(_MOST_ROWS - len(early), 2)).astype(int).tolist()
    return sorted({*early, *spread})


def parameters(run: Run, facts: Facts) -> Html:
    """Each parameter: its numbers while they are few, else what they are like."""
    import numpy as np

    arrays = run.parameters
    rows = []
    for name, array in list(arrays.items())[:_MOST_PARAMETERS]:
        shape = "x".join(map(str, array.shape)) or "1"
        numeric = array.dtype.kind in "iuf"
        if array.size <= FEW_NUMBERS:
            rows.append([name, shape, tag("td", _exactly(array), class_="numbers"), ""])
        elif numeric and np.isfinite(array).any():
            there = array[np.isfinite(array)].astype(np.float64)
            ends = f"{shown(float(there.min()), digits=4)} to {shown(float(there.max()), digits=4)}"
            middle = f"mean {shown(float(there.mean()), digits=3)}, deviation {shown(float(there.std()), digits=3)}"
            gone = f", {array.size - there.size:,} not finite" if there.size < array.size else ""
            rows.append([name, shape, f"{ends}; {middle}{gone}", _histogram(there, name)])
        else:
            rows.append([name, shape, f"{array.size:,} numbers", ""])
    if not rows:
        return Html()
    titles = ["", "shape", "values", "distribution"]
    if not any(row[-1] for row in rows):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    total = sum(array.size for array in arrays.values())
    words = tag("p", f"{plural(total, 'number')} in {layout.PARAMETERS}.", class_="quiet")
    return joined([table(titles, rows, label="parameters"), *_more(len(arrays), _MOST_PARAMETERS, "parameter"), words])


def _exactly(array: np.ndarray) -> str:
    """The numbers of a small parameter, in full while they are very few."""
    flat = [shown(value, digits=None if array.size <= _IN_FULL else 5) for value in array.reshape(-1)]
    return flat[0] if array.ndim == 0 else _nested(flat, array.shape)


def _nested(flat: Sequence[str], shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return f"[{', '.join(flat)}]"
    size = len(flat) // shape[0] if shape[0] else 0
    return f"[{', '.join(_nested(flat[at * size : (at + 1) * size], shape[1:]) for at in range(shape[0]))}]"


def _histogram(values: np.ndarray, name: str) -> Html:
    """A small picture of how often which value occurs."""
    import numpy as np

    counts = np.histogram(values, bins=_BINS)[0]
    most = counts.max()
    bars = "".join(
        f'<rect x="{at * 5}" y="{24 - height:.2f}" width="4" height="{height:.2f}"/>'
        for at, height in enumerate((counts / most * 24).tolist())
        if height
    )
    label = escaped(f"distribution of {name}", limit=100)
    size = f'width="{_BINS * 5}" height="24" viewBox="0 0 {_BINS * 5} 24"'
    return tag("td", Html(f'<svg class="histogram" role="img" aria-label="{label}" {size}>{bars}</svg>'))


def config(run: Run, facts: Facts) -> Html:
    """What was written, what it was resolved to, and the file that runs again."""
    parts: list[Html] = []
    for name in names_in(run.directory / layout.SOURCE):
        if name.endswith((".yaml", ".yml", ".txt", ".py")):
            text = read_file(run.directory / layout.SOURCE / name, limit=_SOURCE_LIMIT).decode("utf-8", "replace")
            parts.append(folded(f"written: {name}", code(text), opened=not parts))
    settings, written = facts["settings"], set(facts["written"])
    if settings:
        rows = [
            tag("tr", tag("th", path, scope="row"), tag("td", shown(settings[path])), class_=None if own else "default")
            for path in sorted(settings, key=lambda path: path not in written)
            for own in (path in written,)
        ]
        note = tag("p", "Faint: defaults that nobody wrote.", class_="quiet")
        grid = tag("div", tag("table", tag("tbody", *rows), class_="settings"), class_="scroll", tabindex="0")
        parts.append(folded(f"resolved: {plural(len(settings), 'setting')}", grid, note, opened=not parts))
    parts.append(folded(f"{layout.CONFIG}, which runs again", code(run.config)))
    return joined(parts)


def environment(run: Run, facts: Facts) -> Html:
    """On what it ran, and how to run it again."""
    known = facts["environment"]
    host, git, versions = (known[name] if isinstance(known[name], dict) else {} for name in ("host", "git", "versions"))
    machine = [str(host[name]) for name in ("name", "processor", "system") if host.get(name)]
    if isinstance(host.get("memory_bytes"), int):
        machine.append(f"{human_bytes(host['memory_bytes'])} memory")
    command = " ".join(map(str, known["command"])) if isinstance(known["command"], list | tuple) else None
    seeds = known["seeds"] if isinstance(known["seeds"], dict) else {}
    return pairs(
        [
            ("started", facts["started"]),
            ("finished", facts["finished"]),
            ("ran as", ", ".join(str(known[name]) for name in ("compile", "precision", "device") if known[name])),
            ("threads", shown(known["threads"])),
            ("machine", ", ".join(machine)),
            ("versions", ", ".join(f"{name} {value}" for name, value in versions.items())),
            ("git", " ".join(str(git[name]) for name in ("commit", "branch") if git.get(name))),
            ("seeds", ", ".join(f"{name} {shown(value)}" for name, value in seeds.items())),
            ("data", ", ".join(map(str, facts["data"])) if isinstance(facts["data"], Mapping) else None),
            ("plugins", ", ".join(map(str, known["plugins"] or ()))),
            ("command", tag("code", command) if command else None),
            ("directory", tag("code", facts["directory"])),
        ]
    )


def files(run: Run, facts: Facts) -> Html:
    """What the directory holds."""
    found: Mapping[str, int] = facts["files"]
    rows = [[name, human_bytes(size)] for name, size in list(found.items())[:_MOST_FILES]]
    grid = table(["file", "size"], rows, numeric=(1,), label="files")
    total = f"{plural(len(found), 'file')}, {human_bytes(sum(found.values()))}"
    return folded(total, grid, *_more(len(found), _MOST_FILES, "file"), opened=len(rows) <= 12)


def warnings(facts: Facts) -> Sequence[str]:
    """Return what the run warned of, and what cannot be read."""
    told = facts["warnings"] if isinstance(facts["warnings"], list | tuple) else []
    return [*map(str, told), *facts["problems"]]


def _more(count: int, most: int, what: str) -> list[Html]:
    return [tag("p", f"and {plural(count - most, what)} more", class_="quiet")] if count > most else []


def guarded(section: Any, run: Run, facts: Facts) -> Html:
    """Return a section, or why it cannot be made: one broken file spoils one section."""
    try:
        return Html(section(run, facts))
    except RunDirectoryError as error:
        return tag("p", error.message, class_="quiet")
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        # The files can say anything: a text for a loss, a list for a step.
        return tag("p", f"This cannot be made of what the files say ({error}).", class_="quiet")


def is_number(value: Any) -> bool:
    """Return whether a value of a table is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
