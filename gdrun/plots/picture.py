"""A figure as PNG, SVG or PDF, by matplotlib (the extra `plot`), without its global state.

The same figure gives the same bytes: no time, no random ids, no settings of the person's own.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gdrun.errors import ResourceError
from gdrun.text import safe_text

from .figure import Figure

if TYPE_CHECKING:
    from types import ModuleType

FORMATS = ("png", "svg", "pdf")
SIZE = (6.8, 4.2)
"""Inches."""
SMALLEST, LARGEST = 1.5, 40.0
DOTS_PER_INCH = 160

INSTALL_HINT = "pip install 'gdrun[plot]'"

_SETTINGS = {
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


def is_available() -> bool:
    """Return whether matplotlib can be imported; it is not imported to find out."""
    from importlib.util import find_spec

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
    assert suffix in FORMATS, suffix
    with _matplotlib() as matplotlib:
        from .canvas import render

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            drawn = render(figure, size or SIZE)
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=suffix, dpi=DOTS_PER_INCH, metadata=_METADATA[suffix], facecolor="white")
    return buffer.getvalue()


@contextmanager
def _matplotlib() -> Iterator[ModuleType]:
    """matplotlib, kept from talking: about fonts that it looks for, characters that they lack."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    backend = os.environ.pop("MPLBACKEND", None)  # a name that it does not know would end its import
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                import matplotlib
                import matplotlib.figure
            except ImportError as error:
                missing = (error.name or "").split(".")[0] == "matplotlib"
                words = "matplotlib is not installed" if missing else f"matplotlib does not work: {safe_text(error)}"
                raise ResourceError(f"{words}, so there are no pictures", hint=INSTALL_HINT) from error
            except Exception as error:
                words = safe_text(error, limit=300)
                raise ResourceError(f"matplotlib does not work here: {words}", hint=INSTALL_HINT) from error
            yield matplotlib
    finally:
        logger.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
