"""The page: a head, sections, the data and the script. Everything is in it; nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.resources import files as package_files
from typing import TYPE_CHECKING

from gdrun.plots.palette import LINES, graded
from gdrun.rundir.describing import describe_run
from gdrun.rundir.run import Run
from gdrun.version import __version__

from . import run_sections, sweep_sections
from .figures import figure_data, page_figures
from .markup import Html, data_block, escaped, joined, policy_hash, tag
from .run_sections import Facts, guarded

if TYPE_CHECKING:
    from gdrun.plots.figure import Figure
    from gdrun.rundir.run import Run

Section = Callable[["Run", Facts], Html]

RUN_SECTIONS: tuple[tuple[str, Section], ...] = (
    ("Convergence", run_sections.insights),
    ("Values", run_sections.values),
    ("Parameters", run_sections.parameters),
    ("Config", run_sections.config),
    ("Metrics", run_sections.metrics),
    ("Environment", run_sections.environment),
    ("Files", run_sections.files),
)
SWEEP_SECTIONS: tuple[tuple[str, Section], ...] = (
    ("Where training diverges", sweep_sections.edges),
    ("Best settings", sweep_sections.best),
    ("Trials", sweep_sections.trials),
    ("Parameters of the best trial", sweep_sections.best_parameters),
    ("Config", run_sections.config),
    ("Environment", run_sections.environment),
    ("Files", run_sections.files),
)
"""Heading -> what stands below it; a section without content is left out. The pictures come before all of them."""

_SCRIPT = ("numbers", "chart", "reader", "start")
_STOPS = 16
_MARKUP = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
    '<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    '<meta name="generator" content="gdrun {version}">\n'
    "<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n{data}\n<script>{script}</script>\n"
    "</body>\n</html>\n"
)


def report_html(run: Run) -> str:
    """Return the page about a run or a sweep as HTML, whole in itself.

    A run whose files are broken gets a page that says so; nothing is raised.
    """
    facts = describe_run(run)
    is_sweep = facts["kind"] == "sweep"
    figures = list(page_figures(run))
    style = _own_file("page.css")
    script = "".join(_own_file(f"script/{name}.js") for name in _SCRIPT)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    # No script but this one can run and nothing can be loaded, whatever a text on the page says.
    policy = f"default-src 'none'; script-src {policy_hash(script)}; style-src {policy_hash(style)}; base-uri 'none'"
    colours = ["#" + "".join(f"{round(255 * c):02x}" for c in graded(at / (_STOPS - 1))) for at in range(_STOPS)]
    data = {"figures": list(map(figure_data, figures)), "graded": colours, "slots": len(LINES)}
    return _MARKUP.format(
        policy=f"{policy}; form-action 'none'",
        version=__version__,
        title=escaped(f"{facts['id']} - gdrun", limit=200),
        style=style,
        body=_body(run, facts, figures, SWEEP_SECTIONS if is_sweep else RUN_SECTIONS),
        data=data_block("figures", data),
        script=script,
    )


def _own_file(name: str) -> str:
    return (package_files("gdrun.reporting") / name).read_text(encoding="utf-8")


def _body(run: Run, facts: Facts, figures: list[Figure], sections: tuple[tuple[str, Section], ...]) -> Html:
    parts = list(_pictures(figures))
    parts += [(name, made) for name, section in sections if (made := guarded(section, run, facts))]
    names = [(name, name.lower().replace(" ", "-")) for name, _ in parts]
    links = [tag("a", name, href=f"#{anchor}") for name, anchor in names]
    told = run_sections.warnings(facts)
    lead = [
        _head(facts),
        guarded(run_sections.overview, run, facts),
        tag("div", tag("h2", "Warnings"), tag("ul", *(tag("li", text) for text in told)), class_="warnings")
        if told
        else Html(),
        tag("nav", *links, aria_label="sections"),
    ]
    blocks = [
        tag("section", tag("h2", name), made, id=anchor)
        for (name, made), (_, anchor) in zip(parts, names, strict=True)
    ]  # fmt: skip
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    foot = tag("footer", f"Made by gdrun {__version__} on {now}. This page needs no network and no other file.")
    return tag("main", *lead, *blocks, foot)


def _head(facts: Facts) -> Html:
    status = str(facts["status"])
    word = status if status.isalpha() else "other"
    name = facts["name"] or facts["id"]
    why = tag("span", facts["why"], class_="why") if facts["why"] else Html()
    return tag(
        "header",
        tag("p", "sweep" if facts["kind"] == "sweep" else "run", " ", tag("code", facts["id"]), class_="quiet"),
        tag("h1", name),
        tag("p", facts["description"], class_="lead") if facts["description"] else Html(),
        tag("p", tag("span", status, class_=f"status {word}"), " ", why, class_="outcome"),
    )


def _pictures(figures: list[Figure]) -> Iterator[tuple[str, Html]]:
    if not figures:
        return
    without = "The curves need JavaScript; their values are in the run directory's files."
    slots = [
        tag(
            "figure",
            tag("figcaption", tag("b", figure.title), " ", tag("span", figure.subtitle, class_="quiet")),
            tag("div", class_="tools"),
            tag("div", class_="plot"),
            tag("div", class_="legend"),
            *(tag("p", note, class_="quiet note") for note in figure.notes),
            class_="chart",
            data_figure=at,
        )
        for at, figure in enumerate(figures)
    ]
    help_ = "Point at a curve for its values, drag to zoom in, double-click to zoom out. Keys: arrows, + and -."
    yield "Curves", joined([tag("noscript", without), *slots, tag("p", help_, class_="quiet screen")])
