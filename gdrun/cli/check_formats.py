"""Results of `gdrun check` as CI services show them: JUnit XML, GitHub's annotations, a table in Markdown."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

from gdrun.checking.comparison import ExpectationResult
from gdrun.errors import ConfigError, GdrunError, Place, Problem
from gdrun.experiment.loading import LoadedConfig
from gdrun.text import human_seconds, plural, safe_text

from .failures import Several
from .tables import markdown_cell

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
"""The file that GitHub Actions shows as the summary of a step; what is appended to it is Markdown."""


class Format(StrEnum):
    """Forms in which `gdrun check` prints its results."""

    TEXT = "text"
    GITHUB = "github"
    MARKDOWN = "markdown"
    JUNIT = "junit"


@dataclass(frozen=True)
class Case:
    """One config's test case."""

    config: str
    name: str
    seconds: float
    rows: tuple[ExpectationResult, ...] = ()
    error: str | None = None
    """Why it could not be run at all."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Expectation -> where the config states it."""

    @property
    def missed(self) -> tuple[ExpectationResult, ...]:
        """The rows that were not met."""
        return tuple(row for row in self.rows if not row.ok)


def places_of(loaded: LoadedConfig, rows: Sequence[ExpectationResult]) -> dict[str, Place]:
    """Return where the config states each expectation: the nearest place that its path has."""
    paths = {row.what: ("expect", *row.what.partition("[")[0].split(".", 1)) for row in rows}
    places = {what: loaded.locate(Problem("", path)).place for what, path in paths.items()}
    return {what: place for what, place in places.items() if place is not None}


def junit_xml(cases: Sequence[Case]) -> bytes:
    """Return the document, UTF-8; what XML cannot hold is escaped as text."""
    suite = ElementTree.Element(
        "testsuite",
        name="gdrun check",
        tests=str(len(cases)),
        failures=str(sum(bool(case.missed) for case in cases)),
        errors=str(sum(case.error is not None for case in cases)),
        time=f"{sum(case.seconds for case in cases):.3f}",
    )
    for case in cases:
        attributes = {"classname": safe_text(case.config), "name": safe_text(case.name), "time": f"{case.seconds:.3f}"}
        element = ElementTree.SubElement(suite, "testcase", attributes)
        if case.error is not None:
            ElementTree.SubElement(element, "error", message=safe_text(case.error, limit=500))
        elif case.missed:
            message = f"{len(case.missed)} of {plural(len(case.rows), 'expectation')} missed"
            failure = ElementTree.SubElement(element, "failure", message=message)
            failure.text = "\n".join(miss_text(row) for row in case.missed)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def miss_text(row: ExpectationResult) -> str:
    """Return a missed expectation in one line."""
    bound = f" ({row.bound})" if row.bound else ""
    note = f"; {row.note}" if row.note else ""
    return f"{row.what}: expected {row.expected}{bound}, got {row.got}{note}"


def missed_annotations(cases: Sequence[Case]) -> Iterator[str]:
    """Yield GitHub's annotation of each missed expectation and of each config that could not be run."""
    for case in cases:
        if case.error is not None:
            yield _annotation(case.error, case.config, None, case.config)
        for row in case.missed:
            yield _annotation(
                miss_text(row), f"{case.config}: expectation missed", case.places.get(row.what), case.config
            )


def refusal_annotations(error: GdrunError) -> Iterator[str]:
    """Yield GitHub's annotation of each problem of configs that are refused."""
    for problem, source in _refusals(error):
        message = f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
        yield _annotation(message, "config refused" if source else "gdrun check", problem.place, source)


def refusal_markdown(error: GdrunError) -> str:
    """Return a list of the problems of configs that are refused, so that none was run."""
    lines = ["### gdrun check: nothing was run", ""]
    for problem, source in _refusals(error):
        place = f"{problem.place.source}:{problem.place.line}" if problem.place else source
        texts = (text for text in (place, problem.message, problem.hint) if text)
        lines.append(f"- {': '.join(map(markdown_cell, texts))}")
    return "\n".join([*lines, ""])


def _refusals(error: GdrunError) -> Iterator[tuple[Problem, str]]:
    """Yield each problem and the config it is of, "" where it is of none."""
    for single in error.errors if isinstance(error, Several) else [error]:
        if isinstance(single, ConfigError):
            yield from ((problem, single.source) for problem in single.problems)
        else:
            yield Problem(str(single)), ""


def _annotation(message: str, title: str, place: Place | None, file: str) -> str:
    """Return a workflow command of GitHub Actions, whose data and properties have escapes of their own."""
    # An override or stdin is no file that an annotation could stand in.
    source = place.source if place is not None and os.path.isfile(place.source) else file
    properties = {"title": title}
    if os.path.isfile(source):
        top = os.environ.get("GITHUB_WORKSPACE") or os.curdir
        properties["file"] = os.path.relpath(os.path.realpath(source), os.path.realpath(top))
        if place is not None and source == place.source:
            properties |= {"line": str(place.line), "col": str(place.column)}
    texts = [f"{name}={_escaped(safe_text(value), ':,')}" for name, value in properties.items()]
    return f"::error {','.join(texts)}::{_escaped(safe_text(message, limit=1000, lines=True))}"


def _escaped(text: str, marks: str = "") -> str:
    for mark in "%\r\n" + marks:
        text = text.replace(mark, f"%{ord(mark):02X}")
    return text


def markdown(cases: Sequence[Case]) -> str:
    """Return a table with a row for each config, and what was missed below it."""
    met = sum(not case.missed and case.error is None for case in cases)
    lines = [f"### gdrun check: {met} of {plural(len(cases), 'config')} met", ""]
    lines += ["| config | result | expectations | time |", "|---|---|---:|---:|"]
    for case in cases:
        result = "error" if case.error is not None else "missed" if case.missed else "met"
        count = f"{len(case.rows) - len(case.missed)} of {len(case.rows)}"
        lines.append(f"| {markdown_cell(case.config)} | {result} | {count} | {human_seconds(case.seconds)} |")
    details = [
        f"- {markdown_cell(case.config)}: {markdown_cell(text)}"
        for case in cases
        for text in ([case.error] if case.error is not None else map(miss_text, case.missed))
    ]
    return "\n".join([*lines, *([""] if details else []), *details, ""])


def append_summary(text: str) -> None:
    """Append Markdown to the summary of the step, where GitHub Actions runs one."""
    if path := os.environ.get(SUMMARY_VARIABLE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
