"""The page about a run or a sweep: a head, pictures, sections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.analysis.convergence import report as convergence_report
from gdrun.errors import GdrunError, ResourceError
from gdrun.plots.choose import PICTURES
from gdrun.plots.html_page import document, figure_slot
from gdrun.plots.markup import Html, code, escaped, folded, joined, pairs, table, tag
from gdrun.rundir import layout
from gdrun.rundir.comparing import compare
from gdrun.rundir.describing import describe_run
from gdrun.rundir.files import names_in, read_file
from gdrun.rundir.run import Run
from gdrun.sweeping.summary import summarize
from gdrun.text import exact, human_bytes, human_seconds, plural, plural_number, short
from gdrun.version import __version__

from . import sections
from .sections import Facts, PageTable, attempt, brief

if TYPE_CHECKING:
    from gdrun.plots.figure import Figure

MOST_TRIALS = 500
_MOST_VALUES = 100
_MOST_PARAMETERS = 200
_MOST_FILES = 500
_MOST_ROWS, _MOST_COLUMNS = 40, 10
_SOURCE_LIMIT = 1 << 20
_BINS = 24


def report_html(run: Run, *, plotly: str | None = None, home: str | None = None, refresh: int | None = None) -> str:
    """Return the page about a run or a sweep as HTML.

    A run whose files are broken gets a page that says so; nothing is raised for it.

    Args:
        plotly, refresh: as in `document`.
        home: the address of the index that the page belongs to.
    """
    facts = describe_run(run)
    figures = list(page_figures(run))
    body = _body(run, facts, figures, home)
    return document(facts["id"], body, figures, plotly=plotly, refresh=refresh)


def comparison_html(runs: Sequence[Run], *, refresh: int | None = None) -> str:
    """Return the page that shows several runs beside each other; `refresh` as in `document`."""
    figures = []
    for picture in PICTURES:
        if picture.of == "runs":
            with suppress(*UNREADABLE):
                if any(picture.on_page(run) for run in runs):
                    figures.append(picture(runs))
    facts = compare(runs)
    titles = ["", *facts["runs"]]
    parts = [
        (name, [[row["name"], *map(brief, row["values"])] for row in facts[part]])
        for name, part in (("Results", "results"), ("Settings that differ", "settings"))
    ]
    sections_ = [tag("section", tag("h2", name), table(titles, rows, label=name)) for name, rows in parts if rows]
    head = tag("header", tag("h1", f"{plural(len(runs), 'run')} compared"))
    curves = [tag("section", tag("h2", "Curves"), pictures(figures))] if figures else []
    broken = [tag("p", f"{run.id}: {run.problem}", class_="warnings") for run in runs if run.problem]
    return document("comparison", tag("main", head, *broken, *curves, *sections_, footer()), figures, refresh=refresh)


UNREADABLE = (GdrunError, ValueError, TypeError, LookupError, ArithmeticError)
"""What pictures of files that say anything can raise; the page says elsewhere what is wrong with them."""


def page_figures(run: Run) -> Iterator[Figure]:
    """Yield the figures that the page of a run or a sweep shows, as far as its files allow."""
    for picture in PICTURES:
        if picture.fits(run):
            with suppress(*UNREADABLE):
                if picture.on_page(run):
                    yield picture(run, **({"load": _refuse} if picture.computes else {}))


def _refuse() -> Any:
    raise ResourceError("a page starts no TensorFlow", hint="gdrun plot does")


def _body(run: Run, facts: Facts, figures: list[Figure], home: str | None) -> Html:
    parts = [("Curves", pictures(figures))] if figures else []
    chosen = sections.of_kind(SECTIONS, run)
    parts += [(name, made) for name, section in chosen if (made := _attempt(section, run, facts))]
    anchors = [name.lower().replace(" ", "-") for name, _ in parts]
    links = [tag("a", "all runs", href=home)] if home else []
    links += [tag("a", name, href=f"#{anchor}") for (name, _), anchor in zip(parts, anchors, strict=True)]
    warnings = sections.warnings(facts)
    lead = [
        _head(run, facts),
        _attempt(tiles, run, facts),
        tag("div", tag("h2", "Warnings"), tag("ul", *(tag("li", text) for text in warnings)), class_="warnings")
        if warnings
        else Html(),
        tag("nav", *links, aria_label="sections"),
    ]
    blocks = [
        tag("section", tag("h2", name), made, id=anchor) for (name, made), anchor in zip(parts, anchors, strict=True)
    ]
    return tag("main", *lead, *blocks, footer())


def footer() -> Html:
    """Return the last line of a page."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return tag("footer", f"Made by gdrun {__version__} on {now}. This page needs no network.")


