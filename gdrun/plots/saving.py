"""Figures as files."""

from __future__ import annotations

from pathlib import Path

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.suggest import closest
from gdrun.text import safe_text

from . import picture
from .figure import Figure

SUFFIXES = (*picture.FORMATS, "txt")


def suffix_of(path: Path | str) -> str:
    """Return which of SUFFIXES a file's name ends in.

    Raises:
        UsageError: none.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        near = closest(suffix, SUFFIXES)
        known = ", ".join(f".{name}" for name in SUFFIXES)
        what = f"pictures cannot be .{safe_text(suffix, limit=20)}" if suffix else "the suffix says what to write"
        raise UsageError(
            f"{safe_text(path, limit=300)}: {what}", hint=f"did you mean .{near}?" if near else f"one of {known}"
        )
    return suffix


def content(figure: Figure, suffix: str, size: tuple[float, float] | None = None) -> bytes:
    """Return the bytes of a figure's file.

    Args:
        size: inches, or for "txt" columns and rows of characters; None is the default.
    Raises:
        ResourceError: matplotlib is not installed.
    """
    if suffix != "txt":
        return picture.draw(figure, suffix, size)
    from .text import as_text

    width, height = (int(part) for part in size) if size else (100, 30)
    return (as_text(figure, width, height) + "\n").encode("utf-8")


def save(figure: Figure, path: Path | str, *, size: tuple[float, float] | None = None) -> Path:
    """Write a figure to a file; its suffix says how: .png, .svg, .pdf or .txt. Folders above it are made.

    Args:
        size: width and height in inches; for .txt in characters.
    Raises:
        UsageError: another suffix.
        ResourceError: matplotlib is not installed.
        RunDirectoryError: the file cannot be written.
    """
    path = Path(path)
    data = content(figure, suffix_of(path), size)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise RunDirectoryError(f"cannot write {safe_text(path)}: {error.strerror}") from error
    return path
