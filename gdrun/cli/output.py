"""Tables and JSON, as every command prints them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gdrun.errors import RunDirectoryError, UsageError

from . import terminal


def print_json(value: Any) -> None:
    """Print `value` on stdout as one strict JSON document."""
    from gdrun.rundir.strict_json import dumps

    terminal.document(dumps(value, indent=2))


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
            raise UsageError(f"{path} exists; it is not replaced", hint="name another file with -o")
        # "x" closes the gap between looking and writing.
        with path.open("xb" if new else "wb") as file:
            file.write(content)
    except OSError as error:
        raise RunDirectoryError(f"cannot write {path}: {error.strerror}") from error