def _head(run: Run, facts: Facts) -> Html:
    name = facts["name"] or facts["id"]
    why = tag("span", facts["why"], class_="why") if facts["why"] else Html()
    return tag(
        "header",
        tag("p", "sweep" if run.is_sweep else "run", " ", tag("code", facts["id"]), class_="quiet"),
        tag("h1", name),
        tag("p", facts["description"], class_="lead") if facts["description"] else Html(),
        tag("p", status_cell(str(facts["status"])), " ", why, class_="outcome"),
    )


def pictures(figures: Sequence[Figure]) -> Html:
    """Return the places of a page's figures."""
    without = tag("noscript", "The curves need JavaScript; their values are in the run directory's files.")
    slots = (figure_slot(figure, index) for index, figure in enumerate(figures))
    help_ = "Point at a curve for its values, drag to zoom in, double-click to zoom out."
    return joined([without, *slots, tag("p", help_, class_="quiet screen")])


def _attempt(section: Section, run: Run, facts: Facts) -> Html:
    made = attempt(lambda: section(run, facts))
    return made if isinstance(made, Html) else tag("p", made, class_="quiet")


def tiles(run: Run, facts: Facts) -> Html:
    """Return the few numbers that matter, large."""
    final, steps, epochs, seconds = (facts[name] for name in ("final", "steps", "epochs", "seconds"))
    numbers: list[tuple[str, str, str]] = []
    if run.is_sweep:
        best, counts = facts["best"], facts["trials"] or {}
        values = best.get("values") or {}
        setting = ", ".join(f"{str(key).rpartition('.')[2]} {short(value, 4)}" for key, value in values.items())
        numbers.append((f"best {exact(facts.get('metric')) or 'loss'}", brief(best.get("value")), setting))
        outcomes = [f"{brief(counts[name])} {name}" for name in _OUTCOMES if counts.get(name)]
        numbers.append(("trials", brief(counts.get("total")), ", ".join(outcomes)))
    else:
        loss = facts.get("metrics", {}).get("loss") or {}
        least = "" if loss.get("best") is None else f"least {brief(loss['best'])} at step {brief(loss['best_step'])}"
        numbers.append(("final loss", brief(final.get("loss")), least))
        names = [name for name in final if name not in ("loss", "gradient_norm", "learning_rate", "step", "epoch")]
        numbers += [(name, brief(final[name]), "") for name in names[:3]]
    several = isinstance(epochs, int | float) and epochs != steps
    numbers.append(("steps", brief(steps), plural_number(epochs, "epoch") if several else ""))
    if isinstance(seconds, int | float):
        rate = f"{short(steps / seconds, 2)} steps a second" if isinstance(steps, int) and steps and seconds > 0 else ""
        numbers.append(("time", human_seconds(seconds), rate))
    cells = [
        tag("div", tag("span", name, class_="name"), tag("strong", value), tag("span", detail, class_="rest"))
        for name, value, detail in numbers
        if value
    ]
    return tag("div", *cells, class_="tiles")


_OUTCOMES = ("stopped", "diverged", "failed", "missing")


def convergence(run: Run, facts: Facts) -> Html:
    """Return how the run converged, in sentences."""
    return _list(line for line in convergence_report(run).insights() if line)


