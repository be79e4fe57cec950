"""JUnit XML of `gdrun check`, which CI services show: a test case for each config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from gdrun.checking.comparison import ExpectationResult
from gdrun.text import plural, safe_text


@dataclass(frozen=True)
class Case:
    """One config's test case."""

    config: str
    name: str
    seconds: float
    rows: tuple[ExpectationResult, ...] = ()
    error: str | None = None
    """Why it could not be run at all."""

    @property
    def missed(self) -> tuple[ExpectationResult, ...]:
        """The rows that were not met."""
        return tuple(row for row in self.rows if not row.ok)


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
