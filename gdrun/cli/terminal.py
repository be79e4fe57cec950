"""The two streams of a command: data to stdout, messages to stderr.

All text is escaped here and nowhere else, where it leaves for the terminal: `data`, `message` and `warn` take any text,
each argument for one line. `document` alone writes as it is, for text in a format of its own: JSON, YAML, CSV.

Messages never fail: a closed pipe or a full disk behind stderr must not end a run. Data that cannot be written does end
the command, quietly where the reader has gone away.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from rich.color import ColorSystem
from rich.style import Style
from rich.text import Text

from gdrun.errors import ExitCode, RunDirectoryError
from gdrun.text import safe_text

if TYPE_CHECKING:
    from rich.console import Console

    from gdrun.plots import Figure

Line = str | Text
"""A line of output, styled where it is a `Text`. A line break in it is escaped as every control character is."""

_diverted: dict[str, TextIO] = {}
"""Where stdout and stderr really go while `noise` has the descriptors."""


class OutputClosed(Exception):
    """The reader of stdout has gone away (`gdrun schema | head -1`)."""


def stream(name: str) -> TextIO:
    """Return the stream that reaches the user; `name` is "stdout" or "stderr"."""
    return _diverted.get(name) or getattr(sys, name)


def divert(streams: dict[str, TextIO]) -> dict[str, TextIO]:
    """Use `streams` (by name) in place of sys.stdout and sys.stderr; return what was used before."""
    before = dict(_diverted)
    _diverted.clear()
    _diverted.update(streams)
    return before


def make_robust() -> None:
    """Let no character fail on the way out: what an encoding lacks is written as an escape."""
    for name in ("stdout", "stderr"):
        with suppress(AttributeError, ValueError, OSError):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def data(*lines: Line) -> None:
    """Write lines to stdout, at once; none for none.

    Raises:
        OutputClosed: the reader has gone away.
        RunDirectoryError: stdout cannot be written, e.g. a full disk.
    """
    if lines:
        document("\n".join(_escaped(lines, "stdout")))


def document(text: str) -> None:
    """Write a text in a format of its own (JSON, YAML, CSV) to stdout as it is, with a newline at its end.

    Raises:
        OutputClosed: the reader has gone away.
        RunDirectoryError: stdout cannot be written, e.g. a full disk.
    """
    out = stream("stdout")
    try:
        out.write(text if text.endswith("\n") else text + "\n")
        out.flush()
    except (BrokenPipeError, ValueError, AttributeError) as error:
        raise OutputClosed from error
    except OSError as error:
        raise RunDirectoryError(f"cannot write to stdout: {error.strerror}") from error


def picture(figure: Figure, width: int, height: int, name: str = "stdout") -> list[Text]:
    """Return the lines of a picture in characters, with the characters and colours that the stream `name` has."""
    from gdrun.plots import as_text, can_show

    ascii_only = not can_show(getattr(stream(name), "encoding", None))
    text = as_text(figure, width, height, has_colour(name), ascii_only=ascii_only)
    return list(Text.from_ansi(text.rstrip("\n")).split())


def message(*lines: Line) -> None:
    """Write lines to stderr, none for none; what cannot be written is lost."""
    err = stream("stderr")
    with suppress(OSError, ValueError, AttributeError):
        err.write("".join(f"{line}\n" for line in _escaped(lines, "stderr")))
        err.flush()


def warn(text: str) -> None:
    """Write a warning to stderr."""
    message(Text.assemble(("warning:", "yellow"), " ", text))


def _escaped(lines: tuple[Line, ...], name: str) -> list[str]:
    """Return lines as they may be written to the stream `name`: control characters escaped, styles as colours."""
    coloured = has_colour(name)
    return [_painted(line) if coloured and isinstance(line, Text) else safe_text(line) for line in lines]


def _painted(line: Text) -> str:
    from rich.console import Console

    return "".join(
        # Style by style: an escape sequence in the text itself is not one of ours.
        (segment.style or Style.null()).render(safe_text(segment.text), color_system=ColorSystem.TRUECOLOR)
        for segment in line.render(Console())
    )


def is_terminal(name: str = "stderr") -> bool:
    """Return whether the stream is a terminal."""
    try:
        return stream(name).isatty()
    except (ValueError, AttributeError):
        return False


def is_live(name: str = "stderr") -> bool:
    """Return whether the stream is a terminal that understands cursor movements."""
    return is_terminal(name) and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def has_colour(name: str = "stderr") -> bool:
    """Return whether to style text: on a terminal, unless NO_COLOR is set to anything (no-color.org)."""
    return is_live(name) and not os.environ.get("NO_COLOR")


def console() -> Console:
    """Return a rich console on stderr, for what moves."""
    from rich.console import Console

    class Steady(Console):
        def show_cursor(self, show: bool = True) -> bool:
            # A hidden cursor would stay hidden after the second Ctrl-C, which ends the process at once.
            return False

    colours: Any = "auto" if has_colour() else None
    # The file is ours to keep alive: a vanished terminal must not end a run.
    file: Any = _Tolerant(stream("stderr"))
    return Steady(file=file, force_terminal=is_live(), color_system=colours, highlight=False, markup=False)


class _Tolerant:
    """A text stream whose writes cannot fail."""

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._inner.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._inner.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def flush() -> int:
    """Flush both streams at the process's end; return an exit code where stdout fails, else 0.

    Without this, Python's own flush at exit would print a complaint and change the exit code.
    """
    code = 0
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (OSError, ValueError, AttributeError) as error:
            if name == "stdout" and isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                code = ExitCode.DISK
            _sink(name)
    return code


def _sink(name: str) -> None:
    """Let what is left in the buffer of a broken stream go nowhere."""
    with suppress(OSError, ValueError, AttributeError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, getattr(sys, name).fileno())
        os.close(descriptor)
