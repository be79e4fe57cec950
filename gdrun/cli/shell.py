"""`gdrun shell`: commands typed at a prompt, or read from a file or a pipe, in one process."""

from __future__ import annotations

import importlib
import io
import os
import shlex
import sys
import threading
from contextlib import suppress
from pathlib import Path

from rich.text import Text

from gdrun.errors import ExitCode, UsageError
from gdrun.extras import require

from . import failures, session, terminal

PROMPT = "gdrun> "

_ENDS = ("exit", "quit")


def command() -> int:
    """Run many commands in one process: TensorFlow starts once, and a program that was compiled is kept.

    At a terminal: a prompt with history and completion, while TensorFlow starts behind it; Ctrl-D or `exit` ends it.
    Commands are written without `gdrun`. From a file or a pipe: `gdrun shell < commands.txt`, a command a line; each is
    followed by its exit code on stderr, and the last one is the worst of all. A `#` begins a comment.
    """
    if session.is_keeping_programs():
        raise UsageError("this is the shell already", hint="exit ends it")
    with session.keeping_programs():
        return _converse() if terminal.is_terminal("stdin") else _read()


def _read() -> int:
    """Run the commands that stdin holds and return the worst exit code."""
    codes: list[int] = []
    source = sys.stdin
    # A config or an answer that a command reads from stdin is not one of the next lines.
    sys.stdin = io.TextIOWrapper(io.BytesIO())
    try:
        for line in source:
            words = _words(line)
            if words is None:
                codes.append(ExitCode.REFUSED)
            elif words[:1] and words[0] in _ENDS:
                break
            elif words:
                codes.append(_run(words))
            else:
                continue
            terminal.message(Text(f"exit code {int(codes[-1])}: {line.strip()}", "dim"))
            if codes[-1] in failures.INTERRUPTS:
                break
    finally:
        sys.stdin = source
    return failures.worst(codes)


def _converse() -> int:
    """Run the commands that are typed at the prompt."""
    require("prompt_toolkit", extra="shell", what="the prompt of gdrun shell")
    from prompt_toolkit.output import create_output

    from .prompt import open_prompt

    # On a descriptor of its own: what TensorFlow writes to the standard ones while it starts goes nowhere.
    with open(os.dup(1), "w") as screen:
        loading = threading.Thread(target=_start_tensorflow, daemon=True)
        loading.start()
        ask = open_prompt(PROMPT, _history_file(), output=create_output(stdout=screen))
        while (line := ask()) is not None:
            words = _words(line)
            if not words:
                continue
            if words[0] in _ENDS:
                break
            if loading.is_alive():
                with session.waiting("starting TensorFlow"):
                    loading.join()
            code = _run(words)
            if code:
                terminal.message(Text(f"exit code {code}", "dim"))
    return ExitCode.DONE


def _words(line: str) -> list[str] | None:
    """Return a line's words as a shell has them, without `gdrun`; None, after saying why, where they cannot be read."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        failures.show_error(UsageError(f"{str(error).lower()}: {line.strip()[:200]}"))
        return None
    return words[1:] if words[:1] == ["gdrun"] else words


def _run(words: list[str]) -> int:
    from .app import run

    try:
        return run(words)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _start_tensorflow() -> None:
    # A command that needs it says what is wrong.
    with suppress(Exception), session.quiet():
        from gdrun.engine.device import import_tensorflow

        import_tensorflow()
        importlib.import_module("gdrun.assembly")


def _history_file() -> Path | None:
    """Return the file that typed commands are kept in; None where there can be none."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "gdrun"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history").open("a").close()
    except OSError:
        return None
    return folder / "history"
