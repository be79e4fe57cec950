"""The result of a command: one JSON document, or lines of text."""

from __future__ import annotations

from typing import Any

from . import terminal


def print_json(value: Any) -> None:
    """Print `value` on stdout as one strict JSON document."""
    from gdrun.rundir.strict_json import dumps

    terminal.document(dumps(value, indent=2))


def print_result(value: Any, *lines: terminal.Line, as_json: bool) -> None:
    """Print `value` as JSON, or lines that say the same."""
    if as_json:
        print_json(value)
    else:
        terminal.data(*lines)