def values(run: Run, facts: Facts) -> Html:
    """Return first, final and best of each column."""
    return _table(sections.values(facts), "values", _MOST_VALUES, "column")


def parameters(run: Run, facts: Facts) -> Html:
    """Return each parameter, with the distribution of a large one's numbers."""
    arrays = dict(list(run.parameters.items())[:_MOST_PARAMETERS])
    titles, rows, _ = sections.parameters(arrays)
    if not rows:
        return Html()
    pictures = [_histogram(array, name) for name, array in arrays.items()]
    if any(pictures):
        grid = table([*titles, "distribution"], [[*row, cell] for row, cell in zip(rows, pictures, strict=True)])
    else:
        grid = table(titles, rows, label="parameters")
    total = sum(array.size for array in run.parameters.values())
    words = tag("p", f"{plural(total, 'number')} in {layout.PARAMETERS}.", class_="quiet")
    return joined([grid, _more(len(run.parameters), _MOST_PARAMETERS, "parameter"), words])


def _histogram(array: np.ndarray, name: str) -> Html:
    """Return a small picture of the distribution of a large parameter's numbers."""
    numbers = array[np.isfinite(array)] if array.dtype.kind in "iuf" else array[:0]
    if array.size <= sections.FEW_NUMBERS or not numbers.size:
        return Html()
    counts = np.histogram(numbers.astype(np.float64), bins=_BINS)[0]
    bars = "".join(
        f'<rect x="{number * 5}" y="{24 - height:.2f}" width="4" height="{height:.2f}"/>'
        for number, height in enumerate((counts / counts.max() * 24).tolist())
        if height
    )
    label = escaped(f"distribution of {name}", limit=100)
    size = f'width="{_BINS * 5}" height="24" viewBox="0 0 {_BINS * 5} 24"'
    return tag("td", Html(f'<svg class="histogram" role="img" aria-label="{label}" {size}>{bars}</svg>'))


def config(run: Run, facts: Facts) -> Html:
    """Return what was written, what it was resolved to, and the file that runs again."""
    parts: list[Html] = []
    for name in names_in(run.directory / layout.SOURCE):
        if name.endswith((".yaml", ".yml", ".txt", ".py")):
            text = read_file(run.directory / layout.SOURCE / name, limit=_SOURCE_LIMIT).decode("utf-8", "replace")
            parts.append(folded(f"written: {name}", code(text), opened=not parts))
    rows = [
        tag("tr", tag("th", path, scope="row"), tag("td", value), class_=None if written else "default")
        for path, value, written in sections.settings(facts)
    ]
    if rows:
        note = tag("p", "Faint: defaults that were not written.", class_="quiet")
        grid = tag("div", tag("table", tag("tbody", *rows), class_="settings"), class_="scroll", tabindex="0")
        parts.append(folded(f"resolved: {plural(len(rows), 'setting')}", grid, note, opened=not parts))
    parts.append(folded(f"{layout.CONFIG}, which runs again", code(run.config)))
    return joined(parts)


def metrics(run: Run, facts: Facts) -> Html:
    """Return rows at round steps."""
    columns, count = run.metrics, len(run.table.steps)
    if not count:
        return tag("p", "No row was recorded.", class_="quiet")
    names = [name for name, column in columns.items() if column.ndim == 1 and column.dtype.kind in "iufb"]
    names = names[:_MOST_COLUMNS]
    rows = sections.metrics(run, names, _MOST_ROWS)
    hidden = f", {len(names)} of {len(columns)} columns" if len(names) < len(columns) else ""
    words = f"{len(rows.rows):,} of {plural(count, 'row')}{hidden}; all of them are in {layout.METRICS}."
    return joined(
        [_table(rows, "metrics"), tag("p", words, class_="quiet") if len(rows.rows) < count or hidden else ""]
    )


def environment(run: Run, facts: Facts) -> Html:
    """Return where, when and on what the run ran."""
    return pairs([*sections.overview(facts), *sections.environment(facts)])


