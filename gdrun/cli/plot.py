"""`gdrun plot RUN...`: pictures of runs and sweeps, as files or in the terminal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.errors import ResourceError, RunDirectoryError, UsageError
from gdrun.extras import install_hint
from gdrun.plots import animate, plot
from gdrun.plots.animation import FRAMES_PER_SECOND, SECONDS, Animation
from gdrun.plots.choose import KINDS, RUN_KINDS, SWEEP_KINDS
from gdrun.plots.figure import Figure, plain
from gdrun.plots.rendering import LARGEST, MOVIES, SMALLEST, SUFFIXES, content, has_matplotlib, suffix_of
from gdrun.rundir.files import write_file, write_whole
from gdrun.rundir.run import Run, load_run
from gdrun.rundir.seeds import checked_band
from gdrun.text import split_points

from . import session, terminal
from .arguments import BandOption, Device, Json, Plugins, RunsDir, output_option, run_names
from .output import print_json


def _kinds(incomplete: str) -> list[tuple[str, str]]:
    return [(kind, picture.help) for kind, picture in KINDS.items() if kind.startswith(incomplete)]


Runs = Annotated[
    list[str] | None,
    run_names("RUN", "Runs or one sweep: paths, ids or the beginnings of ids, latest (the default), latest~1, ..."),
]
Output = Annotated[
    Path | None,
    output_option("FILE", ".png, .svg, .pdf, .txt, .html, or a folder. Default: plots/ of the (first) run."),
]
Kind = Annotated[
    str | None,
    typer.Option(
        metavar="KIND", autocompletion=_kinds, help=f"{', '.join(RUN_KINDS)}; of a sweep {', '.join(SWEEP_KINDS)}."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="Recorded columns to show: loss, a for parameters.a, W[0,1]. Of a sweep: one axis, or two for a heat map.",
    ),
]
Size = Annotated[
    str | None, typer.Option(metavar="WxH", help="Inches (6.8x4.2); of text, columns and rows of characters (100x30).")
]

MOST_COLUMNS = 120
_SIZE = re.compile(r"(\d{1,4}(?:\.\d{1,4})?)x(\d{1,4}(?:\.\d{1,4})?)")


def command(
    runs: Runs = None,
    output: Output = None,
    kind: Kind = None,
    columns: Columns = None,
    x: Annotated[str, typer.Option(metavar="step|epoch", help="What the x axis counts.")] = "step",
    log: Annotated[bool | None, typer.Option("--log/--linear", help="The scale upward (default: chosen).")] = None,
    log_x: Annotated[
        bool | None, typer.Option("--log-x/--linear-x", help="The scale across (default: chosen).")
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Instead of its own.")] = None,
    size: Size = None,
    band: BandOption = "quartiles",
    at: Annotated[str | None, typer.Option(metavar="start|end|STEP", help="Where a spectrum is taken.")] = None,
    term: Annotated[bool, typer.Option("--term", help="Draw in the terminal, in characters.")] = False,
    moving: Annotated[
        bool, typer.Option("--animate", help="Let it move over the steps; -o .gif, .mp4 (by ffmpeg) or .html.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=600, help="Of an animation, how long it runs.")
    ] = SECONDS,
    fps: Annotated[
        float, typer.Option(metavar="N", min=0.1, max=60, help="Of an animation, frames a second.")
    ] = FRAMES_PER_SECOND,
    runs_dir: RunsDir = None,
    device: Device = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Draw a run, several runs or a sweep, and print the picture's path.

    One run: its loss with the validation loss. Several runs: a line each. A sweep: what came out against the learning
    rate, or a heat map of two settings. Without matplotlib the picture is drawn in the terminal. A fit, decisions, a
    confusion matrix, a spectrum and most trajectories are computed from the run's config; for these alone TensorFlow is
    started.
    """
    if term and (output is not None or moving):
        raise UsageError(f"--term draws in the terminal, {'--animate' if moving else '-o'} writes a file: one of them")
    if moving and at is not None:
        raise UsageError("--at is one step, --animate shows all of them: one of them")
    suffixes = MOVIES if moving else SUFFIXES
    suffix = suffix_of(output, suffixes) if output is not None and not output.is_dir() else None
    measure = _size(size, characters=term or suffix == "txt")
    loaded = [load_run(name, runs_dir) for name in runs or ["latest"]]
    options: dict[str, Any] = {
        "kind": kind, "x": x, "scale": _scale(log), "x_scale": _scale(log_x), "title": title, "device": device,
        "band": None if band == "none" else checked_band(band, "none"),
        # A project's plugins may start TensorFlow: only where something is computed.
        "plugins": session.load_plugins(plugins) if plugins else session.project_sources(),
        "columns": [name.strip() for name in split_points(columns)] if columns is not None else [],
    }  # fmt: skip
    with _computing(kind):
        drawn = animate(loaded, **options, seconds=seconds, fps=fps) if moving else plot(loaded, **options, at=at)
    figure = drawn.frames[-1] if isinstance(drawn, Animation) else drawn
    if not as_json and not moving and (term or (output is None and not has_matplotlib())):
        screen = shutil.get_terminal_size((100, 30))
        fitting = min(screen.columns, MOST_COLUMNS), max(min(screen.lines - 2, 32), 16)
        width, height = map(int, (measure if term else None) or fitting)
        terminal.data(*terminal.picture(figure, width, height))
        if not term:
            terminal.message(f"pictures as files need matplotlib: {install_hint('plot')}")
        return
    written = _write(drawn, loaded, output, measure) if not term and (output or not as_json) else None
    if as_json:
        steps = {"steps": list(drawn.steps)} if isinstance(drawn, Animation) else {}
        print_json({"file": None if written is None else str(written), "figure": plain(figure)} | steps)
    elif written is not None:
        terminal.data(str(written))


