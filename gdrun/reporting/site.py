"""All runs as a folder of pages: an index that sorts, filters and compares, a page each, plotly's script once."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from gdrun.plots.html_page import PLOTLY_FILE, document, own_file, plotly_script
from gdrun.plots.markup import Html, harmless, joined, table, tag
from gdrun.plots.plotly_renderer import plotly_figure
from gdrun.plots.run_pictures import loss_figure
from gdrun.rundir.files import disk_error, disk_errors, write_whole
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.settings import differing, labels
from gdrun.text import exact, human_age, human_seconds, plural
from gdrun.version import __version__

from .page import UNREADABLE, footer, report_html, status_cell, value_cell

INDEX = "index.html"
_PAGES = "runs"
_STAMPS = ".gdrun-site.jsonl"
"""For each page that is complete the run's id, the version of gdrun and the newest change of the run's files.

A line is added as soon as its page is there, so that a call that is killed keeps what it wrote.
"""
_NOT_SHOWN = ("loss", "gradient_norm", "learning_rate")
_MOST_FINALS, _MOST_SETTINGS = 3, 6


class SiteReport(NamedTuple):
    """The result of `write_site`: the file of the index, and the numbers of pages written, kept and removed."""

    file: Path
    written: int
    kept: int
    removed: int


def write_site(folder: Path, runs: Sequence[Run]) -> SiteReport:
    """Write the pages of those of `runs` whose files changed since their page was written, and the index.

    Pages of runs that are gone are removed. A run that cannot be read has its row in the index, with the reason.

    Raises:
        ResourceError: plotly is not installed.
        RunDirectoryError: the disk refuses.
    """
    pages = folder / _PAGES
    stamps = _read_stamps(folder)
    if not (folder / PLOTLY_FILE).is_file() or __version__ not in {version for version, _ in stamps.values()}:
        write_whole(folder / PLOTLY_FILE, plotly_script())
    gone = stamps.keys() - {run.id for run in runs}
    for name in gone:
        for suffix in (".html", ".js"):
            (pages / f"{name}{suffix}").unlink(missing_ok=True)
        del stamps[name]
    written = 0
    write_whole(folder / _STAMPS, "".join(_line(name, *stamp) for name, stamp in stamps.items()))
    with disk_errors("write", folder / _STAMPS), (folder / _STAMPS).open("a", encoding="utf-8") as complete:
        for run in runs:
            stamp = (__version__, _newest_change(run.directory))
            if stamps.get(run.id) == stamp and run.status not in (Status.RUNNING, Status.LOST):
                continue
            page = report_html(run, plotly=f"../{PLOTLY_FILE}", home=f"../{INDEX}")
            write_whole(pages / f"{run.id}.html", page)
            write_whole(pages / f"{run.id}.js", _comparable(run))
            complete.write(_line(run.id, *stamp))
            complete.flush()
            written += 1
    index = write_whole(folder / INDEX, _index(runs))
    return SiteReport(index, written, len(runs) - written, len(gone))


def _line(name: str, version: str, stamp: int) -> str:
    return json.dumps([name, version, stamp]) + "\n"


def _read_stamps(folder: Path) -> dict[str, tuple[str, int]]:
    """Return run id -> the version of gdrun that wrote its page, and what from."""
    stamps = {}
    with suppress(OSError, ValueError):
        for line in (folder / _STAMPS).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):  # the last line is torn where a call was killed
                name, version, stamp = json.loads(line)
                if os.sep not in name:
                    stamps[str(name)] = str(version), int(stamp)
    return stamps


def _newest_change(directory: Path) -> int:
    try:
        with os.scandir(directory) as entries:
            # The directory itself changes with every file that is made in it, a page or a picture too.
            return max((entry.stat().st_mtime_ns for entry in entries if entry.is_file()), default=0)
    except OSError as error:
        raise disk_error("read", directory, error) from error


def _comparable(run: Run) -> str:
    """Return a script that gives the index what it needs to compare a run: its loss, final values, settings."""
    trace: dict[str, Any] = {"x": [], "y": []}
    with suppress(*UNREADABLE):
        drawn = plotly_figure(loss_figure(run.best_run or run))["data"]
        trace = next(
            each for each in reversed(drawn) if each["uid"].startswith("line") and each["name"] != "validation"
        )
    values = {name: exact(value) for name, value in run.final.items()}
    data = {
        "id": run.id,
        "trace": {name: trace[name] for name in ("x", "y")},
        "values": {"status": str(run.get("status")), "steps": exact(run.get("steps"))} | values,
        "settings": {name: exact(value) for name, value in run.settings.items()},
    }
    return f"gdrunRun({json.dumps(harmless(data), separators=(',', ':'), allow_nan=False)});\n"


def _index(runs: Sequence[Run]) -> str:
    """Return the page with the table of all runs, the newest first."""
    runs = list(reversed(runs))
    finals = list(dict.fromkeys(name for run in runs for name in run.final if name not in _NOT_SHOWN))[:_MOST_FINALS]
    varied: Counter[str] = Counter()
    for name in {run.get("name") for run in runs}:
        group = [run.settings for run in runs if run.get("name") == name]
        varied.update(dict.fromkeys(differing(group), len(group)))
    paths = [path for path, _ in varied.most_common(_MOST_SETTINGS)]
    short_names = labels(paths, set().union(*(run.settings for run in runs)))
    titles = ["", "run", "kind", "status", "age", "steps", "time", "loss", *finals]
    titles += [short_names[path] for path in paths]
    now = datetime.now(UTC)
    cells = [_row(run, finals, paths, now) for run in runs]
    numeric = [4, 5, 6, *range(7, 8 + len(finals))]
    grid = table(titles, cells, numeric=numeric, label="runs", class_="sortable", id="runs")
    filters = tag(
        "div",
        tag("label", "filter ", tag("input", type="search", class_="filter", data_table="runs", data_count="count")),
        tag("output", id="count"),
        tag("span", "tick runs to compare them", class_="quiet"),
        class_="filters",
    )
    chart = tag(
        "figure",
        tag("figcaption", tag("b", "loss")),
        *(tag("div", class_=name) for name in ("tools", "plot", "player", "legend")),
        class_="comparison",
    )
    compared = tag("section", tag("h2", "Compared"), chart, tag("div", id="differences"), id="compared", hidden="")
    head = tag("header", tag("h1", "Runs"), tag("p", plural(len(runs), "run"), class_="lead"))
    body = tag("main", head, tag("section", filters, grid), compared, footer(), class_="wide")
    return document("runs", body, [], plotly=PLOTLY_FILE, script=own_file("compare.js"))


def _row(run: Run, finals: Sequence[str], paths: Sequence[str], now: datetime) -> list[object]:
    box = tag("input", type="checkbox", class_="pick", value=run.id, aria_label=f"compare {run.id}")
    link = tag("td", tag("a", run.id, href=f"{_PAGES}/{run.id}.html"), class_="id")
    why = tag("div", run.problem.rpartition("/")[2], class_="quiet") if run.problem else Html()
    status = tag("td", status_cell(str(run.status.value)), why)
    age, seconds = run.get("age", now=now), run.get("seconds")
    facts = [
        value_cell(age, human_age(age) if age is not None else ""),
        value_cell(run.get("steps")),
        value_cell(seconds, human_seconds(seconds) if isinstance(seconds, int | float) else ""),
        value_cell(run.get("loss")),
    ]
    values = [*(run.final.get(name) for name in finals), *(run.settings.get(path) for path in paths)]
    return [joined([box]), link, "sweep" if run.is_sweep else "run", status, *facts, *map(value_cell, values)]