def files(run: Run, facts: Facts) -> Html:
    """Return what the directory holds."""
    rows = sections.files(facts)
    grid = _table(PageTable(["file", "size"], [list(row) for row in rows], (1,)), "files", _MOST_FILES, "file")
    total = human_bytes(sum(facts["files"].values()))
    return folded(f"{plural(len(rows), 'file')}, {total}", grid, opened=len(rows) <= 12)


def edges(run: Run, facts: Facts) -> Html:
    """Return where training begins to diverge, and where theory says so."""
    return _list(sections.edges(summarize(run)))


def best_settings(run: Run, facts: Facts) -> Html:
    """Return the best settings; of several seeds their median."""
    summary = summarize(run)
    rows, medians = sections.best_settings(summary), sections.seed_medians(summary)
    if not rows.rows:
        return tag("p", "No trial has a finite result.", class_="quiet")
    return joined([_table(rows, "best settings"), *([_table(medians, "seeds")] if medians.rows else [])])


def trials(run: Run, facts: Facts) -> Html:
    """Return the table of trials, the best first; the script sorts it by any column."""
    names, titles, rows = sections.trials(run, summarize(run))
    if not rows:
        return tag("p", "No trial is done yet.", class_="quiet")
    best = rows[:MOST_TRIALS]
    cells = [[_trial_cell(name, row.get(name)) for name in names] for row in best]
    numeric = [index for index, name in enumerate(names) if all(not isinstance(row.get(name), str) for row in best)]
    grid = table(titles, cells, numeric=numeric, label="trials", class_="sortable")
    note = f"The best {len(best):,} of {len(rows):,} trials; all of them are in {layout.TRIALS}."
    return joined([grid, tag("p", note, class_="quiet") if len(best) < len(rows) else ""])


def _trial_cell(name: str, value: Any) -> Html:
    text = sections.trial_cell(name, value)
    return tag("td", status_cell(text)) if name == "status" else value_cell(value, text)


def value_cell(value: object, text: str | None = None) -> Html:
    """Return a cell that sorts by its number, where it is a finite one; other numbers sort last, as what is missing."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    sort = repr(value) if sections.is_finite(value) else None
    return tag("td", brief(value, 6) if text is None else text, class_="n" if number else None, data_sort=sort)


def status_cell(status: str) -> Html:
    """Return a status with its colour and sign."""
    return tag("span", status, class_=f"status {status if status.isascii() and status.isalpha() else 'other'}")


def best_parameters(run: Run, facts: Facts) -> Html:
    """Return the parameters of the best trial."""
    best = run.best_run
    return Html() if best is None else parameters(best, facts)


def _list(lines: Iterable[str]) -> Html:
    items = [tag("li", line) for line in lines]
    return tag("ul", *items) if items else Html()


def _table(rows: PageTable, label: str, most: int | None = None, what: str = "") -> Html:
    """Return a table of at most `most` rows with the number of the others below it."""
    if not rows.rows:
        return Html()
    grid = table(rows.titles, rows.rows[:most], numeric=rows.numeric, label=label)
    return grid if most is None else joined([grid, _more(len(rows.rows), most, what)])


def _more(count: int, most: int, what: str) -> Html:
    return tag("p", f"and {plural(count - most, what)} more", class_="quiet") if count > most else Html()


Section = Callable[[Run, Facts], Html]

SECTIONS: tuple[tuple[sections.Of, str, Section], ...] = (
    ("run", "Convergence", convergence),
    ("run", "Values", values),
    ("sweep", "Where training diverges", edges),
    ("sweep", "Best settings", best_settings),
    ("sweep", "Trials", trials),
    ("run", "Parameters", parameters),
    ("sweep", "Parameters of the best trial", best_parameters),
    ("both", "Config", config),
    ("run", "Metrics", metrics),
    ("both", "Environment", environment),
    ("both", "Files", files),
)
"""What a section is about, its heading, and what stands below it; one without content is left out. The pictures come
before all of them."""
