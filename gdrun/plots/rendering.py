"""Figures as files: text, PNG, SVG and PDF by matplotlib (the extra `plot`) without its global state, HTML by plotly.

The same figure gives the same bytes: no time, no random ids, no settings of the user's own.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gdrun.errors import ResourceError, UsageError
from gdrun.extras import install_hint
from gdrun.rundir.files import write_file
from gdrun.suggest import closest
from gdrun.text import safe_text

from .animation import Animation
from .figure import Figure
from .html_page import figure_page
from .text_renderer import as_text

FORMATS = ("png", "svg", "pdf")
SUFFIXES = (*FORMATS, "txt", "html")
MOVIES = ("gif", "mp4", "html")
SIZE = (6.8, 4.2)
"""Inches."""
SMALLEST, LARGEST = 1.5, 40.0
DOTS_PER_INCH = 160
MOST_BYTES = 5_000_000
"""Of a GIF or an mp4."""
_LEAST_PIXELS = 120
_LAST_MILLISECONDS = 1500

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
    with _matplotlib() as render:
        buffer = io.BytesIO()
        render(figure, size or SIZE).savefig(
            buffer, format=suffix, dpi=DOTS_PER_INCH, metadata=_METADATA[suffix], facecolor="white"
        )
    return buffer.getvalue()


@contextmanager
def _matplotlib() -> Iterator[Callable[[Figure, tuple[float, float]], Any]]:
    """Give the function that draws figures, with settings of its own while it is used."""
    with _quiet_matplotlib():
        try:
            import matplotlib

            from .matplotlib_renderer import render
        except Exception as error:  # what it is built on may be broken in any way
            missing = isinstance(error, ImportError) and (error.name or "").split(".")[0] == "matplotlib"
            reason = "is not installed" if missing else f"does not work here: {safe_text(error, limit=300)}"
            raise ResourceError(f"matplotlib {reason}, so there are no pictures", hint=install_hint("plot")) from error
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            yield render


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


def suffix_of(path: Path | str, suffixes: Sequence[str] = SUFFIXES) -> str:
    """Return the suffix of a file's name. Raises UsageError where it is none of `suffixes`."""
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in suffixes:
        near = closest(suffix, suffixes)
        known = ", ".join(f".{name}" for name in suffixes)
        if suffix in MOVIES:
            raise UsageError(f"{path}: a .{suffix} moves", hint="--animate")
        problem = f"pictures cannot be .{suffix}" if suffix else "the suffix says what to write"
        raise UsageError(f"{path}: {problem}", hint=f"did you mean .{near}?" if near else f"one of {known}")
    return suffix


def movie(
    animation: Animation, suffix: str, size: tuple[float, float] | None = None, most_bytes: int = MOST_BYTES
) -> bytes:
    """Return the bytes of an animation's file.

    Args:
        suffix: "gif", "mp4" or "html".
        size: inches, of 100 dots each; smaller where the file would be larger than `most_bytes`.
    Raises:
        UsageError: another suffix.
        ResourceError: matplotlib, or for "mp4" ffmpeg, or for "html" plotly, is missing.
    """
    if suffix == "html":
        return figure_page(animation).encode("utf-8", "backslashreplace")
    if suffix not in MOVIES:
        raise UsageError(f"an animation cannot be .{suffix}", hint=f"one of {', '.join(f'.{name}' for name in MOVIES)}")
    from PIL import Image

    images = []
    with _matplotlib() as render:
        for figure in animation.frames:
            canvas = render(figure, size or SIZE).canvas
            canvas.draw()
            images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    write = _gif if suffix == "gif" else _mp4
    data = write(images, animation.seconds)
    while len(data) > most_bytes and min(images[0].size) > _LEAST_PIXELS:
        share = max(0.95 * (most_bytes / len(data)) ** 0.5, 0.5)
        width, height = (round(side * share) for side in images[0].size)
        images = [image.resize((width, height), Image.Resampling.LANCZOS) for image in images]
        data = write(images, animation.seconds)
    return data


def _gif(images: Sequence[Any], seconds: float) -> bytes:
    """Return an animated GIF, all frames in the colours of the last one, which stays for a moment."""
    from PIL import Image

    # Flat colours: the most common ones are the picture's own, the others lie between them.
    colours = sorted(images[-1].getcolors(1 << 24), reverse=True)[:255]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for _, colour in colours for channel in colour])
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    # GIFs count hundredths of a second.
    each = max(round(100 * seconds / len(frames)), 2) * 10
    durations = [each] * (len(frames) - 1) + [each + _LAST_MILLISECONDS]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return buffer.getvalue()


def _mp4(images: Sequence[Any], seconds: float) -> bytes:
    program = shutil.which("ffmpeg")
    if program is None:
        raise ResourceError("ffmpeg is not installed, so there is no .mp4", hint="-o descent.gif needs none")
    width, height = (side - side % 2 for side in images[0].size)  # yuv420p has one colour for two dots
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{len(images) / seconds:.6g}"]
    target = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-y"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.mp4"
        done = subprocess.run(
            [program, "-loglevel", "error", *source, "-i", "-", *target, str(path)],
            input=b"".join(image.crop((0, 0, width, height)).tobytes() for image in images),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            reason = done.stderr.decode("utf-8", "replace").strip()
            raise ResourceError(f"ffmpeg failed: {safe_text(reason, limit=300)}", hint="-o descent.gif needs none")
        return path.read_bytes()


def content(figure: Figure | Animation, suffix: str, size: tuple[float, float] | None = None) -> bytes:
    """Return the bytes of a figure's or an animation's file.

    Args:
        size: inches, or for "txt" columns and rows of characters; None is the default. A page is as wide as its window.
    Raises:
        ResourceError: matplotlib, or for "html" plotly, is not installed.
    """
    if isinstance(figure, Animation):
        return movie(figure, suffix, size)
    if suffix == "html":
        return figure_page(figure).encode("utf-8", "backslashreplace")
    if suffix != "txt":
        return draw(figure, suffix, size)
    width, height = (int(part) for part in size) if size else (100, 30)
    return (as_text(figure, width, height) + "\n").encode("utf-8")


def save(figure: Figure | Animation, path: Path | str, *, size: tuple[float, float] | None = None) -> Path:
    """Write a figure to a file in the format of its suffix: .png, .svg, .pdf, .txt or .html; an animation as .gif, .mp4
    or .html. Folders above it are made.

    Args:
        size: width and height in inches; for .txt in characters.
    Raises:
        UsageError: another suffix.
        ResourceError: what draws this format is not installed.
        RunDirectoryError: the file cannot be written.
    """
    suffix = suffix_of(path, MOVIES if isinstance(figure, Animation) else SUFFIXES)
    return write_file(Path(path), content(figure, suffix, size))
