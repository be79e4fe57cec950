"""JSON as every command prints it."""

from __future__ import annotations

from typing import Any

from . import terminal


def print_json(value: Any) -> None:
    """Print `value` on stdout as one strict JSON document."""
    from gdrun.rundir.strict_json import dumps

    terminal.document(dumps(value, indent=2))
