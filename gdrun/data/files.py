"""Opening data files: regular files only, with the hash of what is read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gdrun.errors import DataError
from gdrun.text import plural, safe_text


@contextmanager
def open_data(path: str | Path) -> Iterator[tuple[BinaryIO, str]]:
    """Open a data file and yield (file, SHA-256 in hex of its bytes).

    Raises:
        DataError: if it is missing, not readable or not a regular file; the message gives the path.
    """
    try:
        # O_NONBLOCK: opening a named pipe would wait for a writer before its kind can be seen.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise DataError(f"there is no file {shown(path)}", within=("path",)) from None
    except (OSError, ValueError) as error:
        # ValueError: a path with a null byte.
        raise DataError(f"{shown(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataError(f"{shown(path)} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            yield file, digest
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read: {error.strerror or error}") from None
    finally:
        os.close(descriptor)


def shown(path: str | Path) -> str:
    """Return the path as messages show it."""
    return safe_text(os.fspath(path), limit=300)


def row_range(rows: str | None) -> tuple[int, int | None]:
    """Return (first, stop) of a half-open range "0:1500", "100:", ":20"; stop None: to the end.

    Raises:
        DataError: if it is empty or absurdly large.
    """
    first, _, stop = (rows or ":").partition(":")
    if max(len(first), len(stop)) > 15:
        raise DataError(f"rows {safe_text(rows, limit=60)} goes beyond what any file holds")
    if stop and int(stop) <= int(first or 0):
        raise DataError(f"rows {rows} is empty", hint="the end comes after the start and is not a part of the range")
    return int(first or 0), int(stop) if stop else None


def beyond_rows(rows: str | None, name: str, num_rows: int) -> DataError:
    """Return the error for a range that goes beyond the rows that there are."""
    return DataError(f"rows {rows} goes beyond the end of {name}, which has {plural(num_rows, 'data row')}")
