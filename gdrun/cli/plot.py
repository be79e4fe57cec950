"""`gdrun plot RUN...`: pictures of runs and sweeps, as files or in the terminal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gdrun.errors import ExitCode, ResourceError, RunDirectoryError, UsageError

from . import session, terminal
from .arguments import Device, Json, Plugins, RunsDir

if TYPE_CHECKING:
    from gdrun.plots import Figure
    from gdrun.rundir.run import Run

Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Runs or one sweep: paths, ids or the beginnings of ids, latest (the default), latest~1, ...",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", show_default=False,
        help=".png, .svg, .pdf or .txt, or a folder. Default: plots/ of the (first) run.",
    ),
]  # fmt: skip
Kind = Annotated[
    str | None,
    typer.Option(
        metavar="KIND", show_default=False,
        help="loss, validation, metrics, parameters, trajectory, gradient_norm, learning_rate, fit, decisions, "
        "spectrum; of a sweep sensitivity, heatmap, curves.",
    ),
]  # fmt: skip
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...", show_default=False,
        help="Recorded columns to show: loss, a for parameters.a, W[0,1]. Of a sweep: one axis, or two for a heat map.",
    ),
]  # fmt: skip
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH", show_default=False, help="Inches (6.8x4.2); of text, columns and rows of characters (100x30)."
    ),
]  # fmt: skip

MOST_COLUMNS = 120
_SIZE = re.compile(r"(\d{1,4}(?:\.\d{1,4})?)x(\d{1,4}(?:\.\d{1,4})?)")


def command(
    runs: Runs = None,
    output: Output = None,
    kind: Kind = None,
    columns: Columns = None,
    x: Annotated[str, typer.Option("--x", metavar="step|epoch", help="What the x axis counts.")] = "step",
    log: Annotated[
        bool | None, typer.Option("--log/--linear", help="The scale upward (default: chosen).", show_default=False)
    ] = None,
    log_x: Annotated[
        bool | None, typer.Option("--log-x/--linear-x", help="The scale across (default: chosen).", show_default=False)
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Instead of its own.", show_default=False)] = None,
    size: Size = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="start|end|STEP", help="Where a spectrum is taken.", show_default=False),
    ] = None,
    term: Annotated[bool, typer.Option("--term", help="Draw in the terminal, in characters.")] = False,
    runs_dir: RunsDir = None,
    device: Device = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> int:
    """Draw a run, several runs or a sweep, and print the picture's path.

    One run: its loss with the validation loss. Several runs: a line each. A sweep: what came out against the learning
    rate, or a heat map of two settings. Without matplotlib the picture is drawn in the terminal. A fit, decisions, a
    spectrum and most trajectories are computed from the run's config; for these alone TensorFlow is started.
    """
    from gdrun.plots import plot
    from gdrun.plots.saving import suffix_of
    from gdrun.rundir.run import load_run

    if term and output is not None:
        raise UsageError("--term draws in the terminal, -o writes a file: one of them")
    suffix = suffix_of(output) if output is not None and not output.is_dir() else None
    measure = _size(size, characters=term or suffix == "txt")
    found = [load_run(name, runs_dir) for name in runs or ["latest"]]
    known = session.load_plugins(plugins)
    with _computing(kind):
        figure = plot(
            found, kind=kind, x=x, scale=_scale(log), x_scale=_scale(log_x), title=title, at=at, device=device,
            plugins=known, columns=[name.strip() for name in _split(columns)],
        )  # fmt: skip
    if not as_json and (term or (output is None and not _has_matplotlib())):
        terminal.data(*Text.from_ansi(_text(figure, measure if term else None).rstrip("\n")).split())
        if not term:
            from gdrun.plots.picture import INSTALL_HINT

            terminal.say(f"pictures as files need matplotlib: {INSTALL_HINT}")
        return ExitCode.DONE
    written = _write(figure, found, output, measure) if not term and (output or not as_json) else None
    if as_json:
        from gdrun.plots.figure import plain

        from .output import print_json

        print_json({"file": None if written is None else str(written), "figure": plain(figure)})
    elif written is not None:
        terminal.data(str(written))
    return ExitCode.DONE


@contextmanager
def _computing(kind: str | None) -> Iterator[None]:
    """For kinds that TensorFlow computes: without its chatter, with a word to wait by."""
    if kind not in ("trajectory", "fit", "decisions", "spectrum"):
        yield
        return
    with session.quiet(), session.waiting("computing the picture"):
        yield


def _scale(log: bool | None) -> Any:
    return None if log is None else "log" if log else "linear"


def _split(columns: str | None) -> list[str]:
    """Names between commas that are not within brackets: a,W[0,1] are two."""
    return [] if columns is None else re.split(r",(?![^\[]*\])", columns)


def _size(text: str | None, *, characters: bool) -> tuple[float, float] | None:
    from gdrun.plots.picture import LARGEST, SMALLEST

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


def _has_matplotlib() -> bool:
    from gdrun.plots.picture import is_available

    return is_available()


def _text(figure: Figure, size: tuple[float, float] | None) -> str:
    """The picture as the terminal can show it."""
    from gdrun.plots import as_text, can_show

    screen = shutil.get_terminal_size((100, 30))
    width, height = size or (min(screen.columns, MOST_COLUMNS), max(min(screen.lines - 2, 32), 16))
    plain = not can_show(getattr(terminal.stream("stdout"), "encoding", None))
    return as_text(figure, int(width), int(height), terminal.has_colour("stdout"), ascii_only=plain)


def _write(figure: Figure, runs: list[Run], output: Path | None, size: tuple[float, float] | None) -> Path:
    """Write the picture where it was asked for, else into the first run's directory; return where it is."""
    from gdrun.plots.saving import content, suffix_of

    from .output import write_file

    with session.quiet():
        if output is not None:
            path = output / f"{_file_name(figure, runs)}.png" if output.is_dir() else output
            write_file(path, content(figure, suffix_of(path), size))
            return path
        try:
            data = content(figure, "png", size)
        except ResourceError as error:
            raise ResourceError(error.message, hint=f"{error.hint}; --term draws in the terminal") from error
        return _write_into(runs[0], f"plots/{_file_name(figure, runs)}.png", data)


def _write_into(run: Run, name: str, data: bytes) -> Path:
    from gdrun.rundir.files import replacing

    try:
        with replacing(run.directory / name) as file:
            file.write(data)
    except RunDirectoryError as error:
        raise RunDirectoryError(error.message, hint="-o FILE writes the picture elsewhere") from error
    return run.directory / name


def _file_name(figure: Figure, runs: list[Run]) -> str:
    """loss, loss-with-7f3a (the last characters of the other runs' ids), loss-with-12-runs."""
    plain = re.sub(r"[^\w.-]+", "-", figure.name, flags=re.ASCII)[:60].strip("-.") or "figure"
    others = [re.sub(r"\W+", "-", run.id, flags=re.ASCII)[-4:] for run in runs[1:]]
    if not others:
        return plain
    return f"{plain}-with-{'-'.join(others) if len(others) <= 4 else f'{len(others)}-runs'}"
