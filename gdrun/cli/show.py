"""`gdrun show RUN`: everything about one run or sweep."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import numpy as np
import typer
from rich.text import Text

from gdrun.analysis.convergence import report as convergence_report
from gdrun.errors import GdrunError, UsageError
from gdrun.reporting import sections
from gdrun.reporting.sections import Facts, attempt
from gdrun.rundir.describing import describe_run, files_of
from gdrun.rundir.run import Run, load_run
from gdrun.rundir.run_info import Status
from gdrun.rundir.settings import labels
from gdrun.rundir.tail import Tail
from gdrun.sweeping.summary import summarize
from gdrun.text import exact, human_age, plural, safe_text, short

from . import session, terminal
from .arguments import Json, RunArgument, RunsDir
from .output import print_json, print_result
from .sparkline import sparkline
from .tables import Cell, screen_width, status_cell, table, text_of
from .terminal import Line

WIDTH = 100
"""Where stdout is no terminal."""

_ROWS, _MOST_COLUMNS = 12, 8
_MOST_CURVES = 40
_MOST_PARAMETERS = 20
_BEST_TRIALS = 10
_STATISTICS = ("mean", "median", "std", "min", "max")
"""Of rows, by numpy's names."""


def command(
    run: RunArgument = "latest",
    config: Annotated[bool, typer.Option("--config", help="Print the resolved config alone; it runs again.")] = False,
    files: Annotated[bool, typer.Option("--files", help="List the files alone, with their sizes in bytes.")] = False,
    at: Annotated[
        str | None, typer.Option(metavar="STEP,...", help="Print the rows of these steps alone, in full digits.")
    ] = None,
    over: Annotated[
        str | None, typer.Option(metavar="FIRST:LAST", help="Print mean, median, ... of the rows of these steps alone.")
    ] = None,
    convergence: Annotated[
        bool, typer.Option("--convergence", help="How it converged, alone, with what its curvature says.")
    ] = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Show a run or a sweep: status, config, values, metrics, convergence, environment, files.

    RUN is a path, an id or the beginning of one, latest (the default), latest~1, ...
    """
    loaded = load_run(run, runs_dir)
    if config:
        terminal.data(*loaded.config.removesuffix("\n").split("\n"))
    elif convergence:
        _show_convergence(loaded, as_json=as_json)
    elif at is not None:
        rows = _rows_at(loaded, at)
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = table([[exact(row.get(name)) for name in names] for row in rows], names)
        print_result({"rows": rows}, *lines, as_json=as_json)
    elif over is not None:
        statistics = _statistics(loaded, over)
        titles = ["", "rows", *_STATISTICS]
        cells = [[name, *(exact(of[title]) for title in titles[1:])] for name, of in statistics.items()]
        print_result({"statistics": statistics}, *table(cells, titles), as_json=as_json)
    elif files and not as_json:
        # For programs: the tab is no part of a name, so what is in a name is escaped here.
        terminal.document("\n".join(f"{size}\t{safe_text(name)}" for name, size in files_of(loaded)))
    else:
        facts = describe_run(loaded)
        if loaded.status is Status.SUBMITTED:
            from gdrun.sweeping.slurm import why_unfinished

            facts["why"] = why_unfinished(loaded) or None
        if as_json:
            print_json({"files": facts["files"]} if files else {"run": facts})
        else:
            terminal.data(*_page(loaded, facts, screen_width() or WIDTH))


def _statistics(run: Run, over: str) -> dict[str, dict[str, Any]]:
    """Return column -> statistics of its values in the recorded rows of the steps in a text such as "100:300".

    Both ends count. A row without the column counts nothing; nan makes the statistics nan.

    Raises:
        UsageError: the text is no range, or no row is in it.
    """
    from gdrun.exports.recorded import flat_columns, missing_cells

    first, _, last = over.partition(":")
    if not (first.isdigit() and last.isdigit()):
        raise UsageError(f"--over takes steps, not '{safe_text(over, limit=40)}'", hint="--over 100:300")
    steps, missing, statistics = run.table.steps, missing_cells(run), {}
    inside = (steps >= int(first)) & (steps <= int(last))
    if not inside.any():
        hint = f"the rows are of steps {steps[0]:,} to {steps[-1]:,}" if len(steps) else None
        raise UsageError(f"there is no row of steps {first} to {last}", hint=hint)
    for name, values in flat_columns(run).items():
        there = values[inside & ~missing.get(name, np.False_)] if values.dtype.kind in "iuf" else values[:0]
        if name not in ("step", "epoch") and len(there):
            wide = there.astype(np.float64)
            statistics[name] = {"rows": len(wide), **{word: float(getattr(np, word)(wide)) for word in _STATISTICS}}
    return statistics


def _rows_at(run: Run, at: str) -> list[dict[str, Any]]:
    """Return the rows of the steps in a text such as "1,101,201".

    Raises:
        UsageError: the text is no list of steps, or a step has no row.
    """
    if run.is_sweep:
        best = run.best_run
        hint = None if best is None else f"gdrun show {best.directory} --at {at}"
        raise UsageError("a sweep has no rows, its best trial has", hint=hint)
    try:
        steps = [int(step) for step in at.split(",")]
    except ValueError:
        raise UsageError(f"--at takes steps, not '{safe_text(at, limit=40)}'", hint="--at 0,1,100") from None
    # As they are written: in the digits of the run's precision, without gaps.
    recorded = {row["step"]: row for row in Tail(run.directory).new_rows()}
    if missing := [step for step in steps if step not in recorded]:
        near = sorted(sorted(recorded, key=lambda step: abs(step - missing[0]))[:2])
        hint = f"the nearest are {' and '.join(map(str, near))}; record.every sets which rows there are"
        raise UsageError(f"the run recorded no row at step {missing[0]}", hint=hint if near else None)
    return [recorded[step] for step in steps]


def _page(run: Run, facts: Facts, width: int) -> list[Line]:
    lines: list[Line] = [Text(run.id, "bold")]
    if facts["description"]:
        lines.append(str(facts["description"]))
    status, style = status_cell(str(facts["status"]))
    lines.append(Text.assemble((status, f"bold {style}"), f": {facts['why']}" if facts["why"] else ""))
    for heading, section in sections.of_kind(SECTIONS, run):
        content = attempt(lambda section=section: list(section(run, facts, width)))  # type: ignore[misc]
        content = [f"  {content}"] if isinstance(content, str) else content
        if content:
            lines += ["", Text(heading, "bold")] if heading else []
            lines += content
    return lines


def _overview(run: Run, facts: Facts, width: int) -> list[Line]:
    rows = sections.overview(facts)
    if (age := run.get("age")) is not None:
        rows = [(name, f"{text}, {human_age(age)} ago" if name == "started" else text) for name, text in rows]
    return [*table(rows, indent=2), *(f"  warning: {text}" for text in sections.warnings(facts))]


def _config(run: Run, facts: Facts, width: int) -> list[Line]:
    """Return the written settings in a table, then the defaults in a paragraph."""
    rows = sections.settings(facts)
    written_rows = [(path, value) for path, value, written in rows if written]
    lines = table(written_rows, flexible=1, width=width, indent=2) if written_rows else []
    defaults = {path: value for path, value, written in rows if not written}
    if defaults:
        names = labels(defaults, facts["settings"])
        lines += _wrapped("defaults: " + ", ".join(f"{names[path]} {value}" for path, value in defaults.items()), width)
    return lines


def _values(run: Run, facts: Facts, width: int) -> list[Line]:
    """Return final and best values, and the parameters; of a sweep those of its best trial."""
    titles, rows, _ = sections.values(facts)
    rows = [row for row in rows if row[0] in facts["final"] or row[0] == "loss"]
    kept = [index for index in range(len(titles)) if index == 0 or any(row[index] for row in rows)]
    rows = [[row[index] for index in kept] for row in rows]
    lines = table(rows, [titles[index] for index in kept], indent=2) if rows else []
    if "epoch" in run.metrics:
        lines.append("  loss: first and best are of one batch, final is over all data")
    if run.is_sweep:
        best = run.best_run
        parameters = [] if best is None else _parameters(best)
        return [*lines, *(["", "  the best trial's parameters:", *parameters] if parameters else [])]
    if facts["best"]:
        lines.append(f"  kept as best: {exact(facts['best'])}")
    parameters = _parameters(run)
    return [*lines, *([""] if lines and parameters else []), *parameters]


def _parameters(run: Run) -> list[Line]:
    arrays = run.known_parameters
    titles, rows, _ = sections.parameters(dict(list(arrays.items())[:_MOST_PARAMETERS]))
    lines = table(rows, ["parameter", *titles[1:]], indent=2) if rows else []
    if len(arrays) > _MOST_PARAMETERS:
        lines.append(f"  and {plural(len(arrays) - _MOST_PARAMETERS, 'parameter')} more, in parameters.npz")
    return lines


def _metrics(run: Run, facts: Facts, width: int) -> list[Line]:
    """Return a few rows at round steps, and each column as a curve in a line."""
    columns, steps = run.metrics, run.table.steps
    if not len(steps):
        return ["  no rows yet"]
    names = [name for name in facts.get("metrics", {}) if name != "loss_before"]
    varied = [name for name in names if _varies(columns[name])]
    titles, rows, _ = sections.metrics(run, (varied or names)[: _MOST_COLUMNS - 1], _ROWS)
    lines: list[Line] = [f"  {plural(len(steps), 'row')}, steps {int(steps[0]):,} to {int(steps[-1]):,}"]
    lines += _fitting(titles, rows, width)
    curves = []
    for name in names[:_MOST_CURVES]:
        first, last = (short(facts["metrics"][name][end]) for end in ("first", "last"))
        curve = (sparkline(_recorded(columns[name])), f"{first} -> {last}") if name in varied else ("", last)
        curves.append((name, *curve))
    lines += ["", *table(curves, flexible=2, width=width, indent=2)]
    if len(names) > _MOST_CURVES:
        lines.append(f"  and {plural(len(names) - _MOST_CURVES, 'column')} more")
    return lines


def _fitting(titles: Sequence[str], rows: Sequence[Sequence[Cell]], width: int, least: int = 1) -> list[Line]:
    """Return a table of as many of the columns as there is room for, and at least `least`."""
    room, count = width - 2, 0
    for index, title in enumerate(titles):
        room -= max(len(title), *(len(text_of(row[index])) for row in rows)) + 2
        count += room >= -2 or count < least
    right = [index for index, title in enumerate(titles[:count]) if title != "status"]
    return table([row[:count] for row in rows], titles[:count], right=right, indent=2)


def _recorded(values: np.ndarray) -> np.ndarray:
    """Return a column without its gaps: metrics stand in the rows at ends of epochs alone, the gaps are no nans."""
    present = np.flatnonzero(~np.isnan(values)) if values.dtype.kind == "f" else np.arange(len(values))
    return values[present] if len(present) else values[:0]


def _varies(values: np.ndarray) -> bool:
    there = _recorded(values)
    return bool(len(there) and (there != there[0]).any())


def _convergence(run: Run, facts: Facts, width: int) -> Iterable[Line]:
    """Return how fast, where the loss stood still, how it grew: what the rows alone say."""
    for sentence in convergence_report(run).insights():
        yield from _wrapped(sentence, width)


def _show_convergence(run: Run, *, as_json: bool) -> None:
    """Print the whole report, with what the curvature adds where the config can be built."""
    try:
        with session.quiet(), session.waiting("looking at the curvature"):
            from gdrun.analysis.convergence import with_curvature

            report = with_curvature(run)
    except GdrunError as error:
        terminal.warn(f"without the curvature: {error.message}")
        report = convergence_report(run)
    print_result({"convergence": report.as_dict()}, *report.lines(), as_json=as_json)


def _trials(run: Run, facts: Facts, width: int) -> list[Line]:
    """Return how many trials have which status, the observed and the predicted limit, and the best trials."""
    words = ", ".join(f"{exact(number)} {name}" for name, number in (facts["trials"] or {}).items() if number)
    lines: list[Line] = [f"  {words}"] if words else []
    summary = summarize(run)
    for sentence in sections.edges(summary):
        lines += _wrapped(sentence, width)
    titles, rows, _ = sections.seed_medians(summary)
    if rows:
        lines += ["", *table(rows[:_MOST_PARAMETERS], titles, indent=2)]
    names, titles, trials = sections.trials(run, summary)
    if trials:
        kept = [index for index, name in enumerate(names) if name != "best_step"]
        names, titles = [names[index] for index in kept], [titles[index] for index in kept]
        lines += ["", f"  the best of {len(trials):,} by {summary.metric}"]
        cells = [[_trial_cell(name, row.get(name)) for name in names] for row in trials[:_BEST_TRIALS]]
        lines += _fitting(titles, cells, width, least=names.index("status"))
    return lines


def _trial_cell(name: str, value: object) -> Cell:
    return status_cell(str(value)) if name == "status" else sections.trial_cell(name, value)


def _environment(run: Run, facts: Facts, width: int) -> list[Line]:
    return table(sections.environment(facts), flexible=1, width=width, indent=2)


def _files(run: Run, facts: Facts, width: int) -> list[Line]:
    return table(sections.files(facts), indent=2)


def _wrapped(text: str, width: int) -> list[Line]:
    """Return a paragraph as indented lines."""
    return [*textwrap.wrap(text, max(width, 20), initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)]


Section = Callable[[Run, Facts, int], Iterable[Line]]
"""(run, what `describe_run` says of it, width of the screen) -> lines; none leave the section out."""

SECTIONS: tuple[tuple[sections.Of, str, Section], ...] = (
    ("both", "", _overview),
    ("sweep", "trials", _trials),
    ("both", "config", _config),
    ("both", "values", _values),
    ("run", "metrics", _metrics),
    ("run", "convergence", _convergence),
    ("both", "environment", _environment),
    ("both", "files", _files),
)
"""What a section is about, its heading, and what stands below it. A new section is one row here."""