@contextmanager
def _computing(kind: str | None) -> Iterator[None]:
    """Silence TensorFlow's log and show a message while a picture is computed."""
    if kind not in KINDS or not KINDS[kind].computes:
        yield
        return
    with session.quiet(), session.waiting("computing the picture"):
        yield


def _scale(log: bool | None) -> Any:
    return None if log is None else "log" if log else "linear"


def _size(text: str | None, *, characters: bool) -> tuple[float, float] | None:
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    low, high = (8, 1000) if characters else (SMALLEST, LARGEST)
    if match is None or not all(low <= float(part) <= high for part in match.groups()):
        what = "columns and rows of characters, 100x30" if characters else "inches, 6.8x4.2"
        raise UsageError(
            f"'{text}' is no size",
            hint=f"width and height in {what}; each from {low:g} to {high:g}",
        )
    return float(match[1]), float(match[2])


def _write(drawn: Figure | Animation, runs: list[Run], output: Path | None, size: tuple[float, float] | None) -> Path:
    """Write the picture to `output`, else into the first run's directory; return its path."""
    default = "gif" if isinstance(drawn, Animation) else "png"
    name = f"{_file_name(drawn, runs)}.{default}"
    path = None if output is None else output / name if output.is_dir() else output
    suffix = path.suffix.lower().removeprefix(".") if path is not None else default
    with session.quiet(), session.waiting("drawing the frames") if isinstance(drawn, Animation) else nullcontext():
        try:
            data = content(drawn, suffix, size)
        except ResourceError as error:
            if path is not None or isinstance(drawn, Animation):
                raise
            raise ResourceError(error.message, hint=f"{error.hint}; --term draws in the terminal") from error
        if path is not None:
            return write_file(path, data)
        try:
            return write_whole(runs[0].directory / "plots" / name, data)
        except RunDirectoryError as error:
            raise RunDirectoryError(error.message, hint="-o FILE writes the picture elsewhere") from error


def _file_name(figure: Figure | Animation, runs: list[Run]) -> str:
    """Return loss, loss-with-7f3a (the last characters of the other runs' ids), loss-with-12-runs."""
    name = re.sub(r"[^\w.-]+", "-", figure.name, flags=re.ASCII)[:60].strip("-.") or "figure"
    others = [re.sub(r"\W+", "-", run.id, flags=re.ASCII)[-4:] for run in runs[1:]]
    if not others:
        return name
    return f"{name}-with-{'-'.join(others) if len(others) <= 4 else f'{len(others)}-runs'}"
