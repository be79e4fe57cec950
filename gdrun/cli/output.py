"""Tables and JSON, as every command prints them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.text import safe_text

from . import terminal


def print_json(value: Any) -> None:
    """Print `value` on stdout as one strict JSON document."""
    from gdrun.rundir.strict_json import dumps

    terminal.data(dumps(value, indent=2))


def aligned(rows: Sequence[Sequence[str]], *, indent: int = 2, gap: int = 2) -> list[str]:
    """Return lines in which the cells of each column begin below each other; the last column is as long as it is.

    Cells may not hold newlines; widths are in characters of what is shown, so styles are added afterwards.
    """
    if not rows:
        return []
    columns = max(len(row) for row in rows)
    widths = [max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(columns)]
    lines = []
    for row in rows:
        cells = [cell.ljust(widths[at]) if at < len(row) - 1 else cell for at, cell in enumerate(row)]
        lines.append((" " * indent + (" " * gap).join(cells)).rstrip())
    return lines


def write_file(path: Path, content: bytes, *, new: bool = False) -> None:
    """Write a file that the user named, whole; folders above it are made.

    Args:
        new: refuse to replace a file.
    Raises:
        UsageError: `new`, and there is one.
        RunDirectoryError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if new and os.path.lexists(path):
            raise UsageError(f"{safe_text(path)} exists; it is not replaced", hint="name another file with -o")
        # "x" closes the gap between looking and writing.
        with path.open("xb" if new else "wb") as file:
            file.write(content)
    except OSError as error:
        raise RunDirectoryError(f"cannot write {safe_text(path)}: {error.strerror}") from error
