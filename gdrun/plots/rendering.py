"""Figures as files: text, and PNG, SVG and PDF by matplotlib (the extra `plot`) without its global state.

The same figure gives the same bytes: no time, no random ids, no settings of the user's own.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gdrun.errors import ResourceError, RunDirectoryError, UsageError
from gdrun.suggest import closest
from gdrun.text import safe_text

from .figure import Figure
from .text_renderer import as_text

FORMATS = ("png", "svg", "pdf")
SUFFIXES = (*FORMATS, "txt")
SIZE = (6.8, 4.2)
"""Inches."""
SMALLEST, LARGEST = 1.5, 40.0
DOTS_PER_INCH = 160

INSTALL_HINT = "pip install 'gdrun[plot]'"

_SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,  # names may hold dollar signs
    "svg.hashsalt": "gdrun",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.unicode_minus": False,
    "path.simplify": True,
    "lines.solid_capstyle": "round",
    "agg.path.chunksize": 20000,
}
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def has_matplotlib() -> bool:
    """Return whether matplotlib is installed, without importing it."""
    try:
        return find_spec("matplotlib") is not None
    except (ImportError, ValueError):
        return False


def draw(figure: Figure, suffix: str, size: tuple[float, float] | None = None) -> bytes:
    """Return a picture's bytes.

    Args:
        suffix: "png", "svg" or "pdf".
        size: width and height in inches; a PNG has 160 dots to the inch.
    Raises:
        ResourceError: matplotlib is not installed, or does not work.
    """
    with _quiet_matplotlib():
        try:
            import matplotlib

            from .matplotlib_renderer import render
        except ImportError as error:
            missing = (error.name or "").split(".")[0] == "matplotlib"
            reason = "matplotlib is not installed" if missing else f"matplotlib does not work: {safe_text(error)}"
            raise ResourceError(f"{reason}, so there are no pictures", hint=INSTALL_HINT) from error
        except Exception as error:
            reason = safe_text(error, limit=300)
            raise ResourceError(f"matplotlib does not work here: {reason}", hint=INSTALL_HINT) from error
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            buffer = io.BytesIO()
            render(figure, size or SIZE).savefig(
                buffer, format=suffix, dpi=DOTS_PER_INCH, metadata=_METADATA[suffix], facecolor="white"
            )
    return buffer.getvalue()


@contextmanager
def _quiet_matplotlib() -> Iterator[None]:
    """Silence matplotlib's messages about fonts that it looks for and characters that they lack."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    backend = os.environ.pop("MPLBACKEND", None)  # a backend that it does not know would end its import
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def notebook_png(figure: Figure) -> bytes | None:
    """Return a figure as PNG, None where matplotlib is missing."""
    try:
        return draw(figure, "png")
    except ResourceError:
        return None


def suffix_of(path: Path | str) -> str:
    """Return the suffix of a file's name, one of SUFFIXES. Raises UsageError where it is none of them."""
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        near = closest(suffix, SUFFIXES)
        known = ", ".join(f".{name}" for name in SUFFIXES)
        problem = f"pictures cannot be .{safe_text(suffix, limit=20)}" if suffix else "the suffix says what to write"
        raise UsageError(
            f"{safe_text(path, limit=300)}: {problem}", hint=f"did you mean .{near}?" if near else f"one of {known}"
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
        return draw(figure, suffix, size)
    width, height = (int(part) for part in size) if size else (100, 30)
    return (as_text(figure, width, height) + "\n").encode("utf-8")


def save(figure: Figure, path: Path | str, *, size: tuple[float, float] | None = None) -> Path:
    """Write a figure to a file in the format of its suffix: .png, .svg, .pdf or .txt. Folders above it are made.

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
